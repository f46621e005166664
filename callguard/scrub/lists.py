"""All lists in memory, to look up leads by the hundred thousand.

Of the internal entries and the exemptions only those are held that can matter to a call of one project at one
instant, and of each only what screening decides by: a million of them take some 20 MB. Registry lists are
held as blocks, a quarter of a billion numbers in 0.4 GB.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from callguard.database import UtcTime, snapshot
from callguard.errors import SqlError
from callguard.lists.blockindex import BlockIndex
from callguard.lists.model import RegistryList
from callguard.lists.packing import Numbers
from callguard.lists.prefixes import Prefixes
from callguard.lists.registries import RegistryStore
from callguard.lists.store import ListStore
from callguard.lists.tables import changes, entries
from callguard.lists.words import ENTRIES, IN_FORCE
from callguard.screening.patterns import LONGEST_NUMBER, Shape, shape_of
from callguard.scrub.listed import (
    NONE,
    EntryKind,
    Exemptions,
    ExemptionSort,
    Listed,
    among,
    listed,
    oldest_in_force,
)

Indices = NDArray[np.int64]

_AT_ONCE = 20_000
"""Entries read by one statement: a database may have to answer each within its timeout."""
_TRIES = 5


class RegistryIndex:
    """One registry list, with all its numbers."""

    def __init__(self, registry: RegistryList, chunks: Iterator[Sequence[tuple[int, bytes]]]) -> None:
        self.registry = registry
        self._country = Prefixes([registry.calling_code])
        self._covered = Prefixes(registry.coverage) if registry.coverage else None
        self._blocks = 0
        self._index = BlockIndex(self._counted(chunks), registry.block_size) if registry.generation else None

    def states(self, numbers: Numbers) -> Indices:
        """What the list says of each number, as an integer: 0 for nothing, as of other countries' numbers;
        else 1, and 1 more if it is listed, and 2 more if the list covers the number's area."""
        states = self._country.of(numbers).astype(np.int64)
        own = np.flatnonzero(states)
        if self._index is not None and len(own):
            numbers = numbers[own]
            states[own] += self._index.contains(numbers)
            states[own] += 2 if self._covered is None else 2 * self._covered.of(numbers)
        return states

    def check_whole(self) -> None:
        """Raises SqlError if blocks of the list are missing: their numbers would seem to be on no list."""
        registry = self.registry
        if self._blocks != registry.blocks:
            raise SqlError(
                f"{self._blocks} blocks of list {registry.name} are there, of {registry.blocks}",
                remedy="import the list again or roll it back",
            )

    def _counted(
        self, chunks: Iterator[Sequence[tuple[int, bytes]]]
    ) -> Iterator[Sequence[tuple[int, bytes]]]:
        for chunk in chunks:
            self._blocks += len(chunk)
            yield chunk

    @staticmethod
    def is_listed(state: int) -> bool:
        return state in {2, 4}


STATES = 5
"""How many states of a registry list there are."""


@dataclass(frozen=True, slots=True)
class Lists:
    """What all lists say to calls of one project at one instant."""

    position: int
    """The position in the change log that the internal lists are of."""
    registries: tuple[RegistryIndex, ...]
    numbers: Listed
    patterns: tuple[tuple[Shape, Listed], ...]
    sets: tuple[frozenset[EntryKind], ...]
    """Sets of entries, of numbers and patterns."""
    exempt: Listed
    exemptions: tuple[frozenset[ExemptionSort], ...]
    """Sets of exemptions, of the numbers in `exempt`."""

    def entries_of_patterns(self, shape: Shape, listed: Listed, numbers: Numbers) -> Indices:
        """The index of the set of entries of each number's pattern of a shape; NONE where there is none."""
        digits = np.searchsorted(_POWERS, numbers, side="right")
        fits = digits == shape.prefix + shape.wild if shape.wild else digits >= shape.prefix
        found = np.full(len(numbers), NONE, np.int64)
        at = np.flatnonzero(fits)
        found[at] = listed.look_up(numbers[at] // _POWERS[digits[at] - shape.prefix])
        return found


_POWERS = np.array([10**power for power in range(LONGEST_NUMBER + 1)], np.uint64)


def load(engine: sa.Engine, *, project: str | None, at: datetime, months: Iterable[int] = ()) -> Lists:
    """Take all lists from SQL, as they are together at one position. Raises SqlError.

    `months`: for how long exemptions may be in force, by any rule.
    """
    store, registry_store = ListStore(engine), RegistryStore(engine)
    ends = [oldest_in_force(at, month) for month in set(months)]
    for _ in range(_TRIES):
        registries = store.catalogue().registries
        indices = tuple(
            RegistryIndex(registry, registry_store.chunks(registry.content)) for registry in registries
        )
        lists = _with_words(engine, indices, project=project, at=at, ends=ends)
        # A switch in the meantime may also have taken away blocks that were still to be read.
        if store.catalogue().registries == registries:
            for index in indices:
                index.check_whole()
            return lists
    raise SqlError("the registry lists change all the time", remedy="wait for the imports that are going on")


def _with_words(
    engine: sa.Engine,
    registries: tuple[RegistryIndex, ...],
    *,
    project: str | None,
    at: datetime,
    ends: Sequence[int],
) -> Lists:
    # Only what can matter: screening would pass over all others, one by one.
    in_force = [
        IN_FORCE,
        sa.or_(entries.c.project.is_(None), entries.c.project == project),
        sa.or_(entries.c.expires_at.is_(None), entries.c.expires_at > at),
    ]
    with snapshot(engine) as connection:
        position = connection.execute(sa.select(sa.func.max(changes.c.position))).scalar() or 0
        exemptions = Exemptions()
        started = [*in_force, sa.not_(ENTRIES), entries.c.starts_at <= at]
        for rows in _pages(connection, (entries.c.exemption, entries.c.starts_at), started):
            exemptions.add(rows)
        builder = _Entries(exemptions.numbers())
        for rows in _pages(connection, (entries.c.category, entries.c.added_at), [*in_force, ENTRIES]):
            builder.add(rows)
    numbers, patterns, sets = builder.listed()
    exempt, of_exempt = exemptions.sorted_by(builder.exempt_too, [*ends, *builder.of_patterns])
    return Lists(position, registries, numbers, patterns, sets, exempt, of_exempt)


def _pages(
    connection: sa.Connection, columns: Sequence[sa.Column[Any]], wanted: Sequence[sa.ColumnElement[bool]]
) -> Iterator[Sequence[Any]]:
    """Rows of id, number, project, purposes and these columns, with instants as they are stored."""
    shown = [
        sa.type_coerce(column, sa.BigInteger()) if isinstance(column.type, UtcTime) else column
        for column in columns
    ]
    page = sa.select(entries.c.id, entries.c.number, entries.c.project, entries.c.purposes, *shown)
    page = page.where(*wanted).order_by(entries.c.id).limit(_AT_ONCE)
    after = 0
    while rows := connection.execute(page.where(entries.c.id > after)).all():
        after = rows[-1].id
        yield rows


class _Entries:
    """Gathers entries by number and shape."""

    def __init__(self, exempt: Numbers) -> None:
        """`exempt`: the numbers that have exemptions, rising: when their entries were added matters."""
        self._exempt = exempt
        self._kinds: dict[tuple[str, str | None, str, int | None], int] = {}
        self._plain: list[tuple[Numbers, Indices]] = []
        self._patterns: dict[Shape, list[tuple[int, int]]] = {}
        self.exempt_too: set[int] = set()
        """The numbers that have both entries of their own and exemptions."""
        self.of_patterns: set[int] = set()
        """When the entries of patterns were added."""

    def add(self, rows: Sequence[Any]) -> None:
        """Take in rows of id, number, project, purposes, category and the instant of adding."""
        kinds = self._kinds
        plain: list[int] = []
        of_plain: list[int] = []
        added: list[int] = []
        for _, number, project, purposes, category, added_at in rows:
            shape = None if number[-1].isdecimal() else shape_of(number)
            if shape is None:
                plain.append(int(number))
                of_plain.append(kinds.setdefault((category, project, purposes, None), len(kinds)))
                added.append(added_at)
            else:
                kind = kinds.setdefault((category, project, purposes, added_at), len(kinds))
                self._patterns.setdefault(shape, []).append((int(number[1 : shape.prefix + 1]), kind))
                self.of_patterns.add(added_at)
        numbers, of_numbers = np.array(plain, np.uint64), np.array(of_plain, np.int64)
        exempt = np.flatnonzero(among(self._exempt, numbers)).tolist()
        if exempt:
            every = list(kinds)
            for at in exempt:
                exact = (*every[of_plain[at]][:3], added[at])
                of_numbers[at] = kinds.setdefault(exact, len(kinds))
                self.exempt_too.add(plain[at])
        self._plain.append((numbers, of_numbers))

    def listed(self) -> tuple[Listed, tuple[tuple[Shape, Listed], ...], tuple[frozenset[EntryKind], ...]]:
        """Numbers, patterns by shape, and the sets of entries that both have."""
        sets: dict[frozenset[int], int] = {}
        numbers = listed(
            np.concatenate([np.zeros(0, np.uint64), *(keys for keys, _ in self._plain)]),
            np.concatenate([np.zeros(0, np.int64), *(kinds for _, kinds in self._plain)]),
            sets,
        )
        patterns = tuple(
            (
                shape,
                listed(
                    np.array([key for key, _ in found], np.uint64),
                    np.array([kind for _, kind in found], np.int64),
                    sets,
                ),
            )
            for shape, found in sorted(self._patterns.items())
        )
        kinds = [EntryKind(*kind) for kind in self._kinds]
        return numbers, patterns, tuple(frozenset(kinds[kind] for kind in of_set) for of_set in sets)
