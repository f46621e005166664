"""The file of the leads: read in pieces, from a disk or from a pipe."""

import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from callguard.errors import InputError
from callguard.lists.unchanged import Unchanged

_PATIENCE = 0.5
"""Seconds."""
_KINDS = (
    (b"\xff\xfe", "is UTF-16"),
    (b"\xfe\xff", "is UTF-16"),
    (b"PK\x03\x04", "is a ZIP archive or a spreadsheet"),
    (b"\x1f\x8b", "is compressed"),
)


class Leads:
    """An open file. Raises InputError if it cannot be opened or read."""

    def __init__(self, source: Path) -> None:
        self._source = source
        with self._named():
            self._file = source.open("rb", buffering=0)
            self._waits = not stat.S_ISREG(source.stat().st_mode)
            self._unchanged = None if self._waits else Unchanged(self._file.fileno(), str(source))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """So many bytes; fewer only at the end of the file."""
        parts: list[bytes] = []
        missing = size
        while missing:
            with self._named():
                self._wait()
                part = self._file.read(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def check_unchanged(self) -> None:
        """Raises InputError if somebody wrote to the file since it was opened; not of a pipe."""
        if self._unchanged is not None:
            self._unchanged.check()

    def _wait(self) -> None:
        # Read at once, a pipe that nobody writes to could hold a Ctrl-C that came a moment before.
        while self._waits and not select.select([self._file], [], [], _PATIENCE)[0]:
            pass

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=str(self._source)) from error


def check_kind(beginning: bytes, source: Path) -> None:
    """Raises InputError for a file that begins as no CSV file does."""
    problem = next((what for sign, what in _KINDS if beginning.startswith(sign)), None)
    if problem is None and b"\0" in beginning:
        problem = "is no text"
    if problem:
        raise InputError(problem, where=str(source), allowed="a CSV file, best in UTF-8")
