"""The registry lists in SQL: what they are, their generations, and the blocks of numbers. All of it blocks.

A generation comes about in three steps: `begin`, `add_blocks` as often as needed, each in a transaction of
its own that is over in milliseconds (decisions are written to the same database meanwhile), and `switch`,
which alone puts it in force. Until then nothing that a call is checked against has changed; an importer that
dies leaves a generation `loading`, which the next one cleans away. Every method raises SqlError.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypedDict

import sqlalchemy as sa

from callguard.database import ordered_write, snapshot, write
from callguard.errors import InputError
from callguard.lists.blockstore import BlockStore
from callguard.lists.model import Action, generation_key
from callguard.lists.tables import blocks, changes, generations, registries


@dataclass(frozen=True, slots=True)
class NewRegistry:
    """A registry list to be created: its values are checked before (registry_rules)."""

    name: str
    jurisdiction: str
    kind: str
    calling_code: str
    coverage: tuple[str, ...]
    allowed_age_days: int | None
    layout: str
    """The JSON of how its files are read."""


class RegistryChange(TypedDict, total=False):
    """What is to be changed of a registry list, its values checked before (registryrules)."""

    kind: str
    coverage: tuple[str, ...]
    allowed_age_days: int | None
    layout: str


@dataclass(frozen=True, slots=True)
class Generation:
    """A row of the history of a registry list."""

    id: int
    token: str
    registry: int
    version: int
    state: str
    content: int
    mode: str
    file: str
    digest: str
    data_date: date | None
    begun_at: datetime
    ended_at: datetime | None
    who: str
    block_size: int
    blocks: int
    numbers: int
    added: int
    removed: int
    rejected: int

    @property
    def key(self) -> str:
        """Its name in Redis."""
        return generation_key(self.id, self.token)


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry list as its administrators see it."""

    id: int
    name: str
    jurisdiction: str
    kind: str
    calling_code: str
    coverage: tuple[str, ...]
    allowed_age_days: int | None
    layout: str
    generation: int | None
    """The id of the one in force; None while nothing was imported."""
    created_at: datetime
    created_by: str
    dropped_at: datetime | None


@dataclass(frozen=True, slots=True)
class Counts:
    """What a new generation holds, and how it differs from the one before."""

    blocks: int
    numbers: int
    added: int
    removed: int
    rejected: int


class RegistryStore(BlockStore):
    """The registry lists of one database."""

    def create(self, new: NewRegistry, *, by: str) -> Registry:
        """Create a list, with nothing imported yet. Raises InputError if there is one of the name."""
        at = datetime.now(UTC)
        with ordered_write(self.engine) as connection:
            if connection.execute(_named(new.name)).first() is not None:
                raise InputError(f"there is a list {new.name} already", where="name", allowed="a new name")
            row = connection.execute(
                registries.insert()
                .values(
                    name=new.name,
                    jurisdiction=new.jurisdiction,
                    kind=new.kind,
                    calling_code=new.calling_code,
                    coverage=json.dumps(new.coverage),
                    allowed_age_days=new.allowed_age_days,
                    layout=new.layout,
                    created_at=at,
                    created_by=by,
                )
                .returning(*registries.c)
            ).one()
            _log(connection, Action.CREATE, row.id, None, at=at, who=by)
            return registry_of(row)

    def find(self, name: str) -> Registry | None:
        """The list of that name, unless it was dropped."""
        with snapshot(self.engine) as connection:
            row = connection.execute(_named(name)).first()
        return None if row is None else registry_of(row)

    def all(self) -> tuple[Registry, ...]:
        """Every list that was not dropped, by name."""
        statement = sa.select(registries).where(registries.c.dropped_at.is_(None)).order_by(registries.c.name)
        with snapshot(self.engine) as connection:
            return tuple(registry_of(row) for row in connection.execute(statement))

    def history(self, registry: int) -> tuple[Generation, ...]:
        """Every generation of a list, newest first."""
        statement = (
            sa.select(generations).where(generations.c.registry == registry).order_by(generations.c.id.desc())
        )
        with snapshot(self.engine) as connection:
            return tuple(Generation(**row._mapping) for row in connection.execute(statement))

    def generation(self, identity: int) -> Generation:
        """One generation by its id. Raises InputError if there is none."""
        with snapshot(self.engine) as connection:
            row = connection.execute(sa.select(generations).where(generations.c.id == identity)).first()
        if row is None:
            raise InputError(f"there is no generation {identity}", where="generation")
        return Generation(**row._mapping)

    def begin(
        self,
        registry: int,
        *,
        mode: str,
        file: str,
        digest: str,
        data_date: date | None,
        who: str,
        block_size: int,
    ) -> Generation:
        """Begin a generation."""
        with ordered_write(self.engine) as connection:
            identity = _insert_generation(
                connection,
                registry=registry,
                content=0,
                mode=mode,
                file=file,
                digest=digest,
                data_date=data_date,
                who=who,
                block_size=block_size,
            )
            own = generations.update().where(generations.c.id == identity).values(content=identity)
            row = connection.execute(own.returning(*generations.c)).one()
            return Generation(**row._mapping)

    def begin_rollback(self, registry: int, *, who: str) -> Generation:
        """Begin a generation that repeats the one that was in force before: its blocks are there already, so
        that only `switch` is left to do. Raises InputError if there is none to go back to."""
        with ordered_write(self.engine) as connection:
            chosen = sa.select(registries).where(registries.c.id == registry)
            in_force = connection.execute(chosen).one().generation
            ready = (
                sa.select(generations)
                .where(generations.c.registry == registry, generations.c.state == "ready")
                .order_by(generations.c.id.desc())
            )
            found = {row.id: row for row in connection.execute(ready)}
            undone = found.pop(in_force, None)
            if undone is None or not found:
                raise InputError(
                    "there is no generation before this one to go back to",
                    where="rollback",
                    allowed="a list that was imported twice",
                )
            before = next(iter(found.values()))
            identity = _insert_generation(
                connection,
                registry=registry,
                content=before.content,
                mode="rollback",
                file=before.file,
                digest=before.digest,
                data_date=before.data_date,
                who=who,
                block_size=before.block_size,
                blocks=before.blocks,
                numbers=before.numbers,
                # The one before is what the present one was made from.
                added=undone.removed,
                removed=undone.added,
            )
            row = connection.execute(sa.select(generations).where(generations.c.id == identity)).one()
            return Generation(**row._mapping)

    def switch(self, generation: int, counts: Counts, *, instead_of: int | None, why: str) -> int:
        """Put a generation in force, in one transaction, in place of the one it was made from; its version.

        The one before stays, to roll back to; those before that are retired. Raises InputError if another
        import was faster, or the list was dropped meanwhile; then nothing is changed.
        """
        at = datetime.now(UTC)
        with ordered_write(self.engine) as connection:
            new = connection.execute(sa.select(generations).where(generations.c.id == generation)).one()
            registry = connection.execute(sa.select(registries).where(registries.c.id == new.registry)).one()
            others = registry.generation != instead_of or registry.dropped_at is not None
            if others or new.state != "loading":
                raise InputError(
                    f"list {registry.name} was changed by somebody else during this import",
                    where=registry.name,
                    allowed="import the file again",
                )
            ready = generations.c.state == "ready"
            version = _next_version(connection, registry.id)
            connection.execute(
                generations.update()
                .where(generations.c.registry == registry.id, ready, generations.c.id != instead_of)
                .values(state="retired")
            )
            connection.execute(
                generations.update()
                .where(generations.c.id == generation)
                .values(
                    state="ready",
                    version=version,
                    ended_at=at,
                    blocks=counts.blocks,
                    numbers=counts.numbers,
                    added=counts.added,
                    removed=counts.removed,
                    rejected=counts.rejected,
                )
            )
            _put_in_force(connection, registry.id, generation, at=at, who=new.who, why=why)
            return version

    def fail(self, generation: int) -> None:
        """Give up a generation that never came into force."""
        with write(self.engine) as connection:
            connection.execute(
                generations.update()
                .where(generations.c.id == generation, generations.c.state == "loading")
                .values(state="failed", ended_at=datetime.now(UTC))
            )

    def fail_dead(self, registry: int) -> bool:
        """Give up what importers that died have begun; whether there was any.

        The caller alone imports this list (importlock).
        """
        with write(self.engine) as connection:
            failed = connection.execute(
                generations.update()
                .where(generations.c.registry == registry, generations.c.state == "loading")
                .values(state="failed", ended_at=datetime.now(UTC))
            )
            return failed.rowcount > 0

    def change(self, registry: int, change: RegistryChange, *, by: str) -> bool:
        """Change what a list is; its numbers stay. False if it is so already.

        The change log keeps the values before. Raises InputError if the list was dropped.
        """
        at = datetime.now(UTC)
        live = registries.c.id == registry, registries.c.dropped_at.is_(None)
        with ordered_write(self.engine) as connection:
            row = connection.execute(sa.select(registries).where(*live)).first()
            if row is None:
                raise InputError("somebody else dropped it", where="list")
            new: dict[str, Any] = dict(change)
            if "coverage" in new:
                new["coverage"] = json.dumps(new["coverage"])
            new = {name: value for name, value in new.items() if row._mapping[name] != value}
            if not new:
                return False
            connection.execute(registries.update().where(*live).values(new))
            why = "; ".join(f"{name}: {row._mapping[name]} -> {value}" for name, value in new.items())
            _log(connection, Action.CHANGE, registry, None, at=at, who=by, why=why)
            return True

    def drop(self, registry: int, *, by: str) -> None:
        """Give a list up: calls are no longer checked against it. Its history stays.

        The caller alone imports this list (importlock). Raises InputError if it was dropped already.
        """
        at = datetime.now(UTC)
        with ordered_write(self.engine) as connection:
            dropped = connection.execute(
                registries.update()
                .where(registries.c.id == registry, registries.c.dropped_at.is_(None))
                .values(dropped_at=at, generation=None)
            )
            if dropped.rowcount != 1:
                raise InputError("somebody else dropped it already", where="list")
            own = generations.update().where(generations.c.registry == registry)
            connection.execute(own.where(generations.c.state == "ready").values(state="retired"))
            # Its importer died.
            dead = own.where(generations.c.state == "loading")
            connection.execute(dead.values(state="failed", ended_at=at))
            _log(connection, Action.DROP, registry, None, at=at, who=by)

    def doomed(self, registry: int) -> tuple[int, ...]:
        """The contents of a list, and of those that were dropped, that have blocks, though no generation that
        is loading or ready has them."""
        # Who drops a list may die before its blocks are gone, and nobody imports into it again.
        dropped = sa.select(registries.c.id).where(registries.c.dropped_at.is_not(None))
        chosen = (generations.c.registry == registry) | generations.c.registry.in_(dropped)
        of_list = sa.select(generations.c.content).where(chosen).distinct()
        needed = of_list.where(generations.c.state.in_(["loading", "ready"]))
        has_blocks = sa.exists().where(blocks.c.content == generations.c.content)
        statement = of_list.where(generations.c.content.not_in(needed), has_blocks)
        with snapshot(self.engine) as connection:
            return tuple(sorted(connection.execute(statement).scalars()))


def _named(name: str) -> sa.Select[Any]:
    return sa.select(registries).where(registries.c.name == name, registries.c.dropped_at.is_(None))


def registry_of(row: sa.Row[Any]) -> Registry:
    """The list that a row describes which has all columns of the table, and maybe others."""
    values = {column.name: row._mapping[column.name] for column in registries.c}
    return Registry(**{**values, "coverage": tuple(json.loads(row.coverage))})


def _insert_generation(connection: sa.Connection, **values: Any) -> int:
    """In an ordered write: ids become visible in their order, as the sweep of Redis relies on (sync.py)."""
    counts = dict.fromkeys(("blocks", "numbers", "added", "removed", "rejected", "version"), 0)
    now, token = datetime.now(UTC), secrets.token_hex(4)
    row = {**counts, "state": "loading", "begun_at": now, "token": token, **values}
    identity: int = connection.execute(
        generations.insert().values(row).returning(generations.c.id)
    ).scalar_one()
    return identity


def _next_version(connection: sa.Connection, registry: int) -> int:
    newest = connection.execute(
        sa.select(sa.func.max(generations.c.version)).where(generations.c.registry == registry)
    ).scalar()
    return (newest or 0) + 1


def _put_in_force(
    connection: sa.Connection, registry: int, generation: int, *, at: datetime, who: str, why: str
) -> None:
    connection.execute(registries.update().where(registries.c.id == registry).values(generation=generation))
    _log(connection, Action.SWITCH, registry, generation, at=at, who=who, why=why)


def _log(
    connection: sa.Connection,
    action: Action,
    registry: int,
    generation: int | None,
    *,
    at: datetime,
    who: str,
    why: str = "",
) -> None:
    connection.execute(
        changes.insert().values(
            at=at, who=who, why=why, action=action, registry=registry, generation=generation
        )
    )
