"""Looks numbers up as a guard does, one after the other, until a line comes in; then prints what it took.

Every answer is checked: a number of the list must always be listed, one that is not on it, never.

    python -m tests.benchmarks.prober us 1000000     with the settings in CALLGUARD_... of a guard
"""

import asyncio
import json
import os
import sys
import threading
import time
from statistics import quantiles

import uvloop

from callguard.config import load
from callguard.database import open_engine
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.service import GuardedLists
from callguard.lists.store import ListStore
from callguard.lists.threads import SqlThreads
from tests.benchmarks.made_up_numbers import Kind, made_up

PROBES = 2_000
UNUSED = {Kind.US: "+1999", Kind.INDONESIA: "+627000", Kind.RANDOM: "+4910000"}
"""By kind, what no made-up number begins with (or is as long as, with seven more digits)."""


async def probe(kind: Kind, count: int) -> dict[str, float]:
    """What look-ups took, in milliseconds, and how many were wrong."""
    settings = load(None, os.environ)
    engine = open_engine(settings.sql, settings.state)
    cache = ListCache(connect(settings.redis, settings.state), key=settings.redis.key, timeout=1.0)
    threads = SqlThreads(timeout=5)
    lists = GuardedLists(ListStore(engine), cache, threads)
    watching = asyncio.create_task(lists.run())
    first = next(iter(made_up(kind, count)))[:PROBES]
    listed = [f"+{number}" for number in first.tolist()]
    others = [f"{UNUSED[kind]}{index:07}" for index in range(PROBES)]
    while (await lists.lookup(listed[0])).origin != "redis":  # noqa: ASYNC110 - nobody tells when it is warm
        await asyncio.sleep(0.01)
    print("ready", flush=True)  # noqa: T201 - the benchmark waits for it
    stopped = threading.Event()
    threading.Thread(target=_wait_for_a_line, args=(stopped,), daemon=True).start()
    taken: list[float] = []
    wrong = 0
    while not stopped.is_set():
        for number, other in zip(listed, others, strict=True):
            begun = time.perf_counter()
            hits = await lists.lookup(number)
            taken.append(time.perf_counter() - begun)
            wrong += not any(hit.listed for hit in hits.registries)
            wrong += any(hit.listed for hit in (await lists.lookup(other)).registries)
            if stopped.is_set():
                break
    watching.cancel()
    await cache.close()
    threads.close()
    cuts = quantiles(taken, n=100)
    return {
        "p50": cuts[49] * 1000,
        "p99": cuts[98] * 1000,
        "longest": max(taken) * 1000,
        "asked": len(taken) * 2,
        "wrong": wrong,
    }


def _wait_for_a_line(stopped: threading.Event) -> None:
    sys.stdin.readline()
    stopped.set()


if __name__ == "__main__":
    figures = uvloop.run(probe(Kind(sys.argv[1]), int(sys.argv[2])))
    print(json.dumps(figures))  # noqa: T201
