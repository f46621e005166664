"""The lists in SQL, the truth: the internal lists' entries, and what every list says about a number.

Every write adds to the change log in its own transaction. All of it blocks, and raises SqlError; asyncio code
calls it through SqlThreads.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from callguard.database import meta, microseconds, ordered_write, snapshot
from callguard.errors import SqlError
from callguard.lists.blocks import BadBlock
from callguard.lists.blockstore import BlockStore
from callguard.lists.hits import Questions
from callguard.lists.model import Action, Catalogue, Change, Mark, NewEntry, RegistryList, generation_key
from callguard.lists.tables import blocks, changes, entries, generations, registries
from callguard.screening.model import Entry, Hits, RegistryHit
from callguard.screening.patterns import patterns_for, shape_from, shape_of, shape_text

Entries = Mapping[str, tuple[Entry, ...]]
"""Number or pattern -> its entries in force, expired ones too, in the order of their ids; empty if there are
none."""

_NOT_OF_ENTRIES = {"removed_at", "shape", "purposes", "exemption", "starts_at", "reference", "once"}
_ENTRY = tuple(column for column in entries.c if column.name not in _NOT_OF_ENTRIES)
_IN_FORCE = entries.c.removed_at.is_(None)
_MARK = sa.select(
    sa.select(meta.c.value).where(meta.c.key == "database").scalar_subquery(),
    sa.select(changes.c.position).order_by(changes.c.position.desc()).limit(1).scalar_subquery(),
    sa.select(changes.c.at).order_by(changes.c.position.desc()).limit(1).scalar_subquery(),
)
_OF_NUMBERS = (
    sa.select(*_ENTRY)
    .where(entries.c.number.in_(sa.bindparam("of", expanding=True)), _IN_FORCE)
    .order_by(entries.c.id)
)
_REGISTRIES: sa.Select[Any] = (
    sa.select(
        registries.c.id,
        registries.c.name,
        registries.c.jurisdiction,
        registries.c.kind,
        registries.c.calling_code,
        registries.c.coverage,
        registries.c.allowed_age_days,
        generations.c.id.label("generation"),
        generations.c.token,
        generations.c.version,
        generations.c.content,
        generations.c.block_size,
        generations.c.data_date,
        generations.c.numbers,
        generations.c.blocks,
    )
    .select_from(registries.outerjoin(generations, registries.c.generation == generations.c.id))
    .where(registries.c.dropped_at.is_(None))
    .order_by(registries.c.id)
)
_SHAPES = sa.select(entries.c.shape).where(entries.c.shape.is_not(None), _IN_FORCE).distinct()


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed between two marks."""

    mark: Mark
    """The mark that one arrives at. It is the newest, unless `more`."""
    entries: Entries
    """Every number and pattern that changed, with its entries as they are now: never older than `mark`."""
    catalogue: Catalogue
    """As it is now, likewise."""
    more: bool


@dataclass(frozen=True, slots=True)
class Generations:
    """Which generations of registry lists there is a use for."""

    catalogue: Catalogue
    loading: tuple[str, ...]
    """The keys of those that an importer works on."""
    newest: int
    """The largest id there is; 0 if there is none."""


class ListStore:
    """The lists of one database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self.blocks = BlockStore(engine)
        # One assignment, so that threads need no lock: the worst is that two of them read the same.
        self._known: tuple[Mark, Catalogue] | None = None

    def add(self, new: NewEntry) -> tuple[Entry, bool]:
        """Add an entry, unless one in force says the very same already (whoever added it).

        Returns the entry in force, and whether it is new.
        """
        values = {
            "number": new.number,
            "category": new.category,
            "project": new.project,
            "reason": new.reason,
            "source": new.source,
            "expires_at": new.expires_at,
        }
        same = sa.select(*_ENTRY).where(
            _IN_FORCE, *(entries.c[name] == value for name, value in values.items())
        )
        with ordered_write(self._engine) as connection:
            found = connection.execute(same.order_by(entries.c.id)).first()
            if found is not None:
                return Entry(**found._mapping), False
            at = datetime.now(UTC)
            shape = shape_of(new.number)
            values |= {
                "added_by": new.added_by,
                "added_at": at,
                "shape": None if shape is None else shape_text(shape),
            }
            row = connection.execute(entries.insert().values(values).returning(*_ENTRY)).one()
            entry = Entry(**row._mapping)
            _log(connection, Action.ADD, [entry], at=at, who=new.added_by, why=new.reason)
            return entry, True

    def remove(
        self, number: str, *, by: str, why: str, project: str | None = None, category: str | None = None
    ) -> tuple[Entry, ...]:
        """Take the number's entries out of force, of one project (or category) only, if that is given.

        An empty `project` means the entries that bind the whole company. They stay in the database, as
        history. Returns what was in force until now.
        """
        wanted = [entries.c.number == number, _IN_FORCE]
        if project is not None:
            wanted.append(entries.c.project == (project or None))
        if category is not None:
            wanted.append(entries.c.category == category)
        with ordered_write(self._engine) as connection:
            rows = connection.execute(sa.select(*_ENTRY).where(*wanted).order_by(entries.c.id)).all()
            removed = tuple(Entry(**row._mapping) for row in rows)
            at = datetime.now(UTC)
            connection.execute(entries.update().where(*wanted).values(removed_at=at))
            _log(connection, Action.REMOVE, removed, at=at, who=by, why=why)
            return removed

    def mark(self) -> Mark:
        """The version of the lists now."""
        with snapshot(self._engine) as connection:
            return _mark(connection)

    def version(self) -> tuple[Mark, Catalogue]:
        """The version of the lists now, and what there is to look a number up in."""
        with snapshot(self._engine) as connection:
            mark = _mark(connection)
            return mark, self._catalogue(connection, mark)

    def catalogue(self) -> Catalogue:
        """What there is to look a number up in now."""
        return self.version()[1]

    def lookup(self, number: str) -> Hits:
        """What all lists say about a number (E.164), and the version of the lists that says it.

        The entries in force of the number and of every pattern that it matches, in the order of their ids.
        """
        with snapshot(self._engine) as connection:
            mark = _mark(connection)
            catalogue = self._catalogue(connection, mark)
            of = [number, *patterns_for(number, catalogue.shapes)]
            found = connection.execute(_OF_NUMBERS, {"of": of}).all()
            return Hits(
                entries=tuple(Entry(**row._mapping) for row in found),
                position=mark.position,
                origin="sql",
                registries=_registry_hits(connection, number, catalogue),
            )

    def lookup_entries(self, numbers: Sequence[str]) -> tuple[Mark, Entries]:
        """The version of the lists, and the entries in force of some numbers and patterns themselves."""
        with snapshot(self._engine) as connection:
            return _mark(connection), _entries(connection, numbers)

    def history(self, number: str) -> tuple[Change, ...]:
        """Every change that concerned the number's (or the pattern's) own entries, oldest first."""
        joined = changes.join(entries, changes.c.entry == entries.c.id)
        chosen = sa.select(changes, *(column.label(f"entry_{column.name}") for column in _ENTRY))
        statement = chosen.select_from(joined).where(changes.c.number == number).order_by(changes.c.position)
        with snapshot(self._engine) as connection:
            rows = connection.execute(statement).mappings().all()
        return tuple(
            Change(
                position=row["position"],
                at=row["at"],
                who=row["who"],
                why=row["why"],
                action=Action(row["action"]),
                entry=Entry(**{column.name: row[f"entry_{column.name}"] for column in _ENTRY}),
            )
            for row in rows
        )

    def since(self, mark: Mark, limit: int = 1000) -> Delta | None:
        """What changed since a mark, up to `limit` changes of it.

        None if the mark is of another database, or of a future that a restored backup undid: then there is
        no way from that mark to the present.
        """
        with snapshot(self._engine) as connection:
            now = _mark(connection)
            if now.database != mark.database or not _passed(connection, mark):
                return None
            rows = connection.execute(
                sa.select(changes.c.position, changes.c.at, changes.c.number)
                .where(changes.c.position > mark.position)
                .order_by(changes.c.position)
                .limit(limit)
            ).all()
            if not rows:
                return Delta(mark=now, entries={}, catalogue=self._catalogue(connection, now), more=False)
            last = rows[-1]
            arrived = Mark(now.database, last.position, microseconds(last.at))
            # A change to a registry list names no number.
            numbers = sorted({row.number for row in rows if row.number is not None})
            return Delta(
                mark=arrived,
                entries=_entries(connection, numbers),
                catalogue=self._catalogue(connection, now),
                more=arrived != now,
            )

    def chunk(self, after: str, limit: int = 2000) -> Entries:
        """The entries in force of the next `limit` numbers and patterns after one of them (first: the empty
        string), in the database's order; empty after the last."""
        following = (
            sa.select(entries.c.number)
            .where(_IN_FORCE, entries.c.number > after)
            .order_by(entries.c.number)
            .distinct()
            .limit(limit)
        )
        with snapshot(self._engine) as connection:
            return _entries(connection, connection.execute(following).scalars().all())

    def count(self) -> int:
        """How many numbers and patterns have entries in force."""
        statement = sa.select(sa.func.count(entries.c.number.distinct())).where(_IN_FORCE)
        with snapshot(self._engine) as connection:
            return int(connection.execute(statement).scalar_one())

    def generations(self) -> Generations:
        """Which generations are in force or may come into force."""
        loading = sa.select(generations.c.id, generations.c.token).where(generations.c.state == "loading")
        with snapshot(self._engine) as connection:
            return Generations(
                catalogue=self._catalogue(connection, _mark(connection)),
                loading=tuple(generation_key(*row) for row in connection.execute(loading)),
                newest=connection.execute(sa.select(sa.func.max(generations.c.id))).scalar() or 0,
            )

    def _catalogue(self, connection: sa.Connection, mark: Mark) -> Catalogue:
        """The catalogue of the snapshot's mark: every change to it has its row in the change log."""
        known = self._known
        if known is None or known[0] != mark:
            shapes = sorted(shape_from(text) for text in connection.execute(_SHAPES).scalars())
            rows = connection.execute(_REGISTRIES).all()
            known = (
                mark,
                Catalogue(registries=tuple(_registry_list(row) for row in rows), shapes=tuple(shapes)),
            )
            self._known = known
        return known[1]


def _mark(connection: sa.Connection) -> Mark:
    database, position, at = connection.execute(_MARK).one()
    if database is None:
        raise SqlError("the database has no id", remedy="restore table `meta` from a backup")
    return Mark(database, position or 0, 0 if at is None else microseconds(at))


def _passed(connection: sa.Connection, mark: Mark) -> bool:
    if mark.position == 0:
        return True
    at = connection.execute(sa.select(changes.c.at).where(changes.c.position == mark.position)).scalar()
    return at is not None and microseconds(at) == mark.at


def _registry_list(row: sa.Row[Any]) -> RegistryList:
    values = {**row._mapping, "coverage": tuple(json.loads(row.coverage))}
    if row.generation is None:
        # Nothing was imported yet: the model's own values for that.
        values = {name: value for name, value in values.items() if name in _ALWAYS}
    return RegistryList(**values)


_ALWAYS = {"id", "name", "jurisdiction", "kind", "calling_code", "coverage", "allowed_age_days"}


def _registry_hits(connection: sa.Connection, number: str, catalogue: Catalogue) -> tuple[RegistryHit, ...]:
    questions = Questions(catalogue)
    wanted = questions.contents(number)
    rows = connection.execute(_blocks(wanted)) if wanted else ()
    found = {(content, block): bytes(data) for content, block, data in rows}
    try:
        return questions.hits(number, map(found.get, wanted))
    except BadBlock as error:
        raise SqlError(
            f"a block of a registry list is damaged: {error}", remedy="import the list again"
        ) from error


def _blocks(wanted: Sequence[tuple[int, int]]) -> sa.Select[Any]:
    # Not "(content, block) IN (VALUES ...)": for more than one pair SQLite would read the whole table.
    places = (sa.and_(blocks.c.content == content, blocks.c.block == block) for content, block in wanted)
    return sa.select(blocks.c.content, blocks.c.block, blocks.c.data).where(sa.or_(*places))


def _entries(connection: sa.Connection, numbers: Sequence[str]) -> Entries:
    found: dict[str, tuple[Entry, ...]] = dict.fromkeys(numbers, ())
    for row in connection.execute(_OF_NUMBERS, {"of": numbers}):
        # By place, for a million of them: _ENTRY has the columns in the order of Entry's fields.
        entry = Entry(*row)
        found[entry.number] += (entry,)
    return found


def _log(
    connection: sa.Connection, action: Action, changed: Sequence[Entry], *, at: datetime, who: str, why: str
) -> None:
    rows: list[dict[str, Any]] = [
        {"at": at, "who": who, "why": why, "action": action, "entry": entry.id, "number": entry.number}
        for entry in changed
    ]
    if rows:
        connection.execute(changes.insert(), rows)
