"""What ARI tells, handed to call control in its own words."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import structlog

from callguard.asterisk import variables
from callguard.asterisk.ari.arrival import arrival_now, ask, inbound_now
from callguard.asterisk.ari.backoff import Backoff
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.events import (
    ChannelDestroyed,
    ChannelHangupRequested,
    ChannelStateChanged,
    DialProgressed,
    Event,
    PlaybackFinished,
    StasisEnded,
    StasisStarted,
)
from callguard.asterisk.ari.requests import CALLEE
from callguard.asterisk.ari.version import Version
from callguard.asterisk.transfers import Transfers, other_end
from callguard.control.callbacks import InboundCalls
from callguard.control.dispatcher import Dispatcher
from callguard.control.inbound import Happened
from callguard.control.model import Arrival
from callguard.errors import AsteriskError, SqlError

RETRY_FIRST = 0.5
RETRY_LONGEST = 5.0
"""Seconds before the journal is asked again for the calls in progress, doubling from the first."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.ari")


class CallListener:
    """The AriListener that drives a dispatcher, and tells the inbound calls of theirs."""

    def __init__(self, client: AriClient, dispatcher: Dispatcher, inbound: InboundCalls) -> None:
        self._client = client
        self._calls = dispatcher
        self._inbound = inbound
        self._transfers = Transfers()

    def on_event(self, event: Event) -> None:
        arrival = inbound_now(self._client, event) if isinstance(event, StasisStarted) else None
        if arrival is not None:
            self._inbound.arrived(arrival, event.at)
            return
        # The same channel can be both, where the dialplan forwards an inbound call through the guard.
        self._of_inbound(event)
        self._of_outbound(event)

    def _of_inbound(self, event: Event) -> None:
        happened = self._inbound.happened
        match event:
            case StasisEnded(at, channel):
                happened(channel.id, Happened.LEFT, at)
            case DialProgressed(at, caller=str(caller), status="ANSWER"):
                happened(caller, Happened.ANSWERED, at)
            case ChannelHangupRequested(at, channel, soft=False):
                happened(channel.id, Happened.HUNG_UP, at)
            case ChannelDestroyed(at, channel):
                happened(channel.id, Happened.GONE, at)
            case _:
                pass

    def _of_outbound(self, event: Event) -> None:
        match event:
            case StasisStarted():
                self._started(event)
            case StasisEnded(at, channel):
                self._calls.leg_left(channel.id, at)
            case ChannelHangupRequested(at, channel, cause, soft=False):
                self._calls.leg_hung_up(channel.id, at, cause)
            case ChannelDestroyed(at, channel, cause, tech_cause):
                dial_status = channel.variables.get(variables.DIAL_STATUS, "")
                self._calls.leg_gone(channel.id, at, cause, tech_cause, dial_status)
            case ChannelStateChanged(at, channel) if channel.state == "Ringing":
                self._calls.leg_rang(channel.id, at)
            case ChannelStateChanged(at, channel) if channel.state == "Up":
                self._calls.leg_answered(channel.id, at)
            case DialProgressed(at, peer, caller, status):
                self._calls.dial_progressed(caller, peer.id, status, at)
            case PlaybackFinished(playback=playback, channel=channel, done=done):
                self._calls.prompt_finished(channel, playback, heard=done)
            case _:
                pass

    async def on_connected(self, version: Version) -> None:
        """Take up what is in progress; while SQL is away, try again until the connection ends."""
        await self._inbound.take_up()
        backoff = Backoff(RETRY_FIRST, RETRY_LONGEST)
        while True:
            try:
                await self._calls.take_up()
            except SqlError as error:
                # New calls go by the failure policy meanwhile.
                _log.error(
                    "calls in progress cannot be taken up yet", version=version.text, problem=str(error)
                )
            else:
                return
            await asyncio.sleep(backoff.next())

    def on_disconnected(self, problem: AsteriskError) -> None:
        _log.warning("asterisk is away: calls in progress go on without callguard", problem=str(problem))
        self._inbound.lost(datetime.now(UTC))

    def _started(self, event: StasisStarted) -> None:
        channel = event.channel.id
        if event.replaces is not None and self._calls.leg_replaced(event.replaces, channel):
            self._transfers.note(event.channel.name, channel)
            return
        if event.args and event.args[0] == CALLEE:
            self._calls.leg_ready(channel)
            return
        known = arrival_now(event)
        if other_end(event.channel.name) is not None and (known is None or not known.project):
            self._calls.arriving(channel, partial(self._ask_both_ends, event))
        elif known is not None:
            self._calls.arrived(known)
        else:
            self._calls.arriving(channel, partial(ask, self._client, event))

    async def _ask_both_ends(self, event: StasisStarted) -> tuple[Arrival, str]:
        """What a Local channel brought. If its other end is in a call that is being transferred, this is a
        call of the same agent for the same project, and an opt-out from that project binds it."""
        known = arrival_now(event)
        arrival, trouble = (known, "") if known is not None else await ask(self._client, event)
        inside = await self._transfers.inside(event.channel.name)
        earlier = self._calls.facts_of(inside) if inside is not None else None
        if earlier is None:
            return arrival, trouble
        return replace(
            arrival,
            project=arrival.project or earlier.project or "",
            purpose=arrival.purpose or earlier.purpose,
            agent=arrival.agent or earlier.agent,
            subject=arrival.subject or earlier.subject,
            caller_number=arrival.caller_number or earlier.caller_number,
        ), trouble
