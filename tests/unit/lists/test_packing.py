"""Packing many numbers writes, byte for byte, what the codec of one block writes, and reads as it reads."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callguard.lists import blocks, packing
from callguard.lists.blocks import LARGEST_NUMBER, SIZES, BadBlock
from callguard.lists.packing import Numbers, best_size, pack, redis_cost, unpack

LAST_TWO_BYTE_OFFSETS, FIRST_BITMAP = 624, 625
"""How many numbers a block of 10,000 has at the boundary of its two forms."""

sizes = st.sampled_from(SIZES)
seeds = st.integers(0, 2**32 - 1)


def some_of(block: int, count: int, size: int, seed: int = 1) -> Numbers:
    """So many numbers of one block, rising."""
    offsets = np.random.default_rng(seed).choice(size, count, replace=False)
    return np.sort(offsets).astype(np.uint64) + np.uint64(block * size)


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[int], int]:
    """Rising numbers and a block size: few in a block, very many in a block, and gaps between blocks."""
    size = draw(sizes)
    last = LARGEST_NUMBER // size
    scattered = draw(st.lists(st.integers(0, LARGEST_NUMBER), max_size=20))
    near = draw(st.lists(st.integers(0, 3 * size), max_size=40))
    crowds = [
        int(number)
        for block in draw(st.sets(st.integers(0, 4) | st.just(last), max_size=2))
        for number in some_of(block, draw(st.integers(1, 1300)), size, draw(seeds))
    ]
    return sorted({*scattered, *near, *crowds}), size


def as_array(numbers: Sequence[int]) -> Numbers:
    return np.array(numbers, dtype=np.uint64)


def one_by_one(numbers: Sequence[int], size: int) -> list[tuple[int, bytes]]:
    return [
        (block, blocks.encode([number % size for number in of_block], size))
        for block, of_block in groupby(numbers, key=lambda number: number // size)
    ]


@given(lists())
@example(([], 10_000))
@example(([0], 10_000))
@example(([LARGEST_NUMBER], 1_000_000))
@example(([0, 9_999, 10_000, 19_999, 20_000], 10_000))
@example(([65_535, 65_536], 65_536))
def test_packed_as_the_codec_of_one_block_does(drawn: tuple[list[int], int]) -> None:
    numbers, size = drawn
    assert pack(as_array(numbers), size) == one_by_one(numbers, size)


@given(lists())
@example(([], 10_000))
def test_unpacked_is_what_was_packed(drawn: tuple[list[int], int]) -> None:
    numbers, size = drawn
    assert unpack(one_by_one(numbers, size), size).tolist() == numbers


@pytest.mark.parametrize(
    ("size", "count", "kind"),
    [
        (10_000, LAST_TWO_BYTE_OFFSETS, blocks.OFFSETS_16),
        (10_000, FIRST_BITMAP, blocks.BITMAP),
        (10_000, 10_000, blocks.BITMAP),
        (65_536, 4_095, blocks.OFFSETS_16),
        (65_536, 4_096, blocks.BITMAP),
        (65_536, 65_536, blocks.BITMAP),
        (1_000_000, 41_666, blocks.OFFSETS_24),
        (1_000_000, 41_667, blocks.BITMAP),
        (1_000_000, 1_000_000, blocks.BITMAP),
    ],
)
def test_where_offsets_and_bitmap_are_equally_long_it_is_a_bitmap(size: int, count: int, kind: int) -> None:
    numbers = some_of(120_155, count, size)
    packed = pack(numbers, size)
    assert packed[0][1][0] == kind
    assert packed == one_by_one(numbers.tolist(), size)
    assert np.array_equal(unpack(packed, size), numbers)


@pytest.mark.parametrize("size", SIZES)
def test_many_blocks_of_both_kinds_keep_their_order(size: int) -> None:
    # More bitmaps than are made at one time, with blocks of offsets and gaps between them.
    many = -(-blocks.bitmap_length(size) // blocks.offset_width(size))
    at_once = packing._BITS_AT_ONCE // size
    counts = [(many, 3, many + 1, 1)[block % 4] for block in range(4 * at_once + 7)]
    numbers = np.concatenate([some_of(2 * block, count, size) for block, count in enumerate(counts)])
    packed = pack(numbers, size)
    assert [block for block, _ in packed] == [2 * block for block in range(len(counts))]
    assert np.array_equal(unpack(packed, size), numbers)
    assert packed[-1] == one_by_one(some_of(packed[-1][0], counts[-1], size).tolist(), size)[0]


@pytest.mark.parametrize("numbers", [[2, 1], [1, 1], [10_000, 1]])
def test_numbers_that_do_not_rise_are_refused(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="rise"):
        pack(as_array(numbers), 10_000)


def test_blocks_out_of_order_are_refused() -> None:
    one, other = pack(as_array([1, 10_000]), 10_000)
    for rows in ([other, one], [one, one]):
        with pytest.raises(BadBlock):
            unpack(rows, 10_000)


def odd_blocks(size: int) -> st.SearchStrategy[bytes]:
    """Bytes that are a block or nearly one."""
    width = blocks.offset_width(size)
    offsets = st.lists(st.integers(0, size - 1) | st.sampled_from([size - 1, size]), max_size=4)
    almost = offsets.map(lambda some: b"".join((one % 256**width).to_bytes(width, "little") for one in some))
    empty = bytes(blocks.bitmap_length(size))
    kinds = st.sampled_from([b"\0", b"\1", b"\2", b"\3", b""])
    return st.tuples(kinds, almost | st.binary(max_size=9) | st.sampled_from([empty, b"\1" + empty[1:]])).map(
        b"".join
    )


@given(st.data(), sizes)
def test_what_the_codec_refuses_is_refused_among_good_blocks(data: st.DataObject, size: int) -> None:
    odd = data.draw(odd_blocks(size))
    good = blocks.encode([1, size - 1], size)
    rows = [(3, good), (4, odd), (9, good)]
    try:
        expected = [4 * size + offset for offset in blocks.decode(odd, size)]
    except BadBlock:
        with pytest.raises(BadBlock):
            unpack(rows, size)
    else:
        around = [3 * size + 1, 4 * size - 1, 9 * size + 1, 10 * size - 1]
        assert unpack(rows, size).tolist() == [*around[:2], *expected, *around[2:]]


@pytest.mark.parametrize(("size", "beyond"), [(10_000, b"\1\x10\x27"), (1_000_000, b"\2\x40\x42\x0f")])
def test_an_offset_that_belongs_to_the_next_block_is_refused(size: int, beyond: bytes) -> None:
    with pytest.raises(BadBlock):
        unpack([(1, beyond)], size)


def test_offsets_that_fall_at_the_end_of_a_block_are_no_excuse_for_those_that_fall_within() -> None:
    rows = [(1, b"\1\5\0\6\0"), (2, b"\1\7\0\7\0")]
    with pytest.raises(BadBlock):
        unpack(rows, 10_000)


def exchanges(count: int) -> Numbers:
    """So many blocks of 10,000 with a tenth of their numbers, and nothing in those between them."""
    return np.concatenate([some_of(1_201_000 + 2 * block, 1000, 10_000) for block in range(count)])


def spread(share: float, count: int = 200_000) -> Numbers:
    """Numbers that evenly take this share of all in their range."""
    rng = np.random.default_rng(3)
    numbers: Numbers = np.cumsum(rng.geometric(share, count)).astype(np.uint64)
    return numbers + np.uint64(12_010_000_000)


@pytest.mark.parametrize(
    ("numbers", "size"), [(exchanges(200), 10_000), (spread(0.007), 65_536), (spread(0.0005), 1_000_000)]
)
def test_the_block_size_follows_the_density(numbers: Numbers, size: int) -> None:
    assert best_size([numbers]) == size


@pytest.mark.parametrize("share", [0.5, 0.09, 0.02, 0.007, 0.002, 0.0005])
def test_no_block_size_costs_less_than_the_best(share: float) -> None:
    numbers = spread(share)
    assert redis_cost(numbers, best_size([numbers])) == min(redis_cost(numbers, size) for size in SIZES)


def test_a_few_dense_numbers_do_not_decide_for_many_sparse_ones() -> None:
    assert best_size([exchanges(5), spread(0.0005), spread(0.0005)]) == 1_000_000


def test_a_list_without_numbers_has_a_block_size() -> None:
    assert best_size([]) == SIZES[0]
