"""Clocks, hours and holidays of the callee."""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.timezone import UNKNOWN_TIMEZONE
from phonenumbers.tzdata import TIMEZONE_DATA

from callguard.screening.rules import HolidaysLine, HoursLine, Purposes, Source, ZonePolicy
from callguard.screening.times import clocks_text, holiday_name, local_times, within_hours
from callguard.screening.week import DAYS, days_text, week_of

NOON_IN_JAKARTA = datetime(2026, 8, 17, 5, 0, tzinfo=UTC)
"""Independence Day of 2026, a Monday; in Samoa it is still the 16th."""
HOLIDAYS = HolidaysLine(
    key="holidays", preset="p", purposes=Purposes(), source=Source("made up"), country="ID"
)
HOURS = HoursLine(
    key="hours",
    preset="p",
    purposes=Purposes(),
    source=Source("made up"),
    week=week_of({"mon": "12:00-13:00"}),
)
JAKARTA, SAMOA = "Asia/Jakarta", "Pacific/Pago_Pago"


def test_every_time_zone_that_a_number_can_have_is_known() -> None:
    named = {zone for zones in TIMEZONE_DATA.values() for zone in zones if zones != (UNKNOWN_TIMEZONE,)}
    assert {ZoneInfo(name).key for name in named} == named


def test_zones_of_one_clock_are_looked_at_once() -> None:
    times = local_times(NOON_IN_JAKARTA, ["Europe/London", "Europe/Jersey", "Europe/Guernsey", JAKARTA])
    assert clocks_text(times) == "Mon 06:00 Europe/London, Mon 12:00 Asia/Jakarta"


@pytest.mark.parametrize(
    ("zones", "policy", "within"),
    [
        ([JAKARTA], ZonePolicy.ALL, True),
        ([JAKARTA, SAMOA], ZonePolicy.ALL, False),
        ([JAKARTA, SAMOA], ZonePolicy.ANY, True),
        ([SAMOA], ZonePolicy.ANY, False),
        ([], ZonePolicy.ALL, False),
        ([], ZonePolicy.ANY, False),
    ],
)
def test_hours_ask_all_clocks_or_any_and_an_unknown_clock_is_never_within(
    zones: list[str], policy: ZonePolicy, within: bool
) -> None:
    assert within_hours(replace(HOURS, zones=policy), local_times(NOON_IN_JAKARTA, zones)) is within


@pytest.mark.parametrize(
    ("zones", "policy", "holiday"),
    [
        ([JAKARTA], ZonePolicy.ALL, True),
        ([JAKARTA, SAMOA], ZonePolicy.ALL, True),
        ([JAKARTA, SAMOA], ZonePolicy.ANY, False),
        ([SAMOA], ZonePolicy.ALL, False),
    ],
)
def test_where_all_clocks_must_agree_a_holiday_by_one_of_them_is_enough(
    zones: list[str], policy: ZonePolicy, holiday: bool
) -> None:
    name = holiday_name(replace(HOLIDAYS, zones=policy), local_times(NOON_IN_JAKARTA, zones))
    assert (name is not None) is holiday


def test_own_days_are_holidays_and_days_that_are_none_win_over_both() -> None:
    tuesday = local_times(datetime(2026, 8, 18, 5, 0, tzinfo=UTC), [JAKARTA])
    assert holiday_name(HOLIDAYS, tuesday) is None
    own = replace(HOLIDAYS, days=(date(2026, 8, 18),))
    assert holiday_name(own, tuesday) == "own holiday"
    none = replace(own, not_days=(date(2026, 8, 17), date(2026, 8, 18)))
    assert holiday_name(none, tuesday) is None
    assert holiday_name(none, local_times(NOON_IN_JAKARTA, [JAKARTA])) is None


MINUTES = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda told: f"{told[0]:02}:{told[1]:02}")


@given(st.dictionaries(st.sampled_from(DAYS), st.tuples(MINUTES, MINUTES), min_size=1))
def test_a_week_is_told_as_it_can_be_written(told: dict[str, tuple[str, str]]) -> None:
    hours = {day: f"{min(pair)}-{max(pair)}" for day, pair in told.items() if pair[0] != pair[1]}
    if not hours:
        return
    week = week_of(hours)
    written = dict(part.split(" ", 1) for part in days_text(week).split("; "))
    assert week_of(written) == week
