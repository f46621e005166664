"""Our own format: entries and exemptions as CSV and as JSON lines, to be read again exactly. Pure.

CSV is as in RFC 4180, for a spreadsheet: a byte order mark (Excel then reads UTF-8), a header, every cell in
quotes, instants as ISO 8601 in UTC with microseconds. A cell that a spreadsheet could take for a formula has
an apostrophe in front, as has each number, and each cell that begins with an apostrophe itself; an import
takes that one off again, so that nothing is lost.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from callguard.lists.entryfiles.columns import OWN
from callguard.lists.model import Word
from callguard.screening.model import Entry

ENTRY_COLUMNS = tuple(role.value for role in OWN)
EXEMPTION_COLUMNS = (
    *("number", "kind", "project", "purposes", "evidence", "reference", "source", "added_by", "added_at"),
    *("starts_at", "expires_at", "once", "ended_at"),
)
"""The columns of exemptions, in their order. Part of the outside contract: only ever added to."""
_FORMULA = ("=", "+", "-", "@", "'", "＝", "＋", "－", "＠")  # noqa: RUF001
"""What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), and the apostrophe itself."""


Values = tuple[str | None, ...]
"""What the columns say of one word."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry or exemption as it is kept, in force or not."""

    word: Word
    removed_at: datetime | None
    """UTC; None while it is in force."""


def csv_lines(names: Sequence[str], rows: Iterable[Values]) -> Iterator[str]:
    """A header, and a record a row, each with its line end."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    yield "\N{ZERO WIDTH NO-BREAK SPACE}"
    writer.writerow(names)
    for row in rows:
        writer.writerow(_safe(value or "") for value in row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def json_lines(names: Sequence[str], rows: Iterable[Values]) -> Iterator[str]:
    """An object a row, with its line end; null for what there is none of."""
    for row in rows:
        yield orjson.dumps(dict(zip(names, row, strict=True))).decode() + "\n"


def safe_cells(cells: Iterable[str]) -> list[str]:
    """Cells as CSV may hold them."""
    return [_safe(cell) for cell in cells]


def kept_values(kept: Kept) -> Values:
    """An entry's values of ENTRY_COLUMNS, or an exemption's of EXEMPTION_COLUMNS."""
    word = kept.word
    if isinstance(word, Entry):
        return (
            word.number,
            word.category,
            word.project,
            word.reason,
            word.source,
            word.added_by,
            _iso(word.added_at),
            _iso(word.expires_at),
            _iso(kept.removed_at),
            " ".join(word.purposes),
        )
    return (
        word.number,
        str(word.kind),
        word.project,
        " ".join(word.purposes),
        word.evidence,
        word.reference,
        word.source,
        word.added_by,
        _iso(word.added_at),
        _iso(word.starts_at),
        _iso(word.expires_at),
        "yes" if word.once else "",
        _iso(kept.removed_at),
    )


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="microseconds")
