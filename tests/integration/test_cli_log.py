"""`callguard log`, as people and scripts run it."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from callguard.config import SqlSettings
from callguard.control.model import Result
from callguard.database import migrate, open_engine
from callguard.journal.rows import decision_row, outcome_row
from callguard.journal.store import JournalStore
from callguard.journal.versions import add_versions, rules_row
from callguard.numbers import NumberReader
from callguard.screening.forecast import passes_at
from callguard.screening.model import Decision, Hits, Verdict
from callguard.screening.screen import screen
from tests.rig.decisions import START, a_decision, a_match, an_outcome
from tests.rig.rules import rules

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
        Verdict.REFUSE, at=START, number="+6281234567890", agent="team", project="shop", reference="0000042"
    )
    store(
        tmp_path,
        [
            wanted,
            a_decision(at=START - timedelta(days=2)),
            a_decision(at=START + timedelta(days=2)),
            a_decision(agent="desk", number="+6281234567891"),
        ],
    )
    for filters in (
        ["--since", "2026-11-21", "--until", "2026-11-21", "--agent", "team"],
        ["--refused"],
        ["--agent", "team"],
        ["--project", "shop"],
        ["--reason", "opt-out"],
        ["--reference", "0000042"],
        ["--reference", "000 0042"],
        ["--reference", "000-0042"],
        ["--number", "0812-3456-7890", "--refused"],
        ["--number", "+62 812 3456 7890", "--agent", "team", "--limit", "1"],
    ):
        lines = run("--json", *filters).stdout.splitlines()
        assert [json.loads(line)["id"] for line in lines] == [wanted.id], filters


@pytest.mark.parametrize("reference", ["", "42", "00000042", "000004x", "०००००४२"])
def test_what_no_prompt_ever_spoke_is_no_reference(run: Run, reference: str) -> None:
    result = run("--reference", reference)
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"--reference: " in result.stderr
    assert b"7 digits" in result.stderr


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


# --- decisions explained ------------------------------------------------------------------------------------

THEN = rules(presets=("ID",))
"""The rules of the day of the decision; those that the command itself would load are others."""
EVENING = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


def a_late_call(at: datetime = EVENING) -> Decision:
    """To a number in Jakarta, at eight in the evening: too late for offers."""
    made = a_decision(at=at, number="+6281234567890", reference="0000042")
    lists = Hits((), 7, "redis")
    number = NumberReader().read("+6281234567890")
    facts = replace(made.facts, number=number)
    screened = screen(facts, lists, THEN)
    return replace(
        made, screened=replace(screened, allowed_from=passes_at(screened, facts, lists, THEN)), facts=facts
    )


def store_rules(folder: Path) -> None:
    engine = open_engine(SqlSettings(), folder)
    migrate(engine)
    add_versions(engine, [rules_row(THEN, START)])
    engine.dispose()


def test_json_tells_each_step_and_when_the_call_will_be_allowed(run: Run, tmp_path: Path) -> None:
    store(tmp_path, [a_late_call()])
    (line,) = map(json.loads, run("--json").stdout.splitlines())
    assert line["allowed_from"] == "2026-11-24T01:00:00.000000+00:00"
    assert [step["rule"] for step in line["explanation"]] == [
        "number", "purpose", "presets", "entries", "hours-offers", "verdict",
    ]  # fmt: skip
    assert line["explanation"][4] == {
        "rule": "hours-offers", "preset": "ID", "finding": "refused", "detail": "Mon 20:00 Asia/Jakarta",
    }  # fmt: skip


def test_a_decision_is_explained_by_the_rules_of_its_own_version(run: Run, tmp_path: Path) -> None:
    store_rules(tmp_path)
    decision = a_late_call()
    store(tmp_path, [a_decision(), decision])
    result = run("--reference", "0000042", "--explain")
    text = result.stdout.decode()
    assert text.splitlines()[0] == "081234567890: refuse, outside-hours"
    assert f"decision  {decision.id}, reference 0000042" in text
    assert "allowed   from 2026-11-24 08:00 Asia/Jakarta, 2026-11-24 01:00 UTC" in text
    assert "UNVERIFIED: POJK" in text
    assert run("--id", decision.id, "--explain").stdout == result.stdout
    (line,) = map(json.loads, run("--id", decision.id, "--explain", "--json").stdout.splitlines())
    assert line["explanation"][4]["says"] == "calls mon-sat 08:00-18:00, where the callee is"
    assert line["explanation"][4]["verified"] is False


def test_without_its_rules_a_decision_still_has_its_steps_and_says_what_is_missing(
    run: Run, tmp_path: Path
) -> None:
    store(tmp_path, [a_late_call()])
    text = run("--explain").stdout.decode()
    assert f"rules     {THEN.version} (no guard has stored them)" in text
    assert "Mon 20:00 Asia/Jakarta" in text


def test_the_newest_decision_is_explained_unless_more_are_asked_for(run: Run, tmp_path: Path) -> None:
    store(tmp_path, [a_late_call(), a_late_call(EVENING + timedelta(minutes=5))])
    newest = run("--explain").stdout.decode()
    assert newest.count("outside-hours\n  decision") == 1
    assert "13:05:00 UTC" in newest
    assert run("--explain", "--limit", "5").stdout.decode().count("outside-hours\n  decision") == 2


def test_a_decision_of_a_version_that_kept_no_explanation_says_so(run: Run, tmp_path: Path) -> None:
    store(tmp_path, [a_decision(text="\x1b[2J\r\n[bold]")])
    output = run("--explain").stdout.decode()
    assert "kept no explanation" in output
    assert all(char.isprintable() or char == "\n" for char in output)


def test_an_explanation_is_not_told_in_csv(run: Run) -> None:
    result = run("--explain", "--csv")
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"--explain" in result.stderr
