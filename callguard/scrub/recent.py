"""The numbers that were called lately, with their attempts: few, beside the leads of a file."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from callguard.attempts.sql import PROMISE, attempts_of_many
from callguard.database import snapshot
from callguard.journal.tables import attempts, decisions
from callguard.lists.packing import Numbers
from callguard.screening.identity import decision_id
from callguard.screening.model import Attempt, Verdict
from callguard.screening.rules import AttemptsLine, Rules

Indices = NDArray[np.int64]

_AT_ONCE = 20_000


class Recent:
    """Attempts of many numbers."""

    def __init__(self, of: dict[str, tuple[Attempt, ...]]) -> None:
        self._attempts = [(), *of.values()]
        numbers = np.array([int(number) for number in of], np.uint64)
        order = np.argsort(numbers)
        self._numbers, self._indices = numbers[order], order + 1

    @property
    def count(self) -> int:
        """More than the greatest index."""
        return len(self._attempts)

    def of(self, numbers: Numbers) -> Indices:
        """For each number the index of its attempts; 0 for none."""
        found = np.zeros(len(numbers), np.int64)
        if len(self._numbers):
            at = np.searchsorted(self._numbers, numbers)
            at[at == len(self._numbers)] = 0
            there = np.flatnonzero(self._numbers[at] == numbers)
            found[there] = self._indices[at[there]]
        return found

    def attempts(self, index: int) -> tuple[Attempt, ...]:
        return self._attempts[index]


NOT_COUNTED = Recent({})
"""No number has any."""


def recent(engine: sa.Engine, rules: Rules, at: datetime) -> Recent:
    """The attempts that any rule may count for a call at that instant (aware). Raises SqlError."""
    periods = [
        line.period for preset in rules.presets for line in preset.lines if isinstance(line, AttemptsLine)
    ]
    longest = max(periods, default=timedelta(0))
    if not longest:
        return Recent({})
    return Recent(attempts_of_many(engine, _numbers(engine, at - longest, at), at - longest, at))


def _numbers(engine: sa.Engine, since: datetime, until: datetime) -> Iterator[str]:
    """Every number to which there may be attempts, each once."""
    # An id begins with the millisecond of its instant: the decisions' own key has them in order.
    last = decision_id(since, 0)
    seen: set[str] = set()
    columns = (decisions.c.id, decisions.c.number)
    wanted = (
        decisions.c.verdict == Verdict.ALLOW.value,
        decisions.c.mode.is_not(None),
        decisions.c.at <= until,
    )
    page = sa.select(*columns).where(*wanted).order_by(decisions.c.id).limit(_AT_ONCE)
    promised = sa.select(attempts.c.number).where(attempts.c.at > until - PROMISE).distinct()
    with snapshot(engine) as connection:
        seen.update(connection.execute(promised).scalars())
        while rows := connection.execute(page.where(decisions.c.id >= last)).all():
            seen.update(number for _, number in rows if number is not None)
            if len(rows) < _AT_ONCE or rows[-1].id == last:
                break
            last = rows[-1].id
    yield from sorted(seen)
