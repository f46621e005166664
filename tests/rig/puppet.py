"""A guard on strings: it does to each call what the test says, to see what the dialplan makes of it."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp

from tests.rig.asterisk import Asterisk
from tests.rig.waiting import wait_for


class Puppet:
    """An ARI app. It sets `variables` on each caller leg and sends it back, or, if told to hold, keeps it."""

    def __init__(
        self, asterisk: Asterisk, app: str, variables: Mapping[str, str] | None = None, *, hold: bool = False
    ) -> None:
        self.asked: list[list[str]] = []
        """The arguments of each call that came."""
        self._asterisk = asterisk
        self._app = app
        self._variables = variables or {}
        self._hold = hold
        self._connected = threading.Event()
        self._end: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name=f"puppet {app}")

    def start(self) -> None:
        self._thread.start()
        assert self._connected.wait(10), "the puppet could not connect"

    def cut(self) -> None:
        """Drop the connection, as a killed guard does: its calls stay where they are."""
        self._end()
        self._thread.join(10)

    def wait_asked(self) -> list[str]:
        """The arguments of the first call, when it is there."""
        return wait_for(f"a call to {self._app}", lambda: self.asked)[0]

    async def _serve(self) -> None:
        serving = asyncio.create_task(self._follow())
        loop = asyncio.get_running_loop()
        self._end = lambda: loop.is_closed() or loop.call_soon_threadsafe(serving.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    async def _follow(self) -> None:
        access = aiohttp.encode_basic_auth(self._asterisk.user, self._asterisk.password)
        url = f"{self._asterisk.ari_url}/events"
        async with (
            aiohttp.ClientSession(headers={"Authorization": access}) as session,
            session.ws_connect(url, params={"app": self._app}) as socket,
        ):
            self._connected.set()
            async for message in socket:
                await self._act(session, message.json())

    async def _act(self, session: aiohttp.ClientSession, event: dict[str, Any]) -> None:
        if event["type"] != "StasisStart":
            return
        channel = f"{self._asterisk.ari_url}/channels/{event['channel']['id']}"
        for name, value in self._variables.items():
            await session.post(f"{channel}/variable", params={"variable": name, "value": value})
        self.asked.append(event["args"])
        if not self._hold:
            await session.post(f"{channel}/continue")


@contextmanager
def puppet(
    asterisk: Asterisk, app: str, variables: Mapping[str, str] | None = None, *, hold: bool = False
) -> Iterator[Puppet]:
    """A puppet that is connected."""
    running = Puppet(asterisk, app, variables, hold=hold)
    running.start()
    try:
        yield running
    finally:
        running.cut()
