"""Our own format: entries as CSV and as JSON lines, to be read again exactly. Pure.

CSV is as in RFC 4180, for a spreadsheet: a byte order mark (Excel then reads UTF-8), a header, every cell in
quotes, instants as ISO 8601 in UTC with microseconds. A cell that a spreadsheet could take for a formula has
an apostrophe in front, as has each number, and each cell that begins with an apostrophe itself; an import
takes that one off again, so that nothing is lost.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson

from callguard.lists.entryfiles.columns import OWN
from callguard.screening.model import Entry

_NAMES = tuple(role.value for role in OWN)
_FORMULA = ("=", "+", "-", "@", "'", "＝", "＋", "－", "＠")  # noqa: RUF001
"""What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), and the apostrophe itself."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry as it is kept, in force or not."""

    entry: Entry
    removed_at: datetime | None
    """UTC; None while it is in force."""


def csv_lines(kept: Iterable[Kept]) -> Iterator[str]:
    """A header, and a record an entry, each with its line end."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    yield "\N{ZERO WIDTH NO-BREAK SPACE}"
    writer.writerow(_NAMES)
    for one in kept:
        writer.writerow(_safe(value or "") for value in _values(one))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def json_lines(kept: Iterable[Kept]) -> Iterator[str]:
    """An object an entry, with its line end; null for what there is none of."""
    for one in kept:
        yield orjson.dumps(dict(zip(_NAMES, _values(one), strict=True))).decode() + "\n"


def safe_cells(cells: Iterable[str]) -> list[str]:
    """Cells as CSV may hold them."""
    return [_safe(cell) for cell in cells]


def _values(kept: Kept) -> tuple[str | None, ...]:
    entry = kept.entry
    return (
        entry.number,
        entry.category,
        entry.project,
        entry.reason,
        entry.source,
        entry.added_by,
        _iso(entry.added_at),
        _iso(entry.expires_at),
        _iso(kept.removed_at),
    )


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="microseconds")
