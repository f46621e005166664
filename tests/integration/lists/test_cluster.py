"""Redis as a cluster of three nodes: what the lists need works there, and a lost node lets nobody through."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from redis.crc import key_slot

from callguard.config import RedisSettings
from callguard.errors import CacheError, CacheEvicts
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.service import CacheState
from tests.rig.cluster import RedisCluster
from tests.rig.lists import NOWHERE, Lists
from tests.rig.ports import LOCALHOST, free_tcp_port
from tests.rig.redis import RedisServer
from tests.rig.traffic import Traffic

# Many servers that time each other: one such test at a time.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("many servers")]

FIRST = "+6281200000001"
CLEAN = "+6281200000009"
KEY = RedisSettings().key


@dataclass(frozen=True, slots=True)
class Site:
    """A guard that runs, warm, and a writer, each with connections of its own."""

    cluster: RedisCluster
    guard: Lists
    writer: Lists

    def fields(self) -> int:
        with self.cluster.home_of(KEY).client() as client:
            return int(client.hlen(KEY))


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[Callable[..., RedisCluster]]:
    """Start a cluster of this test's own."""
    started: list[RedisCluster] = []

    def start(*options: str, replicas: int = 0) -> RedisCluster:
        started.append(RedisCluster(tmp_path / f"cluster{len(started)}", *options, replicas=replicas))
        return started[-1]

    yield start
    for cluster in started:
        cluster.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A cluster for tests that leave it as it was."""
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
async def open_site(engine: sa.Engine) -> AsyncIterator[Callable[[RedisCluster], "asyncio.Future[Site]"]]:
    async with AsyncExitStack() as stack:

        async def site(cluster: RedisCluster) -> Site:
            settings = RedisSettings(url=cluster.url, timeout=0.5)
            guard, writer = Lists(engine, settings), Lists(engine, settings)
            stack.push_async_callback(guard.close)
            stack.push_async_callback(writer.close)
            await writer.add(FIRST)
            await stack.enter_async_context(guard.running())
            await guard.warm()
            return Site(cluster, guard, writer)

        yield lambda cluster: asyncio.ensure_future(site(cluster))


SQLITE = pytest.mark.parametrize("sql_settings", ["sqlite"], indirect=True)


def test_the_lists_and_what_is_built_beside_them_are_in_one_slot() -> None:
    assert key_slot(KEY.encode()) == key_slot(b"{%s}:build:0123" % KEY.encode())


async def test_lists_are_rebuilt_and_changed_and_looked_up_in_a_cluster(
    cluster: RedisCluster, open_site: Callable[[RedisCluster], "asyncio.Future[Site]"]
) -> None:
    for node in cluster.nodes:
        with node.client() as client:
            client.flushall()
    site = await open_site(cluster)
    await site.writer.add("+6281200000002")
    listed, clean = await site.guard.answered_by_redis("+6281200000002"), await site.guard.lookup(CLEAN)
    assert (listed.origin, len(listed.entries)) == ("redis", 1)
    assert (clean.origin, clean.entries) == ("redis", ())
    await site.writer.writer.remove("+6281200000002", by="supervisor", why="asked to be called")
    await site.guard.warm()
    assert not (await site.guard.answered_by_redis("+6281200000002")).entries
    before = site.guard.status.rebuilds
    with cluster.home_of(KEY).client() as client:
        client.flushall()
    assert await site.guard.listed(FIRST)
    await site.guard.warm()
    assert (await site.guard.answered_by_redis(FIRST)).entries
    assert site.guard.status.rebuilds > before


@SQLITE
async def test_calls_go_on_from_sql_when_the_node_of_the_lists_dies_and_comes_back_empty(
    start_cluster: Callable[..., RedisCluster], open_site: Callable[[RedisCluster], "asyncio.Future[Site]"]
) -> None:
    site = await open_site(start_cluster())
    home = site.cluster.home_of(KEY)
    traffic = Traffic(site.guard, site.writer)
    async with traffic.running():
        await traffic.goes_on()
        home.stop()
        await site.guard.in_state(CacheState.UNREACHABLE)
        await traffic.goes_on()
        home.start()
        await site.guard.answered_by_redis(FIRST)
        await traffic.goes_on()
    await site.guard.warm()
    await traffic.all_listed()
    assert traffic.answers["sql"]
    assert site.fields() >= len(traffic.listed)


@SQLITE
@pytest.mark.parametrize("way", ["killed", "hung"])
async def test_the_replica_answers_after_the_node_of_the_lists_is_lost(
    way: str,
    start_cluster: Callable[..., RedisCluster],
    open_site: Callable[[RedisCluster], "asyncio.Future[Site]"],
) -> None:
    site = await open_site(start_cluster(replicas=1))
    home = site.cluster.home_of(KEY)
    traffic = Traffic(site.guard, site.writer)
    async with traffic.running():
        await traffic.goes_on()
        if way == "killed":
            home.stop()
        else:
            home.hang()
        await site.guard.in_state(CacheState.UNREACHABLE)
        await site.guard.answered_by_redis(FIRST)
        await traffic.goes_on()
    await site.guard.warm()
    await traffic.all_listed()
    with site.cluster.replica_of(home).client() as client:
        assert client.info("replication")["role"] == "master"
        assert client.hlen(KEY) >= len(traffic.listed)


@SQLITE
async def test_a_lost_node_without_the_lists_troubles_nobody(
    start_cluster: Callable[..., RedisCluster], open_site: Callable[[RedisCluster], "asyncio.Future[Site]"]
) -> None:
    site = await open_site(start_cluster("--cluster-require-full-coverage", "no"))
    other = next(node for node in site.cluster.primaries if node is not site.cluster.home_of(KEY))
    other.stop()
    await site.writer.add("+6281200000002")
    assert (await site.guard.answered_by_redis("+6281200000002")).entries
    for _ in range(10):  # a new client might ask the lost node first, by chance
        fresh = _cache(RedisSettings(url=site.cluster.url, timeout=2))
        assert await fresh.head() is not None
        await fresh.close()


async def test_a_cancelled_command_in_a_cluster_is_cancelled_whatever_else_happens_then(
    cluster: RedisCluster,
) -> None:
    """On Python 3.11 redis-py's own socket_timeout loses some cancellations, and a guard would not stop."""
    cache = _cache(RedisSettings(url=cluster.url, timeout=2))
    await cache.head()
    for ticks in range(40):
        asking = asyncio.create_task(cache.head())
        for _ in range(ticks % 8):
            await asyncio.sleep(0)
        if not asking.done():
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
    await cache.close()


async def test_one_node_that_may_evict_is_reason_to_refuse_the_cluster(cluster: RedisCluster) -> None:
    cache = _cache(RedisSettings(url=cluster.url, timeout=2))
    await cache.check_policy()
    for node in cluster.nodes:
        with node.client() as client:
            client.config_set("maxmemory", "100mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
            with pytest.raises(CacheEvicts, match="allkeys-lru"):
                await cache.check_policy()
            client.config_set("maxmemory", "0")
    await cache.close()


async def test_the_error_says_that_no_node_can_be_reached(
    start_cluster: Callable[..., RedisCluster],
) -> None:
    cluster = start_cluster()
    cluster.stop()
    cache = _cache(RedisSettings(url=cluster.url, timeout=2))
    with pytest.raises(CacheError, match=r"cannot be connected.*is Redis up"):
        await cache.head()
    await cache.close()


async def test_the_error_says_that_a_server_is_no_cluster(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", port=free_tcp_port())
    cache = _cache(RedisSettings(url=f"redis+cluster://{LOCALHOST}:{server.port}", timeout=2))
    with pytest.raises(CacheError, match="Cluster mode is not enabled"):
        await cache.head()
    await cache.close()
    server.stop()


def _cache(settings: RedisSettings) -> ListCache:
    return ListCache(connect(settings, NOWHERE), key=settings.key, timeout=settings.timeout)
