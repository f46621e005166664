"""Calling hours as a person writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.screening.week import DAYS, BadHours, Week, days_text, week_of

NONE: tuple[tuple[int, int], ...] = ()


def windows() -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    """The windows of a day, in order, none touching another."""
    edges = st.lists(st.integers(0, 1440), max_size=8, unique=True).map(sorted)
    return edges.map(lambda found: tuple(zip(found[0::2], found[1::2], strict=False)))


def test_days_and_ranges_of_days_have_the_window_and_others_none() -> None:
    week = week_of({"mon-wed,fri": "08:00-20:00", "sun": ["09:00-12:00", "14:00-18:30"]})
    workday = ((480, 1200),)
    assert week == (workday, workday, workday, NONE, workday, NONE, ((540, 720), (840, 1110)))


def test_windows_may_touch_and_come_in_any_order() -> None:
    assert week_of({"mon": ["12:00-13:00", "08:00-12:00"]})[0] == ((480, 720), (720, 780))


def test_a_window_may_last_the_whole_day() -> None:
    assert week_of({"mon-sun": "00:00-24:00"}) == (((0, 1440),),) * 7


@pytest.mark.parametrize(
    ("hours", "days", "what"),
    [
        ({}, "", "no hours at all"),
        ({"mon": []}, "mon", "no window"),
        ({"mon": "8:00-20:00"}, "mon", "is not a window"),
        ({"mon": "08:00-20:00\n"}, "mon", "is not a window"),
        ({"mon": "٠٨:00-20:00"}, "mon", "is not a window"),
        ({"mon": "08:00-24:01"}, "mon", "is not a time of day"),
        ({"mon": "08:60-09:00"}, "mon", "is not a time of day"),
        ({"mon": "08:00-08:00"}, "mon", "08:00-08:00 is empty"),
        ({"mon": "20:00-08:00"}, "mon", "20:00-08:00 is empty"),
        ({"mon": ["08:00-12:00", "11:59-18:00"]}, "mon", "windows overlap"),
        ({"mon-fri": "08:00-20:00", "fri": "08:00-12:00"}, "fri", "fri has hours already"),
        ({"mon,mon": "08:00-20:00"}, "mon,mon", "mon has hours already"),
        ({"fri-mon": "08:00-20:00"}, "fri-mon", "days in the wrong order"),
        ({"Mon": "08:00-20:00"}, "Mon", "not a day"),
        ({"monday": "08:00-20:00"}, "monday", "not a day"),
        ({"mon-": "08:00-20:00"}, "mon-", "not a day"),
        ({"": "08:00-20:00"}, "", "not a day"),
    ],
)
def test_hours_that_mean_nothing_are_refused_and_named(
    hours: dict[str, str | list[str]], days: str, what: str
) -> None:
    with pytest.raises(BadHours, match=what) as raised:
        week_of(hours)
    assert raised.value.days == days
    assert raised.value.allowed


@given(st.lists(windows(), min_size=7, max_size=7).map(tuple).filter(any))
def test_a_week_written_out_reads_as_the_same_week(week: Week) -> None:
    told = days_text(week)
    written = [part.partition(" ") for part in told.split("; ")]
    assert week_of({days: hours.split(", ") for days, _, hours in written}) == week


def test_a_week_is_told_with_equal_days_together() -> None:
    week = week_of({"mon-fri": "09:00-21:30", "sat,sun": "10:00-18:00"})
    assert days_text(week) == "mon-fri 09:00-21:30; sat-sun 10:00-18:00"
    assert days_text((NONE,) * len(DAYS)) == "never"
