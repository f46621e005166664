"""Registry lists' blocks by the million: numbers to blocks and back, as blocks.py does for one. Pure.

Numbers are unsigned 64-bit integers of E.164 digits. A block size is one of blocks.SIZES. The heavy parts
release the GIL, so that two threads go nearly twice as fast.

This module imports numpy: imports of files and scrubs may use it, the guard must not.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from callguard.lists.blocks import (
    BITMAP,
    OFFSETS_16,
    OFFSETS_24,
    SIZES,
    BadBlock,
    bitmap_length,
    kind_of,
    offset_width,
)

Numbers: TypeAlias = NDArray[np.uint64]
Block: TypeAlias = tuple[int, bytes]
"""A block's number and its bytes."""

_BITS_AT_ONCE = 1 << 21
"""Bitmaps go through a map of one byte a bit; this many fit in a core's cache."""
_FIELD_IN_REDIS = 78
"""Bytes that Redis needs for a block besides its value, for the field's name, its entry and its share of the
hash's table: 72 to 86 by how full the table is, measured with 10,000 to 280,000 fields in Redis 7.0.15."""


def pack(numbers: Numbers, size: int) -> list[Block]:
    """The blocks of numbers that rise, each there once; the blocks rise too. Raises ValueError for others."""
    if not np.all(numbers[1:] > numbers[:-1]):
        raise ValueError("numbers to pack rise, and each is there once")
    ids, counts = _blocks_of(numbers, size)
    as_bitmap = counts * offset_width(size) >= bitmap_length(size)
    in_bitmap = np.repeat(as_bitmap, counts)
    bitmaps = _bitmaps(numbers[in_bitmap], ids[as_bitmap], counts[as_bitmap], size)
    offsets = _offsets(numbers[~in_bitmap], ids[~as_bitmap], counts[~as_bitmap], size)
    return [
        (block, next(bitmaps if dense else offsets))
        for block, dense in zip(ids.tolist(), as_bitmap.tolist(), strict=True)
    ]


def unpack(rows: Sequence[Block], size: int) -> Numbers:
    """The numbers of blocks that rise; the numbers rise too, each once.

    Raises BadBlock for a block that blocks.decode would refuse, or one out of its order.
    """
    if any(one >= other for (one, _), (other, _) in pairwise(rows)):
        raise BadBlock("blocks are not in order")
    dense, sparse = divide(rows, size)
    firsts = np.array([block * size for block, _ in sparse], dtype=np.uint64)
    offsets, in_sparse = read_offsets([block for _, block in sparse], size)
    from_bitmaps, in_dense = _read_bitmaps(dense, size)
    is_bitmap = np.array([block[0] == BITMAP for _, block in rows], dtype=np.bool_)
    counts = np.empty(len(rows), dtype=np.int64)
    counts[is_bitmap], counts[~is_bitmap] = in_dense, in_sparse
    of_bitmap = np.repeat(is_bitmap, counts)
    numbers = np.empty(len(of_bitmap), dtype=np.uint64)
    numbers[of_bitmap], numbers[~of_bitmap] = from_bitmaps, np.repeat(firsts, in_sparse) + offsets
    return numbers


def divide(rows: Iterable[Block], size: int) -> tuple[list[Block], list[Block]]:
    """The blocks that are bitmaps, and those that are offsets. Raises BadBlock for one that is neither."""
    dense: list[Block] = []
    sparse: list[Block] = []
    for row in rows:
        (dense if kind_of(row[1], size) == BITMAP else sparse).append(row)
    return dense, sparse


def read_offsets(
    found: Sequence[bytes], size: int
) -> tuple[NDArray[np.uint16] | NDArray[np.uint32], NDArray[np.int64]]:
    """The offsets of blocks of offsets (see divide), one block after the other, and how many each has.

    Raises BadBlock for one whose offsets do not rise, or are not below the size.
    """
    width = offset_width(size)
    counts = np.array([(len(block) - 1) // width for block in found], dtype=np.int64)
    raw = np.frombuffer(b"".join([block[1:] for block in found]), dtype=np.uint8)
    offsets = raw.view("<u2") if width == 2 else _wider(raw)
    falls = np.flatnonzero(offsets[1:] <= offsets[:-1]) + 1
    if not np.isin(falls, np.cumsum(counts)).all() or np.any(offsets >= size):
        raise BadBlock("its offsets are not in order, or not in the block")
    return offsets, counts


def best_size(samples: Iterable[Numbers]) -> int:
    """The block size that costs a list the least in Redis, judged by all its numbers in some stretches of it:
    rising, each once. The first of blocks.SIZES if there are none."""
    costs = dict.fromkeys(SIZES, 0)
    for numbers in samples:
        for size in SIZES:
            costs[size] += redis_cost(numbers, size)
    return min(SIZES, key=costs.__getitem__)


def redis_cost(numbers: Numbers, size: int) -> int:
    """Bytes that Redis needs for the blocks of numbers that rise, each once."""
    _, counts = _blocks_of(numbers, size)
    lengths = 1 + np.minimum(counts * offset_width(size), bitmap_length(size))
    return int(_allocated(lengths).sum()) + _FIELD_IN_REDIS * len(counts)


def _allocated(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bytes that Redis takes for strings of these lengths: with their header (src/sds.h: 3, 5 or 9 bytes) and
    final zero, rounded up as jemalloc does, four steps to each doubling (a bitmap of 65,536 bits, 8,193
    bytes, takes 10,240)."""
    whole = lengths + 1 + np.where(lengths < 1 << 8, 3, np.where(lengths < 1 << 16, 5, 9))
    _, exponent = np.frexp(whole - 1)
    step = np.left_shift(1, np.maximum(exponent.astype(np.int64) - 3, 3))
    return np.asarray(-(-whole // step) * step, dtype=np.int64)


def _blocks_of(numbers: Numbers, size: int) -> tuple[Numbers, NDArray[np.int64]]:
    """The blocks of rising numbers, rising, and how many numbers each has."""
    of_each = numbers // np.uint64(size)
    is_first = np.ones(len(numbers), dtype=np.bool_)
    np.not_equal(of_each[1:], of_each[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    return of_each[starts], np.diff(starts, append=len(numbers))


def _bitmaps(numbers: Numbers, ids: Numbers, counts: NDArray[np.int64], size: int) -> Iterator[bytes]:
    """Blocks as bitmaps, each from its numbers: `counts` of them for each of `ids`, one after the other."""
    length, rows = bitmap_length(size), max(1, _BITS_AT_ONCE // size)
    kind = bytes([BITMAP])
    stop = 0
    for row in range(0, len(ids), rows):
        some, their = ids[row : row + rows], counts[row : row + rows]
        start, stop = stop, stop + int(their.sum())
        # The blocks side by side, without the gaps between them.
        moves = (some - np.arange(len(some), dtype=np.uint64)) * np.uint64(size)
        places = (numbers[start:stop] - np.repeat(moves, their)).view(np.int64)
        bytemap = np.zeros(len(some) * size, dtype=np.bool_)
        bytemap[places] = True
        packed = memoryview(np.packbits(bytemap).tobytes())
        for at in range(0, len(packed), length):
            yield kind + packed[at : at + length]


def _offsets(numbers: Numbers, ids: Numbers, counts: NDArray[np.int64], size: int) -> Iterator[bytes]:
    """Blocks as offsets, each from its numbers: `counts` of them for each of `ids`, one after the other."""
    width = offset_width(size)
    offsets = numbers - np.repeat(ids * np.uint64(size), counts)
    if width == 2:
        kind, raw = bytes([OFFSETS_16]), offsets.astype("<u2").tobytes()
    else:
        kind, raw = bytes([OFFSETS_24]), offsets.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    view, at = memoryview(raw), 0
    for stop in (np.cumsum(counts) * width).tolist():
        yield kind + view[at:stop]
        at = stop


def _read_bitmaps(rows: Sequence[Block], size: int) -> tuple[Numbers, NDArray[np.int64]]:
    """The numbers of bitmaps, and how many each has. Raises BadBlock for an empty one."""
    length, at_once = bitmap_length(size), max(1, _BITS_AT_ONCE // size)
    numbers: list[Numbers] = [np.empty(0, dtype=np.uint64)]
    in_each: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    for row in range(0, len(rows), at_once):
        some = rows[row : row + at_once]
        raw = np.frombuffer(b"".join([block for _, block in some]), dtype=np.uint8)
        bitmaps = np.ascontiguousarray(raw.reshape(-1, 1 + length)[:, 1:])
        counts = np.bitwise_count(bitmaps).sum(axis=1, dtype=np.int64)
        if not counts.all():
            raise BadBlock("a bitmap without a number")
        places = np.flatnonzero(np.unpackbits(bitmaps).view(np.bool_)).view(np.uint64)
        moves = np.array([(block - index) * size for index, (block, _) in enumerate(some)], dtype=np.int64)
        numbers.append(places + np.repeat(moves.view(np.uint64), counts))
        in_each.append(counts)
    return np.concatenate(numbers), np.concatenate(in_each)


def _wider(raw: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Little-endian integers of three bytes each, as those of four."""
    wide = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
    wide[:, :3] = raw.reshape(-1, 3)
    return wide.view("<u4").ravel()
