"""The lists as a guard and a writer have them, over a real database and a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from callguard.config import RedisSettings
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.model import NewEntry
from callguard.lists.service import CacheState, GuardedLists, ListsStatus
from callguard.lists.store import ListStore
from callguard.lists.sync import Synchroniser
from callguard.lists.threads import SqlThreads
from callguard.lists.writer import ListWriter
from callguard.screening.model import Hits
from tests.rig.waiting import POLL_SECONDS, WaitedInVainError

NOWHERE = Path("/nonexistent")
"""A state folder for tests whose Redis has a URL."""


async def until(what: str, probe: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Let other tasks run until `probe` is true. Raises WaitedInVainError, naming `what`."""
    try:
        async with asyncio.timeout(seconds):
            while not probe():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise WaitedInVainError(f"waited {seconds} s in vain for {what}") from None


class Lists:
    """What one process holds of the lists."""

    def __init__(self, engine: sa.Engine, redis: RedisSettings, *, sql_timeout: float = 5.0) -> None:
        self.store = ListStore(engine)
        self.client = connect(redis, NOWHERE)
        self.cache = ListCache(self.client, key=redis.key, timeout=redis.timeout)
        self.threads = SqlThreads(timeout=sql_timeout)
        self.sync = Synchroniser(self.store, self.cache, self.threads)
        self.guard = GuardedLists(self.store, self.cache, self.threads, poll_seconds=0.02)
        self.writer = ListWriter(self.store, self.cache, self.threads, embedded=False)

    async def add(self, number: str) -> None:
        """List a number, as `callguard add` does."""
        await self.writer.add(NewEntry(number, "supervisor", reason="asked by phone"))

    def add_in_sql_alone(self, number: str) -> int:
        """List a number as a writer does whose Redis cannot be reached; the position."""
        self.store.add(NewEntry(number, "supervisor"))
        return self.store.mark().position

    async def lookup(self, number: str) -> Hits:
        return await self.guard.lookup(number)

    async def listed(self, number: str) -> bool:
        return bool((await self.guard.lookup(number)).entries)

    async def answered_by_redis(self, number: str) -> Hits:
        """Ask until Redis answers; its answer. Raises TimeoutError."""
        async with asyncio.timeout(20):
            while (hits := await self.guard.lookup(number)).origin != "redis":  # noqa: ASYNC110 - as above
                await asyncio.sleep(POLL_SECONDS)
        return hits

    async def warm(self) -> None:
        """Wait until Redis answers for all that is in SQL now."""
        position = self.store.mark().position
        await until(
            f"a warm cache at position {position}",
            lambda: (
                self.status.cache is CacheState.WARM
                and self.status.position == position
                and not self.status.lag
            ),
        )

    async def in_state(self, state: CacheState) -> None:
        await until(f"the cache to be {state}", lambda: self.status.cache is state)

    @property
    def status(self) -> ListsStatus:
        return self.guard.status

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Lists"]:
        """With the guard's background work."""
        task = asyncio.create_task(self.guard.run())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def close(self) -> None:
        await self.cache.close()
        self.threads.close(patience=30)
