"""What the check of one number costs against five registry lists, as a multiple of PING, in one run.

PING, the bare HMGET of the same fields, the cache's look-up and the guard's take turns, one at a time.

    python -m tests.benchmarks.check [--rounds 20000]
"""

import argparse
import asyncio
import hashlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from callguard.config import RedisSettings, SqlSettings
from callguard.database import migrate, open_engine
from callguard.lists import codec
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.hits import Questions
from callguard.lists.model import NewEntry
from callguard.lists.packing import pack
from callguard.lists.registries import Counts, NewRegistry, RegistryStore
from callguard.lists.service import GuardedLists
from callguard.lists.store import ListStore
from callguard.lists.threads import SqlThreads
from callguard.numbering import own_prefixes
from tests.benchmarks.made_up_numbers import Kind, made_up
from tests.rig.redis import RedisServer

LISTS = 5
NUMBERS = 1_000_000
SIZE = 10_000


def fill(store: RegistryStore) -> None:
    """Five lists of a million US numbers each, on the same exchanges."""
    coverage = own_prefixes("US")
    for index in range(LISTS):
        registry = store.create(
            NewRegistry(f"list-{index}", "US", "do-not-call", "1", coverage, 31, "{}"), by="benchmark"
        )
        numbers = np.sort(np.concatenate(list(made_up(Kind.US, NUMBERS, seed=index + 1))))
        rows = pack(numbers, SIZE)
        generation = store.begin(
            registry.id,
            mode="replace",
            file="made up",
            digest=hashlib.sha256(numbers.tobytes()).hexdigest(),
            data_date=None,
            who="benchmark",
            block_size=SIZE,
        )
        for start in range(0, len(rows), 1000):
            store.add_blocks(generation.id, rows[start : start + 1000])
        counts = Counts(len(rows), len(numbers), len(numbers), 0, 0)
        store.switch(generation.id, counts, instead_of=None, why="")


async def measure(folder: Path, rounds: int) -> list[tuple[str, float, float]]:
    """Each way, and its p50 and p99 in microseconds."""
    server = RedisServer(folder)
    engine = open_engine(SqlSettings(), folder / "state")
    migrate(engine)
    fill(RegistryStore(engine))
    lists = ListStore(engine)
    lists.add(NewEntry("+12015550100", "benchmark"))
    lists.add(NewEntry("+1900*", "benchmark"))
    client = connect(RedisSettings(url=server.url), folder)
    cache = ListCache(client, key="callguard:lists", timeout=0.25)
    threads = SqlThreads(timeout=5)
    guard = GuardedLists(lists, cache, threads)
    watching = asyncio.create_task(guard.run())
    numbers = [f"+{number}" for number in next(iter(made_up(Kind.US, NUMBERS)))[:rounds].tolist()]
    while (await guard.lookup(numbers[0])).origin != "redis":  # noqa: ASYNC110 - nobody tells when it is warm
        await asyncio.sleep(0.01)
    questions = Questions(lists.catalogue())

    async def bare(number: str) -> object:
        return await client.hmget("callguard:lists", [codec.HEAD, *questions.fields(number)])

    ways: dict[str, Callable[[str], Awaitable[object]]] = {
        "PING": lambda _number: client.ping(),
        "HMGET": bare,
        "cache": cache.lookup,
        "guard": guard.lookup,
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for number in numbers:
        for way, ask in ways.items():
            begun = time.perf_counter()
            await ask(number)
            taken[way].append((time.perf_counter() - begun) * 1e6)
    watching.cancel()
    await cache.close()
    threads.close()
    server.stop()
    return [(way, quantiles(times, n=100)[49], quantiles(times, n=100)[98]) for way, times in taken.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description="The check of one number, as a multiple of PING.")
    parser.add_argument("--rounds", type=int, default=20_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="callguard-check-") as folder:
        rows = uvloop.run(measure(Path(folder), chosen.rounds))
    table = Table("way", "p50 µs", "p99 µs", "p50 / PING", title=f"One number, {LISTS} registry lists")
    for way, p50, p99 in rows:
        table.add_row(way, f"{p50:.1f}", f"{p99:.1f}", f"{p50 / rows[0][1]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
