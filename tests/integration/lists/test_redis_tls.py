"""Redis over TLS: only a server with the right certificate is spoken to, and an error says what to do."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from callguard.config import RedisSettings
from callguard.errors import CacheError, ConfigurationError
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.verification import Verifier
from tests.rig.certificates import Authority
from tests.rig.cluster import RedisCluster
from tests.rig.lists import NOWHERE, Lists
from tests.rig.ports import LOCALHOST, free_tcp_port
from tests.rig.redis import RedisServer
from tests.rig.sentinel import WatchedRedis

pytestmark = pytest.mark.integration

Open = Callable[[RedisSettings], ListCache]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that did not sign the server's certificate."""
    return Authority(tmp_path_factory.mktemp("theirs"), "stranger")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), port=free_tcp_port(), authority=authority)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[RedisCluster]:
    """Three nodes that speak TLS alone, to each other too."""
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"), authority=authority)
    yield cluster
    cluster.stop()


@pytest.fixture
async def open_cache() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        def opened(settings: RedisSettings) -> ListCache:
            cache = ListCache(connect(settings, NOWHERE), key=settings.key, timeout=settings.timeout)
            stack.push_async_callback(cache.close)
            return cache

        yield opened


async def test_a_server_with_the_right_certificate_is_spoken_to(
    server: RedisServer, authority: Authority, open_cache: Open
) -> None:
    cache = open_cache(RedisSettings(url=server.url, tls_ca=authority.certificate, timeout=2))
    assert await cache.head() is None


async def test_a_certificate_of_another_authority_is_refused(
    server: RedisServer, stranger: Authority, open_cache: Open
) -> None:
    cache = open_cache(RedisSettings(url=server.url, tls_ca=stranger.certificate, timeout=2))
    with pytest.raises(CacheError, match=r"(?i)certificate verify failed.*redis\.tls_ca"):
        await cache.head()


async def test_without_tls_ca_the_systems_authorities_decide(server: RedisServer, open_cache: Open) -> None:
    with pytest.raises(CacheError, match=r"(?i)certificate verify failed.*redis\.tls_ca"):
        await open_cache(RedisSettings(url=server.url, timeout=2)).head()


async def test_a_certificate_for_another_host_is_refused(
    server: RedisServer, authority: Authority, open_cache: Open
) -> None:
    url = server.url.replace(LOCALHOST, "localhost")
    with pytest.raises(CacheError, match=r"(?i)hostname mismatch.*redis\.tls_ca"):
        await open_cache(RedisSettings(url=url, tls_ca=authority.certificate, timeout=2)).head()


async def test_a_port_without_tls_is_told_from_a_server_that_is_down(
    tmp_path: Path, authority: Authority, open_cache: Open
) -> None:
    plain = RedisServer(tmp_path / "plain", port=free_tcp_port())
    url = f"rediss://{LOCALHOST}:{plain.port}"
    with pytest.raises(CacheError, match="the port one for TLS"):
        await open_cache(RedisSettings(url=url, tls_ca=authority.certificate, timeout=2)).head()
    plain.stop()
    with pytest.raises(CacheError, match="is Redis up"):
        await open_cache(RedisSettings(url=url, tls_ca=authority.certificate, timeout=2)).head()


async def test_a_plain_url_for_a_tls_port_is_an_error_with_a_remedy(
    server: RedisServer, open_cache: Open
) -> None:
    with pytest.raises(CacheError, match=r"redis\.url right"):
        await open_cache(RedisSettings(url=server.url.replace("rediss", "redis"), timeout=2)).head()


async def test_a_server_that_asks_for_a_certificate_is_shown_one(
    tmp_path: Path, authority: Authority, open_cache: Open
) -> None:
    server = RedisServer(
        tmp_path / "strict", "--tls-auth-clients", "yes", port=free_tcp_port(), authority=authority
    )
    own = authority.issue("callguard")
    settings = RedisSettings(url=server.url, tls_ca=authority.certificate, timeout=2)
    shown = settings.model_copy(update={"tls_cert": own.certificate, "tls_key": own.key})
    assert await open_cache(shown).head() is None
    with pytest.raises(CacheError):
        await open_cache(settings).head()
    server.stop()


async def test_sentinels_and_the_master_are_spoken_to_over_tls(
    tmp_path: Path, authority: Authority, stranger: Authority, open_cache: Open
) -> None:
    watched = WatchedRedis(tmp_path / "redis", authority=authority)
    right = RedisSettings(url=watched.url, tls_ca=authority.certificate, timeout=2)
    assert await open_cache(right).head() is None
    wrong = RedisSettings(url=watched.url, tls_ca=stranger.certificate, timeout=2)
    with pytest.raises(CacheError, match=r"(?i)certificate verify failed.*redis\.tls_ca"):
        await open_cache(wrong).head()
    watched.stop()


@pytest.mark.parametrize("sql_settings", ["sqlite"], indirect=True)
async def test_lists_are_kept_rebuilt_and_verified_in_a_cluster_over_tls(
    cluster: RedisCluster, authority: Authority, engine: sa.Engine
) -> None:
    settings = RedisSettings(url=cluster.url, tls_ca=authority.certificate, timeout=2)
    home = cluster.home_of(settings.key)
    guard, writer = Lists(engine, settings), Lists(engine, settings)
    async with guard.running():
        await writer.add("+6281200000001")
        writer.new_list("us")
        writer.switch_in_sql_alone("us", ["+12125550123"])
        await guard.warm()
        before = guard.status.rebuilds
        with home.client() as client:
            client.flushall()
        assert await guard.listed("+6281200000001")
        await guard.warm()
        assert guard.status.rebuilds > before
        assert (await guard.answered_by_redis("+6281200000001")).entries
        assert (await guard.answered_by_redis("+12125550123")).registries[0].listed
        assert not (await guard.answered_by_redis("+6281200000009")).entries
        await writer.add("+6281200000002")
        assert (await guard.answered_by_redis("+6281200000002")).entries
        verified = await Verifier(writer.store, writer.cache, writer.threads).verify()
        assert (verified.equal, verified.differences) == (True, ())
    await writer.close()
    await guard.close()


async def test_a_cluster_with_certificates_of_another_authority_is_refused(
    cluster: RedisCluster, stranger: Authority, open_cache: Open
) -> None:
    cache = open_cache(RedisSettings(url=cluster.url, tls_ca=stranger.certificate, timeout=2))
    with pytest.raises(CacheError, match=r"(?i)certificate verify failed.*redis\.tls_ca"):
        await cache.head()
    plain = cluster.url.replace("rediss", "redis")
    with pytest.raises(CacheError, match=r"redis\.url right"):
        await open_cache(RedisSettings(url=plain, timeout=2)).head()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"tls_ca": "absent.pem"}, r"^redis\.tls_ca: .*absent\.pem: No such file"),
        ({"tls_ca": "empty.pem"}, r"^redis\.tls_ca: .*PEM certificates"),
        ({"tls_cert": "empty.pem", "tls_key": "empty.pem"}, r"^redis\.tls_cert: .*PEM files"),
    ],
)
def test_files_that_cannot_be_used_are_named_before_anything_is_sent(
    files: dict[str, str], told: str, tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").touch()
    paths = {key: tmp_path / name for key, name in files.items()}
    with pytest.raises(ConfigurationError, match=told):
        connect(RedisSettings.model_validate({"url": "rediss://127.0.0.1", **paths}), NOWHERE)
