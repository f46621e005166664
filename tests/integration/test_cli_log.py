"""`callguard log`, as people and scripts run it."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from callguard.config import SqlSettings
from callguard.control.model import Result
from callguard.database import migrate, open_engine
from callguard.journal.rows import decision_row, outcome_row
from callguard.journal.store import JournalStore
from callguard.screening.model import Decision, Verdict
from tests.rig.decisions import START, a_decision, a_match, an_outcome

pytestmark = pytest.mark.integration

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "CALLGUARD_STATE": str(tmp_path), "TZ": "Asia/Jakarta", "LC_ALL": "C"}


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "callguard", "log", *arguments]
        return subprocess.run(command, env=environ, capture_output=True, timeout=60, check=False)

    return run


def store(folder: Path, decisions: list[Decision]) -> None:
    engine: sa.Engine = open_engine(SqlSettings(), folder)
    migrate(engine)
    journal = JournalStore(engine)
    journal.add_decisions(lambda: [decision_row(decision) for decision in decisions])
    journal.add_outcomes([outcome_row(an_outcome(decision, Result.BUSY)) for decision in decisions[:1]])
    journal.close()
    engine.dispose()


def test_a_new_journal_is_empty_and_no_error(run: Run) -> None:
    result = run()
    assert (result.returncode, result.stdout, result.stderr) == (0, b"No decisions.\n", b"")
    assert run("--json").stdout == b""


def test_json_has_a_line_a_decision_newest_first(run: Run, tmp_path: Path) -> None:
    refused = a_decision(Verdict.REFUSE, at=START + timedelta(seconds=1), matches=(a_match(),))
    allowed = a_decision()
    store(tmp_path, [allowed, refused])
    lines = [json.loads(line) for line in run("--json").stdout.splitlines()]
    assert [line["id"] for line in lines] == [refused.id, allowed.id]
    assert lines[0]["matches"][0]["category"] == "customer-request"
    assert (lines[0]["outcome"], lines[1]["outcome"]) == (None, "busy")


def test_the_filters_are_all_obeyed(run: Run, tmp_path: Path) -> None:
    wanted = a_decision(
        Verdict.REFUSE, at=START, number="+6281234567890", agent="siti", project="shop", reference="0000042"
    )
    store(
        tmp_path,
        [
            wanted,
            a_decision(at=START - timedelta(days=2)),
            a_decision(at=START + timedelta(days=2)),
            a_decision(agent="budi", number="+6281234567891"),
        ],
    )
    for filters in (
        ["--since", "2026-11-21", "--until", "2026-11-21", "--agent", "siti"],
        ["--refused"],
        ["--agent", "siti"],
        ["--project", "shop"],
        ["--reason", "opt-out"],
        ["--reference", "0000042"],
        ["--number", "0812-3456-7890", "--refused"],
        ["--number", "+62 812 3456 7890", "--agent", "siti", "--limit", "1"],
    ):
        lines = run("--json", *filters).stdout.splitlines()
        assert [json.loads(line)["id"] for line in lines] == [wanted.id], filters


def test_the_table_lines_up_and_shows_local_time_with_its_zone(run: Run, tmp_path: Path) -> None:
    store(tmp_path, [a_decision(), a_decision(Verdict.REFUSE, agent="a much longer name")])
    header, *rows = run().stdout.decode().splitlines()
    assert len(rows) == 2
    for heading, text in (("verdict", "refuse"), ("reason", "opt-out"), ("agent", "a much longer name")):
        assert rows[0].index(text) == header.index(heading)
    assert rows[0].startswith("2026-11-21 15:30:00 WIB")
    assert rows[1].index("allow") == header.index("verdict")
    assert rows[1].rstrip().endswith("0001234")


def test_hostile_text_moves_no_cursor_and_starts_no_line(run: Run, tmp_path: Path) -> None:
    store(tmp_path, [a_decision(text="\x1b[2J\r\n[bold]fake\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 400)])
    output = run().stdout.decode()
    assert len(output.splitlines()) == 2
    assert "[bold]fake" in output
    assert all(char.isprintable() or char == "\n" for char in output)


def test_the_table_is_bounded_unless_more_is_asked_for(run: Run, tmp_path: Path) -> None:
    store(tmp_path, [a_decision(at=START + timedelta(seconds=number)) for number in range(600)])
    assert len(run().stdout.splitlines()) == 1 + 50
    assert len(run("--limit", "70").stdout.splitlines()) == 1 + 70
    assert len(run("--json").stdout.splitlines()) == 600
    assert len(run("--csv").stdout.splitlines()) == 1 + 600


def test_csv_is_utf_8_whatever_the_locale_and_holds_no_formula(run: Run, tmp_path: Path) -> None:
    store(tmp_path, [a_decision(text="=cmd|' /C calc'!A0,\u00e9\n")])
    rows = list(csv.DictReader(io.StringIO(run("--csv").stdout.decode("utf-8-sig"), newline="")))
    assert rows[0]["agent"] == "'=cmd|' /C calc'!A0,\u00e9\n"
    assert rows[0]["number"] == "'+6281234567890"


@pytest.mark.parametrize("output", ["--json", "--csv"])
def test_a_reader_that_has_seen_enough_is_no_error(
    output: str, environ: dict[str, str], tmp_path: Path
) -> None:
    store(tmp_path, [a_decision(at=START + timedelta(seconds=number)) for number in range(2000)])
    script = f'{sys.executable} -m callguard log {output} | head -n 1 >/dev/null; echo "${{PIPESTATUS[0]}}"'
    result = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, timeout=60, check=True)
    assert (result.stdout, result.stderr) == (b"0\n", b"")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "soon"], b"--since: 'soon' is not a time (allowed: 2026-11-21"),
        (["--number", "abc"], b"--number: 'abc' is not a subscriber's number"),
        (["--reason", "rain"], b"opt-out"),
        (["--limit", "0"], b"0"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_is_allowed(
    run: Run, arguments: list[str], told: bytes
) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, b"")
    assert told in result.stderr


def test_a_database_that_is_away_is_exit_code_4(run: Run, environ: dict[str, str], tmp_path: Path) -> None:
    environ["CALLGUARD_SQL__URL"] = f"postgresql://callguard@/none?host={tmp_path}"
    result = run()
    assert (result.returncode, result.stdout) == (4, b"")
    assert result.stderr.count(b"\n") == 1
