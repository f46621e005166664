"""The date of a registry's data, as its files' names have it. Pure; never taken from a clock."""

import re
from collections.abc import Iterable
from datetime import date

_DATE = re.compile(r"(?<![0-9])(20[0-9]{2})([-_.]?)([0-9]{2})\2([0-9]{2})(?![0-9])", re.ASCII)
"""Year first: 2026-11-01, 20261101, 2026_11_01. With the day or the month first, it could be two dates."""


def date_in(text: str) -> date | None:
    """The date in a name; None if there is none, or more than one."""
    found = set()
    for one in _DATE.finditer(text):
        try:
            found.add(date(int(one[1]), int(one[3]), int(one[4])))
        except ValueError:
            continue
    return found.pop() if len(found) == 1 else None


def oldest_date(names: Iterable[str]) -> date | None:
    """The oldest date in the names of an archive's members: the list is as old as its oldest part."""
    return min((found for name in names if (found := date_in(name))), default=None)
