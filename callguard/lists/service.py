"""Answer a call's question about a number: from Redis when its lists are to be trusted, else from SQL."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import NoReturn

import structlog

from callguard.errors import CacheCold, CacheError, SqlError
from callguard.lists.cache import CacheDamaged, ListCache
from callguard.lists.model import Mark, RegistryList
from callguard.lists.store import ListStore
from callguard.lists.sync import Synchroniser
from callguard.lists.threads import SqlThreads
from callguard.screening.model import Exemption, Hits

POLL_SECONDS = 0.25
"""How soon a change is noticed that its writer could not bring to Redis."""
_STEP = 200
"""Changes brought to Redis at a time: more would hold calls up for milliseconds."""
LONGEST_BACKOFF = 2.0
"""Seconds between attempts while Redis or SQL fails."""
TIDY_SECONDS = 3600.0
"""How often Redis is searched for generations that nobody needs; a switch is a reason of its own."""


class CacheState(StrEnum):
    """What the lists in Redis are worth."""

    WARM = "warm"
    COLD = "cold"
    """Missing, behind SQL, or of another database: SQL is asked."""
    REBUILDING = "rebuilding"
    UNREACHABLE = "unreachable"
    """Redis does not answer, or refuses: SQL is asked."""


@dataclass(frozen=True, slots=True)
class ListsStatus:
    """How the lists are, for readiness and metrics."""

    cache: CacheState
    why: str
    """What is wrong with Redis; empty if nothing is."""
    sql: str
    """What is wrong with SQL; empty if nothing is."""
    position: int | None
    """SQL's position in the change log, as last seen."""
    lag: int | None
    """How many positions Redis is behind that."""
    answers: Mapping[str, int]
    """How many questions `redis`, `sql` or nobody (`none`) answered since the start."""
    rebuilds: int
    registries: tuple[RegistryList, ...]
    """The registry lists, as SQL was last seen to have them."""

    @property
    def ready(self) -> bool:
        """Somebody can answer."""
        return self.cache is CacheState.WARM or not self.sql


class GuardedLists:
    """The DNC lists as call control asks them (control.ports.Lists).

    Redis is trusted if its head is there, of this database, and covers the newest mark that `run` has seen in
    SQL; while it is not warm, only if it is at that very mark, for it may be ahead of a database that was
    restored from a backup. So a writer whose Redis write failed, an old snapshot brought back into Redis, an
    eviction, a flush and an empty restart are all noticed. While Redis fails it is not asked, and costs calls
    no time; `run` asks it again. While SQL fails Redis goes on answering: nobody can change the lists then.
    Until `run` has seen SQL once, SQL is asked.
    """

    def __init__(
        self, store: ListStore, cache: ListCache, threads: SqlThreads, *, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._store = store
        self._cache = cache
        self._threads = threads
        self._sync = Synchroniser(store, cache, threads, step=_STEP)
        self._poll_seconds = poll_seconds
        self._log = structlog.get_logger()
        self._newest: Mark | None = None
        self._cached: Mark | None = None
        self._state = CacheState.COLD
        self._why = "not looked at yet"
        self._sql_why = "not looked at yet"
        self._answers: Counter[str] = Counter(redis=0, sql=0, none=0)
        self._rebuilds = 0
        self._damaged = False
        self._registries: tuple[RegistryList, ...] = ()

    async def lookup(self, number: str) -> Hits:
        """Everything the lists hold about one number (E.164), expired entries too.

        Takes at most Redis's timeout and SQL's. Raises SqlError when neither could answer.
        """
        if self.reaches_redis and self._newest is not None:
            try:
                return await self._from_redis(number, self._newest)
            except CacheCold as error:
                self._damaged |= isinstance(error, CacheDamaged)
                if self._state is CacheState.WARM:
                    self._enter(CacheState.COLD, error.what)
            except CacheError as error:
                self._enter(CacheState.UNREACHABLE, str(error))
        try:
            hits = await self._threads.run(partial(self._store.lookup, number))
        except SqlError:
            self._answers["none"] += 1
            raise
        self._answers["sql"] += 1
        return hits

    async def use_override(self, exemption: Exemption, decision_id: str) -> bool:
        """Use an override for one call up, for the call of this decision; True for the one that got it.

        It is gone from SQL when this returns, and from Redis soon after; a call that still finds it there is
        told False here. Takes at most SQL's timeout. Raises SqlError: then nobody knows whether it is gone,
        and the call is to be screened without it.
        """
        return await self._threads.run(partial(self._store.use_override, exemption, decision_id))

    async def run(self) -> NoReturn:
        """Watch SQL's mark and keep Redis equal to SQL, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                tasks.create_task(self._heal())
                tasks.create_task(self._tidy())
        finally:
            # Nobody watches SQL any more: what Redis holds can no longer be trusted.
            self._newest = None
        raise AssertionError("none of the tasks ends by itself")

    @property
    def status(self) -> ListsStatus:
        """How the lists are now."""
        lag = self._newest.position - self._cached.position if self._newest and self._cached else None
        return ListsStatus(
            cache=self._state,
            why=self._why,
            sql=self._sql_why,
            position=self._newest.position if self._newest else None,
            lag=None if lag is None else max(0, lag),
            answers=dict(self._answers),
            rebuilds=self._rebuilds,
            registries=self._registries,
        )

    @property
    def reaches_redis(self) -> bool:
        """Redis answered when it was last asked."""
        return self._state is not CacheState.UNREACHABLE

    async def _from_redis(self, number: str, newest: Mark) -> Hits:
        mark, hits = await self._cache.lookup(number)
        # SQL may have been seen further on while Redis was asked; that question came before.
        if mark != newest and not (self._state is CacheState.WARM and mark.covers(newest)):
            raise CacheCold(_shortfall(mark, newest))
        if self._newest is newest:
            # So that a replica that lacks the last writes is noticed at once when it becomes master.
            self._newest = mark
        self._answers["redis"] += 1
        return hits

    async def _watch(self) -> NoReturn:
        pause = self._poll_seconds
        while True:
            try:
                before = self._newest
                newest, catalogue = await self._threads.run(self._store.version)
                self._see(newest, before)
                self._registries = catalogue.registries
            except SqlError as error:
                if not self._sql_why:
                    self._log.error("database fails", why=str(error))
                self._sql_why = str(error)
                pause = min(2 * pause, LONGEST_BACKOFF)
            else:
                self._sql_why = ""
                pause = self._poll_seconds
            await asyncio.sleep(pause)

    def _see(self, newest: Mark, before: Mark | None) -> None:
        """Take what SQL is at now; `before` is what was known when it was asked."""
        if before is not None and not newest.covers(before):
            # A restored backup is the truth, too; what Redis has beyond it is not.
            if self._state is CacheState.WARM:
                self._enter(CacheState.COLD, "the database has gone back, to a backup")
            self._newest = newest
        elif self._newest is None or not self._newest.covers(newest):
            self._newest = newest

    async def _heal(self) -> NoReturn:
        pause = self._poll_seconds
        while True:
            try:
                if self._newest is not None:
                    await self._bring_up_to_date(self._newest)
                pause = self._poll_seconds
            except CacheError as error:
                self._enter(CacheState.UNREACHABLE, str(error))
                pause = min(2 * pause, LONGEST_BACKOFF)
            except SqlError as error:
                # Redis answered, or it would have failed first.
                self._enter(CacheState.COLD, f"cannot be brought up to date: {error}")
                pause = min(2 * pause, LONGEST_BACKOFF)
            await asyncio.sleep(pause)

    async def _tidy(self) -> NoReturn:
        """Unload the generations that went out of force, whoever switched, and what dead importers left."""
        tidied: tuple[RegistryList, ...] | None = None
        due = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(4 * self._poll_seconds)
            if self._state is not CacheState.WARM:
                continue
            try:
                registries = (await self._threads.run(self._store.catalogue)).registries
                if registries != tidied or clock() >= due:
                    gone = await self._sync.unload_dead()
                    if gone is not None:
                        tidied, due = registries, clock() + TIDY_SECONDS
                    if gone:
                        self._log.info("old generations unloaded from Redis", fields=gone)
            except (CacheError, SqlError) as error:
                # Calls are none the worse for it, and whoever needs Redis or SQL finds out themselves.
                self._log.warning("old generations stay in Redis for now", why=str(error))

    async def _bring_up_to_date(self, newest: Mark) -> None:
        mark = await self._sync.catch_up(newest)
        if mark is None or self._damaged:
            why = (
                "a field cannot be read" if self._damaged else "the lists are missing, or not this database's"
            )
            self._enter(CacheState.REBUILDING, why)
            self._rebuilds += 1
            self._damaged = False
            await self._sync.rebuild()
            mark = await self._sync.catch_up()
        self._cached = mark
        if mark is None:
            self._enter(CacheState.COLD, "another process changed the lists during the rebuild")
        else:
            self._enter(CacheState.WARM, "")

    def _enter(self, state: CacheState, why: str) -> None:
        if state is not self._state:
            level = "info" if state is CacheState.WARM else "warning"
            getattr(self._log, level)("lists in Redis", was=str(self._state), now=str(state), why=why)
        self._state, self._why = state, why


def _shortfall(mark: Mark, newest: Mark) -> str:
    if mark.database != newest.database:
        return "the lists are of another database"
    return f"the lists are at position {mark.position}, SQL is at {newest.position}"
