"""The benchmarks' made-up numbers are as many as asked for, each once, and of the country they are for."""

from pathlib import Path

import numpy as np
import phonenumbers
import pytest

from callguard.lists.packing import Numbers
from tests.benchmarks.made_up_numbers import CHUNK, Kind, Layout, made_up, write_file

REGION = {Kind.US: "US", Kind.INDONESIA: "ID", Kind.RANDOM: "DE"}

every_kind = pytest.mark.parametrize("kind", list(Kind))


def drawn(kind: Kind, count: int, seed: int = 1) -> Numbers:
    return np.concatenate([np.empty(0, np.uint64), *made_up(kind, count, seed)])


@every_kind
@pytest.mark.parametrize("count", [0, 1, 12, CHUNK + 1])
def test_as_many_as_asked_for_and_each_once(kind: Kind, count: int) -> None:
    assert len(set(drawn(kind, count).tolist())) == count


@every_kind
def test_the_same_for_the_same_seed_only(kind: Kind) -> None:
    assert np.array_equal(drawn(kind, 1000), drawn(kind, 1000))
    assert not np.array_equal(drawn(kind, 1000), drawn(kind, 1000, seed=2))


@every_kind
def test_shuffled(kind: Kind) -> None:
    numbers = drawn(kind, 20_000)
    rising = np.mean(numbers[1:] > numbers[:-1])
    assert 0.45 < rising < 0.55


@every_kind
def test_numbers_that_the_country_can_have(kind: Kind) -> None:
    for number in drawn(kind, 300).tolist():
        parsed = phonenumbers.parse(f"+{number}")
        assert phonenumbers.is_possible_number(parsed)
        assert parsed.country_code == phonenumbers.country_code_for_region(REGION[kind])


def test_us_numbers_fill_their_exchanges_as_those_of_the_national_registry_do() -> None:
    exchanges, counts = np.unique_counts(drawn(Kind.US, 200_000) // np.uint64(10_000))
    assert 850 < 200_000 / len(exchanges) < 940
    assert counts.min() < 300
    assert counts.max() > 2000


def test_more_numbers_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        next(made_up(Kind.RANDOM, 9 * 10**9 + 1))


@pytest.mark.parametrize("kind", [Kind.INDONESIA, Kind.RANDOM])
def test_a_file_of_e164(tmp_path: Path, kind: Kind) -> None:
    write_file(tmp_path / "numbers", kind, 5000)
    lines = (tmp_path / "numbers").read_bytes().decode().split("\n")
    assert lines == [*(f"+{number}" for number in drawn(kind, 5000).tolist()), ""]


def test_a_file_of_area_code_and_number(tmp_path: Path) -> None:
    write_file(tmp_path / "numbers", Kind.US, 5000)
    lines = (tmp_path / "numbers").read_bytes().decode().split("\n")
    assert lines == [*(f"{str(n)[1:4]},{str(n)[4:]}" for n in drawn(Kind.US, 5000).tolist()), ""]


def test_another_layout_by_choice(tmp_path: Path) -> None:
    write_file(tmp_path / "numbers", Kind.US, 10, Layout.E164)
    assert (tmp_path / "numbers").read_text().startswith("+1")
