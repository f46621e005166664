"""Decisions are in the journal before they are acted on, once, whatever becomes of the database meanwhile."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from callguard.config import SqlSettings
from callguard.control.model import Result
from callguard.database import migrate, open_engine
from callguard.errors import SqlError
from callguard.journal import writer as writer_module
from callguard.journal.reader import JournalReader, Logged, Query
from callguard.journal.rows import Row, decision_of, decision_row
from callguard.journal.store import JournalStore
from callguard.journal.tables import open_decisions, superseded
from callguard.journal.writer import JournalWriter
from callguard.screening.model import Decision, Reason, Verdict
from callguard.screening.screen import without_journal
from tests.rig.decisions import a_decision, a_match, an_outcome
from tests.rig.postgres import PostgresServer
from tests.rig.waiting import wait_for

pytestmark = pytest.mark.integration


@asynccontextmanager
async def journal(engine: sa.Engine, folder: Path, seconds: float = 10.0) -> AsyncIterator[JournalWriter]:
    """A writer that gives a decision up after so many seconds."""
    async with JournalWriter(engine, folder / "journal.spool", seconds) as writer:
        yield writer


def everything(engine: sa.Engine) -> list[Logged]:
    return list(JournalReader(engine).newest_first(Query()))


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


@contextmanager
def locked(engine: sa.Engine, settings: SqlSettings) -> Iterator[None]:
    """Another process's lock on the whole journal."""
    other: Any
    if engine.dialect.name == "sqlite":
        other = sqlite3.connect(str(engine.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
    else:
        other = psycopg.connect(settings.url)
        other.execute("LOCK TABLE decisions, outcomes IN EXCLUSIVE MODE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


async def until(what: str, probe: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, what, probe, seconds=20)


async def settled(writer: JournalWriter) -> None:
    """Everything that the writer was given, and what the spool held, is in the database."""
    await writer.open_decisions("", "")


# --- the ordinary way -------------------------------------------------------------------------------------


async def test_a_decision_is_in_the_journal_when_record_returns(engine: sa.Engine, tmp_path: Path) -> None:
    decision = a_decision(Verdict.REFUSE, matches=(a_match(),))
    async with journal(engine, tmp_path) as writer:
        await writer.record(decision)
        assert everything(engine) == [Logged(decision, None)]
        assert (writer.recorded, writer.failed, writer.waiting) == (1, 0, 0)


async def test_decisions_that_wait_together_are_committed_together(
    engine: sa.Engine, sql_settings: SqlSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    add = JournalStore.add_decisions

    def counted(store: JournalStore, rows: Callable[[], Sequence[Row]]) -> None:
        groups.append(len(rows()))
        add(store, rows)

    monkeypatch.setattr(JournalStore, "add_decisions", counted)
    made = [a_decision() for _ in range(100)]
    async with journal(engine, tmp_path) as writer:
        with locked(engine, sql_settings):
            writing = [asyncio.create_task(writer.record(made[0]))]
            await until("the first is being committed", lambda: groups == [1])
            writing += [asyncio.create_task(writer.record(decision)) for decision in made[1:]]
            await until("the others wait", lambda: writer.waiting == 99)
        await asyncio.gather(*writing)
    assert groups == [1, 99]
    assert {logged.decision.id for logged in everything(engine)} == {decision.id for decision in made}


async def test_the_outcome_stands_beside_its_decision_and_closes_it(
    engine: sa.Engine, tmp_path: Path
) -> None:
    decision, other = a_decision(), a_decision()
    async with journal(engine, tmp_path) as writer:
        await writer.record(decision)
        await writer.record(other)
        assert await writer.open_decisions("pbx", "callguard") == [decision, other]
        writer.outcome(an_outcome(decision))
        assert await writer.open_decisions("pbx", "callguard") == [other]
        assert everything(engine) == [Logged(other, None), Logged(decision, an_outcome(decision))]


async def test_open_decisions_are_those_of_this_pbx_and_this_guard(engine: sa.Engine, tmp_path: Path) -> None:
    ours = a_decision()
    async with journal(engine, tmp_path) as writer:
        for decision in (a_decision(pbx="other"), ours, a_decision(guard="second")):
            await writer.record(decision)
        assert await writer.open_decisions("pbx", "callguard") == [ours]


async def test_an_outcome_that_comes_before_its_decision_leaves_nothing_open(
    engine: sa.Engine, tmp_path: Path
) -> None:
    decision = a_decision()
    async with journal(engine, tmp_path) as writer:
        writer.outcome(an_outcome(decision))
        await settled(writer)
        await writer.record(decision)
        assert await writer.open_decisions("pbx", "callguard") == []
    assert everything(engine) == [Logged(decision, an_outcome(decision))]


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        (Result.UNKNOWN, Result.ANSWERED, Result.ANSWERED),
        (Result.ANSWERED, Result.UNKNOWN, Result.ANSWERED),
        (Result.BUSY, Result.ANSWERED, Result.BUSY),
    ],
)
async def test_an_outcome_that_was_seen_is_never_replaced(
    engine: sa.Engine, tmp_path: Path, first: Result, second: Result, stays: Result
) -> None:
    decision = a_decision()
    async with journal(engine, tmp_path) as writer:
        await writer.record(decision)
        writer.outcome(an_outcome(decision, first))
        await settled(writer)
        writer.outcome(an_outcome(decision, second))
    assert everything(engine) == [Logged(decision, an_outcome(decision, stays))]


@pytest.mark.parametrize(
    "text", ["\0", "\ud800", "'; DROP TABLE decisions; --", "a\r\nb", "\U0010ffff" * 10_000]
)
async def test_hostile_text_is_recorded_as_text(engine: sa.Engine, tmp_path: Path, text: str) -> None:
    decision = a_decision(text=text, matches=(a_match(text),))
    async with journal(engine, tmp_path) as writer:
        await writer.record(decision)
    assert everything(engine) == [Logged(decision_of(decision_row(decision)), None)]


async def test_a_decision_recorded_again_is_there_once(engine: sa.Engine, tmp_path: Path) -> None:
    decision = a_decision()
    async with journal(engine, tmp_path) as writer:
        await writer.record(decision)
        await writer.record(decision)
    assert everything(engine) == [Logged(decision, None)]
    assert count(engine, superseded) == 0


async def test_a_decision_that_cannot_be_stored_fails_alone(
    engine: sa.Engine, sql_settings: SqlSettings, tmp_path: Path
) -> None:
    bad = replace(a_decision(), lists_position=1 << 70)
    good = [a_decision() for _ in range(3)]
    async with journal(engine, tmp_path) as writer:
        with locked(engine, sql_settings):
            writing = [asyncio.create_task(writer.record(decision)) for decision in [*good[:2], bad, good[2]]]
            await asyncio.sleep(0)
        results = await asyncio.gather(*writing, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), type(None), SqlError, type(None)]
    assert {logged.decision.id for logged in everything(engine)} == {decision.id for decision in good}


# --- the database is slow, or away ------------------------------------------------------------------------


async def test_a_decision_given_up_for_a_lock_is_not_committed_afterwards(
    engine: sa.Engine, sql_settings: SqlSettings, tmp_path: Path
) -> None:
    given_up, later = a_decision(), a_decision()
    async with journal(engine, tmp_path, seconds=0.1) as writer:
        with locked(engine, sql_settings):
            with pytest.raises(SqlError, match=r"not committed within 0\.1 s"):
                await writer.record(given_up)
            assert writer.failed == 1
        await until("the lock is noticed to be gone", lambda: writer.waiting == 0)
        await record_patiently(writer, later)
    assert everything(engine) == [Logged(later, None)]


async def record_patiently(writer: JournalWriter, decision: Decision) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await writer.record(decision)
            except SqlError:
                continue


async def open_decisions_patiently(writer: JournalWriter) -> Sequence[Decision]:
    async with asyncio.timeout(20):
        while True:
            try:
                return await writer.open_decisions("pbx", "callguard")
            except SqlError:
                await asyncio.sleep(0)


async def test_what_was_acted_on_takes_the_place_of_what_was_committed_too_late(
    engine: sa.Engine, tmp_path: Path
) -> None:
    allowed = a_decision()
    acted_on = without_journal(allowed, Verdict.REFUSE)
    assert acted_on.reason is Reason.GUARD_UNAVAILABLE
    async with journal(engine, tmp_path) as writer:
        await writer.record(allowed)
        writer.spool(acted_on)
        await settled(writer)
        assert everything(engine) == [Logged(acted_on, None)]
        writer.spool(acted_on)
        await settled(writer)
        assert await writer.open_decisions("pbx", "callguard") == [acted_on]
    assert everything(engine) == [Logged(acted_on, None)]
    with engine.connect() as connection:
        (kept,) = connection.execute(sa.select(superseded)).all()
    assert kept.decision_id == allowed.id
    assert '"verdict": "allow"' in kept.decision


async def test_outcomes_wait_for_a_locked_database(
    engine: sa.Engine, sql_settings: SqlSettings, tmp_path: Path
) -> None:
    decision = a_decision()
    async with journal(engine, tmp_path) as writer:
        await writer.record(decision)
        with locked(engine, sql_settings):
            writer.outcome(an_outcome(decision))
            assert writer.waiting == 1
        await until("the outcome is committed", lambda: writer.waiting == 0)
    assert everything(engine) == [Logged(decision, an_outcome(decision))]


@pytest.mark.parametrize("database_seconds", [0.1, 10.0])
async def test_closing_while_the_database_is_locked_spools_the_outcomes_for_the_next_start(
    engine: sa.Engine, sql_settings: SqlSettings, tmp_path: Path, database_seconds: float
) -> None:
    """Whether the database gives up on the lock while the journal closes, or is still waiting for it."""
    decision = a_decision()
    impatient = open_engine(sql_settings.model_copy(update={"timeout": database_seconds}), tmp_path)
    async with journal(impatient, tmp_path, seconds=0.5) as writer:
        await record_patiently(writer, decision)
        with locked(engine, sql_settings):
            writer.outcome(an_outcome(decision))
            await writer.close()
    impatient.dispose()
    assert (tmp_path / "journal.spool").stat().st_size > 0
    async with journal(engine, tmp_path) as writer:
        assert await writer.open_decisions("pbx", "callguard") == []
    assert everything(engine) == [Logged(decision, an_outcome(decision))]
    assert (tmp_path / "journal.spool").stat().st_size == 0


async def test_more_than_the_bound_is_refused_or_spooled_not_queued(
    engine: sa.Engine, sql_settings: SqlSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_MAX_WAITING", 3)
    decision = a_decision()
    async with journal(engine, tmp_path) as writer:
        await writer.record(decision)
        with locked(engine, sql_settings):
            for result in (Result.ANSWERED, Result.BUSY, Result.FAILED, Result.CANCELLED):
                writer.outcome(an_outcome(decision, result))
            with pytest.raises(SqlError, match="wait already"):
                await writer.record(a_decision())
            assert writer.spooled == 1
        await until("the outcomes are committed", lambda: writer.waiting == 0)
    assert everything(engine) == [Logged(decision, an_outcome(decision))]


async def test_a_closed_journal_refuses_decisions_and_spools_outcomes(
    engine: sa.Engine, tmp_path: Path
) -> None:
    decision = a_decision()
    async with journal(engine, tmp_path) as writer:
        await writer.record(decision)
    with pytest.raises(SqlError, match="closed"):
        await writer.record(a_decision())
    with pytest.raises(SqlError, match="closed"):
        await writer.open_decisions("pbx", "callguard")
    writer.outcome(an_outcome(decision))
    writer.spool(late := a_decision())
    async with journal(engine, tmp_path) as again:
        assert await again.open_decisions("pbx", "callguard") == [late]


async def test_a_postgresql_that_was_restarted_costs_no_decision(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    engine = open_engine(SqlSettings(url=postgres_url), tmp_path)
    migrate(engine)
    before, after = a_decision(), a_decision()
    async with journal(engine, tmp_path) as writer:
        await writer.record(before)
        postgres_server.stop()
        postgres_server.start()
        await writer.record(after)
        assert writer.failed == 0
    engine.dispose()
    assert everything(engine) == [Logged(after, None), Logged(before, None)]
    engine.dispose()


async def test_what_came_while_postgresql_was_down_is_there_when_it_is_back(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    engine = open_engine(SqlSettings(url=postgres_url), tmp_path)
    migrate(engine)
    before, meanwhile = a_decision(), a_decision()
    async with journal(engine, tmp_path) as writer:
        await writer.record(before)
        postgres_server.stop()
        try:
            with pytest.raises(SqlError):
                await writer.record(meanwhile)
            acted_on = without_journal(meanwhile, Verdict.REFUSE)
            writer.spool(acted_on)
            writer.outcome(an_outcome(before))
            writer.outcome(an_outcome(acted_on, Result.PROMPT_HEARD))
        finally:
            postgres_server.start()
        await until("all is committed", lambda: writer.waiting == 0 and not spool_of(tmp_path))
    engine.dispose()
    assert everything(engine) == [
        Logged(acted_on, an_outcome(acted_on, Result.PROMPT_HEARD)),
        Logged(before, an_outcome(before)),
    ]
    assert count(engine, open_decisions) == 0
    engine.dispose()


def spool_of(folder: Path) -> bytes:
    return (folder / "journal.spool").read_bytes()


async def test_a_postgresql_that_hangs_is_given_up_in_time_and_loses_nothing(
    postgres_url: str, tmp_path: Path
) -> None:
    engine = open_engine(SqlSettings(url=postgres_url), tmp_path)
    migrate(engine)
    engine.dispose()
    before, meanwhile = a_decision(), a_decision()
    async with journal(engine, tmp_path, seconds=1.0) as writer:
        await record_patiently(writer, before)
        with psycopg.connect(postgres_url) as other:
            query = (
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'callguard'"
            )
            servers = [pid for (pid,) in other.execute(query)]
        assert servers
        for server in servers:
            os.kill(server, signal.SIGSTOP)
        try:
            with pytest.raises(SqlError, match="not committed within 1 s"):
                await writer.record(meanwhile)
            writer.spool(meanwhile)
            writer.outcome(an_outcome(before))
            started = time.monotonic()
            await writer.close()
            assert time.monotonic() - started < 10
        finally:
            for server in servers:
                os.kill(server, signal.SIGCONT)
    async with journal(engine, tmp_path) as writer:
        # The one before holds the spool until PostgreSQL has answered it.
        assert await open_decisions_patiently(writer) == [meanwhile]
    assert everything(engine) == [Logged(meanwhile, None), Logged(before, an_outcome(before))]
    assert count(engine, superseded) == 0
    engine.dispose()


# --- the disk is full -------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path) -> None:
    def write() -> None:
        with file.open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    with pytest.raises(OSError, match="No space"):
        write()


async def test_a_full_disk_refuses_decisions_until_there_is_room_again(small_disk: Path) -> None:
    engine = open_engine(SqlSettings(), small_disk)
    migrate(engine)
    kept: list[Decision] = []
    async with journal(engine, small_disk) as writer:

        async def record_many() -> None:
            for _ in range(1000):
                await writer.record(decision := a_decision())
                kept.append(decision)

        await writer.record(first := a_decision())
        fill(small_disk / "filler")
        with pytest.raises(SqlError, match=r"full|I/O") as refused:
            await record_many()
        assert refused.value.remedy
        writer.outcome(an_outcome(first))
        with pytest.raises(OSError, match="No space"):
            writer.spool(a_decision(matches=(a_match("x" * 3_000_000),)))
        (small_disk / "filler").unlink()
        await writer.record(last := a_decision())
        await settled(writer)
    unanswered = [Logged(decision, None) for decision in (last, *reversed(kept))]
    assert everything(engine) == [*unanswered, Logged(first, an_outcome(first))]
    engine.dispose()
