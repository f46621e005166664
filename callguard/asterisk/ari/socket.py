"""The websocket: events in, and requests over it where this Asterisk can (REST over WebSocket).

Source of the format: RESTRequest and RESTResponse in rest-api/events.json of Asterisk.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence

import aiohttp
import orjson

from callguard.asterisk.ari.counts import AriCounts
from callguard.asterisk.ari.events import Event, RestAnswered, read_message
from callguard.asterisk.ari.requests import Request
from callguard.errors import AsteriskUnreachable, Rejected

LARGEST_FRAME = 65_000
"""Bytes: Asterisk closes the connection at a frame of more than 65,535."""
MOST_PENDING = 512
"""Requests in flight. Asterisk takes them one at a time, so more would only wait there."""


class EventSocket:
    """One connected websocket."""

    def __init__(self, websocket: "aiohttp.ClientWebSocketResponse[bool]", counts: AriCounts) -> None:
        self._websocket = websocket
        self._counts = counts
        self._numbers = itertools.count(1)
        self._pending: dict[str, asyncio.Future[RestAnswered]] = {}
        self._sending = asyncio.Lock()
        self._ended = ""
        self._stuck = False

    @property
    def usable(self) -> bool:
        """A request can be sent now."""
        return not self._websocket.closed and not self._stuck and len(self._pending) < MOST_PENDING

    async def request(self, wanted: Sequence[Request]) -> list[RestAnswered]:
        """Send requests and return their answers. All frames are on their way, in order, before this first
        suspends (unless the connection is backed up: then later calls queue behind this one), so what is
        asked first arrives first.

        Raises AsteriskUnreachable when the connection drops first, and Rejected for one that is too large.
        The caller bounds the time.
        """
        self._counts.socket_requests += len(wanted)
        loop = asyncio.get_running_loop()
        frames = {str(next(self._numbers)): request for request in wanted}
        answers = {number: loop.create_future() for number in frames}
        self._pending.update(answers)
        try:
            async with self._sending:
                for number, request in frames.items():
                    await self._websocket.send_frame(_frame(number, request), aiohttp.WSMsgType.TEXT)
            await asyncio.wait(answers.values())
            return [answer.result() for answer in answers.values()]
        except asyncio.CancelledError:
            # Out of time, most likely: Asterisk waits for some channel, and further requests would wait, too.
            self._stuck = True
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise AsteriskUnreachable(f"the websocket broke: {str(error) or type(error).__name__}") from error
        finally:
            for number, answer in answers.items():
                del self._pending[number]
                if not answer.cancel():
                    answer.exception()  # marks it as seen, where another's was raised

    async def read(self, on_event: Callable[[Event], None]) -> str:
        """Hand every event to `on_event` and every answer to its request, until the connection ends.

        Returns why it ended; at the end, all requests in flight fail with AsteriskUnreachable.
        """
        why = "closed by Asterisk"
        try:
            async for message in self._websocket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(message.data, on_event)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._counts.unread_messages += 1
                elif message.type is aiohttp.WSMsgType.ERROR:
                    why = f"broken: {message.data or type(message.data).__name__}"
                    break
                if self._ended:
                    why = self._ended
                    break
            if isinstance(self._websocket.exception(), TimeoutError):
                why = "no answer to a ping: Asterisk hangs, or the way to it is cut"
        finally:
            self._fail_pending(why)
        return why

    def end(self, why: str) -> None:
        """Read no more after the message at hand."""
        self._ended = why

    def _take(self, raw: bytes | str, on_event: Callable[[Event], None]) -> None:
        message = read_message(raw)
        if isinstance(message, RestAnswered):
            self._stuck = False
            answer = self._pending.get(message.request)
            if answer is not None and not answer.done():
                answer.set_result(message)
            else:
                self._counts.unread_messages += 1
        elif message is None:
            self._counts.unread_messages += 1
        else:
            on_event(message)

    def _fail_pending(self, why: str) -> None:
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(AsteriskUnreachable(f"the websocket ended: {why}"))

    async def close(self) -> None:
        """Close; takes at most the connection's own closing time."""
        self._fail_pending("closed by us")
        await self._websocket.close()


def _frame(number: str, request: Request) -> bytes:
    frame = orjson.dumps(
        {
            "type": "RESTRequest",
            "transaction_id": number,
            "request_id": number,
            "method": request.method,
            "uri": request.uri,
        }
    )
    if len(frame) > LARGEST_FRAME:
        raise Rejected(f"{request}: {len(frame)} bytes are more than Asterisk takes ({LARGEST_FRAME})")
    return frame
