"""Reading the journal: newest first, by page, so that neither ten million decisions nor a slow reader holds
the database up. All of it blocks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from callguard.control.model import Outcome
from callguard.database import microseconds, snapshot
from callguard.journal.rows import decision_of, outcome_of
from callguard.journal.tables import decisions, outcomes
from callguard.screening.identity import decision_id
from callguard.screening.model import Decision, Reason, Verdict

PAGE = 500
"""Decisions read at a time."""
_NUMBERS_PAGE = 5000
"""The same, where only their numbers are."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
_REFUSED: sa.ColumnClause[str] = sa.literal_column(f"'{Verdict.REFUSE}'")
"""Written into the statement, for only then the index of refused decisions is used."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which decisions are wanted. What is None is not asked for; all that is given must hold."""

    since: datetime | None = None
    """Decided at this instant (aware) or later."""
    until: datetime | None = None
    """Decided before this instant (aware)."""
    refused: bool = False
    """The refused ones only."""
    agent: str | None = None
    project: str | None = None
    number: str | None = None
    """E.164 with the plus sign."""
    reason: Reason | None = None
    reference: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """A decision with what became of its call; no outcome while the call goes on."""

    decision: Decision
    outcome: Outcome | None


class JournalReader:
    """Reads decisions. Every method raises SqlError when the database cannot be read."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def page(self, query: Query, before: str | None = None, size: int = PAGE) -> list[Logged]:
        """The newest decisions that the query wants, newest first; those older than the decision `before`."""
        statement = (
            sa.select(decisions, *(column.label(f"outcome_{column.name}") for column in outcomes.c))
            .outerjoin(outcomes, outcomes.c.decision_id == decisions.c.id)
            .where(*_conditions(query))
            .order_by(decisions.c.id.desc())
            .limit(size)
        )
        if before is not None:
            statement = statement.where(decisions.c.id < before)
        with snapshot(self._engine) as connection:
            return [_logged(row) for row in connection.execute(statement)]

    def newest_first(self, query: Query, limit: int | None = None) -> Iterator[Logged]:
        """All decisions that the query wants, or the newest `limit` of them.

        Each page is read when the one before it has been taken. Decisions of the meantime are not among them.
        """
        before = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self.page(query, before, size)
            yield from page
            if len(page) < size:
                return
            before = page[-1].decision.id
            left = None if left is None else left - size

    def calls_by_number(self, since: datetime, limit: int) -> Counter[str]:
        """E.164 number -> how many of the newest `limit` decisions since an instant (aware) were about it."""
        found: Counter[str] = Counter()
        before, left = None, limit
        while left > 0:
            statement = (
                sa.select(decisions.c.id, decisions.c.number)
                .where(*_conditions(Query(since=since)))
                .order_by(decisions.c.id.desc())
                .limit(min(left, _NUMBERS_PAGE))
            )
            if before is not None:
                statement = statement.where(decisions.c.id < before)
            with snapshot(self._engine) as connection:
                rows = connection.execute(statement).all()
            if not rows:
                break
            found.update(row.number for row in rows if row.number is not None)
            before, left = rows[-1].id, left - len(rows)
        return found


def _conditions(query: Query) -> list[sa.ColumnElement[bool]]:
    column = decisions.c
    conditions: list[sa.ColumnElement[bool]] = []
    # An id begins with the millisecond of `at`: bounds on it use the index that gives the order.
    if query.since is not None:
        since = max(query.since, _EPOCH)
        conditions += [column.id >= decision_id(since, 0), column.at >= microseconds(since)]
    if query.until is not None:
        until = min(max(query.until, _EPOCH), _LATEST)
        conditions += [
            column.id < decision_id(until + timedelta(milliseconds=1), 0),
            column.at < microseconds(until),
        ]
    if query.refused:
        conditions.append(column.verdict == _REFUSED)
    wanted = (
        (column.agent, query.agent),
        (column.project, query.project),
        (column.number, query.number),
        (column.reason, None if query.reason is None else query.reason.value),
        (column.reference, query.reference),
        (column.id, query.id),
    )
    return conditions + [asked == value for asked, value in wanted if value is not None]


def _logged(row: sa.Row[tuple[object, ...]]) -> Logged:
    values = row._asdict()
    outcome = {name: values[f"outcome_{name}"] for name in outcomes.c.keys()}  # noqa: SIM118
    return Logged(decision_of(values), None if outcome["result"] is None else outcome_of(outcome))
