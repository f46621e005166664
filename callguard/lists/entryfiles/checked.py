"""A record of a file becomes entries to add, or is refused with its reason. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from typing import NamedTuple

from callguard.database import from_microseconds, microseconds
from callguard.errors import InputError
from callguard.lists.entryfiles.columns import Columns, Role
from callguard.lists.entryfiles.instants import days_after, instant
from callguard.lists.entryfiles.records import Record
from callguard.lists.entryfiles.severallines import HIDING, hides_number, in_one_line
from callguard.lists.entrynumbers import EntryNumbers
from callguard.lists.model import NewEntry, check_text, read_purposes
from callguard.screening.model import Category, Purpose

_ANY_NUMBER = "+6281234567890"
_ABSENT = -1
_CLOCKS_DIFFER = timedelta(minutes=5)


class Row(NamedTuple):
    """An entry or an exemption to add, as the table has it. Instants are microseconds since 1970, UTC."""

    number: str
    """E.164, or a pattern."""
    category: str
    """Empty for an exemption."""
    project: str | None
    reason: str
    """Of an exemption, its evidence."""
    source: str
    added_by: str
    added_at: int | None
    """When it was added elsewhere; None for the moment of the import."""
    expires_at: int | None
    purposes: str = ""
    """With a space between them."""
    exemption: str | None = None
    """Its kind; None for an entry."""
    starts_at: int | None = None
    reference: str = ""
    once: bool = False

    @property
    def said(self) -> tuple[str | int | None, ...]:
        """All but who added it, and when."""
        return (*self[:5], *self[7:])


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a row that does not say it; a row of our own export says everything.

    Raises InputError for what cannot be stored.
    """

    added_by: str
    project: str | None = None
    category: str = Category.CUSTOMER_REQUEST
    reason: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        _check(self.category, self.project, self.source, self.added_by)
        check_text("reason", self.reason)


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
        in_front: int = 0,
        purposes: Collection[str] = frozenset(Purpose),
    ) -> None:
        """`now` is aware; days to an expiry are counted from `days_from`.

        `width`: how many columns the header has; a row that has more or fewer is refused, for its cells stand
        below other words than their own. None where there is no header: then a row may be shorter.
        `in_front`: how many columns an earlier import put in front of the file's own. `purposes`: the words
        that are purposes.
        """
        self._own = columns.own
        self._numbers_at = columns.numbers
        self._in_lines = {*columns.numbers, *(at - in_front for at in columns.numbers)}
        self._of = {role: columns.of.get(role, _ABSENT) for role in Role}
        self._last = max((*columns.numbers, *columns.of.values()))
        self._numbers = numbers
        self._defaults = defaults
        self._now = microseconds(now)
        self._latest = microseconds(now + _CLOCKS_DIFFER)
        self._days_from = days_from
        self._width = width
        self._purposes = lru_cache(maxsize=1024)(partial(read_purposes, known=purposes))

    def rows(self, record: Record) -> tuple[list[Row], str]:
        """The entries of a record, and why it, or one of its numbers, is refused; empty if nothing is."""
        if record.why:
            return [], record.why
        if self._width is not None and len(record.cells) != self._width:
            return [], f"{len(record.cells)} columns, where the header has {self._width}"
        cells = list(record.cells) if self._own else [cell.strip() for cell in record.cells]
        cells += [""] * (self._last + 1 - len(cells))
        cells.append("")  # what a column that is absent says
        try:
            details = self._details(cells)
            added_at, expires_at = self._added_at(cells), self._expires_at(cells)
            purposes = " ".join(self._purposes(cells[self._of[Role.PURPOSES]]))
        except InputError as error:
            return [], str(error)
        rows, why = [], ""
        for at in self._numbers_at:
            if not cells[at] and len(self._numbers_at) > 1:
                continue
            try:
                number = self._numbers.read(cells[at])
                rows.append(Row(number, *details, added_at, expires_at, purposes))
            except InputError as error:
                why = why or str(error)
        if record.lines and self.hides(record, {row.number for row in rows}):
            return [], HIDING
        return rows, why or ("" if rows else "no number")

    def hides(self, record: Record, own: Collection[str] = ()) -> bool:
        """Tell whether a line of a record of several has a number that is not among its own."""
        return hides_number(record.lines, self._in_lines, self._numbers, own)

    def _details(self, cells: Sequence[str]) -> tuple[str, str | None, str, str, str]:
        of, default = self._of, self._defaults
        if cells[of[Role.REMOVED_AT]]:
            raise InputError("removed: what is history is not imported")
        category = cells[of[Role.CATEGORY]] or default.category
        project = cells[of[Role.PROJECT]] or (None if self._own else default.project)
        reason = in_one_line(cells[of[Role.REASON]]) or ("" if self._own else default.reason)
        source = in_one_line(cells[of[Role.SOURCE]]) or ("" if self._own else default.source)
        added_by = in_one_line(cells[of[Role.ADDED_BY]]) or default.added_by
        _check(category, project, source, added_by)
        check_text("reason", reason)
        return category, project, reason, source, added_by

    def _added_at(self, cells: Sequence[str]) -> int | None:
        text = cells[self._of[Role.ADDED_AT]]
        if not text:
            return None
        at = instant(text)
        if at > self._latest:
            raise InputError("added in the future", where="added_at", allowed="a time that has been")
        return at

    def _expires_at(self, cells: Sequence[str]) -> int | None:
        if text := cells[self._of[Role.DAYS]]:
            at = days_after(text, self._days_from)
        elif text := cells[self._of[Role.EXPIRES_AT]]:
            at = instant(text)
        else:
            return None
        if at <= self._now:
            raise InputError(f"expired at {from_microseconds(at).isoformat()}: history is not imported")
        return at


@lru_cache(maxsize=8192)
def _check(category: str, project: str | None, source: str, added_by: str) -> None:
    # The rules of an entry are NewEntry's; of which number the rest is said is no matter to them.
    NewEntry(_ANY_NUMBER, added_by, category, project, source=source)
