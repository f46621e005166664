"""When an entry of a file expires, or an exemption starts. Pure.

What cannot be read is an InputError: a bad date never means "no expiry" (it does in Genesys Cloud, whose help
page "Create a new internal DNC list" says so).
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from callguard.database import microseconds
from callguard.errors import InputError

ALLOWED_INSTANTS = "2027-01-31T17:00Z, 2027-01-31T17:00:00+07:00, or 2027-01-31 (to its end, local time)"
ALLOWED_DAYS = "a whole number of days, from 1 to 36500"

_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)", re.ASCII | re.IGNORECASE
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DAYS = re.compile(r"[0-9]{1,5}", re.ASCII)
_MOST_DAYS = 36500


@lru_cache(maxsize=8192)
def instant(text: str) -> int:
    """An instant with its zone, or a day, which means its end in this computer's zone; in microseconds since
    1970. Raises InputError."""
    try:
        if _DAY.fullmatch(text):
            return _end_of(date.fromisoformat(text))
        if _INSTANT.fullmatch(text):
            return microseconds(datetime.fromisoformat(text.upper()).astimezone(UTC))
    except (ValueError, OverflowError):
        pass
    raise _unreadable(text)


@lru_cache(maxsize=8192)
def start_of(text: str) -> int:
    """As `instant`, but a day means its beginning. Raises InputError."""
    at = instant(text)
    if not _DAY.fullmatch(text):
        return at
    try:
        return _midnight(date.fromisoformat(text))
    except (ValueError, OverflowError) as error:  # the first day there is, east of Greenwich
        raise _unreadable(text) from error


@lru_cache(maxsize=8192)
def days_after(text: str, start: date) -> int:
    """The end of the day so many days after a day, in this computer's zone; in microseconds since 1970.

    So a list that is exported anew every day, with a day less each time, says the same each time.
    Raises InputError.
    """
    if _DAYS.fullmatch(text) and 1 <= int(text) <= _MOST_DAYS:
        return _end_of(start + timedelta(days=int(text)))
    raise InputError(f"not a number of days: {text[:40]!a}", where="expires", allowed=ALLOWED_DAYS)


def _end_of(day: date) -> int:
    return _midnight(day + timedelta(days=1))


def _midnight(day: date) -> int:
    return microseconds(datetime.combine(day, time()).astimezone(UTC))


def _unreadable(text: str) -> InputError:
    what = f"not a time that can be read: {text[:40]!a}"
    return InputError(what, where="expires", allowed=ALLOWED_INSTANTS)
