"""The digits in a column of fields, as numpy finds them: what is no plain number is left to others. Pure."""

from dataclasses import dataclass

import numpy as np

from callguard.lists.packing import Numbers
from callguard.lists.spreadsheet import FEWEST_DIGITS
from callguard.scrub.rows import Bytes, Flags, Positions

LONGEST = 15
"""Digits of a plain number, as of E.164."""

_WIDEST = 24
"""Bytes of a plain number."""
_SEPARATOR, _BLANK, _PLUS, _OTHER = 10, 11, 12, 13
_KIND = np.full(256, _OTHER, np.uint8)
_KIND[list(b"0123456789")] = range(10)
_KIND[list(b"-.()")] = _SEPARATOR
_KIND[list(b" \t")] = _BLANK
_KIND[ord("+")] = _PLUS
_BLANKS = b" \t"


@dataclass(frozen=True, slots=True)
class Digits:
    """What stands in each field of a column, without what a spreadsheet puts there (lists/spreadsheet.py)."""

    values: Numbers
    """The digits as an integer."""
    counts: Positions
    """How many they are."""
    plus: Flags
    """Whether a plus sign is before them."""
    plain: Flags
    """Whether there is nothing else but separators. Of other fields only `blank` is true."""
    blank: Flags
    """Whether there is nothing at all."""


def find_digits(data: Bytes, starts: Positions, ends: Positions) -> Digits:
    """The digits of the fields between these positions."""
    if not len(data):
        empty = np.zeros(len(starts), np.int64)
        none = np.zeros(len(starts), np.bool_)
        return Digits(empty.astype(np.uint64), empty, none, none, ~none)
    starts, ends = _without_wrapping(data, starts, ends)
    found = _of(data, starts, ends)
    _take_off_decimals(found, data, starts, ends)
    return found


def _of(data: Bytes, starts: Positions, ends: Positions) -> Digits:
    lengths = ends - starts
    values = np.zeros(len(starts), np.uint64)
    counts = np.zeros(len(starts), np.int64)
    plus = np.zeros(len(starts), np.bool_)
    plain = lengths <= _WIDEST
    blank = np.ones(len(starts), np.bool_)
    last = len(data) - 1
    for at in range(min(int(lengths.max(initial=0)), _WIDEST)):
        kinds = _KIND[data[np.minimum(starts + at, last)]]
        kinds[lengths <= at] = _BLANK
        blank &= kinds == _BLANK
        is_digit = kinds < _SEPARATOR
        if is_digit.all():
            values *= np.uint64(10)
            values += kinds
        else:
            values = np.where(is_digit, values * np.uint64(10) + kinds, values)
            is_plus = kinds == _PLUS
            plain &= ~(is_plus & (plus | (counts > 0))) & (kinds != _OTHER)
            plus |= is_plus
        counts += is_digit
    for field in np.flatnonzero(blank & (lengths > _WIDEST)).tolist():
        blank[field] = not data[starts[field] : ends[field]].tobytes().strip(_BLANKS)
    return Digits(values, counts, plus, plain & (counts <= LONGEST), blank)


def _take_off_decimals(found: Digits, data: Bytes, starts: Positions, ends: Positions) -> None:
    """Take .0 or .00 off numbers without any other separator; others that end so are not plain."""
    for decimals in (1, 2):
        ending = b"." + b"0" * decimals
        fields = np.flatnonzero(ends - starts > len(ending))
        for at, byte in enumerate(reversed(ending), 1):
            fields = fields[data[ends[fields] - at] == byte]
        if not len(fields):
            continue
        counts = found.counts[fields] - decimals
        alone = counts + found.plus[fields] + len(ending) == (ends - starts)[fields]
        alone &= counts >= FEWEST_DIGITS
        found.plain[fields] &= alone
        found.values[fields] //= np.uint64(10**decimals)
        found.counts[fields] = counts


def _without_wrapping(data: Bytes, starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
    """The fields without an apostrophe, ="..." (whose marks are doubled in a quoted field) and blanks at the
    end. Where blanks stand before these, the field is not plain."""
    ends = _without_blanks(data, starts, ends)
    first = data[np.minimum(starts, len(data) - 1)]
    starts = starts + ((first == ord("'")) & (ends > starts))
    formulas = np.flatnonzero((first == ord("=")) | (first == ord("'")))
    if not len(formulas):
        return starts, ends
    for before, after in ((b'=""', b'""'), (b'="', b'"')):
        a, b = starts[formulas], ends[formulas]
        wrapped = b - a >= len(before) + len(after)
        for at, byte in enumerate(before):
            wrapped &= data[np.minimum(a + at, len(data) - 1)] == byte
        for at, byte in enumerate(reversed(after), 1):
            wrapped &= data[np.maximum(b - at, 0)] == byte
        those = formulas[wrapped]
        starts[those] += len(before)
        ends[those] -= len(after)
        formulas = formulas[~wrapped]
    return starts, _without_blanks(data, starts, ends)


def _without_blanks(data: Bytes, starts: Positions, ends: Positions) -> Positions:
    """The ends without blanks before them; wider fields may keep some, and are not plain then."""
    ends = ends.copy()
    fields = np.flatnonzero(ends > starts)
    for _ in range(_WIDEST):
        fields = fields[_KIND[data[ends[fields] - 1]] == _BLANK]
        if not len(fields):
            break
        ends[fields] -= 1
        fields = fields[ends[fields] > starts[fields]]
    return ends
