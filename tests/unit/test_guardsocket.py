"""The guard's socket: who may ask, and what becomes of it when guards die, hang or come twice."""

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from callguard import guardsocket
from callguard.config import Settings
from callguard.errors import ServiceError
from callguard.guardsocket import Answer, answering, ask, socket_path


def files(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def echo(question: str) -> Answer:
    return {"asked": question}


async def test_the_guard_answers_what_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "callguard.sock"
    async with answering(path, echo):
        assert await ask(path, "reload") == {"asked": "reload"}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert files(tmp_path) == ["callguard.sock"]
    assert not path.exists()


async def test_no_guard_is_told_from_a_guard_that_died(tmp_path: Path) -> None:
    path = tmp_path / "callguard.sock"
    with pytest.raises(ServiceError, match="No such file"):
        await ask(path, "reload")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(ServiceError, match="refused"):
        await ask(path, "reload")
    async with answering(path, echo):
        assert await ask(path, "reload") == {"asked": "reload"}


async def test_of_two_guards_the_later_has_the_socket_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "callguard.sock"

    async def second(question: str) -> Answer:
        return {"second": question}

    async with answering(path, second):
        pass
    first_guard = answering(path, echo)
    await first_guard.__aenter__()
    async with answering(path, second):
        await first_guard.__aexit__(None, None, None)
        assert await ask(path, "reload") == {"second": "reload"}
    assert not path.exists()


async def test_a_state_folder_of_any_length_will_do(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 120) / ("b" * 120)
    path = folder / "callguard.sock"
    async with answering(path, echo):
        assert await ask(path, "reload") == {"asked": "reload"}


async def test_without_a_place_for_its_socket_the_guard_works_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with answering(tmp_path / "file" / "callguard.sock", echo):
        pass


@asynccontextmanager
async def client(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def until_let_go(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        assert await reader.read() == b""


@pytest.mark.parametrize("said", [b"", b"x" * 10_000, b"x" * 10_000 + b"\n", b"\xff\n"])
async def test_a_client_that_talks_nonsense_does_no_harm(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "callguard.sock"
    async with answering(path, echo), client(path) as (reader, writer):
        writer.write(said)
        writer.write_eof()
        await until_let_go(reader)
        assert await ask(path, "reload") == {"asked": "reload"}


async def test_a_client_that_says_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardsocket, "ASK_SECONDS", 0.05)
    path = tmp_path / "callguard.sock"
    async with answering(path, echo), client(path) as (reader, _):
        await until_let_go(reader)


async def test_many_silent_clients_do_not_use_the_guard_up(tmp_path: Path) -> None:
    path = tmp_path / "callguard.sock"
    async with answering(path, echo), AsyncExitStack() as clients:
        for _ in range(guardsocket._CONNECTIONS):
            await clients.enter_async_context(client(path))
        async with client(path) as (reader, _):
            await until_let_go(reader)


async def test_a_guard_that_ends_meanwhile_is_told_from_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "callguard.sock"
    asked = asyncio.Event()

    async def never(question: str) -> Answer:
        asked.set()
        await asyncio.Event().wait()
        return {}

    async with answering(path, never):
        asking = asyncio.create_task(ask(path, "reload"))
        await asked.wait()
    with pytest.raises(ServiceError):
        await asking


def test_each_guard_has_a_socket_of_its_own() -> None:
    made = Settings.model_validate({"state": Path("/var/lib/callguard"), "asterisk": {"app": "callguard-2"}})
    assert socket_path(made) == Path("/var/lib/callguard/callguard-2.sock")
