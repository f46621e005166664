"""Made-up numbers with the structure of real ones, by the hundred million: each once, shuffled, the same for
the same seed.

    us          US numbers: of an area code nearly all exchanges, and of an exchange (10,000 numbers) 9 % on
                the average, unevenly; 250.75 million take 280,000 exchanges, as the national registry does
    indonesia   Indonesian mobiles of every operator, 9 to 12 digits after +62, in dense and sparse ranges
    random      ten digits after Germany's +49, evenly

No registry's numbers are in any of this: they are drawn.

    python -m tests.benchmarks.made_up_numbers us 10000000 FILE
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from phonenumbers import PhoneNumber, region_code_for_number

from callguard.lists.packing import Numbers

SPAN = 10_000
"""Numbers are drawn from spans of so many."""
CHUNK = 1_000_000
PER_EXCHANGE, PER_AREA = 895, 735
"""Numbers of a US exchange, and exchanges of an area code, on the average."""
EXCHANGES = np.array([code for code in range(200, 1000) if code % 100 != 11], dtype=np.uint64)
OPERATORS = (
    *("811", "812", "813", "821", "822", "823", "851", "852", "853"),
    *("814", "815", "816", "855", "856", "857", "858", "895", "896", "897", "898", "899"),
    *("817", "818", "819", "859", "877", "878", "831", "832", "833", "838"),
    *("881", "882", "883", "884", "885", "886", "887", "888", "889"),
)
"""What Indonesian mobile numbers begin with."""
LENGTHS = {9: 0.01, 10: 0.09, 11: 0.6, 12: 0.3}
"""Digits of Indonesian mobile numbers after +62, and how many of the numbers have so many."""

Counts: TypeAlias = NDArray[np.int64]


class Kind(StrEnum):
    US = "us"
    INDONESIA = "indonesia"
    RANDOM = "random"


class Layout(StrEnum):
    """A line of a file."""

    AREA_AND_NUMBER = "NPA,NNNNNNN"
    E164 = "+NNNNNNNNNNN"


@dataclass(frozen=True, slots=True)
class _Spans:
    """Where numbers lie: how many there are from each of `firsts` to before SPAN after it."""

    firsts: Numbers
    counts: Counts


def made_up(kind: Kind, count: int, seed: int = 1) -> Iterator[Numbers]:
    """So many numbers, shuffled, CHUNK at a time.

    Raises ValueError for more than there are such numbers.
    """
    rng = np.random.default_rng(seed)
    spans = {Kind.US: _us, Kind.INDONESIA: _indonesia, Kind.RANDOM: _random}[kind](rng, count)
    ends = np.cumsum(spans.counts)
    # Which numbers a span has: the first ones of one of a few random orders, begun somewhere in it.
    orders = np.array([rng.permutation(SPAN) for _ in range(64)], dtype=np.uint16).ravel()
    begin = rng.integers(0, SPAN, len(ends))
    # Steps of a fixed width that has no divisor in common with the count go once through all ranks.
    step = next(step for step in range(int(count * 0.618), 2 * count + 2) if math.gcd(step, count) == 1)
    for at in range(0, count, CHUNK):
        # In rising order, which is several times faster to look up.
        ranks = np.sort(np.arange(at, min(at + CHUNK, count)) * step % count)
        span = np.searchsorted(ends, ranks, side="right")
        place = ranks - (ends[span] - spans.counts[span])
        numbers = spans.firsts[span] + orders[span % 64 * SPAN + (place + begin[span]) % SPAN]
        rng.shuffle(numbers)
        yield numbers


def write_file(path: Path, kind: Kind, count: int, layout: Layout | None = None, seed: int = 1) -> None:
    """Write made-up numbers, a line each: US ones as `NPA,NNNNNNN`, others as E.164, unless told."""
    if layout is None:
        layout = Layout.AREA_AND_NUMBER if kind == Kind.US else Layout.E164
    with path.open("wb") as file:
        for numbers in made_up(kind, count, seed):
            file.write(_lines(numbers, layout))


def _us(rng: np.random.Generator, count: int) -> _Spans:
    areas = rng.permutation(_us_area_codes())
    wanted = -(-count // PER_EXCHANGE)
    firsts: list[Numbers] = []
    for area in areas[: -(-wanted // PER_AREA)]:
        used = EXCHANGES[rng.random(len(EXCHANGES)) < (PER_AREA + 3) / len(EXCHANGES)]
        firsts.append((np.uint64(1_000_000 + area * 1000) + used) * np.uint64(SPAN))
    spans = np.concatenate([np.empty(0, np.uint64), *firsts])[:wanted]
    return _Spans(spans, _shared(rng, count, rng.beta(2, 20, len(spans))))


def _us_area_codes() -> NDArray[np.int64]:
    """The area codes that phonenumbers knows as of the United States, and not of Canada or the Caribbean."""
    numbers = {code: PhoneNumber(1, code * 10**7 + 2345678) for code in range(200, 1000)}
    return np.array([code for code, number in numbers.items() if region_code_for_number(number) == "US"])


def _indonesia(rng: np.random.Generator, count: int) -> _Spans:
    firsts: list[Numbers] = []
    counts: list[Counts] = []
    for length, these in zip(LENGTHS, rng.multinomial(count, list(LENGTHS.values())), strict=True):
        per_operator = 10 ** (length - 3)
        begins = [int(f"62{operator}") * per_operator for operator in OPERATORS]
        spans = np.concatenate([np.arange(one, one + per_operator, SPAN, dtype=np.uint64) for one in begins])
        # Ranges of a million were given out one by one, and are in use to very different degrees.
        use = np.repeat(rng.lognormal(0, 1.5, -(-len(spans) // 100)), 100)[: len(spans)]
        firsts.append(spans)
        counts.append(_shared(rng, int(these), use))
    return _Spans(np.concatenate(firsts), np.concatenate(counts))


def _random(rng: np.random.Generator, count: int) -> _Spans:
    firsts = np.arange(491_000_000_000, 500_000_000_000, SPAN, dtype=np.uint64)
    return _Spans(firsts, _shared(rng, count, np.ones(len(firsts))))


def _shared(rng: np.random.Generator, count: int, weights: NDArray[np.float64]) -> Counts:
    """So many numbers shared out among spans of these weights, no span with more than it can hold."""
    if count > SPAN * len(weights):
        raise ValueError(f"{count} numbers do not fit into {len(weights)} spans of {SPAN}")
    counts = np.zeros(len(weights), dtype=np.int64)
    while (left := count - int(counts.sum())) > 0:
        open_ones = weights * (counts < SPAN)
        counts = np.minimum(counts + rng.multinomial(left, open_ones / open_ones.sum()), SPAN)
    return counts


def _groups(digits: int, form: str) -> NDArray[np.uint32]:
    """Every group of so many digits as the four bytes of `form`."""
    return np.frombuffer("".join(form.format(group) for group in range(10**digits)).encode(), dtype="<u4")


_FOUR, _AREA, _END = _groups(4, "{:04}"), _groups(3, "{:03},"), _groups(3, "{:03}\n")


def _lines(numbers: Numbers, layout: Layout) -> bytes:
    if layout == Layout.AREA_AND_NUMBER:
        fields = (_AREA[numbers // 10**7 % 1000], _FOUR[numbers // 1000 % 10**4], _END[numbers % 1000])
        return np.stack(fields, axis=1).tobytes()
    text = np.full((len(numbers), 18), ord("\n"), dtype=np.uint8)
    fours = [_FOUR[numbers // 10**power % 10**4] for power in (12, 8, 4, 0)]
    text[:, 1:17] = np.stack(fours, axis=1).view(np.uint8)
    plus = 16 - np.searchsorted(10 ** np.arange(1, 16, dtype=np.uint64), numbers, side="right") - 1
    text[np.arange(len(numbers)), plus] = ord("+")
    return text[np.arange(18) >= plus[:, None]].tobytes()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Write a file of made-up numbers.")
    arguments.add_argument("kind", type=Kind, choices=list(Kind))
    arguments.add_argument("count", type=int)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--layout", type=Layout, choices=list(Layout))
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    write_file(chosen.file, chosen.kind, chosen.count, chosen.layout, chosen.seed)
