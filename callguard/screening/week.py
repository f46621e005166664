"""A week of calling hours, as a person writes it. Pure."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Week = tuple[tuple[tuple[int, int], ...], ...]
"""Seven days from Monday: windows as minutes after midnight, the end not in it."""

_WINDOW = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})", re.ASCII)
_ALLOWED_WINDOW = 'such as "08:00-20:00", up to "00:00-24:00"'
_ALLOWED_DAYS = "mon to sun, such as mon-fri, or sat,sun"


class BadHours(ValueError):
    """Hours that mean nothing. `days` is the key that is wrong, `allowed` what would be right."""

    def __init__(self, what: str, days: str, allowed: str) -> None:
        super().__init__(what)
        self.days = days
        self.allowed = allowed


def week_of(hours: Mapping[str, str | Sequence[str]]) -> Week:
    """Days ("mon-sat", "sat,sun") -> a window or several. A day that is not named has no calls.

    Raises BadHours for days and windows that mean nothing, are empty, or overlap.
    """
    if not hours:
        raise BadHours("no hours at all", "", 'such as { mon-fri = "08:00-20:00" }')
    week: list[tuple[tuple[int, int], ...]] = [()] * len(DAYS)
    for days, told in hours.items():
        texts = (told,) if isinstance(told, str) else tuple(told)
        windows = sorted(_window(days, text) for text in texts)
        if not windows:
            raise BadHours("no window", days, _ALLOWED_WINDOW)
        for (_, end), (begin, _) in pairwise(windows):
            if begin < end:
                raise BadHours("windows overlap", days, "windows that end before the next begins")
        for day in _days(days):
            if week[day]:
                raise BadHours(f"{DAYS[day]} has hours already", days, "each day once")
            week[day] = tuple(windows)
    return tuple(week)


def days_text(week: Week) -> str:
    """The week as a person writes it: `mon-sat 08:00-20:00`."""
    told: list[str] = []
    day = 0
    while day < len(DAYS):
        last = day
        while last + 1 < len(DAYS) and week[last + 1] == week[day]:
            last += 1
        if week[day]:
            days = DAYS[day] if last == day else f"{DAYS[day]}-{DAYS[last]}"
            told.append(f"{days} {', '.join(f'{_clock(begin)}-{_clock(end)}' for begin, end in week[day])}")
        day = last + 1
    return "; ".join(told) or "never"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _days(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise BadHours("not a day", text, _ALLOWED_DAYS)
        begin, end = DAYS.index(first), DAYS.index(last) if dash else DAYS.index(first)
        if end < begin:
            raise BadHours("days in the wrong order", text, _ALLOWED_DAYS)
        found += range(begin, end + 1)
    return found


def _window(days: str, text: str) -> tuple[int, int]:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise BadHours(f"{text[:20]!a} is not a window", days, _ALLOWED_WINDOW)
    hour, minute, to_hour, to_minute = map(int, found.groups())
    begin, end = hour * 60 + minute, to_hour * 60 + to_minute
    if minute > 59 or to_minute > 59 or end > 24 * 60:
        raise BadHours(f"{text} is not a time of day", days, _ALLOWED_WINDOW)
    if begin >= end:
        raise BadHours(
            f"{text} is empty", days, "an end after the begin; past midnight, a window of each day"
        )
    return begin, end
