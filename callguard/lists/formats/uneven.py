"""Lines of several lengths at once, as a country's numbers are mixed: 0812…, 62812…, +62812….

Such lines end in their digits (and perhaps a carriage return), and differ in what they begin with. The
sixteen bytes before a line's end are loaded as two words; which of these bytes are the line's, and what they
must be, is looked up by the line's length. To go through them length by length takes Python's lock, which
other threads wait for, several times as often.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callguard.lists.formats.clean import CleanRule, Form
from callguard.lists.formats.shapes import (
    ABOVE_NINE,
    ABOVE_ZERO,
    LONGEST_SHAPE,
    TOP_BITS,
    WORD,
    Shape,
    ShapeOf,
    to_values,
)
from callguard.lists.packing import Numbers

WINDOW = 2 * WORD
"""Bytes before a line's end that are looked at, and that must be there before the first line's end."""

_SAMPLE = 4096
"""Lines whose lengths are looked for. Others with the same length are read with them; those of lengths that
are so rare are left."""
_TEN_TO_EIGHT = np.uint64(10**8)
_TWO_WORDS = np.dtype((np.void, WINDOW))


@dataclass(frozen=True, slots=True)
class _Tables:
    """What lines must be, by their length. Of each two words the first has what comes first."""

    tail: bytes
    """What comes after the digits."""
    kept: NDArray[np.uint64]
    """The bits of the words that are the line's."""
    expected: NDArray[np.uint64]
    """What they are xored with, so that digits become their values, and everything else 0."""
    above: NDArray[np.uint64]
    """What is added to them, so that top bits tell what does not fit."""
    forms: tuple[Form, ...]
    form: NDArray[np.intp]
    """Which of the forms the number of such a line has."""


def read_uneven(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    lengths: NDArray[np.int64],
    shape_of_line: ShapeOf,
    rule: CleanRule,
) -> Numbers:
    """The numbers of lines by the places of their newlines in a text (the first one at WINDOW or later), and
    their lengths without it, LONGEST_SHAPE + 1 for all that are longer. 0 for a line that is left."""
    tables = _tables(_shapes(text, ends, lengths, shape_of_line))
    if tables is None:
        return np.zeros(len(ends), np.uint64)
    ends = ends - len(tables.tail)
    every = np.ndarray((len(text) - WINDOW + 1,), _TWO_WORDS, text.data, 0, (1,))
    words = every[ends - WINDOW].view("<u8").reshape(-1, 2)
    words &= tables.kept.take(lengths, axis=0)
    words ^= tables.expected.take(lengths, axis=0)
    scratch = words + tables.above.take(lengths, axis=0)
    wrong = (scratch[:, 0] | scratch[:, 1] | words[:, 0] | words[:, 1]) & TOP_BITS
    fits = wrong == 0
    for place, byte in enumerate(tables.tail):
        fits &= text[ends + place] == byte
    to_values(words, scratch)
    numbers = words[:, 0] * _TEN_TO_EIGHT
    numbers += words[:, 1]
    found = rule.read_several(numbers, tables.forms, tables.form.take(lengths))
    found *= fits
    return found


def _shapes(
    text: NDArray[np.uint8], ends: NDArray[np.int64], lengths: NDArray[np.int64], shape_of_line: ShapeOf
) -> Mapping[int, Shape]:
    """The shapes of some of the first lines, one for each length."""
    shapes = {}
    sample = lengths[:_SAMPLE]
    for length in np.flatnonzero(np.bincount(sample, minlength=LONGEST_SHAPE + 2)).tolist():
        if length <= LONGEST_SHAPE:
            end = int(ends[np.argmax(sample == length)])
            shape = shape_of_line(text[end - length : end].tobytes())
            if shape is not None:
                shapes[length] = shape
    return shapes


def _tables(shapes: Mapping[int, Shape]) -> _Tables | None:
    """The tables for the shapes that end in their digits and the tail of the first such shape; None if there
    are none."""
    tails = {length: _tail(shape) for length, shape in shapes.items()}
    tail = next((tail for tail in tails.values() if tail is not None), None)
    if tail is None:
        return None
    count = LONGEST_SHAPE + 2
    kept = np.zeros((count, 2), np.uint64)
    expected = np.zeros((count, 2), np.uint64)
    above = np.full((count, 2), TOP_BITS, np.uint64)  # which nothing fits
    form = np.zeros(count, np.intp)
    forms: list[Form] = []
    for length, shape in shapes.items():
        begin = WINDOW - (length - len(tail))
        if tails[length] != tail or begin < 0:
            continue
        is_kept = bytearray(begin) + bytearray(b"\xff" * (WINDOW - begin))
        digits = bytearray(begin) + bytearray(b"0" * (WINDOW - begin))
        over = bytearray([ABOVE_NINE] * WINDOW)
        for place, byte in shape.others[: len(shape.others) - len(tail)]:
            digits[begin + place] = byte
            over[begin + place] = ABOVE_ZERO
        for table, row in ((kept, is_kept), (expected, digits), (above, over)):
            table[length] = np.frombuffer(row, "<u8")
        form[length] = len(forms)
        forms.append(Form(shape.digits, shape.plus))
    return _Tables(tail, kept, expected, above, tuple(forms), form)


def _tail(shape: Shape) -> bytes | None:
    """What follows the digits of a line, where they stand without a break; else None."""
    first, end = shape.runs[0][0], shape.runs[-1][1]
    if end - first != shape.digits:
        return None
    return bytes(byte for place, byte in shape.others if place >= end)
