"""Days as people write them: in one form, which leaves no doubt."""

import re
from datetime import date

from callguard.errors import InputError

ALLOWED_DAYS = "YYYY-MM-DD, such as 2026-11-01"

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def is_day(text: str) -> bool:
    """Tell whether the text has the form of a day; there may be no such day."""
    return _DAY.fullmatch(text) is not None


def read_day(text: str, *, where: str) -> date:
    """A day. Raises InputError, which names `where`: also for 20261101 and 2026-W44-7, which
    date.fromisoformat takes."""
    try:
        if is_day(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InputError(f"{text[:40]!a} is not a day", where=where, allowed=ALLOWED_DAYS)
