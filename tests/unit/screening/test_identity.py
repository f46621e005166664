"""Ids of decisions sort by time, are safe in a channel's id, and never repeat."""

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.screening.identity import Identities, decision_id, reference

instants = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
bits = st.integers(0, (1 << 80) - 1)


@given(instants, bits)
def test_an_id_has_26_characters_that_are_safe_in_a_channel_id(at: datetime, random: int) -> None:
    assert re.fullmatch("[0-9a-hjkmnp-tv-z]{26}", decision_id(at, random))


@given(st.tuples(instants, bits), st.tuples(instants, bits))
def test_ids_sort_by_millisecond_then_by_their_random_bits(
    one: tuple[datetime, int], other: tuple[datetime, int]
) -> None:
    def key(made: tuple[datetime, int]) -> tuple[datetime, int]:
        return made[0].replace(microsecond=made[0].microsecond // 1000 * 1000), made[1]

    assert (decision_id(*one) < decision_id(*other)) == (key(one) < key(other))


def test_an_id_is_that_of_the_ulid_layout() -> None:
    at = datetime(2016, 7, 30, 23, 54, 10, 259000, tzinfo=UTC)
    assert decision_id(at, 0) == "01arz3ndek" + "0" * 16
    assert decision_id(at, 33) == "01arz3ndek" + "0" * 14 + "11"


@pytest.mark.parametrize("random", [-1, 1 << 80])
def test_bits_that_do_not_fit_are_an_error(random: int) -> None:
    with pytest.raises(ValueError, match="80 random bits"):
        decision_id(datetime.now(UTC), random)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 1 << 79))
def test_ids_of_one_process_grow_while_its_clock_does(steps: list[int], random: int) -> None:
    identities = Identities(randbits=lambda _count: random)
    start = datetime(2026, 11, 21, tzinfo=UTC)
    times = [start + timedelta(microseconds=400 * step) for step in itertools.accumulate(steps)]
    ids = [identities.decision_id(at) for at in times]
    assert ids == sorted(set(ids))


def test_a_millisecond_without_room_for_another_id_draws_anew() -> None:
    draws = iter([(1 << 80) - 1, 7])
    identities = Identities(randbits=lambda _count: next(draws))
    at = datetime(2026, 11, 21, tzinfo=UTC)
    assert [identities.decision_id(at), identities.decision_id(at)] == [
        decision_id(at, (1 << 80) - 1),
        decision_id(at, 7),
    ]


def test_a_reference_is_seven_digits() -> None:
    assert reference(42) == "0000042"
    assert all(re.fullmatch("[0-9]{7}", Identities().reference()) for _ in range(50))
