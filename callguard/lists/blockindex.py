"""Which of many numbers are on a registry list, answered in memory: ten million in about a second. Pure.

A whole list is held as its blocks are: bitmaps as they are stored, offsets as integers of two bytes (of four,
where a block has more than 65,536 numbers). A US-like list of 250 million numbers takes 0.4 GB.

This module imports numpy: imports of files and scrubs may use it, the guard must not.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from callguard.lists.blocks import BadBlock, bitmap_length, offset_width
from callguard.lists.packing import Block, Numbers, divide, read_offsets

_AT_ONCE = 1 << 15
"""Numbers looked up at once: what is computed on the way stays in a core's cache."""
_WIDEST_TABLE = 1 << 22
"""Blocks between the first and the last, up to which each has its place in a table; that is faster than a
search, and takes 16 MB at most."""
_NONE = -1


class BlockIndex:
    """The numbers of one generation of a registry list. Any number of threads may ask at once."""

    def __init__(self, chunks: Iterable[Sequence[Block]], size: int) -> None:
        """Take in all blocks of a list, in any order. Raises BadBlock for what is no block of the size, and
        for a block that comes twice."""
        self._size = np.uint64(size)
        # Byte arrays grow in place; joining arrays at the end would need twice the memory.
        bitmaps, offsets = bytearray(), bytearray()
        dense_ids: list[int] = []
        sparse_ids: list[int] = []
        counts: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        for rows in chunks:
            dense, sparse = divide(rows, size)
            bitmaps += b"".join([block for _, block in dense])
            dense_ids += [identity for identity, _ in dense]
            found, their = read_offsets([block for _, block in sparse], size)
            offsets += found.tobytes()
            counts.append(their)
            sparse_ids += [identity for identity, _ in sparse]
        self._bitmaps = np.frombuffer(bitmaps, dtype=np.uint8)
        self._offsets = np.frombuffer(offsets, dtype="<u2" if offset_width(size) == 2 else "<u4")
        self._order(dense_ids, sparse_ids, np.concatenate(counts), size)

    def contains(self, numbers: Numbers) -> NDArray[np.bool_]:
        """Tell of each number, in any order, whether it is on the list."""
        listed = np.zeros(len(numbers), dtype=np.bool_)
        for at in range(0, len(numbers), _AT_ONCE):
            self._look_up(numbers[at : at + _AT_ONCE], listed[at : at + _AT_ONCE])
        return listed

    def _order(
        self, dense_ids: list[int], sparse_ids: list[int], counts: NDArray[np.int64], size: int
    ) -> None:
        """Note of each block, in rising order, where in the bitmaps or the offsets it begins, and how many
        offsets it has: none if it is a bitmap."""
        ids = np.array(dense_ids + sparse_ids, dtype=np.uint64)
        bitmaps_at = np.arange(len(dense_ids)) * (1 + bitmap_length(size)) + 1
        offsets_at = np.cumsum(counts) - counts
        order = np.argsort(ids)
        self._ids = ids[order]
        self._places = np.concatenate([bitmaps_at, offsets_at])[order]
        self._counts = np.concatenate([np.zeros(len(dense_ids), dtype=np.int64), counts])[order]
        if np.any(self._ids[1:] == self._ids[:-1]):
            raise BadBlock("a block comes twice")
        self._rounds = (int(counts.max(initial=1)) - 1).bit_length()
        self._table = None if not len(ids) else _table(self._ids)

    def _look_up(self, numbers: Numbers, listed: NDArray[np.bool_]) -> None:
        of_each = numbers // self._size
        rows = self._rows(of_each)
        known = np.flatnonzero(rows != _NONE)
        if not len(known):
            return
        rows = rows[known]
        offsets = (numbers[known] - of_each[known] * self._size).view(np.int64)
        places, counts = self._places[rows], self._counts[rows]
        is_dense = counts == 0
        if is_dense.all():
            listed[known] = self._in_bitmaps(places, offsets)
        else:
            dense, sparse = np.flatnonzero(is_dense), np.flatnonzero(~is_dense)
            listed[known[dense]] = self._in_bitmaps(places[dense], offsets[dense])
            listed[known[sparse]] = self._in_offsets(places[sparse], counts[sparse], offsets[sparse])

    def _rows(self, of_each: Numbers) -> NDArray[np.int64]:
        """Where each block is among those that there are, or _NONE."""
        if not len(self._ids):
            return np.full(len(of_each), _NONE, dtype=np.int64)
        if self._table is not None:
            # A block below the first wraps round to a large number, and also ends at the table's last place.
            steps = np.minimum(of_each - self._ids[0], np.uint64(len(self._table) - 1))
            found: NDArray[np.int64] = self._table[steps.view(np.int64)].astype(np.int64)
            return found
        rows = np.minimum(np.searchsorted(self._ids, of_each), len(self._ids) - 1)
        return np.where(self._ids[rows] == of_each, rows, _NONE)

    def _in_bitmaps(self, places: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = self._bitmaps[places + (offsets >> 3)]
        is_set: NDArray[np.bool_] = found & np.right_shift(0x80, offsets & 7).astype(np.uint8) != 0
        return is_set

    def _in_offsets(
        self, places: NDArray[np.int64], counts: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """A binary search in every block at once, for the last of its offsets that is not above the wanted.

        It is among `counts` offsets from `places` on; the half that stays may be one longer than need be, so
        that all searches take the same rounds.
        """
        for _ in range(self._rounds):
            half = counts >> 1
            places = places + half * (self._offsets[places + half] <= offsets)
            counts = counts - half
        is_there: NDArray[np.bool_] = self._offsets[places] == offsets
        return is_there


def _table(ids: Numbers) -> NDArray[np.int32] | None:
    """For every block from the first to the last, and for one place after them, where it is among `ids`
    (rising) or _NONE; None if they lie too far apart."""
    width = int(ids[-1] - ids[0]) + 1
    if width > _WIDEST_TABLE:
        return None
    table = np.full(width + 1, _NONE, dtype=np.int32)
    table[(ids - ids[0]).view(np.int64)] = np.arange(len(ids))
    return table
