"""The SQL database: SQLite beside the state, or PostgreSQL. What the lists and the journal stand on.

SQL is the truth about lists and journal. One code serves both databases; where they differ (locks, timeouts,
who may read the file) is decided here and nowhere else. All of it blocks: asyncio code calls it in threads.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.pool import ConnectionPoolEntry

from callguard.config import SqlSettings
from callguard.errors import ConfigurationError, SqlError

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
"""Every table of callguard registers here, in the module that reads and writes it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WRITE_LOCK = 0x63616C6C67756172
"""The key of PostgreSQL's advisory lock that orders writes: `callguar` in ASCII."""
_MIGRATION_SECONDS = 3600
"""A migration of a large journal may take long; ordinary statements may not."""
_BEGIN = "callguard_begin"
_OF_SQLITE = (
    # FULL: in WAL mode NORMAL may lose the last commits when the power fails.
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=1000",
    "PRAGMA foreign_keys=ON",
)
"""Of each connection; 1000 pages are SQLite's own choice."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02
"""Seconds for which a bulk write leaves SQLite's lock to others, besides its checkpoint."""

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A 64-bit key that the database counts up: SQLite does that for INTEGER alone."""


class UtcTime(sa.types.TypeDecorator[datetime]):
    """An instant, stored as microseconds since 1970 in UTC, so that both databases compare it alike.

    Values are aware datetimes; a naive one is a ValueError, for nobody knows which hour it means.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_microseconds(value)


class PlainText(sa.types.TypeDecorator[str]):
    """Text that both databases can store: NULs (refused by PostgreSQL) and lone surrogates become U+FFFD.

    A backstop: text is cleaned where it comes in. Here no record is lost for one bad character.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("value", PlainText, nullable=False),
)
"""What the database says of itself."""


def microseconds(at: datetime) -> int:
    """Count the microseconds from 1970 (UTC) to an aware datetime. Raises ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError("a time without its zone cannot be stored")
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The UTC datetime so many microseconds after 1970."""
    return _EPOCH + count * _MICROSECOND


def storable(text: str) -> str:
    """Replace what a database or JSON cannot hold, NULs and lone surrogates, by U+FFFD."""
    return (
        text.encode("utf-16", "surrogatepass")
        .decode("utf-16", "replace")
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
    )


def open_engine(settings: SqlSettings, state: Path) -> sa.Engine:
    """Open the database that the settings name; SQLite in the state folder where they name none.

    PostgreSQL is not connected to yet. SQLite's file is made if it is missing: mode 0600, its folder 0700.
    Raises ConfigurationError for a URL that cannot be used, SqlError for a file that cannot be made.
    """
    if not settings.url:
        return _open_sqlite(state / "callguard.sqlite", settings.timeout)
    try:
        url = sa.make_url(settings.url)
    except sa.exc.ArgumentError:
        # The URL may hold a password: it is not repeated.
        raise ConfigurationError("not a database URL", where="sql.url", allowed=_ALLOWED_URLS) from None
    if url.drivername == "sqlite" and url.database and url.database != ":memory:":
        return _open_sqlite(Path(url.database), settings.timeout)
    if url.drivername in {"postgresql", "postgresql+psycopg"}:
        return _open_postgresql(url, settings)
    raise ConfigurationError("this database is not supported", where="sql.url", allowed=_ALLOWED_URLS)


_ALLOWED_URLS = "empty, sqlite:////folder/file, or postgresql://user@host/database"


@contextmanager
def sql_errors() -> Iterator[None]:
    """Turn what the drivers and SQLAlchemy raise into SqlError. The text never holds a password or a row.

    Mistakes of our own (a table that is not in the metadata, a value of a wrong type) pass as they are.
    """
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise SqlError(
            "no connection was free in time", remedy="is the database slow, or overloaded?"
        ) from error
    except sa.exc.DBAPIError as error:
        raise _sql_error(error.orig or error) from error
    except (sqlite3.Error, psycopg.Error) as error:
        raise _sql_error(error) from error


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Read, with every statement seeing the database as it was at the first one. Raises SqlError."""
    with sql_errors(), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(  # noqa: PLW2901
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with connection.begin():
            yield connection


@contextmanager
def write(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Write in one transaction; committed when the block ends, undone when it raises. Raises SqlError.

    On SQLite it takes the write lock at once: a transaction that reads first and then writes is refused
    without any wait when another process wrote in between.
    """
    with sql_errors(), engine.connect() as connection:
        writing = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        with writing.begin():
            try:
                yield writing
            except KeyboardInterrupt:
                # It may have come in the middle of a COPY: PostgreSQL's driver can undo nothing then, and
                # its error would take the interruption's place. Without the connection all is undone, too.
                connection.invalidate()
                raise


@contextmanager
def bulk_write(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Write a part of much, in one transaction, as `write` does; and then leave SQLite's lock to others for
    as long as it was held here. Who waits for it there looks only now and then, and would find it taken each
    time. Raises SqlError.

    After a power failure parts may be gone, the last ones first, but never one of before a `write` that was
    there: SQLite brings this and all that came before to the disk with the next `write`.
    """
    if engine.dialect.name != "sqlite":
        with write(engine) as connection:
            yield connection
        return
    with sql_errors(), engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)  # noqa: S101
        driver.execute("PRAGMA synchronous=NORMAL")
        driver.execute("PRAGMA wal_autocheckpoint=0")
        try:
            writing = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with writing.begin():
                begun = time.monotonic()
                yield writing
            ended = time.monotonic()
            # Others may write while this brings their and our parts from the log to the file.
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            held, left = ended - begun, time.monotonic() - ended
            time.sleep(min(max(held - left, _SHORTEST_PAUSE), _LONGEST_PAUSE))
        finally:
            for setting in _OF_SQLITE:
                driver.execute(setting)


@contextmanager
def ordered_write(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Write alone: no other ordered write runs between our first statement and our commit. Raises SqlError.

    So positions in the change log become visible in their order, in every process on either database.
    """
    with write(engine) as connection:
        if engine.dialect.name == "postgresql":
            _take_write_lock(connection)
        yield connection


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to this version's shape; nothing to do is the common case.

    Several processes may call it at once: one works, the others wait for it. Raises SqlError, also for a
    database that a newer callguard has migrated further.
    """
    # Alembic takes longer to import than `callguard check` takes to answer.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    file = engine.url.database if engine.dialect.name == "sqlite" else None
    with _folder_lock(Path(file).parent) if file else nullcontext(), write(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text(f"SET LOCAL statement_timeout = '{_MIGRATION_SECONDS}s'"))
            connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_MIGRATION_SECONDS}s'"))
            _take_write_lock(connection)
        config = Config()
        config.set_main_option("script_location", "callguard:migrations")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SqlError(
                f"the tables cannot be brought to this version: {error}",
                remedy="a newer callguard has used this database: install that version again",
            ) from error


def database_id(engine: sa.Engine) -> str:
    """The random name that the first migration gave this database: 32 hexadecimal digits. Raises SqlError."""
    with snapshot(engine) as connection:
        found = connection.execute(
            sa.select(meta.c.value).where(meta.c.key == "database")
        ).scalar_one_or_none()
    if found is None:
        raise SqlError("the database has no id", remedy="restore table `meta` from a backup")
    return str(found)


def _take_write_lock(connection: sa.Connection) -> None:
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITE_LOCK)))


def _open_sqlite(path: Path, timeout: float) -> sa.Engine:
    with sql_errors():
        try:
            _make_private_file(path)
        except OSError as error:
            raise SqlError(f"cannot make {path}: {error.strerror}", remedy=_FILE_REMEDY) from error
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": timeout, "isolation_level": None},
        pool_timeout=timeout,
        hide_parameters=True,
    )

    @sa.event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for setting in _OF_SQLITE:
            cursor.execute(setting)
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        # Python's sqlite3 would begin only before the first INSERT: too late for a lock or a snapshot.
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


def _make_private_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        if os.geteuid() == 0:
            # An administrator's first command must not lock the service's own user out of its database.
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.close(descriptor)
    # Two processes that both switch a new file to WAL would fail, not wait: the folder's lock makes them.
    with _folder_lock(path.parent), closing(sqlite3.connect(path, timeout=5)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    # The database file itself must not serve: closing it would drop SQLite's own locks in this process.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_postgresql(url: sa.URL, settings: SqlSettings) -> sa.Engine:
    secret = settings.secret()
    if secret is not None:
        url = url.set(password=secret)
    milliseconds = int(settings.timeout * 1000)
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={
            "application_name": "callguard",
            "connect_timeout": max(1, round(settings.timeout)),
            # The server gives up on a statement or a lock; the kernel on a server that no longer answers.
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
            "tcp_user_timeout": milliseconds,
        },
        pool_timeout=settings.timeout,
        pool_pre_ping=True,
        hide_parameters=True,
    )


_FILE_REMEDY = "may this user write there? The folder is set by `state`, or by sql.url"
_REMEDIES: tuple[tuple[str, str], ...] = (
    ("unable to open database", _FILE_REMEDY),
    ("readonly database", _FILE_REMEDY),
    ("database is locked", "another process has held the database for too long"),
    ("disk is full", "free some space on the database's disk"),
    ("disk i/o error", "look at the disk that holds the database"),
    ("not a database", "the file is damaged, or of another program: restore it from a backup"),
    ("malformed", "the file is damaged: restore it from a backup"),
    ("no such table", "the tables are missing: start `callguard guard` once"),
    ("does not exist", "create the database and its role, or correct sql.url"),
    ("password", "correct the password in sql.password_file"),
    ("timeout", "is the database overloaded?"),
)


def _sql_error(error: BaseException) -> SqlError:
    # The first line says what happened; what follows may repeat the row.
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    lowered = text.lower()
    for sign, remedy in _REMEDIES:
        if sign in lowered:
            return SqlError(text, remedy=remedy)
    connecting = isinstance(error, psycopg.OperationalError)
    return SqlError(text, remedy="is the database up, and sql.url right?" if connecting else None)
