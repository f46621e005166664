"""A new generation holds what sets of numbers say, and its difference is counted, at any block size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.lists.blocks import SIZES
from callguard.lists.difference import Changes, Difference, Piece, between, changed, replaced
from callguard.lists.packing import Numbers, pack, unpack

BASE = 12_125_550_000

few = st.sets(st.integers(BASE, BASE + 300) | st.integers(BASE, BASE + 3_000_000), max_size=60)
sizes = st.sampled_from(SIZES)


def numbers(some: set[int]) -> Numbers:
    return np.array(sorted(some), dtype=np.uint64)


def held(piece: Piece, size: int) -> set[int]:
    return set(unpack(piece.rows, size).tolist())


@given(few, few, sizes, sizes)
def test_what_replaces_is_all_there_and_what_stayed_is_counted(
    old: set[int], new: set[int], old_size: int, size: int
) -> None:
    piece = replaced(numbers(new), size, pack(numbers(old), old_size), old_size)
    assert held(piece, size) == new
    assert (piece.added, piece.kept, piece.removed) == (len(new - old), len(new & old), 0)


@given(few, few, few, sizes)
def test_a_change_adds_and_removes_and_nothing_else(
    old: set[int], some: set[int], others: set[int], size: int
) -> None:
    added, removed = some - others, others
    piece = changed(pack(numbers(old), size), numbers(added), numbers(removed), size)
    assert held(piece, size) == (old | added) - removed
    assert [row[0] for row in piece.rows] == sorted(row[0] for row in piece.rows)
    assert (piece.added, piece.removed) == (len(added - old), len(old & removed))


def test_a_change_leaves_other_blocks_as_they_are_even_if_damaged() -> None:
    size = 10_000
    rows = [(1_212_555, b"\7damaged"), *pack(numbers({BASE + 10_000}), size)]
    piece = changed(rows, numbers({BASE + 10_001}), numbers(set()), size)
    assert piece.rows[0] == rows[0]
    assert (piece.added, piece.removed) == (1, 0)


@given(st.lists(st.tuples(few, few), max_size=4))
def test_the_last_word_about_a_number_counts(steps: list[tuple[set[int], set[int]]]) -> None:
    changes, added, removed = Changes(), set[int](), set[int]()
    for some, others in steps:
        now = some - others
        changes.then(numbers(now), numbers(others))
        added, removed = (added - others) | now, (removed - now) | others
    assert (set(changes.added.tolist()), set(changes.removed.tolist())) == (added, removed)
    assert len(changes) == len(added) + len(removed)


@given(few, st.integers(BASE - 5, BASE + 400), st.none() | st.integers(BASE - 5, BASE + 400))
def test_between_gives_a_stretch(some: set[int], start: int, stop: int | None) -> None:
    found = between(numbers(some), start, stop).tolist()
    assert found == [one for one in sorted(some) if one >= start and (stop is None or one < stop)]


@pytest.mark.parametrize(
    ("difference", "left", "unchanged"),
    [(Difference(100, 5, 10), 95, 90), (Difference(0, 5, 0), 5, 0), (Difference(10, 0, 10), 0, 0)],
)
def test_a_difference_adds_up(difference: Difference, left: int, unchanged: int) -> None:
    assert (difference.numbers, difference.unchanged) == (left, unchanged)
