"""All lists in memory, to look up leads by the hundred thousand.

Of the internal entries only those are held that can bind a call of one project at one instant, and of each
only what screening decides by: a million of them take some 20 MB. Registry lists are held as blocks, a
quarter of a billion numbers in 0.4 GB.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from callguard.database import snapshot
from callguard.errors import SqlError
from callguard.lists.blockindex import BlockIndex
from callguard.lists.model import RegistryList
from callguard.lists.packing import Numbers
from callguard.lists.prefixes import Prefixes
from callguard.lists.registries import RegistryStore
from callguard.lists.store import ListStore
from callguard.lists.tables import changes, entries
from callguard.screening.patterns import LONGEST_NUMBER, Shape, shape_of

Indices = NDArray[np.int64]

NONE = -1

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
class Listed:
    """Numbers, or the digits before the wildcard of patterns, each with what is listed of it."""

    keys: Numbers
    """Rising."""
    sets: Indices
    """For each key, the index of its set of entries in Lists.sets."""

    def look_up(self, keys: Numbers) -> Indices:
        """The index of each key's set of entries; NONE for a key that is not there."""
        if not len(self.keys):
            return np.full(len(keys), NONE, np.int64)
        # In rising order the search stays in the processor's cache: it is worth the sorting.
        order = np.argsort(keys)
        rising = keys[order]
        at = np.searchsorted(self.keys, rising)
        at[at == len(self.keys)] = 0
        found = np.empty(len(keys), np.int64)
        found[order] = np.where(self.keys[at] == rising, self.sets[at], NONE)
        return found


@dataclass(frozen=True, slots=True)
class Lists:
    """What all lists say to calls of one project at one instant."""

    position: int
    """The position in the change log that the internal lists are of."""
    registries: tuple[RegistryIndex, ...]
    numbers: Listed
    patterns: tuple[tuple[Shape, Listed], ...]
    sets: tuple[frozenset[tuple[str, str | None]], ...]
    """Sets of entries, each as the category and project of those in it."""

    def entries_of_patterns(self, shape: Shape, listed: Listed, numbers: Numbers) -> Indices:
        """The index of the set of entries of each number's pattern of a shape; NONE where there is none."""
        digits = np.searchsorted(_POWERS, numbers, side="right")
        fits = digits == shape.prefix + shape.wild if shape.wild else digits >= shape.prefix
        found = np.full(len(numbers), NONE, np.int64)
        at = np.flatnonzero(fits)
        found[at] = listed.look_up(numbers[at] // _POWERS[digits[at] - shape.prefix])
        return found


_POWERS = np.array([10**power for power in range(LONGEST_NUMBER + 1)], np.uint64)


def load(engine: sa.Engine, *, project: str | None, at: datetime) -> Lists:
    """Take all lists from SQL, as they are together at one position. Raises SqlError."""
    store, registry_store = ListStore(engine), RegistryStore(engine)
    for _ in range(_TRIES):
        registries = store.catalogue().registries
        indices = tuple(
            RegistryIndex(registry, registry_store.chunks(registry.content)) for registry in registries
        )
        lists = _with_entries(engine, indices, project=project, at=at)
        # A switch in the meantime may also have taken away blocks that were still to be read.
        if store.catalogue().registries == registries:
            for index in indices:
                index.check_whole()
            return lists
    raise SqlError("the registry lists change all the time", remedy="wait for the imports that are going on")


def _with_entries(
    engine: sa.Engine, registries: tuple[RegistryIndex, ...], *, project: str | None, at: datetime
) -> Lists:
    builder = _Builder()
    # Only what binds: screening would pass over all others, one by one.
    binding = [
        entries.c.removed_at.is_(None),
        sa.or_(entries.c.project.is_(None), entries.c.project == project),
        sa.or_(entries.c.expires_at.is_(None), entries.c.expires_at > at),
    ]
    wanted = sa.select(entries.c.id, entries.c.number, entries.c.category, entries.c.project)
    after = 0
    with snapshot(engine) as connection:
        position = connection.execute(sa.select(sa.func.max(changes.c.position))).scalar() or 0
        while True:
            following = wanted.where(entries.c.id > after, *binding).order_by(entries.c.id).limit(_AT_ONCE)
            rows = connection.execute(following).all()
            if not rows:
                break
            after = rows[-1].id
            builder.add(rows)
    return builder.lists(position, registries)


class _Builder:
    """Gathers entries by number and shape."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str | None], int] = {}
        self._plain: list[tuple[Numbers, Indices]] = []
        self._patterns: dict[Shape, list[tuple[int, int]]] = {}
        self._sets: dict[frozenset[int], int] = {}

    def add(self, rows: Sequence[Any]) -> None:
        """Take in rows of id, number, category and project."""
        kinds = self._kinds
        plain: list[int] = []
        of_plain: list[int] = []
        for _, number, category, project in rows:
            kind = kinds.setdefault((category, project), len(kinds))
            shape = None if number[-1].isdecimal() else shape_of(number)
            if shape is None:
                plain.append(int(number))
                of_plain.append(kind)
            else:
                self._patterns.setdefault(shape, []).append((int(number[1 : shape.prefix + 1]), kind))
        self._plain.append((np.array(plain, np.uint64), np.array(of_plain, np.int64)))

    def lists(self, position: int, registries: tuple[RegistryIndex, ...]) -> Lists:
        numbers = self._listed(
            np.concatenate([np.zeros(0, np.uint64), *(keys for keys, _ in self._plain)]),
            np.concatenate([np.zeros(0, np.int64), *(kinds for _, kinds in self._plain)]),
        )
        patterns = tuple(
            (
                shape,
                self._listed(
                    np.array([key for key, _ in found], np.uint64),
                    np.array([kind for _, kind in found], np.int64),
                ),
            )
            for shape, found in sorted(self._patterns.items())
        )
        kinds = list(self._kinds)
        sets = tuple(frozenset(kinds[kind] for kind in of_set) for of_set in self._sets)
        return Lists(position, registries, numbers, patterns, sets)

    def _listed(self, keys: Numbers, kinds: Indices) -> Listed:
        order = np.argsort(keys, kind="stable")
        keys, kinds = keys[order], kinds[order]
        keys_once, begins, counts = np.unique(keys, return_index=True, return_counts=True)
        alone = np.array([self._set([kind]) for kind in range(len(self._kinds))], np.int64)
        sets: Indices = alone[kinds[begins]]
        for at in np.flatnonzero(counts > 1).tolist():
            sets[at] = self._set(kinds[begins[at] : begins[at] + counts[at]].tolist())
        return Listed(keys_once, sets)

    def _set(self, kinds: Sequence[int]) -> int:
        return self._sets.setdefault(frozenset(kinds), len(self._sets))
