"""What a guard has of attempts: screening, claims and the journal, over a real database and Redis."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import sqlalchemy as sa

from callguard.attempts.promises import Promises
from callguard.attempts.service import CountedAttempts
from callguard.config import RedisSettings
from callguard.control.claims import Claims
from callguard.control.model import Outcome, Result
from callguard.journal.rows import decision_row, outcome_row
from callguard.journal.store import JournalStore
from callguard.lists.connection import connect
from callguard.lists.threads import SqlThreads
from callguard.numbers import Number, NumberKind
from callguard.screening.identity import decision_id
from callguard.screening.model import CallFacts, Decision, Hits, Mode, Screened, Verdict
from callguard.screening.rules import Rules
from tests.rig.lists import NOWHERE
from tests.rig.switchboard import MemoryLists

NUMBER = "+6281200000001"
START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)

_bits = itertools.count(1 << 40)


@dataclass
class Desk:
    """One guard. `redis_answers` is what its lists would say."""

    engine: sa.Engine
    redis: RedisSettings
    rules: Rules
    redis_answers: bool = True
    sql_timeout: float = 20.0
    promises: Promises = field(init=False)
    attempts: CountedAttempts = field(init=False)

    def __post_init__(self) -> None:
        self.promises = Promises(connect(self.redis, NOWHERE), key=self.redis.key, timeout=self.redis.timeout)
        self._threads = SqlThreads(timeout=self.sql_timeout)
        self.attempts = CountedAttempts(
            self.engine, self.promises, self._threads, redis_answers=lambda: self.redis_answers
        )
        self._claims = Claims(MemoryLists(), self.attempts)
        self._journal = JournalStore(self.engine)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.promises.close()
        self._threads.close(patience=30)
        self._journal.close()

    async def decide(
        self,
        at: datetime = START,
        *,
        number: str = NUMBER,
        project: str | None = "bank",
        purpose: str = "marketing",
        subject: str = "",
    ) -> Decision:
        """Decide about a call, and claim what it needs; nothing is recorded yet."""
        facts = CallFacts(
            at, number, Number(NumberKind.SUBSCRIBER, number), Mode.BRIDGE, project, purpose, subject=subject
        )
        identity = decision_id(at, next(_bits))
        screened: Screened = await self._claims.screened(identity, facts, Hits((), 1, "redis"), self.rules)
        return Decision(identity, "0000001", facts, screened, 1, "redis")

    def record(self, *decisions: Decision) -> None:
        self._journal.add_decisions(lambda: [decision_row(decision) for decision in decisions])

    def ended(self, decision: Decision, result: Result) -> None:
        at = decision.facts.at
        answered_at = at if result is Result.ANSWERED else None
        self._journal.add_outcomes([outcome_row(Outcome(decision.id, result, at, None, answered_at))])

    async def call(self, at: datetime = START, **call: str | None) -> bool:
        """Decide about a call and record it; tell whether it was allowed."""
        decision = await self.decide(at, **call)  # type: ignore[arg-type]
        self.record(decision)
        return decision.verdict is Verdict.ALLOW
