"""Every version of the rules that a guard decided by can be looked up, whatever became of the database."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from callguard.config import SqlSettings
from callguard.errors import InputError
from callguard.journal.rows import decision_row
from callguard.journal.tables import decisions, rules_versions
from callguard.journal.versions import add_versions, find_version, rules_row
from callguard.journal.writer import SPOOL, JournalWriter
from callguard.screening.model import FailurePolicy, Verdict
from tests.rig.decisions import a_decision
from tests.rig.guard import PROGRAM
from tests.rig.ports import LOCALHOST, free_tcp_port
from tests.rig.process import Process
from tests.rig.rules import rules
from tests.rig.waiting import wait_for

pytestmark = pytest.mark.integration

RULES = rules(
    FailurePolicy(Verdict.REFUSE, {"security": Verdict.ALLOW}),
    presets=("ID", "US", "US-FL"),
    over='[rule.opt-out]\nall_but = ["emergency", "winback"]\nsource = "test"',
    purposes=("winback",),
)


@contextmanager
def locked(engine: sa.Engine, settings: SqlSettings) -> Iterator[None]:
    """Another process's lock on the versions."""
    other: Any
    if engine.dialect.name == "sqlite":
        other = sqlite3.connect(str(engine.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
    else:
        other = psycopg.connect(settings.url)
        other.execute("LOCK TABLE rules_versions IN EXCLUSIVE MODE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


async def test_the_rules_of_a_version_are_those_that_were_in_force(engine: sa.Engine, tmp_path: Path) -> None:
    assert find_version(engine, RULES.version) is None
    async with JournalWriter(engine, tmp_path / SPOOL, 10) as writer:
        await writer.keep_rules(RULES)
    stored = find_version(engine, RULES.version)
    assert stored is not None
    for preset, then in zip(RULES.presets, stored.rules.presets, strict=True):
        assert {line.key: line for line in then.lines} == {line.key: line for line in preset.lines}
        assert replace(then, lines=()) == replace(preset, lines=())
    assert (stored.rules.failure, stored.rules.purposes) == (RULES.failure, RULES.purposes)
    # The version is a digest of all of it: what comes back has the same one.
    assert stored.rules.version == stored.version == RULES.version


async def test_a_version_is_stored_once_with_when_it_first_was_in_force(
    engine: sa.Engine, tmp_path: Path
) -> None:
    first = datetime(2025, 1, 1, tzinfo=UTC)
    add_versions(engine, [rules_row(RULES, first)])
    async with JournalWriter(engine, tmp_path / SPOOL, 10) as writer:
        await writer.keep_rules(RULES)
        await writer.keep_rules(rules())
    stored = find_version(engine, RULES.version)
    assert stored is not None
    assert stored.first_at == first
    assert count(engine, rules_versions) == 2


async def test_a_version_that_the_database_does_not_take_in_time_waits_in_the_spool(
    engine: sa.Engine, sql_settings: SqlSettings, tmp_path: Path
) -> None:
    async with JournalWriter(engine, tmp_path / SPOOL, 0.2) as writer:
        with locked(engine, sql_settings):
            await writer.keep_rules(RULES)
            assert (tmp_path / SPOOL).read_bytes().startswith(b"rules ")
    async with JournalWriter(engine, tmp_path / SPOOL, 10) as writer:
        await writer.open_decisions("", "")
        stored = find_version(engine, RULES.version)
    assert stored is not None
    assert (tmp_path / SPOOL).read_bytes() == b""


async def test_a_guard_that_dies_while_the_database_is_away_loses_neither_version_nor_decision(
    engine: sa.Engine, tmp_path: Path
) -> None:
    nowhere = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    writer = JournalWriter(nowhere, tmp_path / SPOOL, 10)
    async with writer:
        await writer.keep_rules(RULES)
        writer.spool(a_decision())
    kinds = [line.split(b" ")[0] for line in (tmp_path / SPOOL).read_bytes().splitlines()]
    assert kinds == [b"rules", b"decision"]
    async with JournalWriter(engine, tmp_path / SPOOL, 10) as later:
        await later.open_decisions("", "")
    assert find_version(engine, RULES.version) is not None
    assert count(engine, decisions) == 1


async def test_a_version_that_can_be_kept_nowhere_stops_no_call(tmp_path: Path) -> None:
    nowhere = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    (tmp_path / "file").write_bytes(b"")
    async with JournalWriter(nowhere, tmp_path / "file" / SPOOL, 10) as writer:
        await writer.keep_rules(RULES)


async def test_a_damaged_line_of_rules_is_set_aside_and_holds_nothing_up(
    engine: sa.Engine, tmp_path: Path
) -> None:
    spool = tmp_path / SPOOL
    good = b"decision " + json.dumps(decision_row(a_decision())).encode()
    spool.write_bytes(b'rules {"version": 7}\nrules []\n' + good + b"\n")
    async with JournalWriter(engine, spool, 10) as writer:
        await writer.open_decisions("", "")
    assert (count(engine, rules_versions), count(engine, decisions)) == (0, 1)
    assert spool.with_suffix(".damaged").read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("document", ["", "{}", '{"presets": [{"id": "x"}], "failure": {}, "purposes": []}'])
def test_a_version_that_cannot_be_read_is_named(engine: sa.Engine, document: str) -> None:
    add_versions(engine, [{"version": "old", "first_at": 0, "document": document}])
    with pytest.raises(InputError, match=r"version old of the rules: this callguard cannot read them"):
        find_version(engine, "old")


def test_a_guard_stores_its_rules_at_its_start_and_at_each_reload(tmp_path: Path) -> None:
    """Before its first call: no Asterisk is there at all."""
    rules_file = tmp_path / "own.toml"
    rules_file.write_text(
        'id = "ID"\n[rule.hours-offers]\nhours = { mon = "09:00-10:00" }\nsource = "first"\n'
    )
    environ = {
        "PATH": os.environ["PATH"],
        "CALLGUARD_CONFIG": "",
        "CALLGUARD_STATE": str(tmp_path / "state"),
        "CALLGUARD_ASTERISK__URL": f"http://{LOCALHOST}:{free_tcp_port()}",
        "CALLGUARD_ASTERISK__PASSWORD": "none is there",
        "CALLGUARD_TRUNKS": '[{"name": "carrier", "endpoint": "PJSIP/{number}@carrier"}]',
        "CALLGUARD_HTTP__PORT": str(free_tcp_port()),
        "CALLGUARD_RULES__FILES": json.dumps([str(rules_file)]),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    def of_now() -> str:
        return str(json.loads(run("rules", "--json").stdout)["version"])

    guard = Process([str(PROGRAM), "guard"], tmp_path / "output", environ=environ)
    try:
        first = of_now()
        wait_for("the guard to have started", lambda: "guard started" in guard.tail(), seconds=30)
        stored = run("rules", "--version", first)
        assert (stored.returncode, "first" in stored.stdout) == (0, True), guard.tail()
        rules_file.write_text(rules_file.read_text().replace("first", "second"))
        assert run("reload").returncode == 0
        second = of_now()
        assert second != first
        for version, source in ((first, "first"), (second, "second")):
            assert source in run("rules", "ID", "--version", version).stdout
    finally:
        guard.stop()
