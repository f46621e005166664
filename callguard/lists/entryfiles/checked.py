"""A record of a file becomes entries to add, or is refused with its reason. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from callguard.database import from_microseconds, microseconds
from callguard.errors import InputError
from callguard.lists.entryfiles.columns import Columns, Role
from callguard.lists.entryfiles.instants import days_after, instant
from callguard.lists.entryfiles.records import Record
from callguard.lists.entrynumbers import EntryNumbers
from callguard.lists.model import NewEntry
from callguard.screening.model import Category

_ANY_NUMBER = "+6281234567890"
_CLOCKS_DIFFER = timedelta(minutes=5)


class Row(NamedTuple):
    """An entry to add. Instants are microseconds since 1970, UTC."""

    number: str
    """E.164, or a pattern."""
    category: str
    project: str | None
    reason: str
    source: str
    added_by: str
    added_at: int | None
    """When it was added elsewhere; None for the moment of the import."""
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a row that does not say it. Raises InputError for what cannot be stored."""

    added_by: str
    project: str | None = None
    category: str = Category.CUSTOMER_REQUEST
    reason: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        _checked(self.category, self.project, self.reason, self.source, self.added_by)


class Checker:
    """Checks the records of one file."""

    def __init__(
        self,
        columns: Columns,
        numbers: EntryNumbers,
        defaults: Defaults,
        *,
        now: datetime,
        days_from: date,
        width: int | None,
    ) -> None:
        """`now` is aware; days to an expiry are counted from `days_from`.

        `width`: how many columns the header has; a row that has more or fewer is refused, for its cells stand
        below other words than their own. None where there is no header: then a row may be shorter.
        """
        self._columns = columns
        self._numbers = numbers
        self._defaults = defaults
        self._now = microseconds(now)
        self._latest = microseconds(now + _CLOCKS_DIFFER)
        self._days_from = days_from
        self._width = width

    def rows(self, record: Record) -> tuple[list[Row], str]:
        """The entries of a record, and why it, or one of its numbers, is refused; empty if nothing is."""
        if record.why:
            return [], record.why
        try:
            row = self._details(record.cells)
        except InputError as error:
            return [], str(error)
        rows, why = [], ""
        for at in self._columns.numbers:
            text = self._cell(record.cells, at)
            if not text and len(self._columns.numbers) > 1:
                continue
            try:
                rows.append(row._replace(number=self._numbers.read(text)))
            except InputError as error:
                why = why or str(error)
        return rows, why or ("" if rows else "no number")

    def _details(self, cells: Sequence[str]) -> Row:
        """Everything but the number. Raises InputError."""
        if self._width is not None and len(cells) != self._width:
            raise InputError(f"{len(cells)} columns, where the header has {self._width}")
        if self._text(cells, Role.REMOVED_AT):
            raise InputError("removed: what is history is not imported")
        default = self._defaults
        details = (
            self._text(cells, Role.CATEGORY) or default.category,
            self._text(cells, Role.PROJECT) or default.project,
            self._text(cells, Role.REASON) or default.reason,
            self._text(cells, Role.SOURCE) or default.source,
            self._text(cells, Role.ADDED_BY) or default.added_by,
        )
        _checked(*details)
        return Row("", *details, added_at=self._added_at(cells), expires_at=self._expires_at(cells))

    def _added_at(self, cells: Sequence[str]) -> int | None:
        text = self._text(cells, Role.ADDED_AT)
        if not text:
            return None
        at = instant(text)
        if at > self._latest:
            raise InputError("added in the future", where="added_at", allowed="a time that has been")
        return at

    def _expires_at(self, cells: Sequence[str]) -> int | None:
        if text := self._text(cells, Role.DAYS):
            at = days_after(text, self._days_from)
        elif text := self._text(cells, Role.EXPIRES_AT):
            at = instant(text)
        else:
            return None
        if at <= self._now:
            raise InputError(f"expired at {from_microseconds(at).isoformat()}: history is not imported")
        return at

    def _text(self, cells: Sequence[str], role: Role) -> str:
        at = self._columns.of.get(role)
        return "" if at is None else self._cell(cells, at)

    def _cell(self, cells: Sequence[str], at: int) -> str:
        text = cells[at] if at < len(cells) else ""
        return text if self._columns.own else text.strip()


@lru_cache(maxsize=8192)
def _checked(category: str, project: str | None, reason: str, source: str, added_by: str) -> None:
    # The rules of an entry are NewEntry's; of which number the rest is said is no matter to them.
    NewEntry(_ANY_NUMBER, added_by, category, project, reason, source)
