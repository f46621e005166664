"""Read a whole file of entries and check it: usable rows go to a spool, others to the rejected."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from callguard.errors import InputError
from callguard.lists.bulk import Spool
from callguard.lists.entryfiles.checked import Checker, Defaults
from callguard.lists.entryfiles.columns import (
    Columns,
    Role,
    header_of,
    is_header,
    with_header,
    without_header,
)
from callguard.lists.entryfiles.records import Record, open_entries
from callguard.lists.entryfiles.rejected import Rejected, columns_in_front
from callguard.lists.entryfiles.severallines import HIDING
from callguard.lists.entrynumbers import EntryNumbers
from callguard.lists.ownfile import check_not_input
from callguard.screening.model import Purpose

_ROWS_A_STEP = 1000


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file of entries is to be read."""

    numbers: EntryNumbers
    defaults: Defaults
    now: datetime
    """Aware."""
    days_from: date
    """The day from which days to an expiry are counted."""
    layout: str | None = None
    """A format of columns.WITHOUT_HEADER, for a file that has no header."""
    chosen: Mapping[Role, Sequence[str]] = field(default_factory=dict)
    """The columns that the user named, by header or by position from 1."""
    delimiter: str | None = None
    purposes: Collection[str] = frozenset(Purpose)
    """The words that are purposes."""


def check_file(
    path: Path, reading: Reading, spool: Spool, rejected: Rejected, progress: Callable[[int], None]
) -> Columns:
    """Read and check a file; the columns that were read.

    `progress` is told how many bytes are done. Raises InputError, with file and line, where the whole cannot
    be read.
    """
    check_not_input(path, rejected.path)
    with open_entries(path, delimiter=reading.delimiter) as file:
        records = file.records()
        first = next(records, None)
        if first is None:
            raise InputError("an empty file", where=path.name, allowed="a file of entries")
        try:
            named = file.is_json or is_header(first.cells, reading.chosen)
            if named:
                columns = with_header(first.cells, reading.chosen)
                rejected.header = first.cells
            else:
                columns = without_header(len(first.cells), reading.layout, reading.chosen)
                rejected.header = header_of(columns, len(first.cells))
                rejected.width = len(rejected.header)
        except InputError as error:
            where = f"{path.name}: {error.where}" if error.where else path.name
            raise InputError(error.what, where=where, allowed=error.allowed) from error
        checker = Checker(
            columns,
            reading.numbers,
            reading.defaults,
            now=reading.now,
            days_from=reading.days_from,
            width=len(first.cells) if named else None,
            in_front=columns_in_front(first.cells),
            purposes=reading.purposes,
        )
        if named and checker.hides(first):
            raise InputError(HIDING, where=f"{path.name}: line {first.line}", allowed="quotes in pairs")
        if not named:
            _take(checker, first, spool, rejected)
        for count, record in enumerate(records):
            _take(checker, record, spool, rejected)
            if count % _ROWS_A_STEP == 0:
                progress(file.done)
    return columns


def _take(checker: Checker, record: Record, spool: Spool, rejected: Rejected) -> None:
    rows, why = checker.rows(record)
    for row in rows:
        spool.add(row)
    if why:
        rejected.add(record, why)
