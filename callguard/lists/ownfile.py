"""Files that an import writes beside what it reads: never over the file that it reads."""

import os
from pathlib import Path

from callguard.errors import InputError


def check_not_input(source: Path, *written: Path) -> None:
    """Refuse to write over the file that is read, by whatever name. Raises InputError."""
    for path in written:
        if path == source or (path.exists() and source.exists() and path.samefile(source)):
            raise InputError("is the file that is imported", where=str(path), allowed="--rejected OTHER")


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
