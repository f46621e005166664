"""Attempts in SQL: the journal's allowed calls, and those promised while Redis was away. All of it blocks.

Each allowed call is an attempt from its decision on, whatever became of it: also one that the agent gave up
before it rang, or that no trunk took, for the journal cannot always tell whether a phone rang.
"""

import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from callguard.control.model import Result
from callguard.database import from_microseconds, microseconds, snapshot, sql_errors, storable, write
from callguard.journal.tables import attempts, decisions, outcomes
from callguard.screening.identity import decision_id as first_id
from callguard.screening.model import Attempt, Verdict

MOST_ATTEMPTS = 1000
"""Attempts to a number that are looked at, the newest: as many as a rule may allow."""
PROMISE = timedelta(minutes=5)
"""How long a promised attempt counts whose decision is not in the journal: longer than a decision takes. What
is older was promised by a guard that died."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = 500
"""Numbers of one statement: databases take some thousand parameters."""
_LOCK = 0x63616C6C
"""The first key of PostgreSQL's advisory locks on numbers: `call` in ASCII."""
_TIDY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Counted:
    """An attempt, and the id of its decision."""

    id: str
    attempt: Attempt


def attempts_of(engine: sa.Engine, number: str, since: datetime, until: datetime) -> tuple[Attempt, ...]:
    """The attempts to a number (E.164) after `since` and up to `until` (aware), the newest first and
    MOST_ATTEMPTS at most.

    Their purposes are as they were said. Raises SqlError.
    """
    with snapshot(engine) as connection:
        rows = connection.execute(_OF_ONE, _parameters(since, until, until) | {"number": number})
        return tuple(one.attempt for _, one in islice(_counted(rows), MOST_ATTEMPTS))


def attempts_of_many(
    engine: sa.Engine, numbers: Iterable[str], since: datetime, until: datetime
) -> dict[str, tuple[Attempt, ...]]:
    """attempts_of for many numbers (E.164): number -> attempts, of those that have any. Raises SqlError."""
    found: dict[str, list[Attempt]] = {}
    remaining = iter(numbers)
    while some := list(islice(remaining, _NUMBERS)):
        with snapshot(engine) as connection:
            rows = connection.execute(_OF_MANY, _parameters(since, until, until) | {"numbers": some})
            for number, one in _counted(rows):
                of_number = found.setdefault(number, [])
                if len(of_number) < MOST_ATTEMPTS:
                    of_number.append(one.attempt)
    return {number: tuple(of_number) for number, of_number in found.items()}


class SqlAttempts:
    """Counts attempts, and keeps promises of them."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._tidy_at = clock()
        self._on_sqlite = engine.dialect.name == "sqlite"
        insert = sqlite.insert if self._on_sqlite else postgresql.insert
        self._insert = insert(attempts).on_conflict_do_nothing()
        dialect = sqlite.dialect(paramstyle="named") if self._on_sqlite else engine.dialect
        compiled = _OF_ONE.compile(dialect=dialect)
        self._of_one, self._constants = str(compiled), compiled.params

    def of(self, number: str, since: datetime, at: datetime) -> list[Counted]:
        """The attempts to a number (E.164) after `since`, as a call of the instant `at` has to know them: the
        newest first. Raises SqlError.

        Every call that a rule on attempts concerns waits for it: the driver itself runs the statement, which
        SQLAlchemy's execution would make twice as long.
        """
        asked = self._constants | _parameters(since, _FOR_EVER, at) | {"number": number}
        with sql_errors(), closing(self._engine.raw_connection()) as pooled:
            connection: Any = pooled.driver_connection
            try:
                if not self._on_sqlite:
                    # A statement alone needs no transaction; its two ends would be two more round trips.
                    connection.autocommit = True
                rows = connection.execute(self._of_one, asked).fetchall()
                if not self._on_sqlite:
                    connection.autocommit = False
            except BaseException:
                # The next one to have the connection relies on its transactions.
                pooled.invalidate()
                raise
        return [one for _, one in islice(_counted(rows), MOST_ATTEMPTS)]

    def promise(self, number: str, new: Counted, seen: frozenset[str], since: datetime) -> bool:
        """Keep an attempt for a call whose decision is still to be committed.

        If there are attempts to the number after `since` that are not among those `seen` (ids of decisions),
        nothing is kept and the answer is False. Of two at once, the second finds the first.

        Raises SqlError; then it may have been kept all the same.
        """
        attempt = new.attempt
        row = {
            "decision_id": new.id,
            "number": number,
            "at": microseconds(attempt.at),
            "project": None if attempt.project is None else storable(attempt.project),
            "purpose": storable(attempt.purpose),
            "subject": storable(attempt.subject),
        }
        with write(self._engine) as connection:
            if not self._on_sqlite:
                # The statements after it see what was committed before the lock was free.
                key = zlib.crc32(number.encode()) - (1 << 31)
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK, key)))
            found = _read(connection, number, since, attempt.at)
            if any(one.id not in seen and one.id != new.id for one in found):
                return False
            connection.execute(self._insert, row)
            self._tidy(connection, attempt.at)
        return True

    def release(self, decision_id: str) -> None:
        """Forget a promise, if there is one. Raises SqlError."""
        with write(self._engine) as connection:
            connection.execute(attempts.delete().where(attempts.c.decision_id == decision_id))

    def _tidy(self, connection: sa.Connection, at: datetime) -> None:
        """Remove the promises that count no more, once in a while."""
        if self._clock() >= self._tidy_at:
            self._tidy_at = self._clock() + _TIDY_SECONDS
            connection.execute(attempts.delete().where(attempts.c.at <= microseconds(at - PROMISE)))


def _statement(
    decided: sa.ColumnElement[bool], promised: sa.ColumnElement[bool]
) -> sa.CompoundSelect[tuple[Any, ...]]:
    """The attempts of the journal and those promised, the newest first. What is both comes twice, the
    journal's word first."""
    of_journal = (
        sa.select(
            decisions.c.id,
            decisions.c.number,
            decisions.c.at,
            decisions.c.project,
            decisions.c.purpose,
            decisions.c.subject,
            outcomes.c.result,
            outcomes.c.answered_at,
            sa.literal_column("0").label("promised"),
        )
        .outerjoin(outcomes, outcomes.c.decision_id == decisions.c.id)
        .where(
            decided,
            # An id begins with the millisecond of `at`: the index is of number and id.
            decisions.c.id >= sa.bindparam("first_id"),
            decisions.c.at > sa.bindparam("since"),
            decisions.c.at <= sa.bindparam("until"),
            decisions.c.verdict == Verdict.ALLOW.value,
            decisions.c.mode.is_not(None),
        )
    )
    kept = sa.select(
        attempts.c.decision_id,
        attempts.c.number,
        attempts.c.at,
        attempts.c.project,
        attempts.c.purpose,
        attempts.c.subject,
        sa.cast(sa.null(), outcomes.c.result.type),
        sa.cast(sa.null(), outcomes.c.answered_at.type),
        sa.literal_column("1"),
    ).where(promised, attempts.c.at > sa.bindparam("promised_since"), attempts.c.at <= sa.bindparam("until"))
    return of_journal.union_all(kept).order_by(sa.desc("id"), "promised")


_OF_ONE = _statement(
    decisions.c.number == sa.bindparam("number"), attempts.c.number == sa.bindparam("number")
).limit(2 * MOST_ATTEMPTS)
_OF_MANY = _statement(
    decisions.c.number.in_(sa.bindparam("numbers", expanding=True)),
    attempts.c.number.in_(sa.bindparam("numbers", expanding=True)),
)
_FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)


def _parameters(since: datetime, until: datetime, at: datetime) -> dict[str, Any]:
    since = max(since, _EPOCH)
    return {
        "first_id": first_id(since, 0),
        "since": microseconds(since),
        "promised_since": microseconds(max(since, at - PROMISE)),
        "until": microseconds(until),
    }


def _read(connection: sa.Connection, number: str, since: datetime, at: datetime) -> list[Counted]:
    # Another guard's clock may be ahead: what it has decided counts, too.
    rows = connection.execute(_OF_ONE, _parameters(since, _FOR_EVER, at) | {"number": number})
    return [one for _, one in islice(_counted(rows), MOST_ATTEMPTS)]


class _Row(NamedTuple):
    """A row of _statement."""

    id: str
    number: str
    at: int
    project: str | None
    purpose: str
    subject: str
    result: str | None
    answered_at: int | None
    promised: int


def _counted(rows: Iterable[Iterable[Any]]) -> Iterator[tuple[str, Counted]]:
    """Number and attempt, each decision once."""
    last = ""
    for columns in rows:
        row = _Row(*columns)
        if row.id != last:
            last = row.id
            attempt = Attempt(
                from_microseconds(row.at), row.project, row.purpose, row.subject, _answered(row)
            )
            yield row.number, Counted(row.id, attempt)


def _answered(row: _Row) -> bool | None:
    if row.answered_at is not None or row.result == Result.ANSWERED.value:
        return True
    return None if row.result in (None, Result.UNKNOWN.value) else False
