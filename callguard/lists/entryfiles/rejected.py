"""The rows of a file that were refused, in a file that can be corrected and imported again."""

import csv
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from callguard.errors import InputError
from callguard.lists.entryfiles.export import safe_cells
from callguard.lists.entryfiles.records import Record
from callguard.lists.ownfile import beside, remove_old

FIRST = 10
"""How many refusals are remembered, to be shown."""

_OURS = ("rejected_line", "rejected_why")
"""Our own columns: no words that an import knows, so that the file can be read again."""


def columns_in_front(header: Sequence[str]) -> int:
    """How many columns of a file are ours, in front of those that it had before it was rejected."""
    return sum(name in _OURS for name in header)


class Rejected:
    """Collects refused records.

    The file is made with the first of them, under a passing name, and named at the end of the `with` block,
    unless that is left by an error.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.first: list[tuple[int, str]] = []
        """Line and reason."""
        self.header: Sequence[str] = ()
        self.width = 0
        """Columns that a row may have too few of: it gets the rest, empty."""
        self._part = beside(path, f".{secrets.token_hex(4)}.part")
        self._file: TextIO | None = None

    def add(self, record: Record, why: str) -> None:
        """Put a record away. Raises InputError if the file cannot be written."""
        self.count += 1
        if len(self.first) < FIRST:
            self.first.append((record.line, why))
        try:
            if self._file is None:
                self._file = self._opened()
                self._write([*_OURS, *self.header])
            missing = [""] * (self.width - len(record.cells))
            self._write([str(record.line), why, *record.cells, *missing])
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._file is None:
                if kind is None:
                    # What an import before this one left there would be taken for this one's.
                    remove_old(self.path, ",".join(_OURS).encode())
                return
            self._file.close()
            if kind is None:
                self._part.replace(self.path)
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            self._part.unlink(missing_ok=True)

    def _opened(self) -> TextIO:
        # As private as the database: it holds numbers of people.
        descriptor = os.open(self._part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        return os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="")

    def _write(self, cells: Sequence[str]) -> None:
        assert self._file is not None  # noqa: S101
        csv.writer(self._file).writerow(safe_cells(cells))

    def _failed(self, error: OSError) -> InputError:
        return InputError(
            f"cannot be written: {error.strerror}", where=str(self.path), allowed="--rejected FILE"
        )
