"""Looks numbers up as a guard does, one after the other, until a line comes in; then prints what it took.

Every answer is checked: a number of the list must always be listed, one that is not on it, never. Of each
slow look-up it tells for how much of it this thread or redis-server stood ready to run and had no core, which
is the scheduler's doing, and for how much they ran, which is all that others can do to it who speak to Redis.
The rest is neither: a virtual machine's own wait for its host.

With the number of a core, it stays there and runs before all others (realtime.py).

    python -m tests.benchmarks.prober us 1000000 [CORE]     with the settings in CALLGUARD_... of a guard
"""

import asyncio
import os
import sys
import threading
import time
from array import array
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

import uvloop

from callguard.cli.guard import SWITCH_SECONDS
from callguard.config import load
from callguard.database import open_engine
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.service import CacheState, GuardedLists
from callguard.lists.store import ListStore
from callguard.lists.threads import SqlThreads
from tests.benchmarks.made_up_numbers import Kind, made_up
from tests.benchmarks.measuring import answer, begin
from tests.benchmarks.realtime import PRIORITY, stay_first, threads

PROBES = 2_000
SLOW_SECONDS = 0.002
NEAR_SECONDS = 1.0
"""How far from a switch a look-up counts as near it."""
MOST_SLOW = 10_000
UNUSED = {Kind.US: "+1999", Kind.INDONESIA: "+627000", Kind.RANDOM: "+4910000"}
"""By kind, what no made-up number begins with (or is as long as, with seven more digits)."""


@dataclass(frozen=True, slots=True)
class Slow:
    """A look-up that took longer than SLOW_SECONDS. All in milliseconds but `at`."""

    at: float
    """Seconds on the monotonic clock when it began."""
    taken: float
    waited: float
    """For a core, by this thread and by redis-server."""
    ran: float
    """On a core, both."""


@dataclass(frozen=True, slots=True)
class Looked:
    """How look-ups went. All times in milliseconds."""

    asked: int
    wrong: int
    p50: float
    p99: float
    longest: float
    most_ran: float
    """The longest that this thread and redis-server ran during one look-up, slow or not."""
    near_switch: tuple[tuple[float, float], ...]
    """Those that began at most NEAR_SECONDS before or after a switch of generations was seen: when, in
    seconds on the monotonic clock, and what each took."""
    switched_at: float
    """Seconds since 1970 when the last switch was seen; 0 if none was."""
    slow: tuple[Slow, ...]


class _Cores:
    """How long a thread ran and waited for a core so far (Linux, Documentation/scheduler/sched-stats.rst)."""

    def __init__(self, process: int, thread: int) -> None:
        self._file = os.open(f"/proc/{process}/task/{thread}/schedstat", os.O_RDONLY)

    def read(self) -> tuple[int, int]:
        """Nanoseconds run, and waited."""
        ran, waited, _ = os.pread(self._file, 100, 0).split()
        return int(ran), int(waited)


class _Looker:
    """Looks numbers up and keeps what each took."""

    def __init__(self, lists: GuardedLists, redis_server: int) -> None:
        self._lists = lists
        self._own = _Cores(os.getpid(), threading.get_native_id())
        self._redis = _Cores(redis_server, redis_server)
        self._begun = array("d")
        self._taken = array("d")
        self._slow: list[Slow] = []
        self._most_ran = 0
        self._position: int | None = None
        self._switches: list[tuple[float, float]] = []
        self._wrong = 0

    async def look(self, number: str, *, listed: bool) -> None:
        before = self._cores()
        begun = time.monotonic()
        hits = await self._lists.lookup(number)
        taken = time.monotonic() - begun
        ran, waited = (now - then for now, then in zip(self._cores(), before, strict=True))
        self._begun.append(begun)
        self._taken.append(taken)
        self._most_ran = max(self._most_ran, ran)
        if taken > SLOW_SECONDS and len(self._slow) < MOST_SLOW:
            self._slow.append(Slow(begun, taken * 1e3, waited / 1e6, ran / 1e6))
        self._wrong += any(hit.listed for hit in hits.registries) is not listed
        if hits.position != self._position:
            if self._position is not None:
                self._switches.append((begun, time.time()))
            self._position = hits.position

    def _cores(self) -> tuple[int, int]:
        own, server = self._own.read(), self._redis.read()
        return own[0] + server[0], own[1] + server[1]

    def looked(self) -> Looked:
        cuts = quantiles(self._taken, n=100)
        near = tuple(
            (begun, taken * 1000)
            for begun, taken in zip(self._begun, self._taken, strict=True)
            if any(abs(begun - switched) <= NEAR_SECONDS for switched, _ in self._switches)
        )
        return Looked(
            asked=len(self._taken),
            wrong=self._wrong,
            p50=cuts[49] * 1000,
            p99=cuts[98] * 1000,
            longest=max(self._taken) * 1000,
            most_ran=self._most_ran / 1e6,
            near_switch=near,
            switched_at=self._switches[-1][1] if self._switches else 0,
            slow=tuple(self._slow),
        )


def looked_of(values: Mapping[str, Any]) -> Looked:
    """What a prober answered."""
    slow = tuple(Slow(**slow) for slow in values["slow"])
    near = tuple((begun, taken) for begun, taken in values["near_switch"])
    return Looked(**{**values, "slow": slow, "near_switch": near})


@asynccontextmanager
async def _looker() -> AsyncIterator[_Looker]:
    settings = load(None, os.environ)
    engine = open_engine(settings.sql, settings.state)
    client = connect(settings.redis, settings.state)
    cache = ListCache(client, key=settings.redis.key, timeout=1.0)
    sql_threads = SqlThreads(timeout=5)
    lists = GuardedLists(ListStore(engine), cache, sql_threads)
    watching = asyncio.create_task(lists.run())
    while lists.status.cache is not CacheState.WARM:  # noqa: ASYNC110 - nobody tells when it is warm
        await asyncio.sleep(0.01)
    server: Any = await client.info("server")
    yield _Looker(lists, server["process_id"])
    watching.cancel()
    await cache.close()
    sql_threads.close()


async def probe(kind: Kind, count: int, core: int | None) -> Looked:
    """Look up until a line comes in; before all others on a core, if one is named."""
    first = next(iter(made_up(kind, count)))[:PROBES]
    listed = [f"+{number}" for number in first.tolist()]
    others = [f"{UNUSED[kind]}{index:07}" for index in range(PROBES)]
    async with _looker() as looker:
        if core is not None:
            # All threads: another that held Python's lock and had no core would keep this one waiting.
            for thread in threads(os.getpid()):
                stay_first(core, PRIORITY, thread)
        stopped = begin()
        while not stopped.is_set():
            for number, other in zip(listed, others, strict=True):
                await looker.look(number, listed=True)
                await looker.look(other, listed=False)
                if stopped.is_set():
                    break
        return looker.looked()


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_SECONDS)  # as a guard does
    on = int(sys.argv[3]) if len(sys.argv) > 3 else None
    answer(asdict(uvloop.run(probe(Kind(sys.argv[1]), int(sys.argv[2]), on))))
