"""A list is stale exactly when screening says so, and its age is told in words."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.lists.freshness import State, freshness
from callguard.screening.model import RegistryHit

NOW = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)

days = st.dates(date(2020, 1, 1), date(2030, 1, 1))


@given(st.none() | days, st.none() | st.integers(0, 4000), st.datetimes(timezones=st.just(UTC)))
def test_freshness_is_what_screening_goes_by(day: date | None, allowed: int | None, at: datetime) -> None:
    hit = RegistryHit(
        list="us",
        kind="do-not-call",
        jurisdiction="US",
        version=1,
        listed=False,
        covered=True,
        data_date=day,
        allowed_age_days=allowed,
    )
    assert freshness(day, allowed, at).good is not hit.is_stale(at)


@pytest.mark.parametrize(
    ("day", "allowed", "imported", "state", "told"),
    [
        (date(2026, 10, 21), 31, True, State.FRESH, "31 days old, 31 days allowed"),
        (date(2026, 10, 20), 31, True, State.STALE, "32 days old, 31 days allowed"),
        (date(2026, 11, 20), None, True, State.FRESH, "1 day old"),
        (date(2026, 11, 22), 31, True, State.FRESH, "of a day to come, 31 days allowed"),
        (None, 31, True, State.UNDATED, "of no known day, 31 days allowed"),
        (None, None, True, State.FRESH, "of no known day"),
        (None, None, False, State.EMPTY, "never imported"),
    ],
)
def test_the_age_is_told_in_words(
    day: date | None, allowed: int | None, imported: bool, state: State, told: str
) -> None:
    age = freshness(day, allowed, NOW, imported=imported)
    assert (age.state, str(age)) == (state, told)
