"""Numbers by the hundred million in their order, each once, from chunks in any order. Pure.

An importer reads a registry's file in chunks, on several threads, and adds each chunk's numbers as they come.
Each becomes a run: sorted, each number once. Then the numbers are read back in ranges: the runs' parts that
lie in a range are put together and sorted, one range a thread.

A number takes some four bytes: the upper 32 bits of a run's numbers are kept once for all that share them,
which is most of a country. 250 million numbers take about 1 GB.

This module imports numpy: imports of files and scrubs may use it, the guard must not.
"""

from collections.abc import Iterator
from itertools import pairwise
from threading import Lock
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from callguard.lists.blocks import SIZES
from callguard.lists.packing import Numbers, best_size
from callguard.lists.prefixes import Prefixes

_RUN = 1 << 20
"""Chunks wait until there are this many numbers: many small runs would be slow to put together."""
_AT_ONCE = 1 << 24
"""Numbers that `merged` puts together at once: a file that repeats its numbers costs it time, not memory."""
_SAMPLES, _SAMPLE = 16, 500_000
"""Ranges that the block size is judged by, and the numbers of each, about."""

_Some = TypeVar("_Some", bound=np.unsignedinteger)
_Offsets: TypeAlias = NDArray[np.uint32]


class NumberRuns:
    """Numbers that come in any order, any number of times.

    `add` may be called by several threads at once, `merged` too, but not while others add.
    """

    def __init__(self, counted: Prefixes | None = None) -> None:
        """`counted`: those whose numbers are counted."""
        self._counted = counted
        self._within = 0
        self._lock = Lock()
        self._waiting: list[Numbers] = []
        self._waiting_numbers = 0
        self._runs: list[_Run] = []
        self._kept = 0

    def __len__(self) -> int:
        """The numbers kept, without those that `add` is just sorting. One that came with several chunks may
        count several times."""
        return self._kept + self._waiting_numbers

    def within(self) -> int:
        """How many numbers begin with the prefixes that are counted, by the count of __len__."""
        self._all_runs()
        return self._within

    def add(self, numbers: Numbers) -> None:
        """Add numbers of at most 15 digits; the array is the caller's again afterwards."""
        with self._lock:
            self._waiting.append(numbers.copy())
            self._waiting_numbers += len(numbers)
            taken = self._take() if self._waiting_numbers >= _RUN else []
        self._keep(taken)

    def ranges(self, size: int, target: int = 2_000_000) -> list[tuple[int, int]]:
        """Ranges, from a number to before another, that follow each other, together hold all numbers, and
        begin and end where a block of the size does.

        Each holds about `target` numbers, as __len__ counts them, and at most one block's more.
        """
        runs = self._all_runs()
        if not runs:
            return []
        # A sample stands for `stride` numbers of its run, so a range is at most a quarter of the target off.
        stride = max(1, target // (4 * len(runs)))
        samples = np.sort(np.concatenate([run.every(stride) for run in runs]))
        cuts = {int(number) // size * size for number in samples[:: max(1, target // stride)]}
        last = max(run.last() for run in runs)
        bounds = [*sorted(cuts), (last // size + 1) * size]
        return list(pairwise(bounds))

    def merged(self, start: int, stop: int) -> Numbers:
        """The numbers from `start` to before `stop`: rising, each once."""
        runs = self._all_runs()
        if stop - start <= 1 << 32:
            near = _union((run.after(start, stop) for run in runs), np.dtype(np.uint32))
            return near + np.uint64(start)
        return _union((run.between(start, stop) for run in runs), np.dtype(np.uint64))

    def best_size(self) -> int:
        """The block size that costs these numbers the least in Redis, judged by some ranges of them."""
        ranges = self.ranges(max(SIZES), _SAMPLE)
        return best_size(self.merged(*bounds) for bounds in ranges[:: -(-len(ranges) // _SAMPLES) or 1])

    def _all_runs(self) -> "list[_Run]":
        """The runs, once nothing waits any more."""
        with self._lock:
            taken = self._take()
        self._keep(taken)
        return self._runs

    def _take(self) -> list[Numbers]:
        taken, self._waiting, self._waiting_numbers = self._waiting, [], 0
        return taken

    def _keep(self, taken: list[Numbers]) -> None:
        if not any(len(numbers) for numbers in taken):
            return
        numbers = np.concatenate(taken)
        numbers.sort()
        rising = _each_once(numbers)
        run = _Run(rising)
        within = self._counted.count(rising) if self._counted else 0
        with self._lock:
            self._within += within
            self._runs.append(run)
            self._kept += len(run)


class _Run:
    """Rising numbers, at least one: parts that share their upper 32 bits, one after the other."""

    def __init__(self, numbers: Numbers) -> None:
        self._lower = numbers.astype(np.uint32)
        # Where each upper half begins, of all that there may be between the first and the last.
        first, last = int(numbers[0]) >> 32, int(numbers[-1]) >> 32
        upper = np.arange(first, last + 1, dtype=np.uint64)
        starts = np.searchsorted(numbers, upper << np.uint64(32))
        is_there = np.diff(starts, append=len(numbers)) > 0
        self._starts = starts[is_there].astype(np.int64)
        self._upper = upper[is_there].astype(np.uint32)

    def __len__(self) -> int:
        return len(self._lower)

    def last(self) -> int:
        return int(self._upper[-1]) << 32 | int(self._lower[-1])

    def every(self, stride: int) -> Numbers:
        """The first number and every `stride`th after it."""
        indexes = np.arange(0, len(self), stride)
        upper = self._upper[np.searchsorted(self._starts, indexes, side="right") - 1]
        return (upper.astype(np.uint64) << np.uint64(32)) | self._lower[indexes]

    def after(self, start: int, stop: int) -> _Offsets:
        """How far the numbers from `start` to before `stop` lie above `start`; at most 2**32 between the two.

        The lower halves tell: subtraction modulo 2**32 gives what lies below 2**32.
        """
        found = self._lower[self._index(start) : self._index(stop)]
        return found - np.uint32(start & 0xFFFFFFFF)

    def between(self, start: int, stop: int) -> Numbers:
        """The numbers from `start` to before `stop`."""
        first, end = self._index(start), self._index(stop)
        counts = np.diff(np.clip(np.append(self._starts, len(self)), first, end))
        upper = np.repeat(self._upper.astype(np.uint64) << np.uint64(32), counts)
        return upper | self._lower[first:end]

    def _index(self, number: int) -> int:
        """How many of the numbers are lower than this one."""
        upper, lower = number >> 32, number & 0xFFFFFFFF
        part = int(np.searchsorted(self._upper, upper))
        if part == len(self._upper):
            return len(self)
        begin = int(self._starts[part])
        if self._upper[part] != upper:
            return begin
        end = int(self._starts[part + 1]) if part + 1 < len(self._starts) else len(self)
        return begin + int(np.searchsorted(self._lower[begin:end], np.uint32(lower)))


def _union(pieces: Iterator[NDArray[_Some]], dtype: np.dtype[_Some]) -> NDArray[_Some]:
    """What is in any of the pieces: rising, each once."""
    gathered: list[NDArray[_Some]] = []
    waiting = 0
    for piece in pieces:
        gathered.append(piece)
        waiting += len(piece)
        if waiting > _AT_ONCE:
            gathered, waiting = [_sorted_once(gathered)], 0
    return _sorted_once(gathered) if gathered else np.empty(0, dtype)


def _sorted_once(pieces: list[NDArray[_Some]]) -> NDArray[_Some]:
    numbers = np.concatenate(pieces)
    numbers.sort()
    return _each_once(numbers)


def _each_once(rising: NDArray[_Some]) -> NDArray[_Some]:
    """Numbers that rise or stay, each once."""
    is_new = np.ones(len(rising), dtype=np.bool_)
    np.not_equal(rising[1:], rising[:-1], out=is_new[1:])
    return rising if is_new.all() else rising[is_new]
