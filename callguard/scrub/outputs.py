"""The two files that a scrub writes: there at its end, whole, or not at all."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from callguard.errors import InputError


class Output:
    """A file that is written under another name, in the same folder, until `keep`."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._temporary = self._path.with_name(f".{self._path.name[:100]}.{secrets.token_hex(4)}.part")
        with _named(path):
            self._file: BinaryIO = self._temporary.open("xb", buffering=1 << 20)

    def write(self, data: bytes) -> None:
        """Raises InputError where there is no room, and so on."""
        with _named(self._path):
            self._file.write(data)

    def close(self) -> None:
        """Have everything on the disk. Raises InputError."""
        with _named(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def keep(self) -> None:
        """Give the file its name."""
        with _named(self._path):
            self._temporary.replace(self._path)

    def discard(self) -> None:
        """Leave nothing, unless it has its name already."""
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


class Outputs:
    """The clean and the refused file. On any way out but `finish` neither is there.

    Raises InputError for outputs that are one file, or the input, or exist already (unless `force`).
    """

    def __init__(self, source: Path, clean: Path, refused: Path, *, force: bool) -> None:
        _check(source, clean, refused, force=force)
        self._clean = Output(clean)
        try:
            self._refused = Output(refused)
        except BaseException:
            self._clean.discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clean.discard()
        self._refused.discard()

    def write(self, *, clean: bytes, refused: bytes) -> None:
        """Add to the two files. Raises InputError."""
        self._clean.write(clean)
        self._refused.write(refused)

    def finish(self) -> None:
        """Give both files their names, once both are whole. Raises InputError."""
        self._clean.close()
        self._refused.close()
        # The clean file is what a dialer waits for: it comes last.
        self._refused.keep()
        self._clean.keep()


def _check(source: Path, clean: Path, refused: Path, *, force: bool) -> None:
    if clean.resolve() == refused.resolve():
        raise InputError("is the same file as -o", where="--refused", allowed="another file")
    for option, path in (("-o", clean), ("--refused", refused)):
        with _named(path):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
        if path.resolve() == source.resolve() or found == source.stat():
            raise InputError("is the file of the leads", where=option, allowed="another file")
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} is no file", where=option, allowed="a new file")
        if not force:
            raise InputError(f"{path} exists", where=option, allowed="a new file, or --force to replace it")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
