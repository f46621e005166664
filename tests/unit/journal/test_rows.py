"""A row holds all of a decision, whatever text came with the call."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from callguard.control.model import Result
from callguard.journal.rows import MAX_TEXT, decision_of, decision_row, outcome_of, outcome_row
from callguard.screening.model import Verdict
from tests.rig.decisions import a_decision, a_match, an_outcome

any_text = st.text(st.characters(exclude_categories=()), max_size=80)


def test_a_decision_and_its_outcome_come_back_from_their_rows_unchanged() -> None:
    decision = a_decision(Verdict.REFUSE, matches=(a_match(), a_match("two\nlines")))
    assert decision_of(decision_row(decision)) == decision
    for outcome in (an_outcome(decision), an_outcome(decision, Result.BUSY)):
        assert outcome_of(outcome_row(outcome)) == outcome


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
