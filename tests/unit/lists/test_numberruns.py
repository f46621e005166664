"""Numbers come in any order, from any thread, any number of times, and are read back in order, each once."""

import tracemalloc
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.lists import numberruns
from callguard.lists.blocks import LARGEST_NUMBER, SIZES
from callguard.lists.numberruns import NumberRuns
from callguard.lists.packing import Numbers

WRAP = 1 << 32
"""Runs keep the upper and the lower 32 bits apart."""

numbers = (
    st.integers(0, LARGEST_NUMBER)
    | st.integers(0, 60_000)
    | st.integers(3 * WRAP - 20_000, 3 * WRAP + 20_000)
    | st.sampled_from([0, WRAP - 1, WRAP, 2 * WRAP - 1, 2 * WRAP, LARGEST_NUMBER])
)
chunks = st.lists(st.lists(numbers, max_size=30), max_size=6)


def runs_of(chunks: Iterable[Iterable[int]]) -> NumberRuns:
    """The numbers of these chunks, each chunk a run of its own."""
    runs = NumberRuns()
    for chunk in chunks:
        runs.add(np.array(list(chunk), dtype=np.uint64))
        runs.ranges(10_000)
    return runs


def read_back(runs: NumberRuns, size: int, target: int) -> list[int]:
    return [number for bounds in runs.ranges(size, target) for number in runs.merged(*bounds).tolist()]


@given(chunks, st.sampled_from(SIZES), st.integers(1, 40))
def test_every_number_is_read_back_once_and_in_order(added: list[list[int]], size: int, target: int) -> None:
    assert read_back(runs_of(added), size, target) == sorted({number for some in added for number in some})


@given(chunks, numbers, numbers)
def test_a_range_holds_exactly_what_lies_in_it(added: list[list[int]], one: int, other: int) -> None:
    start, stop = sorted([one, other])
    expected = sorted({number for some in added for number in some if start <= number < stop})
    assert runs_of(added).merged(start, stop).tolist() == expected


@given(chunks, st.sampled_from(SIZES), st.integers(1, 40))
def test_ranges_follow_each_other_at_the_blocks_edges(added: list[list[int]], size: int, target: int) -> None:
    ranges = runs_of(added).ranges(size, target)
    assert all(start < stop and start % size == stop % size == 0 for start, stop in ranges)
    assert [stop for _, stop in ranges[:-1]] == [start for start, _ in ranges[1:]]


def random_numbers(count: int, below: int, seed: int = 1) -> Numbers:
    drawn = np.random.default_rng(seed).integers(0, below, count, dtype=np.uint64)
    return drawn + np.uint64(12_010_000_000)


@pytest.mark.parametrize("below", [10_000_000, 10**13])
def test_ranges_hold_about_as_many_numbers_as_wanted(below: int) -> None:
    runs = runs_of(np.array_split(random_numbers(200_000, below), 20))
    target = 20_000
    found = [len(runs.merged(*bounds)) for bounds in runs.ranges(10_000, target)]
    assert max(found) < 2 * target
    assert len(found) < 20


def test_a_block_with_more_numbers_than_wanted_is_in_one_range() -> None:
    everything = np.arange(12_010_000_000, 12_010_010_000, dtype=np.uint64)
    sparse = np.arange(12_010_010_000, 12_011_000_000, 997, dtype=np.uint64)
    ranges = runs_of([everything, sparse]).ranges(10_000, target=100)
    assert ranges[0][1] >= 12_010_010_000
    assert len(ranges) > 5


def test_nothing_added_gives_nothing() -> None:
    runs = runs_of([[], []])
    assert (len(runs), runs.ranges(10_000), runs.merged(0, LARGEST_NUMBER).tolist()) == (0, [], [])
    assert runs.best_size() == SIZES[0]


def test_added_by_several_threads_at_once() -> None:
    added = random_numbers(6_000_000, 30_000_000)
    runs = NumberRuns()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(runs.add, np.array_split(added, 300)))
    ranges = runs.ranges(10_000, 500_000)
    with ThreadPoolExecutor(4) as threads:
        found = np.concatenate(list(threads.map(lambda bounds: runs.merged(*bounds), ranges)))
    rising = np.sort(added)
    assert np.array_equal(found, rising[np.diff(rising, prepend=0) != 0])


def test_an_added_array_is_the_callers_again() -> None:
    buffer = np.array([3, 1, 2], dtype=np.uint64)
    runs = NumberRuns()
    runs.add(buffer)
    assert buffer.tolist() == [3, 1, 2]
    buffer[:] = 9
    assert runs.merged(0, 10).tolist() == [1, 2, 3]


def test_numbers_of_one_chunk_count_once() -> None:
    runs = runs_of([[1, 1, 1, 2], [2, 2]])
    assert len(runs) == 3


def test_a_file_that_repeats_its_numbers_is_put_together_piece_by_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(numberruns, "_AT_ONCE", 30)
    runs = runs_of([*(range(first, first + 20) for first in range(50)), [LARGEST_NUMBER]])
    assert runs.merged(0, 10_000).tolist() == list(range(69))
    assert runs.merged(0, LARGEST_NUMBER + 1).tolist() == [*range(69), LARGEST_NUMBER]


@pytest.mark.parametrize(("below", "bytes_each"), [(8 * 10**9, 4.1), (10**14, 8.0)])
def test_numbers_are_kept_in_few_bytes(below: int, bytes_each: float) -> None:
    added = random_numbers(3_000_000, below)
    tracemalloc.start()
    try:
        runs = NumberRuns()
        for chunk in np.split(added, 2):
            runs.add(chunk)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < bytes_each * len(runs)


def test_the_block_size_is_that_of_all_the_list_not_of_its_beginning() -> None:
    # More numbers than a range has, a tenth of every second block of 10,000.
    places = np.arange(0, 2_200_000, dtype=np.uint64)
    dense = np.uint64(12_010_000_000) + places // 1000 * 20_000 + places % 1000 * 10
    sparse = random_numbers(4_000_000, 8 * 10**9) + np.uint64(10**9)
    assert runs_of([dense]).best_size() == 10_000
    assert runs_of([dense, sparse]).best_size() == 1_000_000
