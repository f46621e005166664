"""Lines that are nothing but a number, by the million: the bytes of a chunk to numbers.

The first line of a length shows a shape (shapes.py). Lines are held against it all at once: those of one
length where all have it, those of several as uneven.py does, and what that leaves, length by length. Work
goes in pieces that stay in a core's cache; numpy releases the GIL meanwhile.

A line that fits no shape, or whose number is not clean (clean.py), is left to its caller.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callguard.lists.formats.clean import SHORTEST, CleanRule
from callguard.lists.formats.shapes import (
    ABOVE_NINE,
    LONGEST_SHAPE,
    TOP_BITS,
    WORD,
    ZEROS,
    Shape,
    ShapeOf,
    to_values,
)
from callguard.lists.formats.uneven import WINDOW, read_uneven
from callguard.lists.packing import Numbers

_MOST_SHAPES = 4
"""Of one length, in one piece. Files have one or two; more would be a way to keep us busy."""
_PIECE = 1 << 19
"""Bytes at once: what is made of them fits in a core's second cache. With fewer, threads that each do a
little and then want Python's lock spend more time on the lock than on the lines."""
_NEWLINE = 10
_NINES = np.uint64(int.from_bytes([ABOVE_NINE] * WORD, "little"))
_NONE = np.zeros(0, np.int64)
_FIRST = np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True)
class Lines:
    """The numbers of a chunk's lines."""

    numbers: Numbers
    """One for each line; 0 for a line that is left to the caller."""
    starts: NDArray[np.int64]
    """Where in the chunk each line without a number begins."""
    ends: NDArray[np.int64]
    """The place of its newline."""

    def left(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each line without a number, but for empty ones."""
        left = np.flatnonzero(self.numbers == 0)
        for index, start, end in zip(left.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True):
            if start < end:
                yield index, data[start:end]


def read_lines(data: bytes, shape: ShapeOf, rule: CleanRule) -> Lines:
    """The numbers of the lines of a chunk, which end in newlines (carriage returns are part of the line)."""
    pieces = [_read_piece(data, start, stop, shape, rule) for start, stop in _pieces(data)]
    return Lines(
        np.concatenate([np.zeros(0, np.uint64), *(piece.numbers for piece in pieces)]),
        np.concatenate([_NONE, *(piece.starts for piece in pieces)]),
        np.concatenate([_NONE, *(piece.ends for piece in pieces)]),
    )


def _pieces(data: bytes) -> Iterator[tuple[int, int]]:
    """Starts and ends of pieces of whole lines."""
    start = 0
    while start < len(data):
        last = data.rfind(b"\n", start, start + _PIECE)
        if last < 0:
            last = data.find(b"\n", start + _PIECE)
        stop = len(data) if last < 0 else last + 1
        yield start, stop
        start = stop


def _read_piece(data: bytes, start: int, stop: int, shape: ShapeOf, rule: CleanRule) -> Lines:
    # Words are loaded by their last byte, so that some bytes must be there before the first line.
    size = stop - start
    text = np.full(WINDOW + size + (data[stop - 1] != _NEWLINE), _NEWLINE, np.uint8)
    text[WINDOW : WINDOW + size] = np.frombuffer(data, np.uint8, size, start)
    is_end = text[WINDOW:] == _NEWLINE
    length = int(is_end.argmax()) + 1
    if _are_even(is_end, length):
        count = len(is_end) // length
        numbers = np.zeros(count, np.uint64)
        if length - 1 <= LONGEST_SHAPE:
            numbers = _numbers(_Even(text, WINDOW, length, count), shape, rule)
        starts = start + np.flatnonzero(numbers == 0) * length
        return Lines(numbers, starts, starts + (length - 1))
    ends = np.flatnonzero(is_end)
    starts = np.concatenate([_FIRST, ends[:-1] + 1])
    lengths = np.minimum(ends - starts, LONGEST_SHAPE + 1)
    numbers = read_uneven(text, ends + WINDOW, lengths, shape, rule)
    rest = np.flatnonzero(numbers == 0)
    their = lengths[rest]
    for length in np.unique(their).tolist():
        if SHORTEST <= length <= LONGEST_SHAPE:
            these = rest[their == length]
            scattered = _Scattered(text, starts[these] + WINDOW, length)
            numbers[these] = _numbers(scattered, shape, rule)
    left = rest[numbers[rest] == 0]
    return Lines(numbers, start + starts[left], start + ends[left])


def _are_even(is_end: NDArray[np.bool_], length: int) -> bool:
    """Whether every line has this length, with its newline."""
    lines, over = divmod(len(is_end), length)
    return not over and bool(is_end[length - 1 :: length].all()) and np.count_nonzero(is_end) == lines


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
        return np.ndarray((self.count,), "<u8", self._buffer.data, self._start + end - WORD, (self._length,))

    def bytes_at(self, place: int) -> NDArray[np.uint8]:
        return self._buffer[self._start + place :: self._length][: self.count]

    def only(self, chosen: NDArray[np.int64]) -> "_Scattered":
        return _Scattered(self._buffer, self._start + chosen * self._length, self.line_length)


class _Scattered:
    """Lines anywhere in the buffer, all of one length."""

    def __init__(self, buffer: NDArray[np.uint8], starts: NDArray[np.int64], line_length: int) -> None:
        self._buffer, self._starts, self.line_length = buffer, starts, line_length
        self.count = len(starts)
        self._every_word = np.ndarray((len(buffer) - WORD + 1,), "<u8", buffer.data, 0, (1,))

    def line(self, index: int) -> bytes:
        start = int(self._starts[index])
        return self._buffer[start : start + self.line_length].tobytes()

    def words(self, end: int) -> Numbers:
        return self._every_word[self._starts + (end - WORD)]

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
        word = np.bitwise_xor(group.words(end), ZEROS)
        if end - start < WORD:
            word &= np.uint64((1 << 64) - (1 << 8 * (WORD - (end - start))))
        np.add(word, _NINES, out=scratch)
        wrong |= scratch
        wrong |= word
        to_values(word, scratch)
        total *= np.uint64(10 ** (end - start))
        total += word
    wrong &= TOP_BITS
    fits = wrong == 0
    for place, byte in shape.others:
        fits &= group.bytes_at(place) == byte
    total[~fits] = 0
    return total, fits
