"""How a new generation of a registry list comes from a file's numbers and the generation before. Pure.

Two ways lead to one. `replaced` packs the numbers of one stretch and tells how many of them were there
before; `changed` works a few additions and removals into the blocks of a stretch, and leaves the other
blocks as they are. Both give their blocks in rising order. Numbers are those of packing.py: rising, each
once.

This module imports numpy: imports of files may use it, the guard must not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from callguard.lists.packing import Block, Numbers, pack, unpack

NONE: Numbers = np.empty(0, dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a new generation."""

    rows: list[Block]
    added: int
    """Numbers that the generation before does not have."""
    removed: int = 0
    """Numbers that the generation before has and this one does not, as far as `changed` took them out."""
    kept: int = 0
    """Numbers that both have, as far as `replaced` looked at them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How a generation differs from the one before, in numbers."""

    before: int
    added: int
    removed: int

    @property
    def numbers(self) -> int:
        return self.before + self.added - self.removed

    @property
    def unchanged(self) -> int:
        return self.before - self.removed

    def shrinks_by(self) -> float:
        """By how many per cent of the numbers the list becomes smaller; 0 if it does not."""
        return max(0, self.before - self.numbers) * 100 / self.before if self.before else 0.0


def replaced(new: Numbers, size: int, old: Sequence[Block], old_size: int) -> Piece:
    """The blocks of a stretch's numbers. `old` are all blocks of the generation before that may hold some of
    them. Raises BadBlock for damaged ones."""
    rows = pack(new, size)
    if not old:
        return Piece(rows, added=len(new))
    if old_size != size:
        kept = _common(new, unpack(old, old_size))
        return Piece(rows, added=len(new) - kept, kept=kept)
    # Most blocks of a registry are from month to month the same, byte by byte: only the others are read.
    known = dict(old)
    others = [row for row in rows if known.get(row[0]) != row[1]]
    theirs = [(block, known[block]) for block, _ in others if block in known]
    differing = unpack(others, size)
    added = len(differing) - _common(differing, unpack(theirs, size))
    return Piece(rows, added=added, kept=len(new) - added)


def changed(old: Sequence[Block], added: Numbers, removed: Numbers, size: int) -> Piece:
    """The blocks of a stretch after a change; no number is both added and removed.

    Raises BadBlock for damaged blocks of those that change.
    """
    touched = set((np.concatenate([added, removed]) // np.uint64(size)).tolist())
    if not touched:
        return Piece(list(old), added=0)
    kept = [row for row in old if row[0] not in touched]
    before = unpack([row for row in old if row[0] in touched], size)
    left = np.setdiff1d(before, removed, assume_unique=True)
    after = np.union1d(left, added)
    rows = sorted(kept + pack(after, size), key=lambda row: row[0])
    return Piece(rows, added=len(after) - len(left), removed=len(before) - len(left))


class Changes:
    """The additions and removals of a change file, in its order: the last word about a number counts."""

    def __init__(self) -> None:
        self.added = NONE
        self.removed = NONE

    def __len__(self) -> int:
        return len(self.added) + len(self.removed)

    def then(self, added: Numbers, removed: Numbers) -> None:
        """Further lines, in any order, none about the same number as another with another word."""
        added, removed = np.unique(added), np.unique(removed)
        self.added = np.union1d(np.setdiff1d(self.added, removed, assume_unique=True), added)
        self.removed = np.union1d(np.setdiff1d(self.removed, added, assume_unique=True), removed)


def between(numbers: Numbers, start: int, stop: int | None) -> Numbers:
    """Those of rising numbers that lie from `start` to before `stop`."""
    first = np.searchsorted(numbers, np.uint64(start))
    last = len(numbers) if stop is None else np.searchsorted(numbers, np.uint64(stop))
    return numbers[first:last]


def _common(some: Numbers, others: Numbers) -> int:
    return len(np.intersect1d(some, others, assume_unique=True))
