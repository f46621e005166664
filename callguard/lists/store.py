"""The internal lists in SQL: the truth. Every write adds to the change log in its own transaction.

All of it blocks, and raises SqlError; asyncio code calls it through SqlThreads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from callguard.database import meta, microseconds, ordered_write, snapshot
from callguard.errors import SqlError
from callguard.lists.model import Action, Change, Mark, NewEntry
from callguard.lists.tables import changes, entries
from callguard.screening.model import Entry, Hits

Entries = Mapping[str, tuple[Entry, ...]]
"""Number -> its entries in force, expired ones too, in the order of their ids; empty if there are none."""

_ENTRY = tuple(column for column in entries.c if column.name != "removed_at")
_IN_FORCE = entries.c.removed_at.is_(None)
_MARK = sa.select(
    sa.select(meta.c.value).where(meta.c.key == "database").scalar_subquery(),
    sa.select(changes.c.position).order_by(changes.c.position.desc()).limit(1).scalar_subquery(),
    sa.select(changes.c.at).order_by(changes.c.position.desc()).limit(1).scalar_subquery(),
)
_OF_NUMBER = (
    sa.select(*_ENTRY).where(entries.c.number == sa.bindparam("of"), _IN_FORCE).order_by(entries.c.id)
)


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed between two marks."""

    mark: Mark
    """The mark that one arrives at. It is the newest, unless `more`."""
    entries: Entries
    """Every number that changed, with its entries as they are now: never older than `mark`."""
    more: bool


class ListStore:
    """The internal lists of one database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

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
            values |= {"added_by": new.added_by, "added_at": at}
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

    def lookup(self, number: str) -> Hits:
        """The number's entries in force, and the version of the lists that they are of."""
        with snapshot(self._engine) as connection:
            found = connection.execute(_OF_NUMBER, {"of": number}).all()
            return Hits(
                entries=tuple(Entry(**row._mapping) for row in found),
                position=_mark(connection).position,
                origin="sql",
            )

    def history(self, number: str) -> tuple[Change, ...]:
        """Every change that concerned the number, oldest first."""
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
                return Delta(mark=now, entries={}, more=False)
            last = rows[-1]
            arrived = Mark(now.database, last.position, microseconds(last.at))
            numbers = sorted({row.number for row in rows})
            return Delta(mark=arrived, entries=_entries(connection, numbers), more=arrived != now)

    def chunk(self, after: str, limit: int = 2000) -> Entries:
        """The entries in force of the next `limit` numbers after a number (first: the empty string), in the
        database's order of numbers; empty after the last."""
        following = (
            sa.select(entries.c.number)
            .where(_IN_FORCE, entries.c.number > after)
            .order_by(entries.c.number)
            .distinct()
            .limit(limit)
        )
        with snapshot(self._engine) as connection:
            return _entries(connection, connection.execute(following).scalars().all())


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


def _entries(connection: sa.Connection, numbers: Sequence[str]) -> Entries:
    found: dict[str, tuple[Entry, ...]] = dict.fromkeys(numbers, ())
    statement = sa.select(*_ENTRY).where(entries.c.number.in_(numbers), _IN_FORCE).order_by(entries.c.id)
    for row in connection.execute(statement):
        found[row.number] += (Entry(**row._mapping),)
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
