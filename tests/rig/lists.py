"""The lists as a guard and a writer have them, over a real database and a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from callguard.config import RedisSettings
from callguard.lists import blocks
from callguard.lists.blocks import number_of
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.loading import Blocks
from callguard.lists.model import NewEntry, RegistryList
from callguard.lists.registries import Counts, NewRegistry, RegistryStore
from callguard.lists.service import CacheState, GuardedLists, ListsStatus
from callguard.lists.store import ListStore
from callguard.lists.sync import Synchroniser
from callguard.lists.threads import SqlThreads
from callguard.lists.writer import ListWriter
from callguard.screening.model import Hits
from tests.rig.waiting import POLL_SECONDS, WaitedInVainError

NOWHERE = Path("/nonexistent")
_POLL_SECONDS = 0.02
"""How often the guard looks into SQL."""
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
        self.registries = RegistryStore(engine)
        self.client = connect(redis, NOWHERE)
        self.cache = ListCache(self.client, key=redis.key, timeout=redis.timeout)
        self.threads = SqlThreads(timeout=sql_timeout)
        self.sync = Synchroniser(self.store, self.cache, self.threads)
        self.guard = GuardedLists(self.store, self.cache, self.threads, poll_seconds=_POLL_SECONDS)
        self.writer = ListWriter(
            self.store, self.cache, self.threads, embedded=False, noticed_seconds=10 * _POLL_SECONDS
        )

    async def add(self, number: str) -> None:
        """List a number, as `callguard add` does."""
        await self.writer.add(NewEntry(number, "supervisor", reason="asked by phone"))

    def add_in_sql_alone(self, number: str) -> int:
        """List a number as a writer does whose Redis cannot be reached; the position."""
        self.store.add(NewEntry(number, "supervisor"))
        return self.store.mark().position

    def new_list(
        self, name: str, calling_code: str = "1", *, coverage: tuple[str, ...] = (), age: int | None = None
    ) -> None:
        """Create a registry list, with nothing imported yet."""
        new = NewRegistry(name, "US", "marketing", calling_code, coverage, age, "{}")
        self.registries.create(new, by="compliance")

    def written(self, name: str, numbers: Iterable[str], *, size: int = 10_000) -> tuple[int, Counts]:
        """Write a new generation of a list into SQL, as an import does before the switch; its id, and what it
        holds."""
        registry = self.registries.find(name)
        assert registry is not None
        begun = self.registries.begin(
            registry.id,
            mode="replace",
            file="numbers.csv",
            digest="",
            data_date=None,
            who="compliance",
            block_size=size,
        )
        numbers = set(numbers)
        rows = packed(numbers, size)
        if rows:
            self.registries.add_blocks(begun.id, rows)
        return begun.id, Counts(len(rows), len(numbers), 0, 0, 0)

    def switch_in_sql_alone(self, name: str, numbers: Iterable[str], *, size: int = 10_000) -> RegistryList:
        """Put a new generation with these numbers in force, as an import does that cannot reach Redis."""
        generation, counts = self.written(name, numbers, size=size)
        self.switch(name, generation, counts)
        return self.registry(name)

    def switch(self, name: str, generation: int, counts: Counts) -> None:
        """Put a generation in force in SQL that was written before."""
        registry = self.registries.find(name)
        assert registry is not None
        self.registries.switch(generation, counts, instead_of=registry.generation, why="")

    def key(self, generation: int) -> str:
        """A generation's name in Redis."""
        return self.registries.generation(generation).key

    async def load(self, key: str, chunks: Blocks) -> int:
        """Load the blocks of a generation, as an import does before the switch."""
        return await self.cache.load(self.store.mark().database, key, chunks)

    def registry(self, name: str) -> RegistryList:
        """A list as calls are checked against it, by SQL."""
        return next(one for one in self.store.catalogue().registries if one.name == name)

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


def packed(numbers: Iterable[str], size: int = 10_000) -> list[tuple[int, bytes]]:
    """The blocks of some E.164 numbers."""
    offsets: dict[int, list[int]] = {}
    for number in sorted({number_of(number) for number in numbers}):
        offsets.setdefault(number // size, []).append(number % size)
    return [(block, blocks.encode(some, size)) for block, some in offsets.items()]
