"""What leaves the journal: keys that scripts rely on, and cells that no spreadsheet takes for a formula."""

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.control.model import Result
from callguard.journal.export import COLUMNS, as_json, csv_lines, json_lines
from callguard.journal.reader import Logged
from callguard.journal.rows import decision_of, decision_row
from callguard.screening.model import Decision, Finding, Reason, Step, Verdict
from tests.rig.decisions import START, a_decision, a_match, an_outcome

FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001


hostile = st.text(max_size=30) | st.builds(
    str.__add__, st.sampled_from([*FORMULA_STARTS, "'", '"', "\r\n", ";", ","]), st.text(max_size=10)
)


def stored(text: str) -> Decision:
    """As the journal gives it back: with this text, cleaned, wherever a call's own text goes."""
    return decision_of(decision_row(a_decision(text=text, matches=(a_match(text),))))


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"), newline="")))


def test_an_exported_decision_has_the_keys_of_the_outside_contract() -> None:
    decision = a_decision(Verdict.REFUSE, matches=(a_match(),))
    exported = as_json(Logged(decision, an_outcome(decision)))
    assert tuple(exported) == (*COLUMNS, "explanation")
    assert exported["at"] == "2026-11-21T08:30:00.123456+00:00"
    assert exported["number"] == "+6281234567890"
    assert (exported["verdict"], exported["reason"]) == ("refuse", "opt-out")
    assert exported["matches"][0]["detail"] == "asked by phone"
    assert exported["outcome"] == "answered"
    assert (exported["ring_seconds"], exported["duration_seconds"]) == (3.0, 55.0)


def test_an_exported_decision_is_explained_step_by_step_and_says_when_it_will_be_allowed() -> None:
    step = Step("hours", "US-FL", Finding.REFUSED, "Mon 21:00 America/New_York")
    decision = a_decision(Verdict.REFUSE, reason=Reason.OUTSIDE_HOURS)
    screened = replace(decision.screened, steps=(step,), allowed_from=START + timedelta(hours=11))
    exported = as_json(Logged(replace(decision, screened=screened), None))
    assert exported["explanation"] == [
        {"rule": "hours", "preset": "US-FL", "finding": "refused", "detail": "Mon 21:00 America/New_York"}
    ]
    assert exported["allowed_from"] == "2026-11-21T19:30:00.123456+00:00"


def test_a_call_that_goes_on_has_no_outcome_and_no_duration() -> None:
    exported = as_json(Logged(a_decision(), None))
    assert (exported["outcome"], exported["ring_seconds"], exported["duration_seconds"]) == (None, None, None)


def test_a_call_that_nobody_answers_rings_until_its_end_and_lasts_no_time() -> None:
    decision = a_decision()
    exported = as_json(Logged(decision, an_outcome(decision, Result.NO_ANSWER)))
    assert (exported["ring_seconds"], exported["duration_seconds"]) == (58.0, None)


def test_a_clock_that_was_set_back_makes_no_negative_duration() -> None:
    decision = a_decision()
    outcome = replace(an_outcome(decision), ended_at=decision.facts.at - timedelta(days=1))
    assert as_json(Logged(decision, outcome))["duration_seconds"] == 0


@given(st.lists(st.text(max_size=30), max_size=3))
def test_a_line_of_json_holds_one_decision_and_reads_back(texts: list[str]) -> None:
    logged = [Logged(stored(text), None) for text in texts]
    lines = "".join(json_lines(logged)).splitlines()
    assert [json.loads(line) for line in lines] == [as_json(one) for one in logged]
    assert all(line.isascii() and line.isprintable() for line in lines)


@given(hostile)
def test_no_cell_of_csv_begins_like_a_formula(text: str) -> None:
    (row,) = read_csv("".join(csv_lines([Logged(stored(text), None)])))
    assert not [cell for cell in row.values() if cell.startswith(tuple(FORMULA_STARTS))]


@given(hostile)
def test_a_cell_of_csv_less_its_apostrophe_is_what_was_recorded(text: str) -> None:
    decision = stored(text)
    exported = as_json(Logged(decision, an_outcome(decision)))
    (row,) = read_csv("".join(csv_lines([Logged(decision, an_outcome(decision))])))
    assert tuple(row) == COLUMNS
    read = {name: cell.removeprefix("'") for name, cell in row.items()}
    assert json.loads(read.pop("matches")) == exported.pop("matches")
    del exported["explanation"]
    assert read == {name: "" if value is None else str(value) for name, value in exported.items()}


@pytest.mark.parametrize("number", ["+6281234567890", None])
def test_csv_begins_with_the_mark_that_makes_a_spreadsheet_read_utf_8(number: str | None) -> None:
    text = "".join(csv_lines([Logged(a_decision(number=number), None)]))
    assert text.encode().startswith(b'\xef\xbb\xbf"id","reference",')
    assert read_csv(text)[0]["number"] == ("'+6281234567890" if number else "")
