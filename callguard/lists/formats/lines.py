"""Lines that are nothing but a number, by the million: the bytes of a chunk to numbers.

Most registries' files have few shapes of line (201,5551234; +628123456789; 01234 567890). The first line of
a length shows a shape: where it has digits, and which characters stand at the other places. All lines of that
length are held against it at once. Eight digits are read as one machine word: with three multiplications for
a word, not for a digit. Work goes in pieces that stay in a core's cache; numpy releases the GIL meanwhile.

A line that fits no shape, or whose number is not clean (clean.py), is left to its caller.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callguard.lists.formats.clean import LONGEST, SHORTEST, CleanRule
from callguard.lists.packing import Numbers

LONGEST_SHAPE = 40
"""Bytes of a line that may fit a shape."""

_MOST_SHAPES = 4
"""Of one length, in one piece. Files have one or two; more would be a way to keep us busy."""
_PIECE = 1 << 16
"""Lines at once: their words fill a quarter of a core's second cache. With fewer, threads that each do a
little and then want Python's lock spend more time on the lock than on the lines."""
_BYTES_AT_ONCE = 1 << 20
"""Bytes that are searched for line ends at once."""
_WORD = 8
_NEWLINE = 10

_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_TOP_BITS = np.uint64(0x8080808080808080)
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
        elif runs and runs[-1][1] == place and place - runs[-1][0] < _WORD:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    digits = len(line) - len(others)
    return Shape(tuple(runs), tuple(others), digits, plus) if SHORTEST <= digits <= LONGEST else None


@dataclass(frozen=True, slots=True)
class Lines:
    """The numbers of a chunk's lines."""

    numbers: Numbers
    """One for each line; 0 for a line that is left to the caller."""
    ends: NDArray[np.int64] | int
    """The place of each line's newline in the chunk; or the length of every line, with its newline."""

    def left(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each line without a number, but for empty ones."""
        without = np.flatnonzero(self.numbers == 0)
        if isinstance(self.ends, int):
            ends = without * self.ends + self.ends - 1
            starts = ends - self.ends + 1
        else:
            ends = self.ends[without]
            starts = np.where(without == 0, 0, self.ends[without - 1] + 1)
        for nonempty in np.flatnonzero(starts < ends):
            yield int(without[nonempty]), data[starts[nonempty] : ends[nonempty]]


def read_lines(data: bytes, shape: ShapeOf, rule: CleanRule) -> Lines:
    """The numbers of the lines of a chunk, which end in newlines (carriage returns are part of the line)."""
    # Words are loaded by their last byte, so that eight bytes before the first line must be there.
    padded = b"\n" * _WORD + data + (b"" if data.endswith(b"\n") else b"\n")
    buffer = np.frombuffer(padded, np.uint8)
    length = padded.index(b"\n", _WORD) + 1 - _WORD
    lines, over = divmod(len(buffer) - _WORD, length)
    if not over and _are_even(buffer[_WORD:], length):
        numbers = np.zeros(lines, np.uint64)
        if length - 1 <= LONGEST_SHAPE:
            for first in range(0, lines, _PIECE):
                count = min(_PIECE, lines - first)
                group = _Even(buffer, _WORD + first * length, length, count)
                numbers[first : first + count] = _numbers(group, shape, rule)
        return Lines(numbers, length)
    ends = _ends(buffer[_WORD:])
    numbers = np.zeros(len(ends), np.uint64)
    before = -1
    for first in range(0, len(ends), _PIECE):
        piece = ends[first : first + _PIECE]
        lengths = np.minimum(np.diff(piece, prepend=before) - 1, LONGEST_SHAPE + 1).astype(np.uint8)
        before = piece[-1]
        for length in np.flatnonzero(np.bincount(lengths)).tolist():
            if SHORTEST <= length <= LONGEST_SHAPE:
                these = np.flatnonzero(lengths == length)
                scattered = _Scattered(buffer, piece[these] + (_WORD - length), length)
                numbers[first : first + _PIECE][these] = _numbers(scattered, shape, rule)
    return Lines(numbers, ends)


def _ends(text: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The places of all newlines."""
    return np.concatenate(
        [
            np.flatnonzero(text[at : at + _BYTES_AT_ONCE] == _NEWLINE) + at
            for at in range(0, len(text), _BYTES_AT_ONCE)
        ]
    )


def _are_even(buffer: NDArray[np.uint8], length: int) -> bool:
    """Whether every line has this length, with its newline."""
    step = _PIECE * length
    for first in range(0, len(buffer), step):
        piece = buffer[first : first + step]
        newlines = piece[length - 1 :: length] == _NEWLINE
        if not newlines.all() or np.count_nonzero(piece == _NEWLINE) != len(newlines):
            return False
    return True


class _Even:
    """Lines that follow each other, all of one length."""

    def __init__(self, buffer: NDArray[np.uint8], start: int, length: int, count: int) -> None:
        self._buffer, self._start, self._length, self.count = buffer, start, length, count
        self.line_length = length - 1

    def line(self, index: int) -> bytes:
        start = self._start + index * self._length
        return self._buffer[start : start + self.line_length].tobytes()

    def words(self, end: int) -> Numbers:
        """Of each line, the eight bytes before the place `end`."""
        return np.ndarray((self.count,), "<u8", self._buffer.data, self._start + end - _WORD, (self._length,))

    def bytes_at(self, place: int) -> NDArray[np.uint8]:
        return self._buffer[self._start + place :: self._length][: self.count]

    def only(self, chosen: NDArray[np.int64]) -> "_Scattered":
        return _Scattered(self._buffer, self._start + chosen * self._length, self.line_length)


class _Scattered:
    """Lines anywhere in the buffer, all of one length."""

    def __init__(self, buffer: NDArray[np.uint8], starts: NDArray[np.int64], line_length: int) -> None:
        self._buffer, self._starts, self.line_length = buffer, starts, line_length
        self.count = len(starts)
        self._every_word = np.ndarray((len(buffer) - _WORD + 1,), "<u8", buffer.data, 0, (1,))

    def line(self, index: int) -> bytes:
        start = int(self._starts[index])
        return self._buffer[start : start + self.line_length].tobytes()

    def words(self, end: int) -> Numbers:
        return self._every_word[self._starts + (end - _WORD)]

    def bytes_at(self, place: int) -> NDArray[np.uint8]:
        return self._buffer[self._starts + place]

    def only(self, chosen: NDArray[np.int64]) -> "_Scattered":
        return _Scattered(self._buffer, self._starts[chosen], self.line_length)


def _numbers(group: _Even | _Scattered, shape_of_line: ShapeOf, rule: CleanRule) -> Numbers:
    """The numbers of lines of one length; 0 where a line is left."""
    numbers = np.zeros(group.count, np.uint64)
    remaining = np.arange(group.count)
    for _ in range(_MOST_SHAPES):
        if not remaining.size:
            break
        some = group if remaining.size == group.count else group.only(remaining)
        shape = shape_of_line(some.line(0))
        if shape is None:
            remaining = remaining[1:]
            continue
        digits, fits = _digits(some, shape)
        found = rule.read(digits, shape.digits, plus=shape.plus)
        if remaining.size == group.count and fits.all():
            return found
        numbers[remaining[fits]] = found[fits]
        remaining = remaining[~fits]
    return numbers


def _digits(group: _Even | _Scattered, shape: Shape) -> tuple[Numbers, NDArray[np.bool_]]:
    """The digits of each line as a number, and whether the line has the shape."""
    wrong = np.zeros(group.count, np.uint64)
    total = np.zeros(group.count, np.uint64)
    scratch = np.empty(group.count, np.uint64)
    for start, end in shape.runs:
        word = np.bitwise_xor(group.words(end), _ZEROS)
        if end - start < _WORD:
            word &= np.uint64((1 << 64) - (1 << 8 * (_WORD - (end - start))))
        np.add(word, _ABOVE_NINE, out=scratch)
        wrong |= scratch
        wrong |= word
        for factor, shift, mask in _STEPS:
            np.right_shift(word, shift, out=scratch)
            word *= factor
            word += scratch
            word &= mask
        total *= np.uint64(10 ** (end - start))
        total += word
    wrong &= _TOP_BITS
    fits = wrong == 0
    for place, byte in shape.others:
        fits &= group.bytes_at(place) == byte
    total[~fits] = 0
    return total, fits
