"""Change the internal lists and exemptions: SQL first, then Redis; a change is in force then."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import redis.exceptions

from callguard.errors import CacheError, SqlError
from callguard.lists.cache import ListCache
from callguard.lists.model import NewEntry, NewExemption, Word
from callguard.lists.service import POLL_SECONDS
from callguard.lists.store import ListStore
from callguard.lists.sync import Synchroniser
from callguard.lists.threads import SqlThreads
from callguard.screening.model import ExemptionKind

NOTICED_SECONDS = 2 * POLL_SECONDS
"""How long a writer waits that could not bring its change to Redis: by then guards have seen it in SQL."""


class Reach(StrEnum):
    """How far a change has come. It is in SQL, and in force, in every case."""

    EVERYWHERE = "everywhere"
    """Redis has it."""
    COLD = "cold"
    """Redis has no lists to be trusted: guards ask SQL until they have rebuilt them."""
    UNREACHABLE = "unreachable"
    """Redis could not be asked: guards that run have noticed the change in SQL, unless that hangs."""
    NOT_RUNNING = "not-running"
    """No guard runs with this state folder's private Redis; the next one reads SQL first."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a change."""

    words: tuple[Word, ...]
    """The entries or exemptions added (or found there already), or those removed."""
    changed: bool
    """False if SQL had it so already."""
    reach: Reach
    why: str
    """For an unreachable Redis: what happened."""


class ListWriter:
    """Changes the internal lists of one database, and of one Redis."""

    def __init__(
        self,
        store: ListStore,
        cache: ListCache,
        threads: SqlThreads,
        *,
        embedded: bool,
        noticed_seconds: float = NOTICED_SECONDS,
    ) -> None:
        """`embedded`: the Redis is the private one, which runs only while a guard does."""
        self._noticed_seconds = noticed_seconds
        self._store = store
        self._sync = Synchroniser(store, cache, threads)
        self._embedded = embedded

    async def add(self, new: NewEntry) -> Written:
        """Add an entry. Raises SqlError; then nothing is changed."""
        entry, added = await asyncio.to_thread(self._store.add, new)
        return await self._written((entry,), changed=added)

    async def remove(
        self, number: str, *, by: str, why: str, project: str | None = None, category: str | None = None
    ) -> Written:
        """Take entries out of force, as ListStore.remove does. Raises SqlError; then nothing is changed."""
        removed = await asyncio.to_thread(
            partial(self._store.remove, number, by=by, why=why, project=project, category=category)
        )
        return await self._written(removed, changed=bool(removed))

    async def add_exemption(self, new: NewExemption) -> Written:
        """Add an exemption. Raises SqlError; then nothing is changed."""
        exemption, added = await asyncio.to_thread(self._store.add_exemption, new)
        return await self._written((exemption,), changed=added)

    async def end_exemptions(
        self,
        number: str,
        *,
        by: str,
        why: str,
        project: str | None = None,
        kind: ExemptionKind | None = None,
        ids: Collection[int] | None = None,
    ) -> Written:
        """Take exemptions out of force, as ListStore.end_exemptions does. Raises SqlError, likewise."""
        ended = await asyncio.to_thread(
            partial(self._store.end_exemptions, number, by=by, why=why, project=project, kind=kind, ids=ids)
        )
        return await self._written(ended, changed=bool(ended))

    async def catch_up(self) -> tuple[Reach, str]:
        """Bring what is in SQL to Redis: how far it has come, and what happened to an unreachable Redis."""
        reach, why = await self._brought()
        if reach in {Reach.COLD, Reach.UNREACHABLE}:
            # A guard may still trust Redis, or trust what it has just rebuilt without this change, until it
            # has looked into SQL again.
            await asyncio.sleep(self._noticed_seconds)
        return reach, why

    async def _brought(self) -> tuple[Reach, str]:
        try:
            mark = await self._sync.catch_up(load=False)
        except (CacheError, SqlError) as error:
            return self._unreached(error), str(error)
        return Reach.COLD if mark is None else Reach.EVERYWHERE, ""

    async def _written(self, words: tuple[Word, ...], *, changed: bool) -> Written:
        reach, why = await self.catch_up()
        return Written(words, changed=changed, reach=reach, why=why)

    def _unreached(self, error: CacheError | SqlError) -> Reach:
        # A private Redis that runs but hangs gives a TimeoutError instead.
        if self._embedded and isinstance(error.__cause__, redis.exceptions.ConnectionError):
            return Reach.NOT_RUNNING
        return Reach.UNREACHABLE
