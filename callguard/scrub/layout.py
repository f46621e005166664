"""How a lead file is laid out: its delimiter, whether it has a header, and which columns hold numbers. Pure.

What nobody said is taken from the file's beginning, and only where that leaves no doubt: a file scrubbed by
the wrong column would call the numbers of the right one.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from callguard.errors import InputError
from callguard.scrub.rows import Positions, Rows, split

BOM = b"\xef\xbb\xbf"
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
"""Those that are recognised, and how they may be named, too."""
SAMPLE_ROWS = 500

_WIDEST = 1000
"""Columns that are looked at."""
_MOSTLY = 0.5
"""The share of readable numbers in a column whose heading says that it holds them."""
_NEARLY_ALL = 0.8
"""The share in a column of which nothing says so."""
_TELEPHONE = frozenset(
    {
        *(
            "phone",
            "telephone",
            "tel",
            "mobile",
            "cell",
            "cellphone",
            "cellular",
            "landline",
            "msisdn",
            "e164",
        ),
        *("telepon", "telefon", "telpon", "telp", "tlp", "hp", "handphone", "ponsel", "seluler", "whatsapp"),
        *("wa", "gsm", "nohp", "notelp", "notlp", "notelepon", "nomorhp", "nowa", "e164"),
    }
)
"""Words of a heading that speak of a telephone, in English and in Indonesian."""
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|e164|E164", re.ASCII)
_ALLOWED_DELIMITERS = "one character, such as ; or |, or comma, semicolon, tab, pipe"


IsNumber = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a file are to be read."""

    delimiter: str
    header: bool
    columns: tuple[int, ...]
    """Those that hold numbers, from 0."""
    names: tuple[str, ...]
    """What they are called: by their headings, else by their place, from 1."""
    code: int | None = None
    """The column of the numbers' calling codes, from 0; None if there is none."""
    code_name: str | None = None


def read_delimiter(text: str) -> str:
    """The delimiter that a person means. Raises InputError."""
    delimiter = DELIMITERS.get(text.lower(), "\t" if text == "\\t" else text)
    usable = len(delimiter) == 1 and delimiter.isascii() and not delimiter.isalnum()
    if not usable or not (delimiter == "\t" or delimiter.isprintable()) or delimiter in "\"+-.() '":
        raise InputError(f"{text[:20]!a} is no delimiter", where="--delimiter", allowed=_ALLOWED_DELIMITERS)
    return delimiter


def find_layout(
    beginning: bytes,
    *,
    at_end: bool,
    is_number: IsNumber,
    columns: Sequence[str] = (),
    code_column: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
) -> Layout:
    """The layout of a file that begins so, without a byte order mark.

    `at_end`: the beginning is all there is. `is_number` tells whether a cell holds a number that can be
    called, given the cell of its calling code, which is empty if there is none. `columns`, `code_column`,
    `delimiter` and `header` are what a person said: columns by heading or by place from 1. Without
    `code_column`, headings as VICIdial writes them tell: phone_code, where there is phone_number too.
    Without `columns`, those whose headings speak of telephones and that are empty so far hold numbers, too: a
    second number may come later in the file. Raises InputError for what cannot be, and where any of several
    columns may be meant.
    """
    delimiter = _likely_delimiter(beginning, at_end=at_end) if delimiter is None else delimiter
    rows = _rows(beginning, delimiter, at_end=at_end)
    table = _Table(rows, is_number, complete=at_end and len(rows.data) == len(beginning))
    if not table.cells:
        return Layout(delimiter, False, (0,), ("1",))
    first = table.cells[0]
    if header is None and any(not name.isdecimal() for name in (*columns, *_given(code_column))):
        header = True
    if header is not False and code_column is None:
        table.code = _vicidial_code(first)
        header = True if table.code is not None else header
    elif code_column is not None:
        (table.code,) = table.named([code_column], header=header, where="--code-column")
    if columns:
        if header is None:
            header = table.heads([_placed(name) for name in columns])
        found = table.named(columns, header=header, where="--column")
    else:
        found = table.likely(header)
        if header is None:
            header = table.heads(found)
    if table.code in found:
        raise InputError(
            "a column of numbers holds no calling codes", where="--code-column", allowed="another column"
        )
    names = tuple(_name(first, at, header=header) for at in found)
    code_name = None if table.code is None else _name(first, table.code, header=header)
    return Layout(delimiter, header, found, names, table.code, code_name)


def _given(name: str | None) -> Sequence[str]:
    return () if name is None else (name,)


def _name(first: Sequence[str], column: int, *, header: bool) -> str:
    return first[column] if header and column < len(first) else str(column + 1)


def _vicidial_code(header: Sequence[str]) -> int | None:
    """The column of the calling codes, if the headings are VICIdial's."""
    headings = [re.sub(r"[\s_-]", "", cell.lower()) for cell in header]
    return headings.index("phonecode") if {"phonecode", "phonenumber"} <= {*headings} else None


class _Table:
    """The cells of the first rows."""

    code: int | None = None
    """The column of calling codes."""

    def __init__(self, rows: Rows, is_number: IsNumber, *, complete: bool) -> None:
        """`complete`: the file has no other rows."""
        columns = min(
            int(np.diff(rows.first_delimiters, append=len(rows.delimiters)).max(initial=0)), _WIDEST
        )
        whole = rows.data.tobytes()
        places = [rows.field(column) for column in range(columns + 1)]
        filled = np.flatnonzero(rows.ends > rows.starts[:-1]).tolist()
        self.cells = [[cell_text(whole[a[row] : b[row]]) for a, b in places] for row in filled]
        """Without empty rows; all as long as the longest."""
        self._is_number = is_number
        self._complete = complete

    def named(self, names: Sequence[str], *, header: bool | None, where: str) -> tuple[int, ...]:
        """The places of columns named by heading or place. Raises InputError."""
        return _named(names, self.cells[0] if header else [], len(self.cells[0]), where=where)

    def heads(self, columns: Sequence[int]) -> bool:
        """Tell whether the first row is a header: it has a word where the others have a number."""
        first = [self.cells[0][at] for at in columns if at < len(self.cells[0])]
        return bool(first) and all(
            any(char.isalpha() for char in cell) and not self._is_number(cell, "") for cell in first
        )

    def likely(self, header: bool | None) -> tuple[int, ...]:
        """The one column that holds numbers, and those that may do so further down. Raises InputError if
        there is none, or if it may be another."""
        first = self.cells[0]
        speaking = [] if header is False else [at for at, cell in enumerate(first) if _speaks(cell)]
        shares = [self._share(at) for at in range(len(first))]
        if self.code is not None and self.code < len(first):
            speaking = [at for at in speaking if at != self.code]
            shares[self.code] = 0.0
        found = [at for at in speaking if shares[at] > 0]
        if not any(shares[at] >= _MOSTLY for at in found):
            found = [at for at, share in enumerate(shares) if share >= _NEARLY_ALL or at in found]
        if not found and len(speaking) == 1:
            found = speaking
        if len(found) == 1:
            later = () if self._complete else tuple(at for at in speaking if self._blank(at))
            return tuple(dict.fromkeys((*found, *later)))
        named = header or (header is None and bool(speaking))
        every = ", ".join(
            f"{at + 1} {cell[:40]!a}" if named else str(at + 1) for at, cell in enumerate(first)
        )
        likely = ", ".join(f"{at + 1} ({first[at][:40]!a})" if named else str(at + 1) for at in found)
        raise InputError(
            f"several columns hold numbers: {likely}" if found else "no column holds numbers",
            where="--column",
            allowed=f"one of them, or --column several times to check several; there are: {every[:600]}",
        )

    def _blank(self, column: int) -> bool:
        return not any(row[column].strip() for row in self.cells[1:])

    def _share(self, column: int) -> float:
        """The share of readable numbers among the cells that are not empty, the first row aside."""
        below = [row for row in self.cells[1:] or self.cells if row[column].strip()]
        readable = sum(self._is_number(row[column], self._code_of(row)) for row in below)
        return readable / len(below) if below else 0.0

    def _code_of(self, row: Sequence[str]) -> str:
        return row[self.code] if self.code is not None and self.code < len(row) else ""


def cell_text(cell: bytes) -> str:
    """The text of a field without the quotation marks around it: UTF-8, else Latin-1."""
    try:
        return cell.decode().replace('""', '"')
    except UnicodeDecodeError:
        return cell.decode("latin-1").replace('""', '"')


def _rows(beginning: bytes, delimiter: str, *, at_end: bool) -> Rows:
    rows = split(np.frombuffer(beginning, np.uint8), ord(delimiter), at_end=at_end)
    if len(rows) <= SAMPLE_ROWS:
        return rows
    return split(rows.data[: rows.starts[SAMPLE_ROWS]], ord(delimiter), at_end=True)


def _delimiters(rows: Rows) -> Positions:
    """How many delimiters each row has."""
    return np.diff(rows.first_delimiters, append=len(rows.delimiters))


def _likely_delimiter(beginning: bytes, *, at_end: bool) -> str:
    """The one that most rows have equally often, and more than once over others; a comma if there is none."""
    best, most = ",", 0.0
    for delimiter in DELIMITERS.values():
        rows = _rows(beginning, delimiter, at_end=at_end)
        counts = _delimiters(rows)[(rows.ends > rows.starts[:-1]) & ~rows.broken]
        if not len(counts) or not counts.any():
            continue
        values, often = np.unique(counts, return_counts=True)
        usual = int(values[np.argmax(often)])
        if usual and (weight := float(often.max()) / len(counts) * (1 + usual)) > most:
            best, most = delimiter, weight
    return best


def _placed(name: str) -> int:
    return int(name[:9]) - 1


def _named(names: Sequence[str], header: Sequence[str], width: int, *, where: str) -> tuple[int, ...]:
    found: list[int] = []
    for name in names:
        if name.isdecimal() and name.isascii():
            at = _placed(name)
            if not 0 <= at < width:
                raise InputError(
                    f"there is no column {name[:20]}", where=where, allowed=f"1 to {width}, or a heading"
                )
        else:
            wanted = name.strip().casefold()
            places = [at for at, cell in enumerate(header) if cell.strip().casefold() == wanted]
            if len(places) != 1:
                problem = "several columns are called" if places else "no column is called"
                every = ", ".join(f"{at + 1} {cell[:40]!a}" for at, cell in enumerate(header))
                raise InputError(f"{problem} {name[:40]!a}", where=where, allowed=every[:600] or "1, 2, ...")
            at = places[0]
        if at not in found:
            found.append(at)
    return tuple(found)


def _speaks(heading: str) -> bool:
    """Tell whether a heading says that its column holds telephone numbers."""
    whole = re.sub(r"[^a-z0-9]", "", heading.lower())
    words = {part.lower() for part in _PART.findall(heading)}
    return whole in _TELEPHONE or bool(words & _TELEPHONE) or "phone" in whole
