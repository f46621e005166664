"""The guard's pages, over a real connection."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from callguard.config import HttpSettings
from callguard.errors import ServiceError
from callguard.telemetry.http import CONNECTIONS, Part, pages, serving
from callguard.telemetry.metrics import Metrics

LOOPBACK = HttpSettings(port=0)
ALL_WELL = (
    Part("asterisk", True, "connected"),
    Part("sql", True, "ok"),
    Part("redis", True, "warm", needed=False),
)


class Guard:
    """What the pages tell of, as a test sets it."""

    def __init__(self, sounds: Path) -> None:
        self.parts: tuple[Part, ...] = ALL_WELL
        self.metrics = Metrics()
        self.sounds = sounds
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    def sound_file(self, language: str, name: str) -> Path | None:
        self.asked.append((language, name))
        return self.sounds / language / f"{name}.wav"

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
async def guard(tmp_path: Path) -> AsyncIterator[Guard]:
    guard = Guard(tmp_path)
    application = pages(guard.metrics, lambda: guard.parts, guard.sound_file)
    async with serving(LOOPBACK, application) as guard.port:
        yield guard


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        yield session


async def test_a_process_that_lives_says_so_whatever_is_away(
    guard: Guard, client: aiohttp.ClientSession
) -> None:
    guard.parts = (Part("asterisk", False, "away"),)
    async with client.get(guard.url("/healthz")) as response:
        assert (response.status, await response.text()) == (200, "ok\n")


async def test_a_guard_is_ready_when_every_needed_part_is(
    guard: Guard, client: aiohttp.ClientSession
) -> None:
    guard.parts = (*ALL_WELL[:2], Part("redis", False, "cold", needed=False))
    async with client.get(guard.url("/readyz")) as response:
        assert response.status == 200
        told = await response.json()
    assert told["ready"] is True
    assert told["parts"]["redis"] == {"ready": False, "needed": False, "state": "cold"}


async def test_a_guard_that_is_not_ready_names_the_part(guard: Guard, client: aiohttp.ClientSession) -> None:
    guard.parts = (Part("asterisk", False, "the password is refused"), *ALL_WELL[1:])
    async with client.get(guard.url("/readyz")) as response:
        assert response.status == 503
        told = await response.json()
    assert told["ready"] is False
    assert told["parts"]["asterisk"] == {"ready": False, "needed": True, "state": "the password is refused"}


async def test_metrics_are_served_as_prometheus_asks(guard: Guard, client: aiohttp.ClientSession) -> None:
    guard.metrics.recorded(0.1)
    async with client.get(guard.url("/metrics")) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert "callguard_journal_seconds_count 1.0" in await response.text()


async def test_a_prompt_is_served_once_and_then_only_confirmed(
    guard: Guard, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "id").mkdir()
    (tmp_path / "id" / "refused.wav").write_bytes(b"RIFF1234")
    async with client.get(guard.url("/sounds/id/refused.wav")) as response:
        assert (response.status, await response.read()) == (200, b"RIFF1234")
        assert response.headers["Content-Type"] == "audio/wav"
        assert response.headers["Cache-Control"] == "public, max-age=3600"
        etag = response.headers["ETag"]
    async with client.get(guard.url("/sounds/id/refused.wav"), headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    async with client.head(guard.url("/sounds/id/refused.wav")) as response:
        assert (response.status, response.headers["Content-Length"]) == (200, "8")


@pytest.mark.parametrize(
    "path",
    [
        "/sounds/id/none.wav",
        "/sounds/id/..%2f..%2fsecret.wav",
        "/sounds/..%2fid/x.wav",
        "/sounds/id/x%00.wav",
        "/sounds/id/x%0a.wav",
        "/sounds/id/" + "x" * 5000 + ".wav",
        "/sounds/id/x.gsm",
        "/sounds//x.wav",
        "/",
    ],
)
async def test_what_is_no_prompt_is_not_found(
    path: str, guard: Guard, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "secret.wav").write_bytes(b"x")
    reader, writer = await asyncio.open_connection("127.0.0.1", guard.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404")
    assert all(asked == ("id", "none") for asked in guard.asked)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_only_reading_is_allowed(method: str, guard: Guard, client: aiohttp.ClientSession) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/sounds/id/x.wav"):
        async with client.request(method, guard.url(path)) as response:
            assert response.status == 405


async def test_silent_connections_do_not_keep_others_out(guard: Guard, client: aiohttp.ClientSession) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", guard.port) for _ in range(CONNECTIONS + 20)]
    async with client.get(guard.url("/healthz")) as response:
        assert response.status == 200
    assert await asyncio.wait_for(silent[0][0].read(), 10) == b""
    for _reader, writer in silent:
        writer.close()


async def test_bytes_that_are_no_request_are_refused(guard: Guard, client: aiohttp.ClientSession) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", guard.port)
    writer.write(b"\x16\x03\x01\x00\xff\xfe nonsense\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.0 400")
    writer.close()
    async with client.get(guard.url("/healthz")) as response:
        assert response.status == 200


async def test_an_address_that_is_taken_is_named(guard: Guard) -> None:
    taken = HttpSettings(port=guard.port)
    application = pages(guard.metrics, lambda: guard.parts, guard.sound_file)
    with pytest.raises(ServiceError, match=f"cannot listen on 127.0.0.1, port {guard.port}"):
        async with serving(taken, application):
            raise AssertionError("two servers on one port")


async def test_nothing_listens_after_the_end(guard: Guard) -> None:
    application = pages(guard.metrics, lambda: guard.parts, guard.sound_file)
    async with serving(LOOPBACK, application) as port:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    writer.close()
