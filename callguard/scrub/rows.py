"""The rows and fields of a lead file, as positions in its bytes. Pure.

A row ends with a line feed, a carriage return, or both; fields stand between delimiters (RFC 4180). A field
that begins with a quotation mark goes to the next single one, and may hold delimiters, line ends and doubled
quotation marks; marks elsewhere in a field mean nothing. Bytes may be of any encoding that has ASCII in it.

A field whose quotation mark has no end (before a delimiter or a line end, within LONGEST_ROW bytes) is
broken. It must not swallow the rows after it, whose numbers would then go unchecked: its row ends with its
line, and is marked, to be refused.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callguard.errors import InputError

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]

LONGEST_ROW = 1 << 16
"""Bytes of a row. A longer one is no lead."""

_LF, _CR, _QUOTE = 10, 13, 34


class EndlessRow(InputError):
    """A row longer than LONGEST_ROW; `row` is its number among those looked at, from 1."""

    def __init__(self, row: int) -> None:
        self.row = row
        allowed = f"rows of up to {LONGEST_ROW:,} bytes, each with a line end"
        super().__init__("a row without an end", where=f"row {row}", allowed=allowed)


@dataclass(frozen=True, slots=True)
class Rows:
    """Whole rows, one after another."""

    data: Bytes
    """The bytes that they lie in; `starts[0]` is 0."""
    starts: Positions
    """Where each row begins, and, one more, where the last one ends with its line end."""
    ends: Positions
    """Where the content of each row ends, before its line end."""
    broken: Flags
    """Rows with a quotation mark that has no end. They have one field."""
    delimiters: Positions
    """All delimiters between fields."""
    first_delimiters: Positions
    """For each row, the index in `delimiters` of its first one, or of the next row's if it has none."""
    inner: Positions
    """The last byte of every line end within a quoted field."""

    def __len__(self) -> int:
        return len(self.ends)

    def field(self, column: int) -> tuple[Positions, Positions]:
        """Where the field of a column (from 0) begins and ends in each row, quotation marks around it left
        out. A row that has no such field gives an empty one at its end."""
        starts, ends = self.starts[:-1], self.ends
        count = len(self.delimiters)
        if count:
            # One more delimiter, behind everything, so that every index finds one.
            delimiters = np.append(self.delimiters, len(self.data))
            after = delimiters[np.minimum(self.first_delimiters + column, count)]
            if column:
                before = delimiters[np.minimum(self.first_delimiters + column - 1, count)]
                starts = np.minimum(before + 1, ends)
            ends = np.minimum(after, ends)
        elif column:
            starts = ends
        quoted = self._quoted(starts, ends)
        return starts + quoted, ends - quoted

    def _quoted(self, starts: Positions, ends: Positions) -> Flags:
        if not len(self.data):
            return np.zeros(len(ends), np.bool_)
        first = self.data[np.minimum(starts, len(self.data) - 1)]
        last = self.data[np.maximum(ends - 1, 0)]
        quoted: Flags = (first == _QUOTE) & (last == _QUOTE) & (ends - starts >= 2)
        return quoted


def split(data: Bytes, delimiter: int, *, at_end: bool) -> Rows:
    """The whole rows at the beginning of the data, which begin a row.

    What follows `starts[-1]` is the beginning of a row, unless `at_end`, where every byte belongs to one.
    Raises EndlessRow.
    """
    quotes = np.flatnonzero(data == _QUOTE)
    line_ends = _line_ends(data, at_end=at_end)
    inside, broken = _inside(data, quotes, delimiter, at_end=at_end), np.zeros(0, np.int64)
    starts = _starts(data, line_ends, inside, at_end=at_end)
    if len(quotes) and (inside is None or _longest(data, starts) > LONGEST_ROW):
        inside, broken = _inside_with_care(data, quotes, delimiter, at_end=at_end)
        starts = _starts(data, line_ends, inside, at_end=at_end)
    if _longest(data, starts) > LONGEST_ROW:
        lengths = np.diff(starts, append=len(data))
        raise EndlessRow(int(np.argmax(lengths > LONGEST_ROW)) + 1)
    used = data[: starts[-1]]
    is_delimiter = used == delimiter
    inner = line_ends[:0]
    if inside is not None:
        is_delimiter &= inside[: len(used)] == 0
        inner = line_ends[(inside[line_ends] != 0) & (line_ends < starts[-1])]
    delimiters = np.flatnonzero(is_delimiter)
    return Rows(
        data=used,
        starts=starts,
        ends=_content_ends(used, starts),
        broken=np.isin(starts[:-1], broken),
        delimiters=delimiters,
        first_delimiters=np.searchsorted(delimiters, starts[:-1]),
        inner=inner,
    )


def _starts(data: Bytes, line_ends: Positions, inside: Bytes | None, *, at_end: bool) -> Positions:
    if inside is not None:
        line_ends = line_ends[inside[line_ends] == 0]
    starts = np.concatenate((np.zeros(1, np.int64), line_ends + 1))
    return np.append(starts, len(data)) if at_end and starts[-1] != len(data) else starts


def _longest(data: Bytes, starts: Positions) -> int:
    """Bytes of the longest row, the one that has only begun among them."""
    return int(np.diff(starts, append=len(data)).max())


def _line_ends(data: Bytes, *, at_end: bool) -> Positions:
    """The last byte of every line end."""
    feeds = np.flatnonzero(data == _LF)
    returns = np.flatnonzero(data == _CR)
    if len(returns):
        last = len(data) - 1
        alone = data[np.minimum(returns + 1, last)] != _LF
        # A line feed may be still to come after the very last byte.
        alone &= (returns != last) | at_end
        if alone.any():
            feeds = np.sort(np.concatenate((feeds, returns[alone])))
    return feeds


def _content_ends(data: Bytes, starts: Positions) -> Positions:
    ends = starts[1:].copy()
    if len(data):
        feed = data[ends - 1] == _LF
        ends -= feed
        cut = (ends > starts[:-1]) & (data[np.maximum(ends - 1, 0)] == _CR)
        ends -= cut
    return ends


def _inside(data: Bytes, quotes: Positions, delimiter: int, *, at_end: bool) -> Bytes | None:
    """1 for every byte of a quoted field but its last; None where there is none, or where not every mark
    begins or ends a field or is doubled, so that counting them tells nothing."""
    if not len(quotes) or (at_end and len(quotes) % 2):
        return None
    between = np.zeros(256, np.bool_)
    between[[delimiter, _LF, _CR, _QUOTE]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    odd = np.flatnonzero((opening > 0) & ~between[data[np.maximum(opening - 1, 0)]])
    if len(odd) and not _are_formulas(data, opening, closing, odd, between):
        return None
    if not between[data[closing[closing < len(data) - 1] + 1]].all():
        return None
    inside: Bytes = np.cumsum(data == _QUOTE, dtype=np.uint8)
    inside &= 1
    return inside


def _are_formulas(
    data: Bytes, opening: Positions, closing: Positions, odd: Positions, between: Flags
) -> bool:
    """Whether all these pairs of marks are those of plain fields such as ="0812": in them nothing ends, and
    no third mark comes after them."""
    if odd[-1] >= len(closing):
        return False
    first, last = opening[odd], closing[odd]
    if (data[np.minimum(last + 1, len(data) - 1)] == _QUOTE)[last < len(data) - 1].any():
        return False
    if not ((data[first - 1] == ord("=")) & ((first == 1) | between[data[np.maximum(first - 2, 0)]])).all():
        return False
    ends = np.flatnonzero(between[data] & (data != _QUOTE))
    return bool((np.searchsorted(ends, first) == np.searchsorted(ends, last)).all())


def _inside_with_care(
    data: Bytes, quotes: Positions, delimiter: int, *, at_end: bool
) -> tuple[Bytes, Positions]:
    """The same for any data, with the starts of the broken rows: goes through the rows that have marks, one
    by one. The beginning of a row at the end of the data is inside, as far as that is not yet known."""
    inside = np.zeros(len(data), np.uint8)
    broken: list[int] = []
    text, mark = data.tobytes(), bytes([delimiter])
    # Possessive: whatever the text, no byte is looked at twice.
    quoted = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"(?=[\r\n' + re.escape(mark) + rb"]|\Z)")
    plain = re.compile(rb"[^\r\n" + re.escape(mark) + rb"]*+")
    line = re.compile(rb"[^\r\n]*+")
    at = 0
    while (index := int(np.searchsorted(quotes, at))) < len(quotes):
        first = int(quotes[index])
        row = max(at, text.rfind(b"\n", at, first) + 1, text.rfind(b"\r", at, first) + 1)
        limit = row + LONGEST_ROW
        at = row
        while True:
            if text[at : at + 1] != b'"':
                at = _end(plain, text, at)
            elif (field := quoted.match(text, at, limit + 1)) and field.end() <= limit:
                inside[at : field.end()] = 1
                at = field.end()
            elif not at_end and limit >= len(text):
                inside[row:] = 1
                return inside, np.array(broken, np.int64)
            else:
                broken.append(row)
                inside[row:at] = 0
                at = _end(line, text, row)
                inside[row:at] = 1
                break
            if text[at : at + 1] != mark:
                break
            at += 1
    return inside, np.array(broken, np.int64)


def _end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()
