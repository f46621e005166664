"""An ARI that answers as it is told: for the replies that a real Asterisk cannot be made to give."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.events import Event
from callguard.asterisk.ari.version import Version
from callguard.config import AsteriskSettings
from callguard.errors import AsteriskError

PASSWORD = "s3cret-of-the-test"

HttpReply = Callable[[web.Request], Awaitable[web.StreamResponse]]
SocketReply = Callable[[dict[str, Any]], Awaitable[int | None]]


async def no_content(_: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def accepted(_: dict[str, Any]) -> int | None:
    return 204


class FakeAri:
    """What was asked is in `http` ("METHOD /path?query") and `socket` (the frames), in order of arrival."""

    def __init__(self) -> None:
        self.port = 0
        self.version = "22.10.1"
        self.http: list[str] = []
        self.headers: list[str] = []
        """The Authorization of each request, the websocket's handshake included."""
        self.socket: list[dict[str, Any]] = []
        self.reply: HttpReply = no_content
        self.socket_reply: SocketReply = accepted
        """Gives the status to answer a frame with; None for no answer."""
        self.info: HttpReply = self._tell_version
        self.websocket: web.WebSocketResponse | None = None
        self.connections = 0
        self.answered = asyncio.Event()
        """A frame was answered."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ari"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.http.append(f"{request.method} {request.rel_url}")
        self.headers.append(request.headers.get("Authorization", ""))
        if request.path == "/ari/asterisk/info":
            return await self.info(request)
        if request.path == "/ari/events":
            return await self._events(request)
        return await self.reply(request)

    async def _tell_version(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"system": {"version": self.version}})

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        self.websocket = websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        self.connections += 1
        async with asyncio.TaskGroup() as answers:
            async for message in websocket:
                if message.type is WSMsgType.TEXT:
                    frame = orjson.loads(message.data)
                    self.socket.append(frame)
                    answers.create_task(self._answer(websocket, frame))
        return websocket

    async def _answer(self, websocket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        status = await self.socket_reply(frame)
        if status is not None:
            answer = {
                "type": "RESTResponse",
                "request_id": frame["request_id"],
                "status_code": status,
                "message_body": "",
            }
            with suppress(ConnectionError):
                await websocket.send_str(orjson.dumps(answer).decode())
                self.answered.set()

    async def send(self, event: dict[str, Any] | str | bytes) -> None:
        """Send an event; bytes go as a binary message."""
        assert self.websocket is not None
        if isinstance(event, bytes):
            await self.websocket.send_bytes(event)
        else:
            await self.websocket.send_str(event if isinstance(event, str) else orjson.dumps(event).decode())

    async def cut(self) -> None:
        """End the websocket's connection without a word."""
        assert self.websocket is not None
        transport = self.websocket._req.transport if self.websocket._req else None
        assert transport is not None
        transport.abort()


def abort(request: web.Request) -> web.StreamResponse:
    """End the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def fake_ari(tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeAri]:
    fake = FakeAri()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    fake.port = runner.addresses[0][1]
    try:
        yield fake
    finally:
        await runner.cleanup()


class Listener:
    """Keeps what it is told; the exceptions are raised by the next call, once."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.connected: asyncio.Queue[Version] = asyncio.Queue()
        self.problems: asyncio.Queue[AsteriskError] = asyncio.Queue()
        self.fault_of_event: Exception | None = None
        self.fault_of_connected: Exception | None = None

    def on_event(self, event: Event) -> None:
        self.events.put_nowait(event)
        fault, self.fault_of_event = self.fault_of_event, None
        if fault:
            raise fault

    async def on_connected(self, version: Version) -> None:
        self.connected.put_nowait(version)
        fault, self.fault_of_connected = self.fault_of_connected, None
        if fault:
            raise fault

    def on_disconnected(self, problem: AsteriskError) -> None:
        self.problems.put_nowait(problem)


def settings_for(ari: FakeAri, **changes: object) -> AsteriskSettings:
    values: dict[str, object] = {"url": ari.url, "password": PASSWORD, "timeout": 5}
    return AsteriskSettings.model_validate(values | changes)


@asynccontextmanager
async def connected(
    ari: FakeAri, listener: Listener | None = None, **changes: object
) -> AsyncIterator[tuple[AriClient, Listener]]:
    """A client that is connected, with these settings changed."""
    told = listener or Listener()
    async with AriClient(settings_for(ari, **changes)) as client:
        running = asyncio.create_task(client.run(told))
        try:
            async with asyncio.timeout(5):
                await told.connected.get()
            yield client, told
        finally:
            running.cancel()
            await asyncio.wait([running])
