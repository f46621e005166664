"""The file of the lines that an import could not use: CSV with file, line, reason and text.

It is written as the import goes, under a name of its own, and has its proper name only when it is complete.
"""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from callguard.errors import InputError
from callguard.lists.formats.reading import Rejected
from callguard.lists.ownfile import beside, remove_old

SHOWN = 10
"""Rejected lines that are shown besides."""
MOST = 1_000_000
"""Rejected lines that are written; more of them mean that the layout is another one."""

_HEADER = ("file", "line", "reason", "text")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")  # noqa: RUF001
"""What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), and the apostrophe itself."""


class RejectedFile:
    """Takes rejected lines. The file is made with the first one; it is removed when the block raises before
    `finish`. Raises InputError for a path without a name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.first: list[Rejected] = []
        """The first SHOWN of them."""
        self.part = beside(path, ".part")
        """Its name until it is complete."""
        self._file: TextIO | None = None

    def add(self, rejected: Iterable[Rejected]) -> None:
        """Write some lines. Raises InputError if the file cannot be written."""
        try:
            for one in rejected:
                if self._file is None:
                    self._open()
                self._write(one)
        except OSError as error:
            raise self._unusable(error) from error

    def finish(self) -> Path | None:
        """Give the file its name. If nothing was rejected: None, and a file that an earlier import left under
        that name is removed. Raises InputError."""
        try:
            if self._file is None:
                remove_old(self.path, ",".join(_HEADER).encode())
                return None
            self._file.close()
            self._file = None
            self.part.replace(self.path)
        except OSError as error:
            raise self._unusable(error) from error
        return self.path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self.part.unlink(missing_ok=True)

    def _open(self) -> None:
        # A link that somebody left there would lead to a file of somebody else's choice.
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW
        descriptor = os.open(self.part, flags, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(_HEADER)

    def _write(self, one: Rejected) -> None:
        self.count += 1
        if self.count <= SHOWN:
            self.first.append(one)
        if self.count <= MOST:
            self._rows.writerow([_cell(one.file), one.line, _cell(one.why), _cell(one.text)])
        elif self.count == MOST + 1:
            self._rows.writerow(
                ["", "", f"more than {MOST} lines were rejected: the others are left out", ""]
            )

    def _unusable(self, error: OSError) -> InputError:
        return InputError(
            f"the rejected lines cannot be written: {error.strerror}",
            where=str(self.path),
            allowed="--rejected FILE in a folder that can be written to",
        )


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
