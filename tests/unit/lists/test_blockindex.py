"""The index of a whole list answers for many numbers what the codec answers for each."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.lists import blocks
from callguard.lists.blockindex import BlockIndex
from callguard.lists.blocks import LARGEST_NUMBER, SIZES, BadBlock
from callguard.lists.packing import Block, Numbers, pack

FAR_APART = 4_300_000
"""Blocks between two for which there is no table."""
LARGEST_INTEGER = 2**64 - 1


def answers(rows: list[Block], size: int, asked: list[int]) -> list[bool]:
    known = dict(rows)
    return [
        number // size in known and blocks.contains(known[number // size], number % size, size)
        for number in asked
    ]


def chunked(rows: list[Block]) -> list[list[Block]]:
    """In chunks of three, the last first: chunks may come in any order."""
    return [rows[at : at + 3] for at in range(0, len(rows), 3)][::-1]


@given(
    st.sampled_from(SIZES),
    st.lists(st.tuples(st.integers(0, 9) | st.just(FAR_APART), st.integers(1, 1300)), max_size=6),
    st.lists(st.integers(0, LARGEST_NUMBER), max_size=20),
    st.integers(0, 2**32 - 1),
)
def test_answers_as_the_codec_does(
    size: int, fills: list[tuple[int, int]], scattered: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    held = {int(number) for block, count in fills for number in block * size + rng.integers(0, size, count)}
    rows = pack(np.array(sorted({*held, *scattered}), dtype=np.uint64), size)
    near = [number + step for number in list(held)[:300] for step in (-1, 0, 1, size) if number + step >= 0]
    asked = [*near, *scattered, 0, LARGEST_NUMBER, LARGEST_INTEGER]
    rng.shuffle(asked)
    found = BlockIndex(chunked(rows), size).contains(np.array(asked, dtype=np.uint64))
    assert found.tolist() == answers(rows, size, asked)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 3, 624, 625, 4095, 4096])
def test_every_offset_of_a_block_at_the_boundaries(size: int, count: int) -> None:
    rng = np.random.default_rng(count)
    offsets = rng.choice(size, count, replace=False)
    offsets[0] = size - 1 if size - 1 not in offsets else offsets[0]
    held = np.unique(offsets).astype(np.uint64) + np.uint64(7 * size)
    asked = np.arange(6 * size, 9 * size, dtype=np.uint64)
    found = BlockIndex([pack(held, size)], size).contains(asked)
    assert np.array_equal(asked[found], held)


def test_more_numbers_than_are_looked_up_at_once() -> None:
    held = np.arange(62_811_000_000, 62_812_000_000, 77, dtype=np.uint64)
    asked = np.random.default_rng(1).permutation(np.arange(62_811_000_000, 62_811_400_000, dtype=np.uint64))
    found = BlockIndex([pack(held, 1_000_000)], 1_000_000).contains(asked)
    assert np.array_equal(np.sort(asked[found]), held[held < 62_811_400_000])


def test_a_list_without_numbers_holds_none() -> None:
    asked = np.array([0, 12_015_550_100, LARGEST_INTEGER], dtype=np.uint64)
    assert not BlockIndex([], 10_000).contains(asked).any()
    assert not BlockIndex([[]], 10_000).contains(asked).any()
    assert len(BlockIndex([], 10_000).contains(asked[:0])) == 0


@pytest.mark.parametrize(
    "bad", [b"", b"\1", b"\1\1", b"\3\1\0", b"\1\2\0\1\0", b"\1\2\0\2\0", b"\1\x10\x27", b"\0" + bytes(1249)]
)
def test_what_is_no_block_is_refused(bad: bytes) -> None:
    with pytest.raises(BadBlock):
        BlockIndex([[(1, blocks.encode([5], 10_000)), (2, bad)]], 10_000)


def test_a_block_that_comes_twice_is_refused() -> None:
    block = (1, blocks.encode([5], 10_000))
    with pytest.raises(BadBlock, match="twice"):
        BlockIndex([[block], [block]], 10_000)


def dense_list(blocks_count: int) -> Numbers:
    """Blocks of 10,000 with a tenth of their numbers."""
    rng = np.random.default_rng(1)
    steps = rng.integers(1, 20, blocks_count * 1000, dtype=np.uint64)
    return np.cumsum(steps) + np.uint64(12_010_000_000)


def test_takes_little_more_memory_than_the_blocks() -> None:
    rows = pack(dense_list(4000), 10_000)
    written = sum(len(block) for _, block in rows)
    chunks = [rows[at : at + 500] for at in range(0, len(rows), 500)]
    tracemalloc.start()
    try:
        index = BlockIndex(chunks, 10_000)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert index.contains(dense_list(1)).all()
    assert kept < 1.2 * written
    assert peak < 1.7 * written
