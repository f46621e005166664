"""A row holds all of a decision, whatever text came with the call."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.control.model import Result
from callguard.journal.rows import MAX_TEXT, decision_of, decision_row, outcome_of, outcome_row, step_row
from callguard.numbers import NumberReader
from callguard.screening.model import Finding, Hits, ListsUnavailable, Step, Verdict
from callguard.screening.screen import screen, without_journal
from tests.rig.decisions import a_decision, a_match, an_outcome
from tests.rig.rules import rules

any_text = st.text(st.characters(exclude_categories=()), max_size=80)


def test_a_decision_and_its_outcome_come_back_from_their_rows_unchanged() -> None:
    decision = a_decision(Verdict.REFUSE, matches=(a_match(), a_match("two\nlines")))
    assert decision_of(decision_row(decision)) == decision
    for outcome in (an_outcome(decision), an_outcome(decision, Result.BUSY)):
        assert outcome_of(outcome_row(outcome)) == outcome


NIGHT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize("dialled", ["081234567890", "+13055550123", "112", "99", "x"])
@pytest.mark.parametrize("purpose", ["marketing", "service", "gossip"])
@pytest.mark.parametrize("lists", [Hits((), 7, "redis"), ListsUnavailable("no answer")])
def test_the_explanation_comes_back_whole_though_the_row_keeps_only_what_it_does_not_tell(
    dialled: str, purpose: str, lists: Hits | ListsUnavailable
) -> None:
    number = NumberReader(internal=["99"]).read(dialled)
    facts = replace(a_decision().facts, at=NIGHT, number=number, purpose=purpose)
    screened = screen(facts, lists, rules(presets=("ID", "US", "US-FL")))
    decision = replace(a_decision(), facts=facts, screened=screened)
    for made in (decision, without_journal(decision, Verdict.REFUSE)):
        row = decision_row(made)
        assert decision_of(row).screened == made.screened
        told = json.dumps([step_row(step) for step in made.screened.steps])
        assert len(row["steps"]) < len(told) * (0.4 if purpose != "gossip" and number.e164 else 0.7)


@pytest.mark.parametrize(
    "rules_", [("number",), ("verdict",), ("number", "purpose", "verdict"), ("journal",)]
)
def test_steps_that_begin_or_end_otherwise_come_back_as_they_were(rules_: tuple[str, ...]) -> None:
    decision = a_decision()
    steps = tuple(Step(rule, "", Finding.WARNED, "a  b ") for rule in rules_)
    decision = replace(decision, screened=replace(decision.screened, steps=steps))
    assert decision_of(decision_row(decision)) == decision


def test_a_row_of_any_steps_can_be_stored_and_is_bounded() -> None:
    steps = (Step("hours", "US-FL", Finding.REFUSED, "\0\udcff\n" + "x" * 10_000),)
    decision = a_decision(Verdict.REFUSE)
    row = decision_row(replace(decision, screened=replace(decision.screened, steps=steps)))
    (kept,) = decision_of(row).screened.steps
    assert kept.detail == "\N{REPLACEMENT CHARACTER}" * 2 + "\n" + "x" * (MAX_TEXT - 3)


def test_when_a_call_will_be_allowed_is_kept() -> None:
    decision = a_decision(Verdict.REFUSE)
    decision = replace(decision, screened=replace(decision.screened, allowed_from=NIGHT))
    assert decision_of(decision_row(decision)) == decision


@given(any_text)
def test_a_row_of_any_text_can_be_stored_as_text_and_as_json(text: str) -> None:
    row = decision_row(a_decision(text=text, matches=(a_match(text),)))
    for value in row.values():
        if isinstance(value, str):
            assert "\0" not in value
            value.encode()
    assert json.loads(json.dumps(row)) == row
    again = decision_row(decision_of(row))
    assert again == row


def test_a_text_of_ten_kilobytes_is_cut_to_what_an_index_takes() -> None:
    row = decision_row(a_decision(text="\N{PILE OF POO}" * 10_000))
    assert len(row["agent"]) == MAX_TEXT
    assert len(row["agent"].encode()) < 2704 - 64


def test_a_cause_that_is_none_of_q850_is_left_out() -> None:
    outcome = an_outcome(a_decision())
    assert outcome_row(replace(outcome, cause=1 << 40))["cause"] is None
    assert outcome_row(replace(outcome, cause=21))["cause"] == 21
