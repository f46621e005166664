"""The journal's writes as SQL. All of it blocks: the writer calls it from its own thread."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from callguard import database
from callguard.control.model import Result
from callguard.errors import SqlError
from callguard.journal.rows import Row, decision_of, row_as_json
from callguard.journal.tables import decisions, open_decisions, outcomes, superseded
from callguard.screening.model import Decision

_INSERT: dict[str, Callable[[sa.Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""Both have ON CONFLICT, which SQLAlchemy's own insert has not."""


class JournalStore:
    """Adds to the journal. Everything may be added again: what is there already stays as it is."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        insert = _INSERT[engine.dialect.name]
        self._insert_decision = insert(decisions).on_conflict_do_nothing()
        id_ = sa.bindparam("id", type_=open_decisions.c.decision_id.type)
        self._open = (
            insert(open_decisions)
            .from_select(
                ["decision_id"],
                sa.select(id_).where(~sa.exists().where(outcomes.c.decision_id == id_)),
            )
            .on_conflict_do_nothing()
        )
        first = insert(outcomes)
        self._insert_outcome = first.on_conflict_do_update(
            index_elements=[outcomes.c.decision_id],
            set_={
                column.name: first.excluded[column.name] for column in outcomes.c if not column.primary_key
            },
            where=outcomes.c.result == Result.UNKNOWN.value,
        )
        self._close = open_decisions.delete().where(open_decisions.c.decision_id == sa.bindparam("closed_id"))

    def add_decisions(self, rows: Callable[[], Sequence[Row]]) -> None:
        """Commit decisions in one transaction. Raises SqlError; then none was added, unless the connection
        broke while committing.

        `rows` is asked once the transaction has its lock, which may have taken a while. A decision whose id
        is there already with other contents takes its place, for the later word is the one that was acted
        on: the database committed the earlier one after its caller had given up waiting. The earlier one is
        kept in `superseded_decisions`.
        """
        with database.write(self._engine) as connection:
            added = rows()
            if not added:
                return
            if connection.execute(self._insert_decision, added).rowcount != len(added):
                for row in added:
                    _supersede(connection, row)
            connection.execute(self._open, [{"id": row["id"]} for row in added])

    def add_outcomes(self, rows: Sequence[Row]) -> None:
        """Commit outcomes in one transaction. Raises SqlError, as add_decisions does."""
        with database.write(self._engine) as connection:
            connection.execute(self._insert_outcome, rows)
            connection.execute(self._close, [{"closed_id": row["decision_id"]} for row in rows])

    def open_decisions(self, pbx: str, guard: str) -> list[Decision]:
        """This guard's decisions on this PBX that have no outcome, oldest first. Raises SqlError."""
        query = (
            sa.select(decisions)
            .join(open_decisions, open_decisions.c.decision_id == decisions.c.id)
            .where(decisions.c.pbx == pbx, decisions.c.guard == guard)
            .order_by(decisions.c.id)
        )
        with database.snapshot(self._engine) as connection:
            return [decision_of(row._asdict()) for row in connection.execute(query)]


def refuses_a_row(error: Exception) -> bool:
    """Tell whether a row is at fault, not the database: the others may be added without it."""
    if isinstance(error, SqlError):
        return isinstance(error.__cause__, (sa.exc.DataError, sa.exc.IntegrityError))
    return True


def _supersede(connection: sa.Connection, row: Row) -> None:
    this = decisions.c.id == row["id"]
    earlier = connection.execute(sa.select(decisions).where(this)).one()._asdict()
    if earlier == row:
        return
    connection.execute(
        superseded.insert(),
        {"decision_id": row["id"], "superseded_at": datetime.now(UTC), "decision": row_as_json(earlier)},
    )
    connection.execute(decisions.delete().where(this))
    connection.execute(decisions.insert(), row)
