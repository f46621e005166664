"""One importer a list: a lock that ends with the process that holds it, however that ends. Blocks.

SQLite: an flock on a file beside the database, which says who holds it. PostgreSQL: an advisory lock of a
session of its own, whose application name says it, so that importers on several machines know of each other.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from callguard.database import sql_errors
from callguard.errors import InputError, SqlError

_LOCK_CLASS = 0x43474C49
"""The first half of PostgreSQL's locks of this kind: `CGLI` in ASCII; the second is the list's id."""
_LONGEST_NAME = 63
"""Bytes of an application name; PostgreSQL cuts a longer one."""

_NEVER_IDLE = sa.text(
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
)
_HOLDER = sa.text(
    "SELECT activity.application_name, activity.backend_start FROM pg_locks AS locks"
    " JOIN pg_stat_activity AS activity USING (pid)"
    " WHERE locks.locktype = 'advisory' AND locks.granted"
    " AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND locks.classid = :kind AND locks.objid = :list AND locks.objsubid = 2"
)


@contextmanager
def import_lock(engine: sa.Engine, registry: int, name: str, *, who: str) -> Iterator[None]:
    """Be the only one who imports into a list (its id and name), until the block ends.

    Raises InputError that says who else is at it, SqlError if the lock cannot be asked for.
    """
    lock = _file_lock if engine.dialect.name == "sqlite" else _session_lock
    with lock(engine, registry, name, who):
        yield


@contextmanager
def _file_lock(engine: sa.Engine, registry: int, name: str, who: str) -> Iterator[None]:
    database = Path(str(engine.url.database))
    path = database.with_name(f"{database.name}.list-{registry}.lock")
    try:
        descriptor = _lock_file(path, database)
    except OSError as error:
        raise SqlError(
            f"cannot open {path}: {error.strerror}", remedy="may this user write there?"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(name, os.pread(descriptor, 500, 0).decode(errors="replace")) from None
        told = f"{who} (process {os.getpid()}), since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, told.encode(), 0)
        # The file stays: whoever waits for one that is removed would hold a lock that nobody else sees.
        yield
    finally:
        os.close(descriptor)


def _lock_file(path: Path, database: Path) -> int:
    # A link that somebody left there would lead to a file of somebody else's choice.
    flags = os.O_RDWR | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    if os.geteuid() == 0:
        # An administrator's first import must not lock the service's own user out of the list.
        owner = database.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


@contextmanager
def _session_lock(engine: sa.Engine, registry: int, name: str, who: str) -> Iterator[None]:
    key = {"kind": _LOCK_CLASS, "list": registry}
    with sql_errors():
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        with sql_errors():
            told = f"callguard list import by {who}".encode()[:_LONGEST_NAME].decode(errors="ignore")
            connection.execute(sa.text("SELECT set_config('application_name', :name, false)"), {"name": told})
            # Nothing is asked over it for as long as the import takes.
            connection.execute(_NEVER_IDLE)
            if not connection.execute(sa.text("SELECT pg_try_advisory_lock(:kind, :list)"), key).scalar():
                holder = connection.execute(_HOLDER, key).first()
                since = f"{holder.application_name}, since {holder.backend_start}" if holder else ""
                raise _taken(name, since)
        yield
    finally:
        # The session is given up, not returned to the pool: the lock must end here.
        connection.invalidate()
        connection.close()


def _taken(name: str, holder: str) -> InputError:
    by = f": {holder}" if holder else ""
    return InputError(f"another import is under way{by}", where=name, allowed="wait until it is done")
