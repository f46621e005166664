"""Calling hours, holidays and months, where the callee is. Pure: every instant is given."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import MAXYEAR, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from callguard.numbers import Number
from callguard.screening.rules import Binding, HolidaysLine, HoursLine, ZonePolicy
from callguard.screening.week import DAYS

_DAYS = tuple(day.capitalize() for day in DAYS)

_zone = lru_cache(maxsize=1024)(ZoneInfo)


def callee_zones(number: Number, binding: Binding) -> tuple[str, ...]:
    """Every time zone that a number can be in: what a preset says of it, else its numbering plan, else what a
    preset says of numbers that tell none."""
    of_prefix = binding.zones_of(number.e164) if number.e164 else ()
    return of_prefix or number.zones or binding.zones


def local_times(at: datetime, zones: Sequence[str]) -> list[datetime]:
    """The instant by the clocks of some zones, each clock once."""
    times: dict[timedelta | None, datetime] = {}
    for name in zones:
        time = at.astimezone(_zone(name))
        times.setdefault(time.utcoffset(), time)
    return list(times.values())


def clocks_text(times: Sequence[datetime]) -> str:
    """Local times in a few words: `Mon 19:59 Asia/Jakarta`."""
    # Not strftime: its names of days are those of the locale, and it is slower than all the rest.
    told = [f"{_DAYS[time.weekday()]} {time.hour:02}:{time.minute:02} {time.tzinfo}" for time in times]
    return ", ".join(told) or "no time zone is known"


def within_hours(line: HoursLine, times: Sequence[datetime]) -> bool:
    """Tell whether these local times are within the hours: all of them, or any, as the line says."""
    within = [_is_open(line, time) for time in times]
    return True in within and (line.zones is ZonePolicy.ANY or False not in within)


def _is_open(line: HoursLine, time: datetime) -> bool:
    minute = time.hour * 60 + time.minute
    for begin, end in line.week[time.weekday()]:  # noqa: SIM110 - any() takes twice as long
        if begin <= minute < end:
            return True
    return False


def holiday_name(line: HolidaysLine, times: Sequence[datetime]) -> str | None:
    """The holiday that it is at these local times, in any of them, or in all, as the line says; None if it is
    none. Where all zones must agree to a call, a holiday in one of them is enough."""
    names = [_holiday(line, time.date()) for time in times]
    found = [name for name in names if name is not None]
    if not found or (line.zones is ZonePolicy.ANY and len(found) < len(names)):
        return None
    return found[0]


def _holiday(line: HolidaysLine, day: date) -> str | None:
    if day in line.not_days:
        return None
    if day in line.days:
        return "own holiday"
    if line.country is None:
        return None
    return national_holidays(line.country, line.subdivision, day.year).get(day)


@lru_cache(maxsize=256)
def national_holidays(country: str, subdivision: str | None, year: int) -> Mapping[date, str]:
    """The public holidays of a country (ISO 3166) in a year, by the library `holidays`, with English names.

    Raises NotImplementedError or KeyError for a country or subdivision that it does not know.
    """
    import holidays  # noqa: PLC0415 - slow to import, and not needed where no rule asks

    return dict(holidays.country_holidays(country, subdiv=subdivision, years=year, language="en_US"))


def plus_months(at: datetime, months: int) -> datetime:
    """The same day and time so many months later; the last day of a month that is shorter. What would be
    after the year 9999 is its last day."""
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    if year > MAXYEAR:
        return at.replace(year=MAXYEAR, month=12, day=31)
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))
