"""A file of entries as records of text with their line numbers: CSV, one number a line, or JSON lines.

The file is read as a stream. What leaves a doubt about where records begin and end refuses the whole file,
with its line: behind a quote that is not closed, people who opted out would be lost.
"""

import codecs
import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from callguard.errors import InputError
from callguard.lists.entryfiles.severallines import lines_of
from callguard.lists.unchanged import Unchanged

LONGEST_LINE = 64 * 1024
"""Characters."""
DELIMITERS = ",;\t|"

_COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Our own export, like many others, has an apostrophe in front of what a spreadsheet could take for a formula:
# it is taken off.
_ESCAPED = tuple(f"'{sign}" for sign in "=+-@'＝＋－＠")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file."""

    line: int
    """From 1."""
    cells: Sequence[str]
    """Those of JSON lines in the order of the file's first record; a key that is missing is empty."""
    why: str = ""
    """What is wrong with it already; empty if nothing is."""
    lines: Sequence[Sequence[str]] = ()
    """Of CSV, the lines of a record of several, each cut as a record of its own."""


class EntryFile:
    """An open file of entries: `header` (the first record) and `records` (all of them)."""

    def __init__(self, raw: BinaryIO, name: str, delimiter: str | None) -> None:
        self._name = name
        self._raw = raw
        start = raw.peek(LONGEST_LINE) if isinstance(raw, io.BufferedReader) else b""
        if start.startswith(_COMPRESSED):
            what = "a compressed file, or one of a spreadsheet"
            raise InputError(what, where=name, allowed="the text that was compressed, or an export as CSV")
        encoding = next((known for mark, known in _MARKS if start.startswith(mark)), "utf-8")
        if encoding.startswith("utf-8") and b"\0" in start:
            raise InputError(
                "no text, or UTF-16 without its mark", where=name, allowed="a text file in UTF-8"
            )
        # Bytes that are no UTF-8 do no harm where nothing is read from them; elsewhere they are refused.
        errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
        self._text = io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="")
        self.is_json = start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
        self._delimiter = delimiter
        self._lines = 0

    @property
    def done(self) -> int:
        """Bytes read so far, about."""
        return self._raw.tell()

    def records(self) -> Iterator[Record]:
        """Every record, the header too; empty lines are passed over. Raises InputError with file and line."""
        return self._json() if self.is_json else self._csv()

    def _csv(self) -> Iterator[Record]:
        lines = self._bounded()
        first = next(lines, None)
        if first is None:
            return
        delimiter = self._delimiter or max(DELIMITERS, key=first.count)
        reader = csv.reader(_chained(first, lines), delimiter=delimiter, strict=True)
        before = 0
        try:
            for cells in reader:
                line, before = before + 1, reader.line_num
                if not cells or (len(cells) == 1 and not cells[0].strip()):
                    continue
                several = lines_of(cells, delimiter) if before > line else []
                unescaped = [cell[1:] if cell.startswith(_ESCAPED) else cell for cell in cells]
                yield Record(line, unescaped, lines=several)
        except csv.Error as error:
            raise InputError(
                f"not CSV: {error}", where=f"{self._name}: line {before + 1}", allowed="quotes in pairs"
            ) from error

    def _json(self) -> Iterator[Record]:
        keys: list[str] = []
        for number, line in enumerate(self._bounded(), start=1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict):
                yield Record(number, [line.strip()], "not an object of JSON")
                continue
            if not keys:
                keys = list(found)
                yield Record(number, keys)
            texts = ["" if found.get(key) is None else found[key] for key in keys]
            why = ""
            if unknown := [key for key in found if key not in keys]:
                why = f"a key that the first object has not: {unknown[0][:40]!a}"
            elif not all(isinstance(text, str) for text in texts):
                why = "a value that is neither text nor null"
            yield Record(number, [text if isinstance(text, str) else json.dumps(text) for text in texts], why)

    def _bounded(self) -> Iterator[str]:
        count = 0
        try:
            while line := self._text.readline(LONGEST_LINE + 1):
                count += 1
                if len(line) > LONGEST_LINE:
                    raise InputError(
                        f"a line of more than {LONGEST_LINE} characters",
                        where=f"{self._name}: line {count}",
                        allowed="a text file with a record a line",
                    )
                yield line
        except UnicodeError as error:
            raise InputError(
                f"cannot be read as text: {error}", where=f"{self._name}: line {count + 1}", allowed="UTF-8"
            ) from error


@contextmanager
def open_entries(path: Path, *, delimiter: str | None = None) -> Iterator[EntryFile]:
    """Open a file of entries. Raises InputError, naming it; also at the end, if it has changed meanwhile."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    with raw:
        unchanged = Unchanged(raw.fileno(), path.name)
        try:
            yield EntryFile(raw, path.name, delimiter)
        except OSError as error:
            if error.filename is None:
                raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
            raise
        unchanged.check()


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
