"""The private redis-server: private, there when needed, gone when its guard is gone."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import redis
import redis.backoff
import redis.retry

from callguard.config import RedisSettings
from callguard.errors import CacheError, ConfigurationError
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.embedded import EmbeddedRedis, socket_path
from tests.rig.lists import until
from tests.rig.waiting import wait_for

pytestmark = pytest.mark.integration


def answers(state: Path) -> int | None:
    """The process id of the redis-server in a state folder, if it answers."""
    try:
        once = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        with redis.Redis(unix_socket_path=str(socket_path(state)), socket_timeout=5, retry=once) as client:
            return int(client.info("server")["process_id"])
    except redis.ConnectionError:
        return None


@asynccontextmanager
async def running(embedded: EmbeddedRedis) -> AsyncIterator[None]:
    await embedded.start()
    task = asyncio.create_task(embedded.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await embedded.stop()


async def test_it_is_closed_to_others_keeps_nothing_and_evicts_nothing(tmp_path: Path) -> None:
    async with running(EmbeddedRedis(tmp_path)):
        socket = socket_path(tmp_path)
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert socket.stat().st_mode & 0o777 == 0o700
        client = connect(RedisSettings(), tmp_path)
        settings = await client.config_get()
        assert [settings[name] for name in ("port", "save", "appendonly", "maxmemory-policy")] == [
            "0",
            "",
            "no",
            "noeviction",
        ]
        await ListCache(client, key="k", timeout=5).check_policy()
        await client.aclose()


async def test_it_stops_with_its_guard(tmp_path: Path) -> None:
    async with running(EmbeddedRedis(tmp_path)):
        assert answers(tmp_path)
    assert answers(tmp_path) is None
    assert not socket_path(tmp_path).exists()


async def test_it_may_be_started_again(tmp_path: Path) -> None:
    for _ in range(2):
        async with running(EmbeddedRedis(tmp_path)):
            assert answers(tmp_path)


async def test_it_is_started_again_when_it_dies(tmp_path: Path) -> None:
    async with running(EmbeddedRedis(tmp_path)):
        first = answers(tmp_path)
        assert first
        os.kill(first, signal.SIGKILL)
        await until("another redis-server", lambda: answers(tmp_path) not in {None, first})


_GUARD = """
import asyncio, sys
from pathlib import Path
from callguard.lists.embedded import EmbeddedRedis
async def main():
    embedded = EmbeddedRedis(Path(sys.argv[1]))
    await embedded.start()
    print("started", flush=True)
    await embedded.run()
asyncio.run(main())
"""


def guard(state: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", _GUARD, str(state)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    return process


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=10)


def test_it_dies_with_a_guard_that_is_killed(tmp_path: Path) -> None:
    process = guard(tmp_path)
    assert answers(tmp_path)
    end(process)
    wait_for("redis-server to be gone", lambda: answers(tmp_path) is None)


async def test_a_second_process_uses_the_first_ones_and_takes_over_when_that_dies(tmp_path: Path) -> None:
    first = guard(tmp_path)
    served = answers(tmp_path)
    embedded = EmbeddedRedis(tmp_path)
    async with running(embedded):
        assert answers(tmp_path) == served
        assert not embedded.owner
        end(first)
        await until("the takeover", lambda: answers(tmp_path) not in {None, served})
        assert embedded.owner


async def test_a_second_process_that_stops_leaves_the_first_ones_running(tmp_path: Path) -> None:
    async with running(EmbeddedRedis(tmp_path)):
        served = answers(tmp_path)
        async with running(EmbeddedRedis(tmp_path)):
            pass
        assert answers(tmp_path) == served


async def leftover(state: Path) -> asyncio.subprocess.Process:
    """A redis-server on the socket whose owner is gone."""
    folder = socket_path(state).parent
    folder.mkdir(mode=0o700)
    process = await asyncio.create_subprocess_exec(
        "redis-server", "--port", "0", "--unixsocket", str(socket_path(state)), "--save", "",
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await until("the leftover to answer", lambda: answers(state) is not None)
    return process


async def test_a_leftover_is_replaced(tmp_path: Path) -> None:
    old = await leftover(tmp_path)
    async with running(EmbeddedRedis(tmp_path)):
        assert answers(tmp_path) != old.pid
        assert await asyncio.wait_for(old.wait(), 10) == 0


async def test_a_leftover_that_hangs_loses_its_place(tmp_path: Path) -> None:
    old = await leftover(tmp_path)
    old.send_signal(signal.SIGSTOP)
    async with running(EmbeddedRedis(tmp_path)):
        assert answers(tmp_path) != old.pid
    old.kill()
    await old.wait()


async def test_the_file_of_a_socket_that_nobody_listens_on_is_no_obstacle(tmp_path: Path) -> None:
    old = await leftover(tmp_path)
    old.kill()
    await old.wait()
    assert socket_path(tmp_path).exists()
    async with running(EmbeddedRedis(tmp_path)):
        assert answers(tmp_path)


async def test_a_missing_redis_server_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    embedded = EmbeddedRedis(tmp_path)
    with pytest.raises(CacheError, match="redis-server is not installed") as caught:
        await embedded.start()
    await embedded.stop()
    assert "apt-get install redis-server" in str(caught.value.remedy)


async def test_a_redis_server_that_does_not_start_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "redis-server").write_text("#!/bin/sh\necho 'out of luck'\nexit 3\n")
    (tmp_path / "redis-server").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    embedded = EmbeddedRedis(tmp_path / "state")
    with pytest.raises(CacheError, match="code 3: out of luck"):
        await embedded.start()
    await embedded.stop()


async def test_a_state_folder_too_deep_for_a_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="state"):
        await EmbeddedRedis(tmp_path / ("x" * 120)).start()


async def test_a_state_folder_with_odd_characters_in_its_name_works(tmp_path: Path) -> None:
    state = tmp_path / "a b%20?#é"
    async with running(EmbeddedRedis(state)):
        client = connect(RedisSettings(), state)
        assert await client.ping()
        await client.aclose()
