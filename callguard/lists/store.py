"""The lists in SQL, the truth: internal entries, exemptions, and what every list says about a number.

Every write adds to the change log in its own transaction. All of it blocks, and raises SqlError; asyncio code
calls it through SqlThreads.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from callguard.database import meta, microseconds, ordered_write, snapshot
from callguard.errors import SqlError
from callguard.lists.blocks import BadBlock
from callguard.lists.blockstore import BlockStore
from callguard.lists.hits import Questions
from callguard.lists.model import (
    Action,
    Catalogue,
    Change,
    Mark,
    NewEntry,
    NewExemption,
    RegistryList,
    Word,
    generation_key,
)
from callguard.lists.tables import blocks, changes, entries, generations, registries
from callguard.lists.words import ENTRIES, IN_FORCE, WORD, add_word, remove_words, word_of
from callguard.screening.model import Entry, Exemption, ExemptionKind, Hits, RegistryHit
from callguard.screening.patterns import patterns_for, shape_from

Words = Mapping[str, tuple[Word, ...]]
"""Number or pattern -> its entries and exemptions in force, expired ones too, in the order of their ids;
empty if there are none."""

GUARD = "guard"
"""Who uses an override up, in the change log."""

_MARK = sa.select(
    sa.select(meta.c.value).where(meta.c.key == "database").scalar_subquery(),
    sa.select(changes.c.position).order_by(changes.c.position.desc()).limit(1).scalar_subquery(),
    sa.select(changes.c.at).order_by(changes.c.position.desc()).limit(1).scalar_subquery(),
)
_OF_NUMBERS = (
    sa.select(*WORD)
    .where(entries.c.number.in_(sa.bindparam("of", expanding=True)), IN_FORCE)
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
_SHAPES = sa.select(entries.c.shape).where(entries.c.shape.is_not(None), IN_FORCE).distinct()


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed between two marks."""

    mark: Mark
    """The mark that one arrives at. It is the newest, unless `more`."""
    words: Words
    """Every number and pattern that changed, with its words as they are now: never older than `mark`."""
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
        """Add an entry, unless one in force says the very same already (whoever added it), and no
        exemption was given since: then the person has said it again.

        Returns the entry in force, and whether it is new.
        """
        with ordered_write(self._engine) as connection:
            entry, added = add_word(connection, new, why=new.reason)
            assert isinstance(entry, Entry)  # noqa: S101
            return entry, added

    def add_exemption(self, new: NewExemption) -> tuple[Exemption, bool]:
        """Add an exemption, likewise."""
        with ordered_write(self._engine) as connection:
            exemption, added = add_word(connection, new, why=new.evidence)
            assert isinstance(exemption, Exemption)  # noqa: S101
            return exemption, added

    def remove(
        self, number: str, *, by: str, why: str, project: str | None = None, category: str | None = None
    ) -> tuple[Entry, ...]:
        """Take the number's entries out of force, of one project (or category) only, if that is given.

        An empty `project` means the entries that bind the whole company. They stay in the database, as
        history. Returns what was in force until now. Exemptions are not touched.
        """
        wanted = [entries.c.number == number, ENTRIES, *_of_project(project)]
        if category is not None:
            wanted.append(entries.c.category == category)
        with ordered_write(self._engine) as connection:
            removed = remove_words(connection, wanted, who=by, why=why)
        return tuple(word for word in removed if isinstance(word, Entry))

    def end_exemptions(
        self,
        number: str,
        *,
        by: str,
        why: str,
        project: str | None = None,
        kind: ExemptionKind | None = None,
        ids: Collection[int] | None = None,
    ) -> tuple[Exemption, ...]:
        """Take the number's exemptions out of force, of one project (or kind, or of some ids) only, as
        `remove` does."""
        wanted = [entries.c.number == number, sa.not_(ENTRIES), *_of_project(project)]
        if ids is not None:
            wanted.append(entries.c.id.in_(ids))
        if kind is not None:
            wanted.append(entries.c.exemption == str(kind))
        with ordered_write(self._engine) as connection:
            ended = remove_words(connection, wanted, who=by, why=why)
        return tuple(word for word in ended if isinstance(word, Exemption))

    def use_override(self, override: Exemption, decision_id: str) -> bool:
        """Take an override for one call out of force, for the call of this decision.

        True for the one caller that got it; False if it is not in force any more.
        """
        # Not the id alone: a database that was restored from a backup gives an id again.
        wanted = [
            entries.c.id == override.id,
            entries.c.number == override.number,
            entries.c.exemption == str(ExemptionKind.OVERRIDE),
            entries.c.added_at == override.added_at,
            entries.c.once,
        ]
        with ordered_write(self._engine) as connection:
            return bool(remove_words(connection, wanted, who=GUARD, why=decision_id))

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

        The entries in force of the number and of every pattern that it matches, and the number's exemptions,
        each in the order of their ids.
        """
        with snapshot(self._engine) as connection:
            mark = _mark(connection)
            catalogue = self._catalogue(connection, mark)
            of = [number, *patterns_for(number, catalogue.shapes)]
            found = [word_of(row) for row in connection.execute(_OF_NUMBERS, {"of": of})]
            return Hits(
                entries=tuple(word for word in found if isinstance(word, Entry)),
                position=mark.position,
                origin="sql",
                registries=_registry_hits(connection, number, catalogue),
                exemptions=tuple(word for word in found if isinstance(word, Exemption)),
            )

    def lookup_words(self, numbers: Sequence[str]) -> tuple[Mark, Words]:
        """The version of the lists, and the entries and exemptions in force of some numbers and patterns
        themselves."""
        with snapshot(self._engine) as connection:
            return _mark(connection), _words(connection, numbers)

    def history(self, number: str) -> tuple[Change, ...]:
        """Every change that concerned the number's (or the pattern's) own entries and exemptions, oldest
        first."""
        joined = changes.join(entries, changes.c.entry == entries.c.id)
        chosen = sa.select(changes, *(column.label(f"word_{column.name}") for column in WORD))
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
                word=word_of([row[f"word_{column.name}"] for column in WORD]),
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
                sa.select(changes.c.position, changes.c.number)
                .where(changes.c.position > mark.position)
                .order_by(changes.c.position)
                .limit(limit)
            ).all()
            if not rows:
                return Delta(mark=now, words={}, catalogue=self._catalogue(connection, now), more=False)
            last = rows[-1].position
            at = connection.execute(sa.select(changes.c.at).where(changes.c.position == last)).scalar_one()
            arrived = Mark(now.database, last, microseconds(at))
            # A change to a registry list names no number.
            numbers = sorted({row.number for row in rows if row.number is not None})
            return Delta(
                mark=arrived,
                words=_words(connection, numbers),
                catalogue=self._catalogue(connection, now),
                more=arrived != now,
            )

    def chunk(self, after: str, limit: int = 2000) -> Words:
        """The entries and exemptions in force of the next `limit` numbers and patterns after one of them
        (first: the empty string), in the database's order; empty after the last."""
        following = (
            sa.select(entries.c.number)
            .where(IN_FORCE, entries.c.number > after)
            .order_by(entries.c.number)
            .distinct()
            .limit(limit)
        )
        with snapshot(self._engine) as connection:
            return _words(connection, connection.execute(following).scalars().all())

    def count(self) -> int:
        """How many numbers and patterns have entries or exemptions in force."""
        statement = sa.select(sa.func.count(entries.c.number.distinct())).where(IN_FORCE)
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


def _words(connection: sa.Connection, numbers: Sequence[str]) -> Words:
    found: dict[str, tuple[Word, ...]] = dict.fromkeys(numbers, ())
    # All at once: one by one they take half as long again.
    for row in connection.execute(_OF_NUMBERS, {"of": numbers}).all():
        word = word_of(row)
        found[word.number] += (word,)
    return found


def _of_project(project: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if project is None else [entries.c.project == (project or None)]
