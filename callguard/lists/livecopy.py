"""Redis as an import sees it: the new generation is loaded there while it is being written to SQL.

An event loop in a thread of its own speaks to Redis, so that packing numbers and writing them does not wait
for it. Nothing here is needed for the truth: what fails is told by `switch`, and guards ask SQL until Redis
holds what SQL holds, which they see to themselves.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

import redis.exceptions
import sqlalchemy as sa

from callguard.config import Settings
from callguard.errors import CacheError, SqlError
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.store import ListStore
from callguard.lists.sync import Synchroniser
from callguard.lists.threads import SqlThreads
from callguard.lists.writer import Reach

_Rows = Sequence[tuple[int, bytes]]
_T = TypeVar("_T")

_PATIENCE = 5.0
"""Seconds for one command: this process's own threads keep both cores busy."""
_WAITING = 8
"""Batches of blocks that wait for Redis."""
_LOOK_SECONDS = 0.2
"""How soon it is noticed that nobody takes the batches any more."""


class LiveCopy:
    """The live hash, for a command that imports; to be used in `with`. Redis's errors are never raised."""

    def __init__(self, settings: Settings, engine: sa.Engine) -> None:
        self._embedded = not settings.redis.url
        patience = max(settings.redis.timeout, _PATIENCE)
        self._cache = ListCache(
            connect(settings.redis, settings.state), key=settings.redis.key, timeout=patience
        )
        self._threads = SqlThreads(timeout=max(settings.sql.timeout, _PATIENCE), count=1)
        self._store = ListStore(engine)
        self._sync = Synchroniser(self._store, self._cache, self._threads)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="live-copy", daemon=True)
        self._batches: queue.Queue[_Rows | None] = queue.Queue(_WAITING)
        self._loading: Future[int] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()
        with suppress(CacheError):
            self._run(self._closed())
        self._threads.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def begin(self, key: str) -> None:
        """Blocks of the generation that has this key will come."""
        self.abandon()
        self._batches = queue.Queue(_WAITING)
        load = self._load(key, self._taken(self._batches))
        self._loading = asyncio.run_coroutine_threadsafe(load, self._loop)

    def put(self, rows: _Rows) -> None:
        """Some of its blocks, which SQL has already. Waits while Redis has too many to take."""
        self._put(rows)

    def complete(self) -> None:
        """All of them came. Returns when Redis has them, or will not have them."""
        self._put(None)
        if self._loading is not None:
            with suppress(CacheError, SqlError, CancelledError):
                self._loading.result()
        self._loading = None

    def abandon(self) -> None:
        """No more of them will come."""
        if self._loading is not None:
            self._loading.cancel()
            self._loading = None
            # A thread may wait for the next batch.
            while not self._offered(None):
                with suppress(queue.Empty):
                    self._batches.get_nowait()

    def switch(self) -> tuple[Reach, str]:
        """Bring Redis to what SQL holds, loading what it lacks; how far that came, and why not further."""
        try:
            mark = self._run(self._sync.catch_up())
        except (CacheError, SqlError) as error:
            # A private Redis that runs but hangs gives a TimeoutError instead.
            absent = isinstance(error.__cause__, redis.exceptions.ConnectionError)
            return (Reach.NOT_RUNNING if self._embedded and absent else Reach.UNREACHABLE), str(error)
        return (Reach.COLD if mark is None else Reach.EVERYWHERE), ""

    def sweep(self) -> None:
        """Remove from Redis what no list has in force; what cannot be removed now, guards remove later."""
        with suppress(CacheError, SqlError):
            self._run(self._sync.unload_dead())

    def _put(self, rows: _Rows | None) -> None:
        while self._loading is not None and not self._loading.done():
            if self._offered(rows, _LOOK_SECONDS):
                return

    def _offered(self, rows: _Rows | None, seconds: float = 0) -> bool:
        try:
            self._batches.put(rows, block=seconds > 0, timeout=seconds)
        except queue.Full:
            return False
        return True

    async def _load(self, key: str, batches: AsyncIterator[_Rows]) -> int:
        mark = await self._threads.run(self._store.mark)
        return await self._cache.load(mark.database, key, batches)

    async def _closed(self) -> None:
        await self._cache.close()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @staticmethod
    async def _taken(batches: "queue.Queue[_Rows | None]") -> AsyncIterator[_Rows]:
        while (rows := await asyncio.to_thread(batches.get)) is not None:
            yield rows
