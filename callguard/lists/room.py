"""Room on the disk that holds the database: no import takes the last of it, where decisions are recorded.

On a full disk SQLite can neither record a decision nor delete what filled it. Of PostgreSQL's disk nothing is
known here: its administrator watches it.
"""

import os
from pathlib import Path

import sqlalchemy as sa

from callguard.errors import SqlError

RESERVE = 64 << 20
"""Bytes that stay free: decisions of some hours, and what it takes to delete an import that was stopped."""


def check_room(engine: sa.Engine) -> None:
    """Raises SqlError if less than RESERVE is free for SQLite's file. It takes some microseconds."""
    if engine.dialect.name != "sqlite":
        return
    folder = Path(str(engine.url.database)).parent
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise SqlError(f"cannot look at {folder}: {error.strerror}") from error
    # What root may use beyond this is not for lists.
    if disk.f_bavail * disk.f_frsize < RESERVE:
        raise SqlError(
            f"less than {RESERVE >> 20} MiB are free on the database's disk: they are kept for decisions",
            remedy=f"free some space where {folder} is",
        )
