"""Many entries or exemptions at once: checked rows wait in a temporary file, and are written in short
transactions.

All of it blocks, and raises SqlError.
"""

import mmap
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from types import TracebackType
from typing import Self

import orjson
import sqlalchemy as sa

from callguard.database import UtcTime, from_microseconds, microseconds, ordered_write, snapshot
from callguard.errors import InputError
from callguard.lists.entryfiles.checked import Row
from callguard.lists.entryfiles.export import Kept
from callguard.lists.model import Action
from callguard.lists.tables import changes, entries
from callguard.lists.words import ENTRIES, IN_FORCE, WORD, exempted_since, word_of
from callguard.screening.model import ExemptionKind
from callguard.screening.patterns import shape_of, shape_text

BATCH = 500
"""Rows of one transaction: other writers wait some milliseconds for it."""
_PAGE = 2000

_COLUMNS = (*Row._fields, "shape")
_SAID = tuple(
    # Instants as they are stored: to build datetimes takes longer than to read them.
    sa.type_coerce(column, sa.BigInteger()) if isinstance(column.type, UtcTime) else column
    for column in (entries.c[name] for name in Row._fields if name not in {"added_by", "added_at"})
)
"""What two words that say the very same have in common."""
_ADDED_AT = sa.type_coerce(entries.c.added_at, sa.BigInteger())

_Said = tuple[str | int | None, ...]
_Values = tuple[str | int | None, ...]


class Spool:
    """Rows in a temporary file without a name, to be read in the order of their numbers.

    Neighbours in number are neighbours in the database's indexes: a batch then touches few of their pages.
    Rows of one number keep their order. Takes 16 bytes of memory a row. Raises InputError if the folder of
    temporary files has no room.
    """

    def __init__(self) -> None:
        with _temporary():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - __exit__ closes it
        self._keys = array("Q")
        self._places = array("Q")
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # To close it writes what is left, which is of no use any more.
        with suppress(OSError):
            self._file.close()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, row: Row) -> None:
        raw = orjson.dumps(tuple(row))
        try:
            self._file.write(raw)
        except OSError as error:  # without _temporary, which costs a row more than to write it
            raise _no_room(error) from error
        self._keys.append(int(row.number.strip("+*X")))
        self._places.append(self._size)
        self._size += len(raw)

    def batches(self, size: int = BATCH) -> Iterator[list[Row]]:
        """All rows, in lists of so many; a number's rows are in one list, unless they are very many."""
        if not self._keys:
            return
        # Slow to import, and only an import needs it.
        import numpy as np  # noqa: PLC0415

        order = np.argsort(np.frombuffer(self._keys, np.uint64), kind="stable")
        with _temporary():
            self._file.flush()
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as rows:
            batch: list[Row] = []
            for index in order.tolist():
                end = self._places[index + 1] if index + 1 < len(self._places) else self._size
                row = Row(*orjson.loads(rows[self._places[index] : end]))
                if len(batch) >= size and (batch[-1].number != row.number or len(batch) >= 4 * size):
                    yield batch
                    batch = []
                batch.append(row)
            yield batch


@contextmanager
def _temporary() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> InputError:
    return InputError(
        f"a temporary file cannot be written: {error.strerror}",
        where=tempfile.tempdir,
        allowed="a folder with room; TMPDIR names it",
    )


def add_rows(engine: sa.Engine, rows: Sequence[Row], *, who: str, why: str, now: datetime) -> int:
    """Add entries and exemptions in one transaction, each with its row in the change log; how many are new.

    A row that says the very same as one in force, or as another row, is passed over; but not an entry that
    was added elsewhere after an exemption was given, where the one in force is older than that: the latest
    word counts. One without a day is taken for what is known already, or files that are imported every night
    would end every consent. `who` and `why` are the change log's, `now` (aware) is the instant of the change.
    """
    with ordered_write(engine) as connection:
        new = _new(connection, rows)
        if not new:
            return 0
        # Whoever writes entries does so alone: greater ids are ours.
        before = connection.execute(sa.select(sa.func.max(entries.c.id))).scalar() or 0
        _insert(connection, [_values(row, microseconds(now)) for row in new])
        logged = sa.select(
            sa.literal(now, UtcTime),
            sa.literal(who),
            sa.literal(why),
            sa.literal(str(Action.ADD)),
            entries.c.id,
            entries.c.number,
        )
        names = ["at", "who", "why", "action", "entry", "number"]
        connection.execute(
            changes.insert().from_select(
                names, logged.where(entries.c.id > before).order_by(entries.c.id), include_defaults=False
            )
        )
    return len(new)


def count_new(engine: sa.Engine, rows: Sequence[Row]) -> int:
    """How many rows add_rows would add now. Writes nothing."""
    with snapshot(engine) as connection:
        return len(_new(connection, rows))


def kept_entries(
    engine: sa.Engine,
    *,
    now: datetime,
    project: str | None = None,
    category: str | None = None,
    everything: bool = False,
) -> Iterator[Kept]:
    """The entries in force at `now` (aware), all of one instant, in the order in which they were added.

    Those of one project or category only, if that is given; an empty `project` means those that bind the
    whole company. `everything`: also what is removed or expired.
    """
    wanted: list[sa.ColumnElement[bool]] = [ENTRIES]
    if category is not None:
        wanted.append(entries.c.category == category)
    return _kept(engine, wanted, now=now, project=project, everything=everything)


def kept_exemptions(
    engine: sa.Engine,
    *,
    now: datetime,
    project: str | None = None,
    kind: ExemptionKind | None = None,
    everything: bool = False,
) -> Iterator[Kept]:
    """The exemptions in force at `now` (aware), as kept_entries has entries; of one kind only, if that is
    given."""
    wanted = [sa.not_(ENTRIES) if kind is None else entries.c.exemption == str(kind)]
    return _kept(engine, wanted, now=now, project=project, everything=everything)


def _kept(
    engine: sa.Engine,
    wanted: list[sa.ColumnElement[bool]],
    *,
    now: datetime,
    project: str | None,
    everything: bool,
) -> Iterator[Kept]:
    if project is not None:
        wanted.append(entries.c.project == project if project else entries.c.project.is_(None))
    if not everything:
        wanted.append(IN_FORCE)
        wanted.append(sa.or_(entries.c.expires_at.is_(None), entries.c.expires_at > now))
    page = sa.select(*WORD, entries.c.removed_at).where(*wanted).order_by(entries.c.id).limit(_PAGE)
    last = 0
    with snapshot(engine) as connection:
        while rows := connection.execute(page.where(entries.c.id > last)).all():
            for row in rows:
                yield Kept(word_of(row), row.removed_at)
            last = rows[-1].id


def _new(connection: sa.Connection, rows: Iterable[Row]) -> list[Row]:
    wanted: dict[_Said, Row] = {}
    for row in rows:
        before = wanted.setdefault(row.said, row)
        if before is not row and _is_later(row, before.added_at):
            wanted[row.said] = row
    numbers = sorted({row.number for row in wanted.values()})
    found = connection.execute(
        sa.select(_ADDED_AT, *_SAID)
        .where(entries.c.number.in_(numbers), IN_FORCE)
        .order_by(entries.c.added_at.desc())
    )
    for added_at, *there in found:
        # Of several that say the same the latest comes first, and the others find nothing any more.
        said = tuple(there)
        new = wanted.get(said)
        if new is not None and not (
            _is_later(new, added_at) and exempted_since(connection, new.number, from_microseconds(added_at))
        ):
            del wanted[said]
    return list(wanted.values())


def _is_later(row: Row, added_at: int | None) -> bool:
    """Tell whether an entry says of itself that it was added after one that says the same."""
    if row.exemption is not None or row.added_at is None or added_at is None:
        return False
    return row.added_at > added_at


def _values(row: Row, now: int) -> _Values:
    shape = shape_of(row.number) if row.number[-1] in "*X" else None
    values = row if row.added_at is not None else row._replace(added_at=now)
    return (*values, None if shape is None else shape_text(shape))


def _insert(connection: sa.Connection, values: list[_Values]) -> None:
    # Checked text needs none of SQLAlchemy's care, which would take most of the time.
    names = ", ".join(_COLUMNS)
    if connection.dialect.name == "postgresql":
        cursor = connection.connection.cursor()
        with cursor.copy(f"COPY entries ({names}) FROM STDIN") as copy:
            for row in values:
                copy.write_row(row)
        cursor.close()
    else:
        marks = ", ".join("?" * len(_COLUMNS))
        connection.exec_driver_sql(f"INSERT INTO entries ({names}) VALUES ({marks})", values)  # noqa: S608
