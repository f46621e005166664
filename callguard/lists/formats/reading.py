"""Reads the numbers of a registry's file, in chunks, as fast as two cores can, with bounded memory.

One thread reads, unpacks and cuts; others find the numbers of the parts; another one makes the digest. Parts
come in the order of the file. At most a few are in memory at once: whoever takes the numbers slowly makes the
reading wait.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import NoReturn

from callguard.errors import InputError
from callguard.lists.formats.cutting import LONGEST_LINE, Ends, TooLong, cut
from callguard.lists.formats.dates import date_in, oldest_date
from callguard.lists.formats.layout import Kind, Layout
from callguard.lists.formats.rows import Found, Places, RowParser
from callguard.lists.formats.source import Content, Source, printable
from callguard.lists.formats.written import WrittenNumbers
from callguard.lists.formats.xml import XmlParser
from callguard.lists.packing import Numbers

_DIGEST_PIECE = 1 << 20
_LONGEST_NAME = 255
"""Characters of a file's name."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is not a number of the list."""

    file: str
    """The name of the file, or of the archive's member."""
    line: int
    text: str
    """At most 80 printable characters."""
    why: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one part of a file holds. Where a part both adds and removes a number, its last line counts."""

    added: Numbers
    """In any order, with duplicates."""
    removed: Numbers
    rejected: tuple[Rejected, ...]
    lines: int
    done: int
    """Bytes of the file, as it lies on the disk, that were read so far."""


@dataclass(frozen=True, slots=True)
class _Part:
    member: str
    first: bool
    done: int
    parse: Callable[[], Found]


class NumberFile:
    """A registry's file, open; to be used in `with`, and iterated once. Iterating raises InputError, naming
    file and line, if the whole cannot be read; what was given until then is of no use without the rest."""

    def __init__(self, path: Path, layout: Layout, *, region: str, threads: int) -> None:
        self._stop = Event()
        self._layout = layout
        self._written = WrittenNumbers(layout, region, self._stop)
        self._rows = RowParser(layout, self._written)
        self._path = path
        self._source = Source(path, layout.encoding)
        self.size: int = self._source.size
        """Bytes on the disk."""
        self.digest = ""
        """SHA-256 of the file as it lies on the disk, in hex; set at the end of the iteration."""
        try:
            self.data_date: date | None = date_in(path.name) or oldest_date(self._source.members())
            """Of the data, as names tell it; XML may have it inside, which is known after the iteration."""
        except BaseException:
            self._source.close()
            raise
        # Numbers in XML depend on the tags before them, so that its parts are read one after the other.
        self._ahead = 1 if layout.kind == Kind.XML else threads + 2
        self._pool = ThreadPoolExecutor(threads + 2, thread_name_prefix="registry-file")

    def __enter__(self) -> "NumberFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        self._source.close()

    def __iter__(self) -> Iterator[Parsed]:
        digest = self._pool.submit(self._digest)
        parts = self._parts()
        reading: Future[_Part | None] = self._pool.submit(next, parts, None)
        pending: deque[tuple[_Part, Future[Found]]] = deque()
        seen = line = 0
        more = True
        while more or pending:
            while more and len(pending) < self._ahead:
                part = reading.result()
                more = part is not None
                if part is not None:
                    pending.append((part, self._pool.submit(part.parse)))
                    reading = self._pool.submit(next, parts, None)
            if pending:
                part, found = pending.popleft()
                line = 0 if part.first else line
                parsed = self._parsed(part, found, line)
                line += parsed.lines
                seen += parsed.lines
                yield parsed
        if not seen:
            raise InputError("the file is empty", where=str(self._path), allowed="a file of numbers")
        self.digest = digest.result()
        self._source.check_unchanged()

    def _parsed(self, part: _Part, future: Future[Found], before: int) -> Parsed:
        """What the part holds, with line numbers of the whole text, of which `before` lines came before."""
        place = self._source.place(part.member)
        try:
            found = future.result()
        except TooLong:
            what = f"a line of more than {LONGEST_LINE} bytes, or a quote or tag that has no end"
            where = f"{place}: after line {before}"
            raise InputError(what, where=where, allowed="a file of lines") from None
        except InputError as error:
            line = before + int(error.where or 1)
            raise InputError(error.what, where=f"{place}:{line}", allowed=error.allowed) from None
        name = printable(part.member or self._path.name, _LONGEST_NAME)
        rejected = tuple(Rejected(name, before + one.line, one.text, one.why) for one in found.rejects.lines)
        return Parsed(found.added, found.removed, rejected, found.lines, part.done)

    # --- in the reading thread ----------------------------------------------------------------------------

    def _parts(self) -> Iterator[_Part]:
        for content in self._source.contents():
            first = True
            try:
                for part in self._parts_of(content):
                    yield replace(part, first=first)
                    first = False
            except TooLong as error:
                yield _Part(content.member, first, self._source.done, partial(_raise, error))
                return

    def _parts_of(self, content: Content) -> Iterator[_Part]:
        member, encoding = content.member, content.encoding
        if self._layout.kind == Kind.XML:
            xml = XmlParser(self._written)
            data = b""
            for data in cut(content.pieces, Ends.TAG):
                yield _Part(member, False, self._source.done, partial(xml.parse, data))
            if data:
                yield _Part(member, False, self._source.done, partial(self._finish, xml))
            return
        places: Places | None = None
        for data in cut(content.pieces, self._rows.ends):
            rows = data
            if places is None:
                try:
                    places, rows = self._rows.header(data, encoding)
                except InputError as error:
                    yield _Part(member, False, self._source.done, partial(_raise, error))
                    return
            yield _Part(member, False, self._source.done, partial(self._rows.parse, rows, encoding, places))

    def _finish(self, xml: XmlParser) -> Found:
        self.data_date = self.data_date or xml.data_date
        return xml.finish()

    def _digest(self) -> str:
        digest = hashlib.sha256()
        piece = bytearray(_DIGEST_PIECE)
        at = 0
        while (size := self._source.read_at(at, piece)) and not self._stop.is_set():
            digest.update(memoryview(piece)[:size])
            at += size
        return digest.hexdigest()


def open_numbers(path: Path, layout: Layout, *, region: str, threads: int = 2) -> NumberFile:
    """The numbers of a registry's file. `region` (ISO 3166) is the list's.

    Raises InputError, naming the file, if it cannot be read at all, or is not of the list's country.
    """
    return NumberFile(path, layout, region=region, threads=threads)


def _raise(error: Exception) -> NoReturn:
    raise error
