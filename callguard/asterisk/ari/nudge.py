"""Waking a channel that idles in Stasis, for the versions where it notices commands only every 200 ms.

Before 18.25, 20.10 and 21.5 (#362, #801) a command for an idle channel lies in a queue until the channel's
thread comes round, 200 ms later at worst; a bridged call would wait for it before its INVITE. Any frame in
the channel's own queue wakes that thread at once, and to set an absolute timeout queues an empty one. So
the nudge sets the channel's absolute timeout to what is left of it, which changes nothing. It is written as
the *reading* of a function, which the HTTP thread does by itself; setting would lie in the same queue.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.requests import Request
from callguard.errors import AsteriskError

_NUDGE = {"variable": "EVAL(${SET(TIMEOUT(absolute)=${TIMEOUT(absolute)})})"}
_PAUSE_SECONDS = 0.002
_MOST_NUDGES = 100
"""As many as outlast the 200 ms twice."""


async def send_nudging(client: AriClient, wanted: Sequence[Request], channels: Sequence[str]) -> list[Any]:
    """client.send(), nudging these channels until it has been answered, and once after.

    The command for the second of two channels is queued only when the first has done its own, so one nudge
    would not do. A nudge that fails costs no more than the wait. Raises what client.send() raises.
    """
    sending = asyncio.create_task(client.send(wanted))
    try:
        for _ in range(_MOST_NUDGES):
            await asyncio.wait([sending], timeout=_PAUSE_SECONDS)
            answered = sending.done()
            for channel in channels:
                await _nudge(client, channel)
            if answered:
                break
        return await sending
    finally:
        sending.cancel()


async def _nudge(client: AriClient, channel: str) -> None:
    try:
        await client.send([Request("GET", ("channels", channel, "variable"), _NUDGE)])
    except AsteriskError:
        return  # gone, or func_timeout is not loaded: nothing is lost but time
