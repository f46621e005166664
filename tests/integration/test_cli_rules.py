"""`callguard rules`: what a person reads of the rules is what screening goes by."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from callguard.cli import cli
from callguard.config import SqlSettings
from callguard.journal.versions import add_versions, rules_row
from callguard.screening.model import FailurePolicy, Purpose, Verdict
from tests.rig.rules import rules as some_rules

pytestmark = pytest.mark.integration

NUMBER = "+6281234567890"

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command with the Indonesian and American presets, and SQLite."""

    def run(*arguments: str, **environ: str) -> Result:
        settings = {
            "CALLGUARD_CONFIG": "",
            "CALLGUARD_STATE": str(tmp_path),
            "CALLGUARD_RULES__PRESETS": '["ID", "US", "US-FL"]',
        }
        return CliRunner(env=settings | environ).invoke(cli, ["rules", *arguments])

    return run


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def matrix(text: str, width: int) -> dict[str, list[str]]:
    """The first matrix of the text: purposes -> their cells."""
    lines = text[text.index("Which rule binds which purpose") :].splitlines()[2:]
    rows: dict[str, list[str]] = {}
    names = ""
    for line in lines:
        if not line:
            break
        cells = line.split()
        if len(cells) > width and set(cells[-width:]) <= {"yes", "-"}:
            names = " ".join(cells[:-width])
            rows[names] = cells[-width:]
        else:
            rows[f"{names} {line.strip()}"] = rows.pop(names)
            names = f"{names} {line.strip()}"
    return {purpose: cells for names, cells in rows.items() for purpose in names.split(", ")}


def test_every_preset_is_shown_with_the_source_of_each_rule_within_a_hundred_columns(run: Run) -> None:
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(len(line) <= 100 for line in result.stdout.splitlines() if "yes" in line or " rule" in line)
    for words in (
        "base: Every number",
        "ID: Indonesia",
        "US-FL: Florida",
        "POJK 22/2023 art. 62",
        "2026-11-22",
    ):
        assert words in result.stdout
    assert "No legal advice" in result.stdout
    # What was not verified is marked as such.
    assert "UNVERIFIED: POJK 6/2022" in result.stdout


def test_the_matrix_says_of_each_rule_and_purpose_what_screening_goes_by(run: Run) -> None:
    lines = told(run("ID", "--json"))["presets"][0]["lines"]
    assert [line["rule"] for line in lines] == ["hours-collection", "hours-offers", "holidays-collection"]
    shown = matrix(run("ID").stdout, 3)
    assert set(shown) == set(Purpose)
    for purpose, cells in shown.items():
        assert cells == ["yes" if purpose in line["purposes"] else "-" for line in lines]
    assert shown["collection"] == ["yes", "-", "yes"]


def test_purposes_of_the_users_own_are_in_the_matrix(run: Run) -> None:
    own = {"CALLGUARD_RULES__PURPOSES": '["winback"]'}
    assert matrix(run("ID", **own).stdout, 3)["winback"] == ["-", "yes", "-"]
    assert told(run("--json", **own))["purposes"][-1] == "winback"


def test_a_number_has_the_presets_of_its_country_and_area_and_the_time_where_it_is(run: Run) -> None:
    view = told(run("--for", "+13055550123", "--at", "2026-11-23T20:00-05:00", "--json"))
    assert [preset["id"] for preset in view["presets"]] == ["base", "US", "US-FL"]
    assert view["local_times"] == ["2026-11-23 20:00 America/New_York"]
    hours = next(line for line in view["lines"] if line["rule"] == "hours")
    assert (hours["preset"], hours["finding"], hours["now"]) == (
        "US-FL",
        "refused",
        "Mon 20:00 America/New_York",
    )
    assert (view["verdict"], view["reason"]) == ("refuse", "outside-hours")
    assert view["allowed_from"] == "2026-11-24T13:00:00+00:00"
    assert view["advice"].startswith("No legal advice")


def test_a_number_is_told_whether_its_hours_are_open_and_which_holidays_are_ahead(run: Run) -> None:
    at = ("--for", "081234567890", "--purpose", "collection", "--at")
    open_ = run(*at, "2026-12-24T19:59+07:00").stdout
    assert "now       allowed" in open_
    view = told(run(*at, "2026-12-24T19:59+07:00", "--json"))
    holidays = next(line for line in view["lines"] if line["rule"] == "holidays-collection")
    assert holidays["holidays_ahead"][0] == {"date": "2026-12-25", "name": "Christmas Day"}
    assert "2026-12-25" in open_
    closed = run(*at, "2026-12-24T20:00+07:00").stdout
    assert "refused: outside-hours, allowed from 2026-12-26 08:00 Asia/Jakarta" in closed
    assert ("closed: Thu" in closed, "closed: Thu" in open_) == (True, False)


def test_a_word_that_is_no_purpose_is_told_to_be_screened_as_the_strictest(run: Run) -> None:
    assert run("--for", NUMBER, "--purpose", "gossip").stdout.startswith(
        f"{NUMBER}: marketing ('gossip' is no purpose), for no project"
    )


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["XX"], "PRESET: no preset 'XX' is in use (allowed: base, ID, US, US-FL)"),
        (["ID", "--for", NUMBER], "PRESET: are told by the number"),
        (["--purpose", "service"], "--purpose: says something of one number"),
        (["--at", "2026-11-23T10:00Z"], "--at: says something of one number"),
        (["--for", "x\n"], "--for: 'x\\n' is not a subscriber's number"),
        (["--for", "112"], "--for: '112' is not a subscriber's number"),
        (["--for", NUMBER, "--at", "noon"], "--at: 'noon' is not a time"),
        (["--version", "nosuch"], "--version: no guard has stored a version 'nosuch'"),
        (["--version", ""], "--version"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_is_allowed(run: Run, arguments: list[str], what: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert what in result.stderr
    assert "allowed: " in result.stderr


def test_a_stored_version_is_shown_as_it_was_in_force(
    engine: sa.Engine, sql_settings: SqlSettings, run: Run
) -> None:
    then = some_rules(
        FailurePolicy(Verdict.REFUSE, {"security": Verdict.ALLOW}),
        presets=("ID",),
        over='[rule.opt-out]\nall_but = ["emergency"]\nsource = "the company of 2025"',
    )
    add_versions(engine, [rules_row(then, datetime(2025, 3, 1, 8, tzinfo=UTC))])
    sql = {"CALLGUARD_SQL__URL": sql_settings.url}
    text = run("--version", then.version, **sql).stdout
    assert f"rules {then.version}, first in force 2025-03-01T08:00:00+00:00" in text
    assert "failure policy: refuse, allow security" in text
    assert "the company of 2025" in text
    assert "US-FL" not in text
    view = told(run("--version", then.version, "--for", NUMBER, "--json", **sql))
    opt_out = next(line for line in view["lines"] if line["rule"] == "opt-out")
    assert (view["version"], "security" in opt_out["purposes"]) == (then.version, True)
    now = told(run("--for", NUMBER, "--json", **sql))
    opt_out = next(line for line in now["lines"] if line["rule"] == "opt-out")
    assert "security" not in opt_out["purposes"]


def test_a_database_that_is_away_is_exit_code_4_and_needed_for_a_version_alone(run: Run) -> None:
    away = {"CALLGUARD_SQL__URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    assert run("--version", "x", **away).exit_code == 4
    assert run("--for", NUMBER, **away).exit_code == 0


def test_a_rule_that_is_taken_away_is_shown_as_binding_no_purpose(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'id = "ID"\n[rule.hours-collection]\noff = true\nsource = "no debts"\n'
    )
    environ = {"CALLGUARD_RULES__FILES": json.dumps([str(tmp_path / "own.toml")])}
    (preset,) = told(run("ID", "--json", **environ))["presets"]
    purposes = {line["rule"]: line["purposes"] for line in preset["lines"]}
    assert purposes["hours-collection"] == []
    assert purposes["holidays-collection"] == ["collection"]
