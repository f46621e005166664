"""The numbers in one part of a file of lines: one a line, delimited or of fixed width."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from callguard.errors import InputError
from callguard.lists.formats.cutting import LONGEST_LINE, Ends, TooLong
from callguard.lists.formats.layout import Column, Field, Kind, Layout
from callguard.lists.formats.lines import read_lines
from callguard.lists.formats.source import printable
from callguard.lists.formats.written import Rejects, Unread, WrittenNumbers
from callguard.lists.packing import Numbers

Place = int | Field
"""A column by its index from 0, or by its characters."""

_ROWS = 20_000
"""Rows at a time: as objects, they take some hundred bytes each."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BREAK = re.compile("[\r\n]+")


@dataclass(frozen=True, slots=True)
class Places:
    """Where a line has its number and its action."""

    number: tuple[Place, ...]
    action: Place | None


@dataclass(frozen=True, slots=True)
class Found:
    """What one part of a file holds."""

    added: Numbers
    removed: Numbers
    rejects: Rejects
    lines: int


@dataclass(slots=True)
class _Row:
    """Not frozen: there are millions, and a frozen one takes twice as long to make."""

    line: int
    cells: list[str]
    """Of a line that is not delimited, itself."""
    is_long: bool = False
    """Whether quotes hold several lines together."""

    @property
    def is_blank(self) -> bool:
        return not "".join(self.cells).strip()


class RowParser:
    """Reads the parts of one list's files. May be used by several threads."""

    def __init__(self, layout: Layout, written: WrittenNumbers) -> None:
        self._layout = layout
        self._written = written
        self._words = {}
        if layout.action:
            self._words = dict.fromkeys(layout.action.add, True)
            self._words |= dict.fromkeys(layout.action.remove, False)
        self.ends = Ends.ROW if layout.kind == Kind.DELIMITED else Ends.LINE

    def header(self, data: bytes, encoding: str) -> tuple[Places, bytes]:
        """Where the columns are, and a file's first part with blank lines for its header.

        Raises InputError, with the line as its place, for a header that lacks a column, or is none.
        """
        if not self._layout.header:
            return self._places([]), data
        lines = _Lines(data[: 2 * LONGEST_LINE].decode(encoding, "replace"))
        row = next((row for row in self._rows(lines) if not row.is_blank), _Row(1, [""]))
        places = self._places(row.cells)
        try:
            self._written.one(self._number(row, places))
        except Unread:
            ends = [found.end() for found in islice(_LINE_END.finditer(data), lines.count)]
            return places, b"\n" * lines.count + data[ends[-1] if len(ends) == lines.count else len(data) :]
        raise InputError(
            "a number where the header should be", where="1", allowed="header = false, or a header"
        )

    def parse(self, data: bytes, encoding: str, places: Places) -> Found:
        """The numbers of one part. Raises TooLong, or InputError with the line as its place."""
        if self._is_whole(places) and (self._layout.kind != Kind.DELIMITED or b'"' not in data):
            return self._whole_lines(data, encoding, places)
        return self._columns(data, encoding, places)

    def _is_whole(self, places: Places) -> bool:
        """Whether lines may be nothing but the number's columns, in order."""
        if self._layout.action:
            return False
        match self._layout.kind:
            case Kind.DELIMITED:
                return places.number == tuple(range(len(places.number)))
            case Kind.FIXED:
                whole = Field(1, self._layout.width)
                return self._layout.number == (whole,)
            case _:
                return True

    def _whole_lines(self, data: bytes, encoding: str, places: Places) -> Found:
        if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = read_lines(data, self._written.line_shape, self._written.rule)
        rejects = Rejects()
        left = (self._left(index + 1, line, encoding) for index, line in lines.left(data))
        while some := list(islice(left, _ROWS)):
            read, found, _ = self._numbers(some, places, rejects)
            lines.numbers[[row.line - 1 for row in read]] = found
        rejects.lines.sort(key=lambda reject: reject.line)
        numbers = lines.numbers if lines.numbers.all() else lines.numbers[lines.numbers != 0]
        return Found(numbers, np.zeros(0, np.uint64), rejects, len(lines.numbers))

    def _left(self, number: int, line: bytes, encoding: str) -> _Row:
        """A line without quotes as a row."""
        if len(line) > LONGEST_LINE:
            raise TooLong
        text = line.decode(encoding, "replace").removesuffix("\r")
        cells = text.split(self._layout.delimiter) if self._layout.kind == Kind.DELIMITED else [text]
        return _Row(number, cells)

    def _columns(self, data: bytes, encoding: str, places: Places) -> Found:
        if self._layout.kind == Kind.DELIMITED and data.count(b'"') % 2:
            # The csv module would take all that follows for one cell. Parts are cut where quotes are even.
            line = data.count(b"\n", 0, data.rfind(b'"')) + 1
            raise InputError("a quote that has no end", where=str(line), allowed="quotes in pairs")
        lines = _Lines(data.decode(encoding, "replace"))
        rejects = Rejects()
        numbers = [np.zeros(0, np.uint64)]
        adds: list[bool] = []
        rows = self._rows(lines)
        while some := list(islice(rows, _ROWS)):
            _, found, added = self._numbers(some, places, rejects)
            numbers.append(found)
            adds += added
        rejects.lines.sort(key=lambda reject: reject.line)
        return Found(*_last_wins(np.concatenate(numbers), np.array(adds, np.bool_)), rejects, lines.count)

    def _numbers(
        self, rows: list[_Row], places: Places, rejects: Rejects
    ) -> tuple[list[_Row], Numbers, list[bool]]:
        """The rows that have the columns, the number of each (0 if it is rejected), whether it is added."""
        read: list[_Row] = []
        texts: list[str] = []
        adds: list[bool] = []
        for row in rows:
            if row.is_blank:
                continue
            if row.is_long:
                self._check_hidden(row, places)
            try:
                text = self._number(row, places)
                add = self._adds(row, places)
            except Unread as error:
                rejects.add(row.line, self._shown(row), str(error))
                continue
            read.append(row)
            texts.append(text)
            adds.append(add)
        numbers = self._written.many(
            texts, lambda index, why: rejects.add(read[index].line, self._shown(read[index]), why)
        )
        return read, numbers, adds

    def _check_hidden(self, row: _Row, places: Places) -> None:
        """Refuse a row of several lines if one of the later ones is a row of its own: a quote that should not
        be there holds them together, and their numbers would be lost unseen."""
        for hidden in _BREAK.split(self._shown(row))[1:]:
            with suppress(Unread):
                self._written.one(self._number(_Row(row.line, hidden.split(self._layout.delimiter)), places))
                raise InputError(
                    "quotes that hold several lines with numbers together",
                    where=str(row.line),
                    allowed="quotes in pairs around one text",
                )

    # --- one line -----------------------------------------------------------------------------------------

    def _places(self, names: list[str]) -> Places:
        layout = self._layout
        known = [name.strip().casefold() for name in names]

        def place(column: Column) -> Place:
            if isinstance(column, int):
                return column - 1
            if isinstance(column, Field):
                return column
            if known.count(column.casefold()) != 1:
                several = "more than one column" if column.casefold() in known else "no column"
                there = ", ".join(printable(name, 30) for name in names[:30])
                raise InputError(f"{several} {column!r}", where="1", allowed=f"of the header's: {there}")
            return known.index(column.casefold())

        action = place(layout.action.column) if layout.action else None
        return Places(tuple(place(column) for column in layout.number), action)

    def _rows(self, lines: "_Lines") -> Iterator[_Row]:
        if self._layout.kind != Kind.DELIMITED:
            for line in lines:
                text = line.rstrip("\r\n")
                yield _Row(lines.count, [text])
            return
        rows = csv.reader(lines, delimiter=self._layout.delimiter, strict=True)
        while True:
            first = lines.count + 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                if "limit" in str(error):  # the module's, of 131,072 characters in a field
                    raise TooLong from error
                raise InputError(
                    "a quote within a text", where=str(first), allowed="quotes around a text, twice within it"
                ) from error
            yield _Row(first, cells, lines.count > first)

    def _number(self, row: _Row, places: Places) -> str:
        """The text of the number. Raises Unread."""
        layout = self._layout
        if layout.kind == Kind.LINES or (layout.alone and len(row.cells) == 1):
            return row.cells[0]
        if layout.width and len(row.cells[0]) > layout.width:
            raise Unread(f"longer than the layout's {layout.width} characters")
        if layout.exact and len(row.cells) != len(places.number):
            raise Unread(f"{len(row.cells)} columns, not {len(places.number)}")
        cells = [self._cell(row, place) for place in places.number]
        if len(cells) > 1 and not all(cells):
            raise Unread("a column of the number is empty")
        return "".join(cells)

    def _shown(self, row: _Row) -> str:
        return self._layout.delimiter.join(row.cells)

    def _adds(self, row: _Row, places: Places) -> bool:
        """Whether the row adds its number, or else removes it. Raises Unread."""
        if places.action is None:
            return True
        word = self._cell(row, places.action)
        if word.casefold() not in self._words:
            raise Unread(f"{printable(word, 20)!a} is neither to add nor to remove")
        return self._words[word.casefold()]

    @staticmethod
    def _cell(row: _Row, place: Place) -> str:
        if isinstance(place, Field):
            return row.cells[0][place.start - 1 : place.start - 1 + place.length].strip()
        if place >= len(row.cells):
            raise Unread(f"{len(row.cells)} columns, and none at {place + 1}")
        return row.cells[place].strip()


class _Lines:
    """The lines of a text with their ends, counted as they are taken. Raises TooLong."""

    def __init__(self, text: str) -> None:
        self.count = 0
        self._lines = io.StringIO(text, newline="")

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if len(line) > LONGEST_LINE:
                raise TooLong
            self.count += 1
            yield line


def _last_wins(numbers: Numbers, adds: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """The numbers added and removed, where the last line about a number counts; 0 is no number."""
    if adds.all():
        return numbers[numbers != 0], np.zeros(0, np.uint64)
    unique, last = np.unique(numbers[::-1], return_index=True)
    adds = adds[::-1][last]
    return unique[adds & (unique != 0)], unique[~adds & (unique != 0)]
