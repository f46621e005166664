"""Files of exemptions: our own columns, by their names, in CSV or JSON lines. Pure, but for reading the file.

Every row needs its number, its kind (unless one is given for the whole file), its evidence and its start.
What cannot be read refuses the row: a bad date never means "for ever", and nobody is exempt by a guess.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path

from callguard.database import from_microseconds, microseconds
from callguard.errors import InputError
from callguard.lists.bulk import Spool
from callguard.lists.entryfiles.checked import Row
from callguard.lists.entryfiles.columns import Role, role_of
from callguard.lists.entryfiles.export import EXEMPTION_COLUMNS
from callguard.lists.entryfiles.instants import instant, start_of
from callguard.lists.entryfiles.records import Record, open_entries
from callguard.lists.entryfiles.rejected import Rejected, columns_in_front
from callguard.lists.entryfiles.severallines import HIDING, hides_number, in_one_line
from callguard.lists.entrynumbers import EntryNumbers
from callguard.lists.model import NewExemption, read_purposes
from callguard.lists.ownfile import check_not_input
from callguard.screening.model import ExemptionKind

_NEEDED = ("number", "evidence", "starts_at")
_NARROWING = {
    Role.PROJECT: "project",
    Role.PURPOSES: "purposes",
    Role.EXPIRES_AT: "expires_at",
    Role.DAYS: "expires_at",
    Role.REMOVED_AT: "ended_at",
}
"""What would exempt more people or calls, and for longer, if a column that says it were passed over."""
_ENDING = frozenset({"valid_until", "until", "ends_at", "end_date", "ended", "withdrawn_at", "revoked_at"})
_ONCE = {"": False, "no": False, "yes": True}
_ROWS_A_STEP = 1000


@dataclass(frozen=True, slots=True)
class ExemptionReading:
    """How a file of exemptions is to be read."""

    numbers: EntryNumbers
    purposes: Collection[str]
    """The words that are purposes."""
    now: datetime
    """Aware."""
    added_by: str
    """Of rows that do not say it; likewise those below."""
    kind: ExemptionKind | None = None
    project: str | None = None
    source: str = ""
    forbidden: Callable[[NewExemption], str] = lambda _: ""
    """Why the rules forbid an exemption; empty if they do not."""


def check_exemptions(
    path: Path,
    reading: ExemptionReading,
    spool: Spool,
    rejected: Rejected,
    progress: Callable[[int], None],
) -> tuple[str, ...]:
    """Read and check a file: usable rows go to the spool, others to the rejected.

    Returns the headers of what nothing is read from. `progress` is told how many bytes are done. Raises
    InputError, with file and line, where the whole cannot be read.
    """
    check_not_input(path, rejected.path)
    with open_entries(path) as file:
        records = file.records()
        first = next(records, None)
        if first is None:
            raise InputError("an empty file", where=path.name, allowed="a file of exemptions")
        rejected.header = first.cells
        names = [cell.strip().lower() for cell in first.cells]
        in_front = columns_in_front(names)
        checker = ExemptionChecker(_columns(path, names, reading), len(names), in_front, reading)
        if checker.hides(first):
            raise InputError(HIDING, where=f"{path.name}: line {first.line}", allowed="quotes in pairs")
        for count, record in enumerate(records):
            row, why = checker.row(record)
            if row is None:
                rejected.add(record, why)
            else:
                spool.add(row)
            if count % _ROWS_A_STEP == 0:
                progress(file.done)
    return tuple(name for name in names if name and name not in EXEMPTION_COLUMNS)


def _columns(path: Path, names: Sequence[str], reading: ExemptionReading) -> Mapping[str, int]:
    needed = {*_NEEDED, *(("kind",) if reading.kind is None else ())}
    missing = sorted(needed.difference(names))
    twice = sorted({name for name in names if name in EXEMPTION_COLUMNS and names.count(name) > 1})
    if missing or twice:
        what = f"no column {missing[0]}" if missing else f"two columns {twice[0]}"
        raise InputError(
            what, where=f"{path.name}: line 1", allowed="a header of " + ", ".join(EXEMPTION_COLUMNS)
        )
    for name in names:
        if name not in EXEMPTION_COLUMNS and (meant := _meant(name)):
            raise InputError(
                f"a column {name[:40]!a}, without which more would be exempt",
                where=f"{path.name}: line 1",
                allowed=f"{meant}, if that is what it says, or a file without it",
            )
    return {name: at for at, name in enumerate(names) if name in EXEMPTION_COLUMNS}


def _meant(name: str) -> str | None:
    """The column of ours that a narrowing one may stand for."""
    if name.replace(" ", "_") in _ENDING:
        return "expires_at or ended_at"
    role = role_of(name)
    return _NARROWING.get(role) if role else None


class ExemptionChecker:
    """Checks the records of one file."""

    def __init__(
        self, columns: Mapping[str, int], width: int, in_front: int, reading: ExemptionReading
    ) -> None:
        """`columns`: the place of each of our columns that the file has; `width`: how many it has in all;
        `in_front`: how many of these an earlier import put in front of the file's own."""
        self._columns = columns
        self._width = width
        self._in_lines = {columns["number"], columns["number"] - in_front}
        self._reading = reading
        self._purposes = lru_cache(maxsize=1024)(partial(read_purposes, known=reading.purposes))

    def row(self, record: Record) -> tuple[Row | None, str]:
        """The exemption of a record; or None, and why the record is refused."""
        if record.why:
            return None, record.why
        if len(record.cells) != self._width:
            return None, f"{len(record.cells)} columns, where the header has {self._width}"
        try:
            row = self._row(record.cells)
        except InputError as error:
            return None, str(error)
        if self.hides(record, {row.number}):
            return None, HIDING
        return row, ""

    def hides(self, record: Record, own: Collection[str] = ()) -> bool:
        """Tell whether a line of a record of several has a number that is not its own."""
        return hides_number(record.lines, self._in_lines, self._reading.numbers, own)

    def _row(self, cells: Sequence[str]) -> Row:
        said = {name: cells[at].strip() for name, at in self._columns.items()}
        if said.get("ended_at"):
            raise InputError("ended: what is history is not imported")
        reading = self._reading
        expires_at = self._instant(said, "expires_at") if said.get("expires_at") else None
        new = NewExemption(
            number=reading.numbers.read(said["number"]),
            kind=self._kind(said.get("kind", "")),
            evidence=in_one_line(said["evidence"]),
            added_by=in_one_line(said.get("added_by", "")) or reading.added_by,
            # A day means its beginning: an opt-out later that day counts.
            starts_at=from_microseconds(self._instant(said, "starts_at", start_of)),
            expires_at=None if expires_at is None else from_microseconds(expires_at),
            project=said.get("project") or reading.project,
            purposes=self._purposes(said.get("purposes", "")),
            reference=in_one_line(said.get("reference", "")),
            source=in_one_line(said.get("source", "")) or reading.source,
            once=self._once(said.get("once", "")),
        )
        new.check_given(reading.now)
        if new.expires_at is not None and new.expires_at <= reading.now:
            raise InputError(f"expired at {new.expires_at.isoformat()}: history is not imported")
        if why := reading.forbidden(new):
            raise InputError(why)
        return exemption_row(new, added_at=self._added_at(said))

    def _kind(self, text: str) -> ExemptionKind:
        if not text and self._reading.kind is not None:
            return self._reading.kind
        if text not in set(ExemptionKind):
            raise InputError(
                f"{text[:40]!a} is no kind of exemption", where="kind", allowed=", ".join(ExemptionKind)
            )
        return ExemptionKind(text)

    def _once(self, text: str) -> bool:
        if text not in _ONCE:
            raise InputError(f"{text[:40]!a} is neither yes nor no", where="once", allowed="yes, no or empty")
        return _ONCE[text]

    @staticmethod
    def _instant(said: Mapping[str, str], name: str, read: Callable[[str], int] = instant) -> int:
        try:
            return read(said[name])
        except InputError as error:
            raise InputError(error.what, where=name, allowed=error.allowed) from error

    def _added_at(self, said: Mapping[str, str]) -> int | None:
        return self._instant(said, "added_at") if said.get("added_at") else None


def exemption_row(new: NewExemption, *, added_at: int | None = None) -> Row:
    """A new exemption as a row; `added_at`: when it was added elsewhere, in microseconds since 1970."""
    return Row(
        number=new.number,
        category="",
        project=new.project,
        reason=new.evidence,
        source=new.source,
        added_by=new.added_by,
        added_at=added_at,
        expires_at=None if new.expires_at is None else microseconds(new.expires_at),
        purposes=" ".join(new.purposes),
        exemption=str(new.kind),
        starts_at=microseconds(new.starts_at),
        reference=new.reference,
        once=new.once,
    )
