"""Which Local channel is on its way through the dialplan for a call that is being transferred.

A blind transfer puts one end of a Local channel into the call (StasisStart with replace_channel) and sends
the other through the dialplan, back to the guard, with nothing of the call but the number. The names of the
two ends differ in their last character: `Local/0812@agents-00000001;1` and `;2`. Their events come in any
order.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress

MOST = 1000
"""Transfers that are remembered: a dialplan may send one elsewhere, and nobody asks for it then."""
WAIT_SECONDS = 0.02
"""How long a Local channel waits for its other end to be known."""


def other_end(name: str) -> str | None:
    """The name of a Local channel's other end; None for a channel of another kind."""
    stem, _, end = name.rpartition(";")
    if not name.startswith("Local/") or end not in ("1", "2"):
        return None
    return f"{stem};{'2' if end == '1' else '1'}"


class Transfers:
    """The transfers of the last moments."""

    def __init__(self) -> None:
        self._inside: OrderedDict[str, str] = OrderedDict()
        """The name of the end outside, and the channel id of the end inside the call."""
        self._awaited: dict[str, asyncio.Event] = {}

    def note(self, name: str, channel: str) -> None:
        """A transfer put this channel into a call."""
        outside = other_end(name)
        if outside is None:
            return
        self._inside[outside] = channel
        if len(self._inside) > MOST:
            self._inside.popitem(last=False)
        if outside in self._awaited:
            self._awaited[outside].set()

    async def inside(self, name: str) -> str | None:
        """The channel id of the end that is in a call, of a channel that asks for a guard; waits for it a
        moment. None if there is none."""
        if other_end(name) is None:
            return None
        if name not in self._inside:
            self._awaited[name] = asyncio.Event()
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(WAIT_SECONDS):
                        await self._awaited[name].wait()
            finally:
                del self._awaited[name]
        return self._inside.pop(name, None)
