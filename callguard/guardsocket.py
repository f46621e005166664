"""A guard's unix socket in the state folder: how `callguard reload` reaches it.

One line is asked and one is answered, in JSON, and the connection is closed. Only the guard's own user may
connect. A socket that a dead guard left is replaced; of two guards of one name the later has it, as it has
Asterisk's events.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from callguard.config import Settings
from callguard.errors import ServiceError

ASK_SECONDS = 5.0
"""How long a client may take to ask, and to take its answer."""
ANSWER_SECONDS = 60.0
"""How long a client waits for its answer: reading the files and writing to SQL are bounded by less."""
LONGEST_QUESTION = 64
LONGEST_ANSWER = 1_000_000
"""Bytes."""
_CONNECTIONS = 8
"""Clients at once; a further one is sent away."""

Answer = dict[str, Any]
"""What is answered, as JSON has it."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard")


def socket_path(settings: Settings) -> Path:
    """Where a guard of these settings listens."""
    return settings.state.absolute() / f"{settings.asterisk.app}.sock"


@asynccontextmanager
async def answering(path: Path, answer: Callable[[str], Awaitable[Answer]]) -> AsyncIterator[None]:
    """Answer questions while the block runs. `answer` must not raise.

    Where there can be no socket, the log says so, and the block runs without: guarding calls goes before.
    """
    clients: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        clients.add(task)
        try:
            if len(clients) <= _CONNECTIONS:
                await _serve(reader, writer, answer)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            pass  # the client went away, never asked, or asked for too much
        finally:
            clients.discard(task)
            writer.transport.abort()

    try:
        listener = _listener(path)
    except OSError as error:
        _log.warning("no socket: `callguard reload` cannot reach this guard", path=str(path), why=str(error))
        yield
        return
    server = await asyncio.start_unix_server(serve, sock=listener, limit=LONGEST_QUESTION)
    mine = _inode(path)
    try:
        yield
    finally:
        server.close()
        for client in tuple(clients):
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        # Another guard may have put its own in this place.
        if mine is not None and _inode(path) == mine:
            _remove(path)


async def ask(path: Path, question: str) -> Answer:
    """Ask the guard that listens there. Raises ServiceError if none does, or its answer cannot be had."""
    remedy = "is `callguard guard` running, with this state folder and asterisk.app, as this user?"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            with _short(path) as name:
                reader, writer = await asyncio.open_unix_connection(name, limit=LONGEST_ANSWER)
            try:
                writer.write(f"{question}\n".encode())
                answer: Answer = json.loads(await reader.readline())
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError as error:
        raise ServiceError("guard", f"no answer within {ANSWER_SECONDS:g} s", remedy="see its log") from error
    except OSError as error:
        raise ServiceError("guard", f"{path}: {error.strerror or error}", remedy=remedy) from error
    except ValueError as error:
        raise ServiceError("guard", f"{path}: it ended without an answer", remedy="see its log") from error
    return answer


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[str], Awaitable[Answer]]
) -> None:
    async with asyncio.timeout(ASK_SECONDS):
        question = (await reader.readuntil()).decode().strip()
    told = await answer(question)
    writer.write(json.dumps(told).encode() + b"\n")
    async with asyncio.timeout(ASK_SECONDS):
        await writer.drain()
        writer.write_eof()
        await reader.read(1)  # until the client has it and goes


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Another name of a path, for a socket's has at most 107 bytes (unix(7)). Raises OSError."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _listener(path: Path) -> socket.socket:
    """A socket bound to the path, whatever a dead guard left there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # It gets its mode before it gets its name: until then nobody finds it.
    new = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX)
    try:
        new.unlink(missing_ok=True)
        with _short(new) as name:
            listener.bind(name)
        new.chmod(0o600)
        new.rename(path)
    except OSError:
        listener.close()
        raise
    return listener
