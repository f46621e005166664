"""How old a registry list's data are, against what is allowed. Pure.

Days are counted from the day that the registry's data are of to the UTC day of an instant, as screening
counts them (screening.model.RegistryHit).
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class State(StrEnum):
    """What a list's age means."""

    FRESH = "fresh"
    """Not older than allowed, or of any age where any is allowed."""
    STALE = "stale"
    UNDATED = "undated"
    """Nobody said what day the data are of, though they may not be of any age: as bad as stale."""
    EMPTY = "never imported"


@dataclass(frozen=True, slots=True)
class Freshness:
    """A list's age at an instant."""

    state: State
    days: int | None
    """None where the day of the data is not known. Negative for data of a day to come."""
    allowed_days: int | None

    @property
    def good(self) -> bool:
        """Whether silence of the list may be relied upon."""
        return self.state is State.FRESH

    def __str__(self) -> str:
        if self.state is State.EMPTY:
            return str(self.state)
        allowed = "" if self.allowed_days is None else f", {_days(self.allowed_days)} allowed"
        if self.days is None:
            return f"of no known day{allowed}"
        if self.days < 0:
            # Tomorrow's, from where it is tomorrow already.
            return f"of a day to come{allowed}"
        return f"{_days(self.days)} old{allowed}"


def freshness(
    data_date: date | None, allowed_days: int | None, at: datetime, *, imported: bool = True
) -> Freshness:
    """The age of data of a day, at an instant (aware, UTC)."""
    days = None if data_date is None else (at.date() - data_date).days
    if not imported:
        state = State.EMPTY
    elif allowed_days is None:
        state = State.FRESH
    elif days is None:
        state = State.UNDATED
    else:
        state = State.STALE if days > allowed_days else State.FRESH
    return Freshness(state, days, allowed_days)


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"
