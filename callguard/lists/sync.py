"""Keep the hash in Redis equal to SQL, whoever else does it at the same time."""

from contextlib import suppress
from functools import partial

from callguard.errors import CacheError
from callguard.lists import codec
from callguard.lists.cache import ListCache
from callguard.lists.model import Mark
from callguard.lists.store import ListStore
from callguard.lists.threads import SqlThreads


class Synchroniser:
    """Brings the hash from whatever it is to what SQL holds.

    Fields may for a moment be newer than the head says, never older: entries are read from SQL after the
    mark that the head will show.
    """

    def __init__(self, store: ListStore, cache: ListCache, threads: SqlThreads) -> None:
        self._store = store
        self._cache = cache
        self._threads = threads

    async def catch_up(self, newest: Mark | None = None) -> Mark | None:
        """Apply the change log from the head's mark on, in order; the mark arrived at.

        None if there is no head, or none that the change log leads on from: only a rebuild helps. With
        `newest`, what SQL was last seen at, SQL is not asked while the head says the same.
        Raises CacheError or SqlError.
        """
        while True:
            found = await self._cache.head()
            mark = _decoded(found)
            if found is None or mark is None or mark == newest:
                return mark
            delta = await self._threads.run(partial(self._store.since, mark))
            if delta is None or delta.mark == mark:
                return None if delta is None else mark
            # If another process was faster, the head has moved: look again.
            await self._cache.apply(found, delta.mark, delta.entries)

    async def rebuild(self) -> bool:
        """Build the hash anew from SQL and put it live; False if another process changed the head meanwhile.

        Calls go on being answered by the old hash, where that is to be trusted. What changes in SQL while
        it is read is left to catch_up: the new head's mark is from before the reading.
        Raises CacheError or SqlError.
        """
        found = await self._cache.head()
        mark = await self._threads.run(self._store.mark)
        build = self._cache.build()
        try:
            await build.add({})
            after = ""
            while entries := await self._threads.run(partial(self._store.chunk, after)):
                await build.add(entries)
                *_, after = entries
            return await self._cache.swap(build, found, mark)
        except BaseException:
            with suppress(CacheError):
                await build.discard()
            raise


def _decoded(head: bytes | None) -> Mark | None:
    try:
        return None if head is None else codec.decode_head(head)
    except codec.Undecodable:
        return None
