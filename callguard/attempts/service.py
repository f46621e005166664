"""Attempts as call control asks for them (control.ports.Attempts): counted in the journal, promised in Redis.

Why both: between a decision and its commit the journal knows nothing of the call, and that is when a second
agent dials the same number. So a call that is to be placed is promised first, in one step with the question
whether anything was promised since the attempts were counted. Redis is asked before the journal: what is
removed from Redis was in the journal before.

The journal is read for each count. Redis could hold the counts as well; but then each of its losses (a
snapshot brought back, a replica that lacks the last writes, a guard that could not reach it, a second Redis)
would matter for as long as the longest period, and not for the milliseconds of a commit.

While Redis is away promises are made in SQL, one after the other by a lock: one more commit for each call.
What remains: a call may be one too many if Redis loses its data, or is out of reach for one of two guards
alone, just between another call's promise and the commit of its decision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
import structlog

from callguard.attempts.promises import Promises
from callguard.attempts.sql import PROMISE, Counted, SqlAttempts
from callguard.control.ports import Seen
from callguard.errors import CacheError, SqlError
from callguard.lists.threads import SqlThreads
from callguard.screening.model import Attempt

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.attempts")


@dataclass(frozen=True, slots=True)
class _Token:
    """What was seen, for the promise that rests on it."""

    since: datetime
    ids: frozenset[str]
    """The decisions of all attempts."""
    version: bytes | None
    """None if Redis was not asked."""
    useless: tuple[str, ...]
    """Promises in Redis that the journal has made good, or that nobody will keep."""


class CountedAttempts:
    """Counts and promises attempts for the calls of one guard."""

    def __init__(
        self,
        engine: sa.Engine,
        promises: Promises,
        threads: SqlThreads,
        *,
        redis_answers: Callable[[], bool] = lambda: True,
    ) -> None:
        """`redis_answers` tells whether Redis is worth asking: no call should wait for one that is known to
        be away."""
        self._sql = SqlAttempts(engine)
        self._promises = promises
        self._threads = threads
        self._redis_answers = redis_answers

    async def of(self, number: str, decision_id: str, at: datetime, period: timedelta) -> Seen:
        """The attempts to a number (E.164) in the period before `at`, but for that of the decision itself.

        Takes at most Redis's timeout and SQL's. Raises SqlError.
        """
        since = at - period
        promised = None
        if self._redis_answers():
            try:
                promised = await self._promises.of(number)
            except CacheError as error:
                _log.warning("attempts are promised in SQL", problem=str(error))
        counted = await self._threads.run(partial(self._sql.of, number, since, at))
        found = {one.id: one for one in counted}
        useless: list[str] = []
        for one in promised.attempts if promised is not None else ():
            if one.id in found or one.attempt.at <= at - PROMISE:
                useless.append(one.id)
            else:
                found[one.id] = one
        ids = frozenset(found)
        found.pop(decision_id, None)
        token = _Token(since, ids, None if promised is None else promised.version, tuple(useless))
        return Seen(tuple(one.attempt for one in found.values()), token)

    async def reserve(self, number: str, seen: Seen, decision_id: str, attempt: Attempt) -> bool:
        """Promise the attempt of a call that is to be placed. False: there were others since `seen`.

        Takes at most Redis's timeout and SQL's. Raises SqlError; then it may be promised all the same.
        """
        token = seen.token
        if not isinstance(token, _Token):
            raise TypeError("not seen here")
        new = Counted(decision_id, attempt)
        if token.version is not None and self._redis_answers():
            try:
                return await self._promises.promise(number, new, token.version, token.useless)
            except CacheError as error:
                # If it was promised there after all, that is the same attempt: both have the decision's id.
                _log.warning("an attempt is promised in SQL", problem=str(error))
        return await self._threads.run(partial(self._sql.promise, number, new, token.ids, token.since))

    async def release(self, number: str, decision_id: str) -> None:
        """Forget the promise of a call that is not placed after all. What cannot be forgotten counts for
        PROMISE longer. Raises nothing."""
        try:
            if self._redis_answers():
                await self._promises.release(number, decision_id)
        except CacheError as error:
            _log.warning("a promised attempt stays for a while", problem=str(error))
        try:
            await self._threads.run(partial(self._sql.release, decision_id))
        except SqlError as error:
            _log.warning("a promised attempt stays for a while", problem=str(error))
