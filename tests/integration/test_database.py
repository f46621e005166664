"""SQLite and PostgreSQL behave alike behind callguard.database."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from callguard.config import SqlSettings
from callguard.database import (
    PlainText,
    UtcTime,
    bulk_write,
    database_id,
    meta,
    metadata,
    migrate,
    open_engine,
    ordered_write,
    snapshot,
    sql_errors,
    write,
)
from callguard.errors import ConfigurationError, SqlError
from callguard.journal.tables import decisions
from callguard.lists.tables import changes
from tests.rig.postgres import PostgresServer

pytestmark = pytest.mark.integration

notes = sa.Table(
    "notes",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", UtcTime),
    sa.Column("text", PlainText),
)


def test_the_migrations_make_the_tables_that_the_code_uses(engine: sa.Engine) -> None:
    assert changes.metadata is decisions.metadata is metadata
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(engine: sa.Engine) -> None:
    before = database_id(engine)
    migrate(engine)
    assert database_id(engine) == before


def test_each_database_has_its_own_id(engine: sa.Engine, tmp_path: Path) -> None:
    other = open_engine(SqlSettings(), tmp_path / "other")
    migrate(other)
    assert database_id(engine) != database_id(other)
    other.dispose()


_MIGRATE = """
import sys
from pathlib import Path
from callguard.config import SqlSettings
from callguard.database import database_id, migrate, open_engine
sys.stdin.readline()
engine = open_engine(SqlSettings(url=sys.argv[1]), Path(sys.argv[2]))
migrate(engine)
print(database_id(engine))
"""


def test_processes_that_start_at_once_migrate_once(sql_settings: SqlSettings, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _MIGRATE, sql_settings.url, str(tmp_path / "state")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    ids = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert len(ids) == 1


def test_a_database_of_a_newer_version_is_refused_with_what_to_do(engine: sa.Engine) -> None:
    with write(engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SqlError) as caught:
        migrate(engine)
    assert "newer callguard" in str(caught.value)


def test_times_keep_their_instant_and_microseconds_and_compare_as_instants(engine: sa.Engine) -> None:
    jakarta = timezone(timedelta(hours=7))
    early = datetime(2026, 3, 1, 9, 0, 0, 123457, tzinfo=jakarta)
    late = datetime(2026, 3, 1, 2, 0, 0, 123458, tzinfo=UTC)
    notes.create(engine)
    with write(engine) as connection:
        connection.execute(
            notes.insert(), [{"id": 1, "at": late}, {"id": 2, "at": early}, {"id": 3, "at": None}]
        )
    with snapshot(engine) as connection:
        found = connection.execute(sa.select(notes.c.at).where(notes.c.at < late)).scalars().all()
    assert found == [early]
    assert found[0].tzinfo is UTC


def test_a_time_without_its_zone_is_not_stored(engine: sa.Engine) -> None:
    notes.create(engine)
    with pytest.raises(sa.exc.StatementError, match="without its zone"), write(engine) as connection:
        connection.execute(notes.insert(), {"id": 1, "at": datetime(2026, 3, 1)})  # noqa: DTZ001


def test_characters_that_no_database_can_hold_lose_no_row(engine: sa.Engine) -> None:
    notes.create(engine)
    with write(engine) as connection:
        connection.execute(
            notes.insert(), {"id": 1, "text": "a\0b\udcffc\n'\"\N{GRINNING FACE}" + "x" * 10_000}
        )
    with snapshot(engine) as connection:
        found = connection.execute(sa.select(notes.c.text)).scalar_one()
    assert (
        found == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c\n'\"\N{GRINNING FACE}" + "x" * 10_000
    )


def test_a_write_that_raises_is_undone(engine: sa.Engine) -> None:
    row = {"key": "half", "value": "written"}
    with pytest.raises(SqlError), write(engine) as connection:
        connection.execute(meta.insert(), [row, row])
    with snapshot(engine) as connection:
        assert connection.execute(sa.select(meta).where(meta.c.key == "half")).all() == []


def test_a_write_that_is_interrupted_in_the_middle_of_a_copy_is_undone(engine: sa.Engine) -> None:
    def interrupted() -> None:
        with write(engine) as connection:
            connection.execute(meta.insert(), {"key": "half", "value": "written"})
            if engine.dialect.name == "postgresql":
                # Without psycopg's own `with`, which would end it: the interruption came before that.
                server = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
                server.exec_(b"COPY meta FROM STDIN")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with snapshot(engine) as connection:
        assert connection.execute(sa.select(meta).where(meta.c.key == "half")).all() == []


def test_a_bulk_write_that_raises_is_undone(engine: sa.Engine) -> None:
    row = {"key": "half", "value": "written"}
    with pytest.raises(SqlError), bulk_write(engine) as connection:
        connection.execute(meta.insert(), [row, row])
    with snapshot(engine) as connection:
        assert connection.execute(sa.select(meta).where(meta.c.key == "half")).all() == []


def test_a_snapshot_does_not_see_what_is_committed_after_it_began(engine: sa.Engine) -> None:
    count = sa.select(sa.func.count()).select_from(meta)
    with snapshot(engine) as reading:
        before = reading.execute(count).scalar_one()
        with write(engine) as connection:
            connection.execute(meta.insert(), {"key": "new", "value": "row"})
        assert reading.execute(count).scalar_one() == before
    with snapshot(engine) as reading:
        assert reading.execute(count).scalar_one() == before + 1


def test_a_second_ordered_write_waits_and_gives_up_in_time(sql_settings: SqlSettings, tmp_path: Path) -> None:
    engine = open_engine(sql_settings.model_copy(update={"timeout": 0.2}), tmp_path)
    migrate(engine)
    with ordered_write(engine) as connection:
        connection.execute(meta.insert(), {"key": "a", "value": "1"})
        with pytest.raises(SqlError), ordered_write(engine) as second:
            second.execute(meta.insert(), {"key": "b", "value": "1"})
    engine.dispose()


def pragmas(engine: sa.Engine) -> list[object]:
    """What SQLite was told of how to keep what it is given, and how long to wait."""
    with engine.connect() as connection:
        return [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "wal_autocheckpoint")
        ]


@pytest.mark.parametrize("value", ["good", None])
def test_after_a_bulk_write_sqlite_brings_each_commit_to_the_disk_again(
    value: str | None, tmp_path: Path
) -> None:
    engine = open_engine(SqlSettings(), tmp_path / "state")
    migrate(engine)
    during: list[object] = []
    with nullcontext() if value else pytest.raises(SqlError), bulk_write(engine) as connection:
        during.append(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())
        connection.execute(meta.insert(), {"key": "much", "value": value})
    assert during == [1]
    assert pragmas(engine) == ["wal", 2, 1, 2000, 1000]
    engine.dispose()


def test_sqlite_s_log_does_not_grow_with_the_parts_of_a_bulk(tmp_path: Path) -> None:
    engine = open_engine(SqlSettings(), tmp_path / "state")
    migrate(engine)
    sizes = set()
    for part in range(8):
        with bulk_write(engine) as connection:
            connection.execute(meta.insert(), {"key": f"part {part}", "value": "x" * 100_000})
        sizes.add((tmp_path / "state" / "callguard.sqlite-wal").stat().st_size)
    assert max(sizes) < 3 * 100_000
    engine.dispose()


def test_sqlite_is_private_and_durable(tmp_path: Path) -> None:
    engine = open_engine(SqlSettings(), tmp_path / "state")
    migrate(engine)
    assert pragmas(engine) == ["wal", 2, 1, 2000, 1000]
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "state").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    ["nonsense", "mysql://a@b/c", "postgresql+psycopg2://a/b", "sqlite://", "http://user:s3cret@host", "\0"],
)
def test_another_database_is_refused_by_the_name_of_its_key(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        # model_construct: the settings' own check would refuse most of these first.
        open_engine(SqlSettings.model_construct(url=url), tmp_path)
    assert caught.value.where == "sql.url"
    assert "s3cret" not in str(caught.value)


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = SqlSettings(url="postgresql://a@127.0.0.1/b", password_file=tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="missing"):
        open_engine(settings, tmp_path)


def test_no_error_tells_the_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    settings = SqlSettings(
        url="postgresql://someone@127.0.0.1:1/database", password_file=tmp_path / "password", timeout=2
    )
    engine = open_engine(settings, tmp_path)
    assert engine.url.password == "s3cret"
    with pytest.raises(SqlError) as caught:
        migrate(engine)
    assert "s3cret" not in str(caught.value)
    assert caught.value.remedy


def test_a_full_statement_tells_no_row(engine: sa.Engine) -> None:
    with pytest.raises(SqlError) as caught, write(engine) as connection:
        connection.execute(
            sa.text("INSERT INTO meta VALUES (:key, :value)"), {"key": None, "value": "pr1vate"}
        )
    assert "pr1vate" not in str(caught.value)


def test_a_state_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SqlError, match="cannot make"):
        open_engine(SqlSettings(), tmp_path / "file" / "state")


def test_a_damaged_sqlite_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "callguard.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(SqlError, match="not a database"):
        open_engine(SqlSettings(), tmp_path)


def test_mistakes_of_our_own_are_not_taken_for_a_failing_database() -> None:
    with pytest.raises(ZeroDivisionError), sql_errors():
        raise ZeroDivisionError


def test_postgresql_may_come_back(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    engine = open_engine(SqlSettings(url=postgres_url), tmp_path)
    migrate(engine)
    before = database_id(engine)
    postgres_server.stop()
    restarted: list[Callable[[], None]] = [postgres_server.start]
    request.addfinalizer(lambda: [start() for start in restarted])
    with pytest.raises(SqlError):
        database_id(engine)
    restarted.pop()()
    assert database_id(engine) == before
    engine.dispose()
