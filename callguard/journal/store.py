"""The journal's writes as SQL. All of it blocks: the writer calls it from its own thread.

A decision is on the way of every call, so the statements are compiled once and run by the driver itself, on
a connection that stays open: SQLAlchemy's execution would more than double what a commit costs.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from callguard.control.model import Result
from callguard.database import microseconds, snapshot, sql_errors
from callguard.errors import SqlError
from callguard.journal.rows import Row, decision_of
from callguard.journal.tables import decisions, open_decisions, outcomes, superseded
from callguard.journal.versions import add_versions
from callguard.screening.model import Decision

_TIDY_AFTER = 200
"""Transactions between checkpoints of SQLite's log: each costs a millisecond or two, while nobody waits."""


class GivenUpError(Exception):
    """While decisions waited for the database, the caller of one of them has given up."""


class JournalStore:
    """Adds to the journal. Everything may be added again: what is there already stays as it is.

    For one thread, which also closes it.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._on_sqlite = engine.dialect.name == "sqlite"
        self._connection: DBAPIConnection | None = None
        self._untidy = 0
        self._insert_decision = self._compiled(_insert(engine, decisions).on_conflict_do_nothing())
        self._open = self._compiled(
            _insert(engine, open_decisions)
            .from_select(
                ["decision_id"],
                sa.select(sa.bindparam("id", type_=open_decisions.c.decision_id.type)).where(
                    ~sa.exists().where(outcomes.c.decision_id == sa.bindparam("id"))
                ),
            )
            .on_conflict_do_nothing()
        )
        first, key = _insert(engine, outcomes), outcomes.c.decision_id
        self._insert_outcome = self._compiled(
            first.on_conflict_do_update(
                index_elements=[key],
                set_={column.name: first.excluded[column.name] for column in outcomes.c if column is not key},
                where=outcomes.c.result == sa.literal_column(f"'{Result.UNKNOWN.value}'"),
            )
        )
        self._close = self._compiled(
            open_decisions.delete().where(open_decisions.c.decision_id == sa.bindparam("decision_id"))
        )
        self._find = self._compiled(sa.select(decisions).where(decisions.c.id == sa.bindparam("id")))
        self._remove = self._compiled(decisions.delete().where(decisions.c.id == sa.bindparam("id")))
        self._supersede = self._compiled(
            superseded.insert()
            .values({name: sa.bindparam(name) for name in ("decision_id", "superseded_at", "decision")})
            .inline()
        )

    def add_decisions(self, rows: Callable[[], Sequence[Row]]) -> None:
        """Commit decisions in one transaction. Raises SqlError; then none was added, unless the connection
        broke while committing.

        `rows` is asked at the start and again before the commit, for there may be locks to wait for; if it
        gives fewer then, GivenUpError is raised and nothing was added. A decision whose id
        is there already with other contents takes its place, for the later word is the one that was acted
        on: the database committed the earlier one after its caller had given up waiting. The earlier one is
        kept in `superseded_decisions`.
        """

        def work(cursor: DBAPICursor) -> None:
            added = rows()
            if added:
                cursor.executemany(self._insert_decision, added)
                if cursor.rowcount != len(added):
                    for row in added:
                        self._replace(cursor, row)
                cursor.executemany(self._open, added)
                if len(rows()) != len(added):
                    raise GivenUpError

        self._transaction(work)

    def add_outcomes(self, rows: Sequence[Row]) -> None:
        """Commit outcomes in one transaction. Raises SqlError, as add_decisions does."""

        def work(cursor: DBAPICursor) -> None:
            cursor.executemany(self._insert_outcome, rows)
            cursor.executemany(self._close, rows)

        self._transaction(work)

    def add_versions(self, rows: Sequence[Row]) -> None:
        """Store versions of the rules. Raises SqlError; then none was added."""
        add_versions(self._engine, list(rows))

    def open_decisions(self, pbx: str, guard: str) -> list[Decision]:
        """This guard's decisions on this PBX that have no outcome, oldest first. Raises SqlError."""
        query = (
            sa.select(decisions)
            .join(open_decisions, open_decisions.c.decision_id == decisions.c.id)
            .where(decisions.c.pbx == pbx, decisions.c.guard == guard)
            .order_by(decisions.c.id)
        )
        with snapshot(self._engine) as connection:
            return [decision_of(row._asdict()) for row in connection.execute(query)]

    def tidy(self) -> None:
        """Do what can wait until nobody does. Raises SqlError."""
        if self._on_sqlite and self._connection is not None and self._untidy >= _TIDY_AFTER:
            with sql_errors():
                self._connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._untidy = 0

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error, psycopg.Error):
                if self._on_sqlite:
                    # A cursor that an exception still holds keeps a closed connection's lock alive.
                    connection.rollback()
                connection.close()

    def _compiled(self, statement: sa.ClauseElement) -> str:
        """The statement with named parameters, as the driver takes them."""
        dialect = sqlite.dialect(paramstyle="named") if self._on_sqlite else self._engine.dialect
        return str(statement.compile(dialect=dialect))

    def _transaction(self, work: Callable[[DBAPICursor], None]) -> None:
        self._untidy += 1
        reused = self._connection is not None
        with sql_errors():
            try:
                self._attempt(work)
            except Exception:
                lost = self._is_lost()
                self.close()
                # PostgreSQL was restarted since the last time: that is no reason to fail. If it was lost in
                # the middle of a commit, adding again changes nothing.
                if not (reused and lost):
                    raise
                self._attempt(work)

    def _attempt(self, work: Callable[[DBAPICursor], None]) -> None:
        if self._connection is None:
            self._connection = self._connected()
        cursor = self._connection.cursor()
        if self._on_sqlite:
            # The lock comes first: a transaction that reads before it writes may be refused without a wait.
            cursor.execute("BEGIN IMMEDIATE")
        work(cursor)
        self._connection.commit()

    def _connected(self) -> DBAPIConnection:
        pooled = self._engine.raw_connection()
        connection = pooled.dbapi_connection
        assert connection is not None  # noqa: S101 - it was opened just now
        pooled.detach()
        if self._on_sqlite:
            connection.cursor().execute("PRAGMA wal_autocheckpoint=0")
        return connection

    def _is_lost(self) -> bool:
        return bool(getattr(self._connection, "closed", False))

    def _replace(self, cursor: DBAPICursor, row: Row) -> None:
        cursor.execute(self._find, row)
        earlier = dict(zip(decisions.c.keys(), cursor.fetchone() or (), strict=True))
        if earlier != row:
            now = microseconds(datetime.now(UTC))
            kept = {"decision_id": row["id"], "superseded_at": now, "decision": json.dumps(earlier)}
            cursor.execute(self._supersede, kept)
            cursor.execute(self._remove, row)
            cursor.execute(self._insert_decision, row)


def refuses_a_row(error: Exception) -> bool:
    """Tell whether a row is at fault, not the database: the others may be added without it."""
    at_fault = (sqlite3.DataError, sqlite3.IntegrityError, psycopg.DataError, psycopg.IntegrityError)
    return not isinstance(error, SqlError) or isinstance(error.__cause__, at_fault)


def _insert(engine: sa.Engine, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """INSERT as the dialect has it, with ON CONFLICT."""
    return sqlite.insert(table) if engine.dialect.name == "sqlite" else postgresql.insert(table)
