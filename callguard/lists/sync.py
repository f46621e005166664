"""Keep the hash in Redis equal to SQL, whoever else does it at the same time."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial

from callguard.errors import CacheError, SqlError
from callguard.lists import codec
from callguard.lists.cache import Applied, ListCache
from callguard.lists.loading import Build
from callguard.lists.model import Mark, RegistryList
from callguard.lists.store import ListStore
from callguard.lists.threads import SqlThreads

_TRIES = 20
"""How often a built hash is brought up to date and found to be behind the live one again: each takes
milliseconds."""
_CHUNK = 250
"""Blocks read from SQL at a time: a thread that reads more at once holds Python's lock, and so the event
loop, for milliseconds."""


class _Superseded(Exception):
    """The generation that is being read went out of force, and its blocks out of SQL."""


Progress = Callable[[int, int], None]
"""Called with the fields done and the fields in all, both about right while others write."""


class Synchroniser:
    """Brings the hash from whatever it is to what SQL holds.

    Fields may for a moment be newer than the head says, never older: words and catalogue are read from SQL
    after the mark that the head will show.
    """

    def __init__(self, store: ListStore, cache: ListCache, threads: SqlThreads, *, step: int = 1000) -> None:
        """`step`: changes applied at a time."""
        self._step = step
        self._store = store
        self._cache = cache
        self._threads = threads

    async def catch_up(self, newest: Mark | None = None, *, load: bool = True) -> Mark | None:
        """Apply the change log from the head's mark on, in order; the mark arrived at.

        None if there is no head, or none that the change log leads on from: only a rebuild helps. With
        `newest`, what SQL was last seen at, SQL is not asked while the head says the same. A generation of a
        registry list that came into force and is not loaded yet is loaded, which may take seconds; without
        `load`, None is returned instead. Raises CacheError or SqlError.
        """
        while True:
            found = await self._cache.head()
            mark = _mark(found)
            if found is None or mark is None or mark == newest:
                return mark
            delta = await self._threads.run(partial(self._store.since, mark, self._step))
            if delta is None or delta.mark == mark:
                return None if delta is None else mark
            # If another process was faster, the head has moved: look again.
            applied = await self._cache.apply(found, delta.mark, delta.catalogue, delta.words)
            if applied is Applied.NOT_LOADED:
                if not load:
                    return None
                # Of a generation that is superseded meanwhile, the next delta does not speak any more.
                with suppress(_Superseded):
                    for registry in await self._cache.not_loaded(delta.catalogue):
                        await self._cache.load(mark.database, registry.key, self._blocks(registry))

    async def rebuild(self, progress: Progress | None = None) -> bool:
        """Build the hash anew from SQL and put it live; False if other processes keep changing the head, or
        took what was being read out of force and out of SQL: then it can be tried again.

        Calls go on being answered by the old hash, where that is to be trusted. What changes in SQL while it
        is read is added before the new one goes live: it is never older than the one that it replaces.
        Raises CacheError or SqlError.
        """
        mark, catalogue = await self._threads.run(self._store.version)
        registries = [registry for registry in catalogue.registries if registry.generation]
        done, in_all = 0, 0
        if progress is not None:
            in_all = await self._threads.run(self._store.count) + sum(each.blocks for each in registries)
            progress(0, in_all)
        build = self._cache.build()
        try:
            after = ""
            while words := await self._threads.run(partial(self._store.chunk, after)):
                await build.add(words)
                *_, after = words
                done += len(words)
                if progress is not None:
                    progress(done, in_all)
            for registry in registries:
                async for chunk in self._blocks(registry):
                    await build.add_blocks(registry.key, chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(done, in_all)
                await build.add_loaded(registry.key, registry.blocks)
            live = await self._put_live(build, mark, {registry.key for registry in registries})
        except _Superseded:
            live = False
        except BaseException:
            with suppress(CacheError):
                await build.discard()
            raise
        if not live:
            await build.discard()
        return live

    async def _put_live(self, build: Build, mark: Mark, loaded: set[str]) -> bool:
        """Add to a built hash, which is at `mark`, what SQL has got since, and make it the live one."""
        for _ in range(_TRIES):
            # The head is read before SQL, so that what was built covers it.
            found = await self._cache.head()
            delta = await self._threads.run(partial(self._store.since, mark, self._step))
            while delta is not None and delta.more:
                await build.add(delta.words)
                delta = await self._threads.run(partial(self._store.since, delta.mark, self._step))
            if delta is None:
                return False
            await build.add(delta.words)
            mark = delta.mark
            for registry in delta.catalogue.registries:
                if registry.generation and registry.key not in loaded:
                    async for chunk in self._blocks(registry):
                        await build.add_blocks(registry.key, chunk)
                    await build.add_loaded(registry.key, registry.blocks)
                    loaded.add(registry.key)
            if await self._cache.swap(build, found, mark, delta.catalogue):
                return True
        return False

    async def unload_dead(self) -> int | None:
        """Take out of Redis, gently, the blocks of all generations that are neither in force nor loading; how
        many fields went.

        None if Redis is not of the same catalogue as SQL, or no longer: it is to be tried again later.
        Raises CacheError or SqlError.
        """
        generations = await self._threads.run(self._store.generations)
        if not generations.newest:
            return 0
        in_force = (registry.key for registry in generations.catalogue.registries)
        tag, kept = codec.tag_of(generations.catalogue), {*in_force, *generations.loading}
        cursor, gone = "0", 0
        while True:
            cursor, went = await self._cache.unload(tag, cursor, newest=generations.newest, kept=kept)
            gone += went
            if cursor in {"", "0"}:
                return gone if cursor else None

    async def _blocks(self, registry: RegistryList) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        """All blocks of a list's generation, in chunks. Raises SqlError, also if some are missing, but
        _Superseded if that is because the list has another generation now."""
        chunks, count = self._store.blocks.chunks(registry.content, _CHUNK), 0
        while chunk := await self._threads.run(partial(next, chunks, ())):
            count += len(chunk)
            yield chunk
        if count != registry.blocks:
            _, now = await self._threads.run(self._store.version)
            if all(other.key != registry.key for other in now.registries):
                raise _Superseded
            raise SqlError(
                f"{count} blocks of list {registry.name} are there, of {registry.blocks}",
                remedy="if no import runs, import the list again or roll it back",
            )


def _mark(head: bytes | None) -> Mark | None:
    try:
        return None if head is None else codec.decode_head(head).mark
    except codec.Undecodable:
        return None
