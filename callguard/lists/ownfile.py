"""Files that an import writes beside what it reads: never over the file that it reads."""

import os
from pathlib import Path

from callguard.errors import InputError

_REMEDY = "--rejected OTHER"


def beside(path: Path, ending: str) -> Path:
    """The file beside another that has its name and an ending. Raises InputError for what has no name: `/`,
    `.`, and no path at all."""
    if not path.name:
        raise InputError("not the name of a file", where=str(path), allowed="a file")
    return path.with_name(f"{path.name}{ending}")


def check_not_input(source: Path, *written: Path) -> None:
    """Refuse to write over the file that is read, by whatever name, or in place of a device, pipe or folder.
    Raises InputError."""
    for path in written:
        try:
            there = path.exists()
            if path == source or (there and source.exists() and path.samefile(source)):
                raise InputError("is the file that is imported", where=str(path), allowed=_REMEDY)
            if there and not path.is_file():
                # To root, even /dev/null could be replaced.
                raise InputError("is no file", where=str(path), allowed=_REMEDY)
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}", where=str(path), allowed=_REMEDY
            ) from error


def remove_old(path: Path, header: bytes) -> None:
    """Remove the file that an import before this one has left, if there is one: one that begins with the
    header, and is not a link. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    with os.fdopen(descriptor, "rb") as file:
        ours = file.read(len(header)) == header
    if ours:
        path.unlink(missing_ok=True)
