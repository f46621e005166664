"""The benchmarks' hiccups: how much of a look-up fell into time in which the machine stood still."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.hiccups import Hiccup, Hiccups
from tests.benchmarks.prober import Looked, Slow
from tests.benchmarks.replacing import COLUMNS, Stretch

TWO = Hiccups([Hiccup(10, 12), Hiccup(20, 21)])

seconds = st.integers(0, 60)
stretches = st.tuples(seconds, seconds).map(sorted)
some_hiccups = st.lists(stretches.map(lambda ends: Hiccup(*ends)), max_size=8)


@pytest.mark.parametrize(
    ("begin", "end", "within"),
    [
        (0, 5, 0), (0, 10, 0), (12, 20, 0), (21, 30, 0), (11, 11, 0),
        (0, 11, 1), (10, 12, 2), (10.5, 11, 0.5), (11, 15, 1), (0, 30, 3), (11, 20.5, 1.5),
    ],
)  # fmt: skip
def test_only_what_falls_into_a_hiccup_counts(begin: float, end: float, within: float) -> None:
    assert TWO.within(begin, end) == within


def test_time_in_which_both_cores_stood_still_counts_once() -> None:
    both = Hiccups([Hiccup(3, 4), Hiccup(1, 3.5), Hiccup(1.5, 2)])
    assert (both.within(0, 10), both.longest, len(both)) == (3, 3, 1)


def test_without_hiccups_nothing_is_the_machines() -> None:
    none = Hiccups([])
    assert (none.within(0, 10), none.longest, len(none)) == (0, 0, 0)


@given(some_hiccups, stretches)
def test_second_by_second_it_is_the_same(hiccups: list[Hiccup], stretch: list[int]) -> None:
    begin, end = stretch
    still = sum(any(each.begin <= second < each.end for each in hiccups) for second in range(begin, end))
    assert Hiccups(hiccups).within(begin, end) == still


@given(some_hiccups, st.lists(seconds, min_size=2).map(sorted))
def test_the_parts_of_a_stretch_have_what_the_whole_has(hiccups: list[Hiccup], cuts: list[int]) -> None:
    union = Hiccups(hiccups)
    assert sum(union.within(*part) for part in pairwise(cuts)) == union.within(cuts[0], cuts[-1])


def stretch(hiccups: Hiccups | None, *slow: Slow) -> dict[str, str]:
    """What the table says of a stretch with these slow look-ups, by its columns' places."""
    near = ((slow[0].at, slow[0].taken), (2.0, 0.5))
    looked = Looked(1000, 0, 0.1, 0.3, 7.0, 0.4, near, 0, slow)
    values = ["us 1M", "import", *Stretch(looked, hiccups, []).row()]
    return {f"{place} {name}": value for place, (name, value) in enumerate(zip(COLUMNS, values, strict=True))}


def slow(at: float, taken: float) -> Slow:
    return Slow(at, taken, waited=0, ran=0)


def test_a_stall_is_the_machines_if_without_its_hiccups_there_was_none() -> None:
    # 7 ms, of which 3 in a hiccup; 6 ms, of which half a millisecond; 8 ms, all of them.
    hiccups = Hiccups([Hiccup(1.004, 1.009), Hiccup(2.9995, 3.0005), Hiccup(4, 5)])
    row = stretch(hiccups, slow(1.0, 7.0), slow(3.0, 6.0), slow(4.0, 8.0), slow(6.0, 3.0))
    assert [row[each] for each in ("3 over 5 ms", "4 the machine's", "5 the rest")] == ["3", "2", "1"]
    assert [row[each] for each in ("6 longest ms", "7 without hiccups")] == ["7.00", "5.50"]
    assert [row[each] for each in ("10 near switch", "11 without hiccups")] == ["7.00", "4.00"]


def test_where_nobody_watched_no_stall_is_said_to_be_the_machines() -> None:
    row = stretch(None, slow(1.0, 7.0))
    assert [row[each] for each in ("3 over 5 ms", "4 the machine's", "5 the rest")] == ["1", "-", "-"]
