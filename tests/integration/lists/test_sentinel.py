"""Redis behind Sentinels: a failover never lets a listed number through, and the guard finds the new master.

A master, a replica and three Sentinels, all real; `kill` is SIGKILL.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from callguard.config import RedisSettings
from callguard.errors import CacheError
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from tests.rig.lists import NOWHERE, Lists
from tests.rig.sentinel import WatchedRedis
from tests.rig.traffic import Traffic

# Many servers that time each other: one such test at a time.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("many servers")]

FIRST = "+6281200000001"
LOST = "+6281200000002"
KEY = RedisSettings().key


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[WatchedRedis]:
    servers = WatchedRedis(tmp_path / "redis")
    yield servers
    servers.stop()


@dataclass(frozen=True, slots=True)
class Site:
    """A guard that runs, warm, and a writer, each with connections of its own."""

    guard: Lists
    writer: Lists


@pytest.fixture
async def site(engine: sa.Engine, watched: WatchedRedis) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        settings = RedisSettings(url=watched.url, timeout=0.5)
        guard, writer = Lists(engine, settings), Lists(engine, settings)
        stack.push_async_callback(guard.close)
        stack.push_async_callback(writer.close)
        await writer.add(FIRST)
        await stack.enter_async_context(guard.running())
        await guard.warm()
        yield Site(guard, writer)


async def test_no_number_is_let_through_when_the_master_is_killed_under_traffic(
    site: Site, watched: WatchedRedis
) -> None:
    traffic = Traffic(site.guard, site.writer)
    async with traffic.running():
        await traffic.goes_on()
        watched.master.stop()
        await asyncio.to_thread(watched.wait_for_promotion)
        await traffic.goes_on()
        await site.guard.answered_by_redis(FIRST)
        # What was the master comes back empty, and is made a replica.
        watched.master.start()
        await asyncio.to_thread(watched.wait_for_demotion)
        await traffic.goes_on()
    await site.guard.warm()
    await traffic.all_listed()
    await site.guard.answered_by_redis(traffic.listed[-1])
    assert traffic.answers["redis"]
    assert traffic.answers["sql"]
    with watched.replica.client() as client:
        assert client.hlen(KEY) >= len(traffic.listed)


async def test_a_write_that_the_new_master_never_saw_lets_no_number_through(
    site: Site, watched: WatchedRedis
) -> None:
    rebuilds = site.guard.status.rebuilds
    with watched.master.client() as client:
        client.set("written after the lists", 1)
        assert client.wait(num_replicas=1, timeout=20_000) == 1
        watched.replica.hang()
        client.client_kill_filter(_type="replica")
        await site.writer.add(LOST)
        assert await site.guard.listed(LOST)
        watched.master.stop()
        watched.replica.resume()
    promoted = asyncio.create_task(asyncio.to_thread(watched.wait_for_promotion))
    while not promoted.done():
        assert await site.guard.listed(LOST)
        assert await site.guard.listed(FIRST)
        await asyncio.sleep(0)
    await promoted
    await site.guard.warm()
    assert (await site.guard.answered_by_redis(LOST)).entries
    assert site.guard.status.rebuilds == rebuilds  # the change log was enough


@pytest.mark.parametrize("sql_settings", ["sqlite"], indirect=True)
async def test_a_planned_failover_under_traffic_lets_no_number_through(
    site: Site, watched: WatchedRedis
) -> None:
    traffic = Traffic(site.guard, site.writer)
    async with traffic.running():
        await traffic.goes_on()
        await asyncio.to_thread(watched.failover)
        await traffic.goes_on()
    await site.guard.warm()
    await traffic.all_listed()
    await site.guard.answered_by_redis(traffic.listed[-1])


@pytest.mark.parametrize("sql_settings", ["sqlite"], indirect=True)
async def test_a_master_that_hangs_is_left_when_another_takes_its_place(
    site: Site, watched: WatchedRedis
) -> None:
    watched.master.hang()
    assert await site.guard.listed(FIRST)
    await asyncio.to_thread(watched.wait_for_promotion)
    await site.guard.warm()
    assert (await site.guard.answered_by_redis(FIRST)).entries


async def test_a_sentinel_that_hangs_keeps_nobody_from_the_master(watched: WatchedRedis) -> None:
    watched.sentinels[0].freeze()
    cache = _cache(RedisSettings(url=watched.url, timeout=2))
    assert await cache.head() is None
    await cache.close()


async def test_the_error_says_that_no_sentinel_knows_the_service(watched: WatchedRedis) -> None:
    cache = _cache(RedisSettings(url=watched.url.replace("/lists", "/others"), timeout=2))
    with pytest.raises(CacheError, match="it does not watch others"):
        await cache.head()
    await cache.close()


async def test_the_sentinels_password_is_read_from_its_file(
    tmp_path: Path, close: Callable[[WatchedRedis], None]
) -> None:
    watched = WatchedRedis(tmp_path / "redis", sentinel_password="hush")
    close(watched)
    file = tmp_path / "sentinel-password"
    file.write_text("hush\n")
    right = _cache(RedisSettings(url=watched.url, sentinel_password_file=file, timeout=2))
    assert await right.head() is None
    await right.close()
    file.write_text("wrong7777\n")
    wrong = _cache(RedisSettings(url=watched.url, sentinel_password_file=file, timeout=2))
    with pytest.raises(CacheError, match=r"no Sentinel helps.*(?i:auth|password)") as caught:
        await wrong.head()
    assert "7777" not in str(caught.value)
    await wrong.close()


@pytest.fixture
def close() -> Iterator[Callable[[WatchedRedis], None]]:
    opened: list[WatchedRedis] = []
    yield opened.append
    for servers in opened:
        servers.stop()


def _cache(settings: RedisSettings) -> ListCache:
    return ListCache(connect(settings, NOWHERE), key=settings.key, timeout=settings.timeout)
