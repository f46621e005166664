"""Numbers with what is said of them, in memory, to be looked up by the hundred thousand. Pure."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from callguard.database import from_microseconds, microseconds
from callguard.lists.packing import Numbers
from callguard.screening.times import plus_months

Indices = NDArray[np.int64]

NONE = -1


class EntryKind(NamedTuple):
    """What screening decides by of an entry in force."""

    category: str
    project: str | None
    purposes: str
    """With a space between them."""
    added_at: int | None
    """In microseconds since 1970; None where no exemption can be older or younger than it."""


class ExemptionSort(NamedTuple):
    """What screening decides by of an exemption in force."""

    kind: str
    project: str | None
    purposes: str
    starts_at: int
    """In microseconds since 1970. Of exemptions that are younger than the same things, any one's."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Numbers, or the digits before the wildcard of patterns, each with what is listed of it."""

    keys: Numbers
    """Rising."""
    sets: Indices
    """For each key, the index of its set."""

    def look_up(self, keys: Numbers) -> Indices:
        """The index of each key's set; NONE for a key that is not there."""
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


def listed(keys: Numbers, kinds: Indices, sets: dict[frozenset[int], int]) -> Listed:
    """Keys with the set of the kinds that each of them has; a set that is new is put into `sets`."""
    order = np.argsort(keys, kind="stable")
    keys, kinds = keys[order], kinds[order]
    keys_once, begins, counts = np.unique(keys, return_index=True, return_counts=True)
    used, places = np.unique(kinds, return_inverse=True)
    alone = np.array([_index(sets, [kind]) for kind in used.tolist()], np.int64)
    found = alone[places[begins]] if len(keys) else np.zeros(0, np.int64)
    for at in np.flatnonzero(counts > 1).tolist():
        found[at] = _index(sets, kinds[begins[at] : begins[at] + counts[at]].tolist())
    return Listed(keys_once, found)


def _index(sets: dict[frozenset[int], int], kinds: Sequence[int]) -> int:
    return sets.setdefault(frozenset(kinds), len(sets))


def among(rising: Numbers, numbers: Numbers) -> NDArray[np.bool_]:
    """Tell which numbers are among those rising ones."""
    if not len(rising):
        return np.zeros(len(numbers), np.bool_)
    at = np.searchsorted(rising, numbers)
    at[at == len(rising)] = 0
    found: NDArray[np.bool_] = rising[at] == numbers
    return found


class Exemptions:
    """Gathers exemptions by number.

    When one was given matters only by what it is younger than: opt-outs, and the oldest that a rule still
    heeds. Of millions of consents, each with an instant of its own, few are of different sorts by that.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str | None, str], int] = {}
        self._rows: list[tuple[Numbers, Indices, Indices]] = []

    def add(self, rows: Sequence[Any]) -> None:
        """Take in rows of id, number, project, purposes, kind and start."""
        kinds = self._kinds
        self._rows.append(
            (
                np.array([int(row[1]) for row in rows], np.uint64),
                np.array([kinds.setdefault((row[4], row[2], row[3]), len(kinds)) for row in rows], np.int64),
                np.array([row[5] for row in rows], np.int64),
            )
        )

    def numbers(self) -> Numbers:
        """Every number that has one, rising."""
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *(row[0] for row in self._rows)]))

    def sorted_by(
        self, exact: Collection[int], instants: Iterable[int]
    ) -> tuple[Listed, tuple[frozenset[ExemptionSort], ...]]:
        """The exemptions by number, and the sets that are meant.

        `exact`: the numbers of which the very start matters, since they have entries of their own. For others
        it matters only which of these instants (microseconds since 1970) it is later than.
        """
        numbers = np.concatenate([np.zeros(0, np.uint64), *(row[0] for row in self._rows)])
        kinds = np.concatenate([np.zeros(0, np.int64), *(row[1] for row in self._rows)])
        starts = np.concatenate([np.zeros(0, np.int64), *(row[2] for row in self._rows)])
        limits = np.array(sorted(set(instants)), np.int64)
        later_than = np.searchsorted(limits, starts, side="left")
        is_exact = among(np.array(sorted(exact), np.uint64), numbers)
        # Exact ones by their start, which is beyond any count of limits or below none.
        rank = np.where(is_exact, starts, later_than)
        keys = np.stack([kinds, is_exact.astype(np.int64), rank], axis=1)
        _, first, of_row = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        said = list(self._kinds)
        sorts = [_sort(said[kinds[at]], int(starts[at])) for at in first.tolist()]
        sets: dict[frozenset[int], int] = {}
        by_number = listed(numbers, of_row.reshape(-1).astype(np.int64), sets)
        return by_number, tuple(frozenset(sorts[one] for one in of_set) for of_set in sets)


def _sort(said: tuple[str, str | None, str], starts_at: int) -> ExemptionSort:
    kind, project, purposes = said
    return ExemptionSort(kind, project, purposes, starts_at)


def oldest_in_force(at: datetime, months: int) -> int:
    """The last start, in microseconds since 1970, of which so many months have passed at an instant (aware);
    what started later is still in force."""
    at = at.astimezone(UTC)
    last = microseconds(at)

    # Months differ in length, so there is no counting back; but what starts later never ends earlier.
    def is_in_force(start: int) -> bool:
        return plus_months(from_microseconds(start), months) > at

    return bisect_left(range(last + 1), True, key=is_in_force) - 1
