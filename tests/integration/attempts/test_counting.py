"""Attempts are what the journal says was placed in the period, and what is promised beside it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from callguard.attempts.sql import (
    MOST_ATTEMPTS,
    PROMISE,
    Counted,
    SqlAttempts,
    attempts_of,
    attempts_of_many,
)
from callguard.config import SqlSettings
from callguard.control.model import Result
from callguard.database import migrate, open_engine
from callguard.errors import SqlError
from callguard.journal.rows import decision_row, outcome_row
from callguard.journal.store import JournalStore
from callguard.journal.tables import attempts
from callguard.screening.identity import decision_id
from callguard.screening.model import Attempt, Decision, Verdict
from tests.rig.decisions import START, a_decision, an_outcome

pytestmark = pytest.mark.integration

NUMBER = "+6281234567890"
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
LATER = START + DAY


@pytest.fixture
def journal(engine: sa.Engine) -> Iterator[JournalStore]:
    store = JournalStore(engine)
    yield store
    store.close()


def add(journal: JournalStore, *decisions: Decision) -> None:
    journal.add_decisions(lambda: [decision_row(decision) for decision in decisions])


def an_attempt(at: datetime = START, purpose: str = "marketing", subject: str = "") -> Attempt:
    return Attempt(at, "bank", purpose, subject, None)


def promised(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(attempts)).scalar_one()


# --- counting -----------------------------------------------------------------------------------------------


def test_an_attempt_leaves_the_period_when_it_is_just_so_old(
    engine: sa.Engine, journal: JournalStore
) -> None:
    add(journal, a_decision(at=START))
    assert attempts_of(engine, NUMBER, START - INSTANT, LATER) == (an_attempt(),)
    assert attempts_of(engine, NUMBER, START, LATER) == ()


def test_attempts_after_an_instant_of_the_past_do_not_count_for_it(
    engine: sa.Engine, journal: JournalStore
) -> None:
    add(journal, a_decision(at=START), a_decision(at=START + INSTANT))
    assert attempts_of(engine, NUMBER, START - DAY, START) == (an_attempt(),)


def test_only_calls_that_were_placed_to_the_number_are_attempts(
    engine: sa.Engine, journal: JournalStore
) -> None:
    check = a_decision()
    add(
        journal,
        a_decision(Verdict.REFUSE),
        a_decision(number="+6281234567891"),
        a_decision(number=None),
        replace(check, facts=replace(check.facts, mode=None)),
    )
    assert attempts_of(engine, NUMBER, START - DAY, LATER) == ()


@pytest.mark.parametrize(
    ("result", "answered"),
    [
        (Result.ANSWERED, True),
        (Result.BUSY, False),
        (Result.NO_ANSWER, False),
        (Result.CANCELLED, False),
        (Result.FAILED, False),
        (Result.UNKNOWN, None),
    ],
)
def test_an_attempt_was_answered_if_its_outcome_says_so(
    engine: sa.Engine, journal: JournalStore, result: Result, answered: bool | None
) -> None:
    decision = a_decision()
    add(journal, decision)
    journal.add_outcomes([outcome_row(an_outcome(decision, result))])
    (attempt,) = attempts_of(engine, NUMBER, START - DAY, LATER)
    assert attempt.answered is answered


def test_an_attempt_whose_end_was_not_seen_was_answered_if_its_answer_was(
    engine: sa.Engine, journal: JournalStore
) -> None:
    decision = a_decision()
    add(journal, decision)
    journal.add_outcomes([outcome_row(replace(an_outcome(decision), result=Result.UNKNOWN))])
    (attempt,) = attempts_of(engine, NUMBER, START - DAY, LATER)
    assert attempt.answered is True


def test_no_more_than_the_newest_attempts_are_looked_at(engine: sa.Engine, journal: JournalStore) -> None:
    count = MOST_ATTEMPTS + 5
    add(journal, *(a_decision(at=START + timedelta(seconds=number)) for number in range(count)))
    found = attempts_of(engine, NUMBER, START - DAY, LATER)
    assert len(found) == MOST_ATTEMPTS
    assert found[0].at == START + timedelta(seconds=count - 1)


def test_many_numbers_have_the_attempts_that_each_of_them_has(
    engine: sa.Engine, journal: JournalStore
) -> None:
    numbers = [f"+62812{number:07}" for number in range(1200)]
    add(journal, *(a_decision(at=START, number=number) for number in numbers[::3]))
    add(journal, *(a_decision(at=START + INSTANT, number=number) for number in numbers[::5]))
    found = attempts_of_many(engine, iter(numbers), START - DAY, LATER)
    assert found.keys() == {*numbers[::3], *numbers[::5]}
    for number in numbers[:40]:
        assert found.get(number, ()) == attempts_of(engine, number, START - DAY, LATER)


def test_a_count_that_fails_leaves_no_connection_without_transactions(
    postgres_url: str, tmp_path: Path
) -> None:
    engine = open_engine(SqlSettings(url=postgres_url, timeout=0.3), tmp_path)
    migrate(engine)
    sql = SqlAttempts(engine)
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE decisions")
        with pytest.raises(SqlError):
            sql.of(NUMBER, START - DAY, START)
    with engine.connect() as connection:
        assert not connection.connection.driver_connection.autocommit  # type: ignore[union-attr]
    assert sql.of(NUMBER, START - DAY, START) == []
    engine.dispose()


# --- promises -----------------------------------------------------------------------------------------------


def counted(decision: Decision) -> Counted:
    return Counted(decision.id, an_attempt(decision.facts.at))


def test_a_promise_counts_until_its_decision_does(engine: sa.Engine, journal: JournalStore) -> None:
    sql, decision = SqlAttempts(engine), a_decision()
    assert sql.promise(NUMBER, counted(decision), frozenset(), START - DAY)
    assert sql.of(NUMBER, START - DAY, START) == [counted(decision)]
    add(journal, decision)
    journal.add_outcomes([outcome_row(an_outcome(decision))])
    assert sql.of(NUMBER, START - DAY, START) == [Counted(decision.id, replace(an_attempt(), answered=True))]


def test_an_attempt_is_promised_only_if_all_others_were_seen(
    engine: sa.Engine, journal: JournalStore
) -> None:
    sql, placed, other, own = SqlAttempts(engine), a_decision(), a_decision(), a_decision()
    add(journal, placed)
    assert not sql.promise(NUMBER, counted(own), frozenset(), START - DAY)
    assert sql.promise(NUMBER, counted(other), frozenset({placed.id}), START - DAY)
    assert not sql.promise(NUMBER, counted(own), frozenset({placed.id}), START - DAY)
    assert sql.promise(NUMBER, counted(own), frozenset({placed.id, other.id}), START - DAY)
    assert {one.id for one in sql.of(NUMBER, START - DAY, START)} == {placed.id, other.id, own.id}


def test_a_promise_may_be_made_again(engine: sa.Engine) -> None:
    sql, own = SqlAttempts(engine), a_decision()
    for _ in range(2):
        assert sql.promise(NUMBER, counted(own), frozenset(), START - DAY)
    assert promised(engine) == 1


def test_a_promise_that_nobody_kept_counts_for_minutes(engine: sa.Engine) -> None:
    sql, dead = SqlAttempts(engine), a_decision()
    sql.promise(NUMBER, counted(dead), frozenset(), START - DAY)
    assert sql.of(NUMBER, START - DAY, START + PROMISE - INSTANT) == [counted(dead)]
    assert sql.of(NUMBER, START - DAY, START + PROMISE) == []


def test_promises_that_count_no_more_are_removed_once_in_a_while(engine: sa.Engine) -> None:
    clock = [0.0]
    sql = SqlAttempts(engine, clock=lambda: clock[0])
    for minute in range(20):
        clock[0] = 60.0 * minute
        at = START + timedelta(minutes=minute)
        new = Counted(decision_id(at, minute), an_attempt(at))
        assert sql.promise(f"+6281200000{minute:03}", new, frozenset(), START - DAY)
    assert promised(engine) == PROMISE // timedelta(minutes=1)


def test_a_released_promise_counts_no_more(engine: sa.Engine) -> None:
    sql, own = SqlAttempts(engine), a_decision()
    sql.promise(NUMBER, counted(own), frozenset(), START - DAY)
    sql.release(own.id)
    sql.release(own.id)
    assert sql.of(NUMBER, START - DAY, START) == []


def test_text_of_a_call_that_a_database_cannot_hold_keeps_no_promise_out(engine: sa.Engine) -> None:
    sql = SqlAttempts(engine)
    new = Counted(decision_id(START, 1), an_attempt(purpose="a\0b", subject="\ud800'; DROP TABLE attempts"))
    assert sql.promise(NUMBER, new, frozenset(), START - DAY)
    (found,) = sql.of(NUMBER, START - DAY, START)
    assert found.attempt.subject == "\N{REPLACEMENT CHARACTER}'; DROP TABLE attempts"
