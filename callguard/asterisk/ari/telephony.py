"""The Telephony port over ARI: sending, order and retries."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from callguard.asterisk.ari.arrival import ask, inbound_now, is_inbound
from callguard.asterisk.ari.backoff import Backoff
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.events import ChannelInfo, StasisStarted
from callguard.asterisk.ari.nudge import send_nudging
from callguard.asterisk.ari.requests import CALLEE, Request, requests
from callguard.asterisk.ari.snapshot import take_snapshot
from callguard.control.model import (
    Announce,
    AskArrival,
    CreateBridge,
    CreateCallee,
    DeleteBridge,
    Dial,
    HangUp,
    Join,
    Release,
    SetVariables,
    TelephonyCommand,
    Watch,
)
from callguard.control.sight import LegSeen, Sight
from callguard.errors import AsteriskError, AsteriskUnreachable, Conflict, NotFound

RETRY_FIRST = 0.05
RETRY_LONGEST = 1.0
"""Seconds before a further attempt, doubling from the first to the longest."""


@dataclass(slots=True, eq=False)
class _Turn:
    """A command's place in the order of those for the same channel or bridge."""

    by_websocket: bool
    """So far: what follows on the websocket, too, cannot overtake it."""
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class AriTelephony:
    """The Telephony port over one AriClient.

    Only Announce goes by HTTP alone: it waits for the channel (answer), and what is sent to the same channel
    later may wait for the end of its prompt. All else is sent to legs that idle in Stasis or wait in a
    bridge, where a request waits for no more than the switch to the channel's thread; HangUp and DeleteBridge
    wait for nothing.
    """

    def __init__(self, client: AriClient) -> None:
        self._client = client
        self._last: dict[str, _Turn] = {}

    async def execute(self, command: TelephonyCommand) -> None:
        """Carry one command out; see control.ports.Telephony, also for what it raises.

        Commands for the same channel or bridge are sent in the order of these calls. Those that go by the
        websocket are sent at once; where one of two goes by HTTP, the later waits for the earlier's answer.
        """
        touched = _touched(command)
        turn = _Turn(self._client.has_socket and not isinstance(command, Announce))
        earlier = {before for name in touched if (before := self._last.get(name))}
        self._last.update(dict.fromkeys(touched, turn))
        try:
            if not turn.by_websocket or not all(before.by_websocket for before in earlier):
                await _all_done(earlier)
            await self._attempts(command, turn, earlier)
        except (NotFound, Conflict):
            # A bridge that is gone is as wanted. One that is going is no longer in Stasis: Asterisk 16 then
            # answers 409.
            if not isinstance(command, DeleteBridge):
                raise
        finally:
            turn.done.set_result(None)
            for name in touched:
                if self._last.get(name) is turn:
                    del self._last[name]

    async def look(self) -> Sight:
        """All channels and bridges; see control.ports.Telephony. Raises AsteriskError."""
        at = datetime.now(UTC)
        snapshot = await take_snapshot(self._client)
        ours = {channel.id for channel in snapshot.in_stasis(self._client.app)}
        legs = {}
        for channel in snapshot.channels.values():
            legs[channel.id] = LegSeen(
                id=channel.id,
                up=channel.state == "Up",
                ringing=channel.state == "Ringing",
                in_stasis=channel.id in ours,
                ask=self._ask(channel, at) if channel.id in ours else None,
                inbound=inbound_now(self._client, _started(channel, at)) if channel.id in ours else None,
            )
        bridges = {bridge.id: bridge.channels for bridge in snapshot.bridges.values()}
        return Sight(at, legs, bridges)

    def _ask(self, channel: ChannelInfo, at: datetime) -> AskArrival | None:
        """Gets what a leg in Stasis asks for; None for a callee leg, one that a transfer put there, and an
        inbound one, which asks for nothing."""
        started = _started(channel, at)
        if not started.args or started.args[0] == CALLEE or is_inbound(started):
            return None
        return partial(ask, self._client, started)

    async def answered_at(self, channel: str) -> datetime | None:
        """When a caller leg was answered, by its CDR; None if that cannot be had."""
        query = {"variable": "CDR(answer,u)"}
        try:
            answer = await self._client.request("GET", "channels", channel, "variable", query=query)
            return datetime.fromtimestamp(float(answer["value"]), UTC)
        except (AsteriskError, KeyError, TypeError, ValueError, OverflowError):
            return None

    async def _attempts(self, command: TelephonyCommand, turn: _Turn, earlier: set[_Turn]) -> None:
        """Try until Asterisk has spoken: twice at least, and as often as begins within its time limit."""
        loop = asyncio.get_running_loop()
        last = loop.time() + self._client.seconds
        backoff = Backoff(RETRY_FIRST, RETRY_LONGEST)
        wanted = requests(command, self._client.app)
        try:
            return await self._send(wanted, command, turn)
        except AsteriskUnreachable:
            # The websocket may be stuck behind another channel's request, or gone: HTTP from here on.
            turn.by_websocket = False
        await _all_done(earlier)
        while True:
            await asyncio.sleep(backoff.next())
            self._client.counts.retries += 1
            try:
                return await self._send(wanted, command, turn)
            except AsteriskUnreachable:
                if loop.time() > last:
                    raise
            except Conflict:
                # An attempt whose answer was lost has done it: the ids are ours alone, a channel is dialled
                # once, and one that was released is no longer in Stasis.
                if isinstance(command, CreateBridge | CreateCallee | Dial | Announce | Release):
                    return None
                raise

    async def _send(self, wanted: Sequence[Request], command: TelephonyCommand, turn: _Turn) -> None:
        version = self._client.version
        if version and version.commands_may_lag and isinstance(command, Join | Release | Announce):
            legs = (command.caller, command.callee) if isinstance(command, Join) else (command.caller,)
            await send_nudging(self._client, wanted, legs)
        else:
            await self._client.send(wanted, quick=turn.by_websocket)


def _started(channel: ChannelInfo, at: datetime) -> StasisStarted:
    return StasisStarted(at, channel, channel.app_args[1:], replaces=None)


async def _all_done(turns: set[_Turn]) -> None:
    """Bounded, as each command's attempts are."""
    if turns:
        await asyncio.wait([turn.done for turn in turns])


def _touched(command: TelephonyCommand) -> tuple[str, ...]:
    """The channels and bridges whose order of commands this one belongs to."""
    match command:
        case CreateBridge(bridge) | DeleteBridge(bridge):
            return (bridge,)
        case CreateCallee(callee, caller) | Dial(callee, caller):
            return (callee, caller)
        case Join(bridge, caller, callee):
            return (bridge, caller, callee)
        case SetVariables(channel) | Watch(channel) | HangUp(channel):
            return (channel,)
        case Release(caller) | Announce(caller):
            return (caller,)
