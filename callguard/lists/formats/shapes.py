"""Shapes of lines: where a line that is nothing but a number has its digits, and what stands between them.

Most registries' files have few (201,5551234; +628123456789; 01234 567890).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callguard.lists.formats.clean import LONGEST, SHORTEST
from callguard.lists.packing import Numbers

LONGEST_SHAPE = 40
"""Bytes of a line that may have a shape."""
WORD = 8
"""Bytes of a machine word: so many digits are read at once."""

ZEROS = np.uint64(0x3030303030303030)
"""Eight digits xor these are their values."""
ABOVE_NINE = 0x76
"""Added to a byte below 128, it sets the top bit of all but 0 to 9."""
ABOVE_ZERO = 0x7F
"""The same of all but 0."""
TOP_BITS = np.uint64(0x8080808080808080)
_STEPS = (
    (np.uint64(10), np.uint64(8), np.uint64(0x00FF00FF00FF00FF)),
    (np.uint64(100), np.uint64(16), np.uint64(0x0000FFFF0000FFFF)),
    (np.uint64(10_000), np.uint64(32), np.uint64(0x00000000FFFFFFFF)),
)
"""Pairs of digits, of pairs, of fours: each step multiplies the earlier part and adds the later one."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the lines of one length have digits, and what stands between them."""

    runs: tuple[tuple[int, int], ...]
    """Starts and ends of digits without a break, of at most eight; a longer run is several."""
    others: tuple[tuple[int, int], ...]
    """Place and byte of everything else."""
    digits: int
    plus: bool


ShapeOf = Callable[[bytes], Shape | None]
"""The shape of a line, if lines like it may be read here."""


def shape_of(line: bytes, *, plus: bool) -> Shape | None:
    """The shape of a line of digits and others, which do not count; None for too few or too many digits."""
    runs: list[tuple[int, int]] = []
    others = []
    for place, byte in enumerate(line):
        if not 48 <= byte <= 57:
            others.append((place, byte))
        elif runs and runs[-1][1] == place and place - runs[-1][0] < WORD:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    digits = len(line) - len(others)
    return Shape(tuple(runs), tuple(others), digits, plus) if SHORTEST <= digits <= LONGEST else None


def to_values(words: Numbers, scratch: NDArray[np.uint64]) -> None:
    """Turn words of eight digits' values, the first one in the lowest byte, into numbers below 10**8, in
    place. With three multiplications for a word, not for a digit. `scratch` is as long."""
    for factor, shift, mask in _STEPS:
        np.right_shift(words, shift, out=scratch)
        words *= factor
        words += scratch
        words &= mask
