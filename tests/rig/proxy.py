"""A TCP proxy on loopback whose connections can be cut and refused."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Self

from tests.rig.ports import LOCALHOST


class Proxy:
    """Passes connections on to a port until told otherwise; runs in a thread of its own."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._open: set[asyncio.StreamWriter] = set()
        self._refusing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._pass_on, LOCALHOST, 0))
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        onward_reader, onward_writer = await asyncio.open_connection(LOCALHOST, self._to)
        self._open |= {writer, onward_writer}
        try:
            await asyncio.gather(_copy(reader, onward_writer), _copy(onward_reader, writer))
        finally:
            self._open -= {writer, onward_writer}

    def cut(self, *, refuse: bool = False) -> None:
        """Reset every connection; with `refuse`, every new one too, until `allow`."""

        async def abort() -> None:
            self._refusing = refuse
            for writer in tuple(self._open):
                writer.transport.abort()

        self._run(abort())

    def allow(self) -> None:
        self._refusing = False

    def close(self) -> None:
        self.cut(refuse=True)

        async def shut() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._run(shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
