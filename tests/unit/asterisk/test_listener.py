"""What ARI tells reaches call control in its own words."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp import web

from callguard.asterisk import listener as listening
from callguard.asterisk.ari.arrival import ask
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.events import (
    ApplicationReplaced,
    ChannelDestroyed,
    ChannelHangupRequested,
    ChannelInfo,
    ChannelStateChanged,
    DialProgressed,
    Event,
    PlaybackFinished,
    StasisEnded,
    StasisStarted,
)
from callguard.asterisk.ari.version import parse_version
from callguard.asterisk.listener import CallListener
from callguard.asterisk.variables import CHANNELVARS, PROJECT
from callguard.config import AsteriskSettings
from callguard.control import model as m
from callguard.control.inbound import InboundResult
from callguard.errors import AsteriskUnreachable, SqlError
from callguard.screening.model import Mode, Reason, Verdict
from tests.rig.callers import CALLER, Callers, inbound_of
from tests.rig.fake_ari import fake_ari, settings_for
from tests.rig.switchboard import ALLOWED, LISTED, Guard, Leg, a_guard, an_arrival

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ALL_EMPTY = dict.fromkeys(CHANNELVARS, "")


def info(channel: str, state: str = "Ring", variables: Mapping[str, str] = ALL_EMPTY) -> ChannelInfo:
    return ChannelInfo(
        channel, "PJSIP/agent1-0000002a", state, "101", "id", "Stasis", ("callguard",), variables
    )


def started(
    channel: str, *args: str, replaces: str | None = None, variables: Mapping[str, str] = ALL_EMPTY
) -> StasisStarted:
    return StasisStarted(AT, info(channel, variables=variables), args, replaces)


@asynccontextmanager
async def a_listener_of_inbound() -> AsyncIterator[tuple[Guard, CallListener, Callers]]:
    """A guard's listener, and its inbound calls."""
    async with a_guard() as guard:
        callers = inbound_of(guard)
        yield guard, CallListener(AriClient(AsteriskSettings()), guard.dispatcher, callers.calls), callers


@asynccontextmanager
async def a_listener() -> AsyncIterator[tuple[Guard, CallListener]]:
    """A guard's listener, whose client never reaches an Asterisk."""
    async with a_guard() as guard:
        yield guard, CallListener(AriClient(AsteriskSettings()), guard.dispatcher, inbound_of(guard).calls)


async def come_in(
    guard: Guard, listener: CallListener, dialled: str = ALLOWED, mode: Mode = Mode.BRIDGE
) -> str:
    """Let a call come in; give its callee leg, should it have one."""
    guard.board.legs["agent"] = Leg("callguard", an_arrival("agent", dialled, mode))
    listener.on_event(started("agent", mode.value, dialled))
    await guard.quiet()
    return f"callguard-{guard.witness.recorded_decisions[-1].id}-1"


async def test_a_leg_that_asks_is_decided_about() -> None:
    async with a_listener() as (guard, listener):
        await come_in(guard, listener, LISTED, Mode.SCREEN)
        (decision,) = guard.journal.decisions.values()
        assert decision.verdict is Verdict.REFUSE
        assert (decision.facts.dialled, decision.facts.mode, decision.facts.channel) == (
            LISTED,
            Mode.SCREEN,
            "agent",
        )


async def test_a_variable_that_did_not_come_with_the_leg_is_asked_for() -> None:
    async with a_guard() as guard, fake_ari() as ari, AriClient(settings_for(ari)) as client:

        async def reply(request: web.Request) -> web.StreamResponse:
            return web.json_response({"value": f"value of {request.query['variable']}"})

        ari.reply = reply
        arrival, trouble = await ask(client, started("agent", "bridge", ALLOWED, variables={}))
        assert (arrival.project, trouble) == (f"value of {PROJECT}", "")
        listener = CallListener(client, guard.dispatcher, inbound_of(guard).calls)
        listener.on_event(started("agent", "bridge", ALLOWED, variables={}))
        await guard.quiet()
        assert len(guard.journal.decisions) == 1


async def test_a_leg_whose_variables_cannot_be_had_is_left_to_the_failure_policy() -> None:
    async with a_listener() as (guard, listener):
        listener.on_event(started("agent", "bridge", ALLOWED, variables={}))
        await guard.quiet()
        (decision,) = guard.journal.decisions.values()
        assert (decision.verdict, decision.reason) == (Verdict.REFUSE, Reason.GUARD_UNAVAILABLE)


async def test_a_defect_in_asking_for_variables_costs_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_guard() as guard:
        client = AriClient(AsteriskSettings())
        monkeypatch.setattr(client, "send", None)
        listener = CallListener(client, guard.dispatcher, inbound_of(guard).calls)
        listener.on_event(started("agent", "bridge", ALLOWED, variables={}))
        await guard.quiet()
        (decision,) = guard.journal.decisions.values()
        assert decision.reason is Reason.GUARD_UNAVAILABLE


async def test_a_call_goes_its_way_by_the_events_of_its_legs() -> None:
    async with a_listener() as (guard, listener):
        callee = await come_in(guard, listener)
        listener.on_event(ChannelStateChanged(AT, info(callee, "Ringing")))
        listener.on_event(ChannelStateChanged(AT, info(callee, "Up")))
        listener.on_event(ChannelDestroyed(AT, info(callee), 16, None))
        await guard.quiet()
        (outcome,) = guard.journal.outcomes
        assert (outcome.result, outcome.ringing_at, outcome.answered_at, outcome.cause) == (
            "answered",
            AT,
            AT,
            16,
        )


async def test_the_carriers_sip_code_tells_what_the_cause_does_not() -> None:
    async with a_listener() as (guard, listener):
        callee = await come_in(guard, listener)
        listener.on_event(ChannelDestroyed(AT, info(callee), 21, 403))
        await guard.quiet()
        assert guard.journal.results == ["failed"]


async def test_the_events_of_a_dial_are_those_of_its_peer() -> None:
    async with a_listener() as (guard, listener):
        callee = await come_in(guard, listener)
        listener.on_event(DialProgressed(AT, info(callee), None, ""))
        listener.on_event(DialProgressed(AT, info(callee), None, "PROGRESS"))
        listener.on_event(DialProgressed(AT, info(callee), None, "RINGING"))
        listener.on_event(DialProgressed(AT, info(callee), None, "ANSWER"))
        listener.on_event(ChannelHangupRequested(AT, info("agent"), 16, soft=False))
        await guard.quiet()
        (outcome,) = guard.journal.outcomes
        assert (outcome.result, outcome.ringing_at, outcome.answered_at) == ("answered", AT, AT)


async def test_a_caller_who_hangs_up_releases_the_callee_at_once() -> None:
    async with a_listener() as (guard, listener):
        callee = await come_in(guard, listener)
        listener.on_event(ChannelHangupRequested(AT, info("agent"), 16, soft=False))
        await guard.quiet()
        assert callee not in guard.board.legs
        assert guard.journal.results == ["cancelled"]


async def test_what_asterisk_itself_softly_asks_for_is_not_the_callers_hangup() -> None:
    async with a_listener() as (guard, listener):
        callee = await come_in(guard, listener)
        listener.on_event(ChannelHangupRequested(AT, info("agent"), 16, soft=True))
        await guard.quiet()
        assert callee in guard.board.legs


async def test_the_end_of_a_prompt_refuses_the_caller() -> None:
    async with a_listener() as (guard, listener):
        await come_in(guard, listener, LISTED)
        (announce,) = guard.line.given(m.Announce)
        listener.on_event(PlaybackFinished(AT, "another", "agent", done=True))
        listener.on_event(PlaybackFinished(AT, announce.playback, "agent", done=True))
        await guard.quiet()
        assert guard.journal.results == ["prompt-heard"]


async def test_the_dialplans_own_dial_leaves_its_status() -> None:
    async with a_listener() as (guard, listener):
        await come_in(guard, listener, mode=Mode.SCREEN)
        left = {"DIALSTATUS": "CHANUNAVAIL"}
        listener.on_event(ChannelDestroyed(AT, info("agent", variables=left), 21, None))
        await guard.quiet()
        assert guard.journal.results == ["declined"]


async def test_a_caller_that_leaves_stasis_by_itself_is_out_of_reach() -> None:
    async with a_listener() as (guard, listener):
        callee = await come_in(guard, listener)
        listener.on_event(StasisEnded(AT, info("agent")))
        await guard.quiet()
        assert callee not in guard.board.legs
        assert guard.journal.results == ["cancelled"]


async def test_a_transfer_goes_on_with_the_leg_that_takes_the_others_place() -> None:
    async with a_listener() as (guard, listener):
        callee = await come_in(guard, listener)
        guard.board.answer(callee, "agent")
        guard.board.legs["local"] = Leg("callguard", up=True)
        listener.on_event(started("local", replaces="agent"))
        await guard.quiet()
        assert set(guard.board.legs) == {callee, "local"}
        assert len(guard.journal.decisions) == 1


async def test_a_leg_that_takes_the_place_of_nobodys_is_refused_on_record() -> None:
    async with a_listener() as (guard, listener):
        guard.board.legs["local"] = Leg("callguard")
        listener.on_event(started("local", replaces="nobody"))
        await guard.quiet()
        assert guard.line.given(m.CreateCallee) == []
        assert len(guard.journal.decisions) == 1


async def test_a_dialplan_that_calls_itself_a_callee_leg_gets_no_call() -> None:
    async with a_listener() as (guard, listener):
        guard.board.legs["hostile"] = Leg("callguard")
        listener.on_event(started("hostile", "callee", "agent"))
        await guard.quiet()
        assert guard.board.legs == {}
        assert guard.journal.decisions == {}


async def test_other_events_are_nobodys() -> None:
    async with a_listener() as (guard, listener):
        callee = await come_in(guard, listener)
        commands = list(guard.line.commands)
        listener.on_event(ChannelStateChanged(AT, info(callee, "Down")))
        listener.on_event(ApplicationReplaced(AT, "callguard"))
        listener.on_disconnected(AsteriskUnreachable("away"))
        await guard.quiet()
        assert guard.line.commands == commands


async def test_calls_in_progress_are_looked_for_until_the_journal_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_listener() as (guard, listener):
        monkeypatch.setattr(listening, "RETRY_FIRST", 0.0)
        guard.board.legs["stray"] = Leg("callguard", an_arrival("stray"))
        guard.journal.reading = SqlError("away")
        tries = 0

        async def third_time() -> None:
            nonlocal tries
            tries += 1
            if tries == 3:
                guard.journal.reading = None

        guard.line.during_look = [third_time] * 3
        await listener.on_connected(parse_version("22.10.1"))
        await guard.quiet()
        assert tries == 3
        assert len(guard.journal.decisions) == 1


async def test_an_asterisk_that_cannot_be_looked_at_is_told_to_the_client() -> None:
    async with a_listener() as (guard, listener):
        guard.disconnect()
        with pytest.raises(AsteriskUnreachable):
            await listener.on_connected(parse_version("22.10.1"))


@pytest.mark.parametrize("inside_first", [True, False], ids=["inside-first", "outside-first"])
async def test_a_transferred_call_is_the_agents_who_transferred_it_and_for_the_same_project(
    inside_first: bool,
) -> None:
    async with a_listener() as (guard, listener):
        guard.board.legs["agent"] = Leg("callguard", an_arrival("agent"))
        brought = {**ALL_EMPTY, PROJECT: "bank"}
        listener.on_event(started("agent", "bridge", ALLOWED, variables=brought))
        await guard.quiet()
        near, far = (replace(info(end), name=f"Local/{LISTED}@agents-00000001;{end}") for end in ("1", "2"))
        ends = [
            StasisStarted(AT, near, (), "agent"),
            StasisStarted(AT, far, ("bridge", LISTED), None),
        ]
        for end in ends if inside_first else reversed(ends):
            listener.on_event(end)
        await guard.quiet()
        first, second = guard.journal.decisions.values()
        assert second.facts.dialled == LISTED
        assert (second.facts.agent, second.facts.project) == (first.facts.agent, "bank")
        assert first.facts.agent


async def test_a_local_channel_that_is_no_transfer_is_decided_about_after_a_moment() -> None:
    async with a_listener() as (guard, listener):
        dialler = replace(info("dialler"), name=f"Local/{ALLOWED}@agents-00000009;2")
        listener.on_event(StasisStarted(AT, dialler, ("bridge", ALLOWED), None))
        await guard.quiet()
        (decision,) = guard.journal.decisions.values()
        assert (decision.verdict, decision.facts.project) == (Verdict.ALLOW, None)


async def come_by(guard: Guard, listener: CallListener, caller: str = CALLER) -> None:
    """Let an inbound call come in and go on."""
    guard.board.legs["in"] = Leg("callguard")
    listener.on_event(started("in", "inbound", caller, variables={**ALL_EMPTY, PROJECT: "bank"}))
    await guard.quiet()


async def test_an_inbound_call_is_watched_and_goes_on_and_is_no_outbound_call() -> None:
    async with a_listener_of_inbound() as (guard, listener, _):
        await come_by(guard, listener)
        assert guard.line.commands == [m.Watch("in"), m.Release("in")]
        assert guard.journal.decisions == {}
        assert guard.dispatcher.calls_in_progress.total() == 0


async def test_an_inbound_call_that_waits_when_the_guard_comes_goes_on_and_is_not_hung_up() -> None:
    async with a_listener_of_inbound() as (guard, listener, callers):
        guard.board.legs["in"] = Leg("callguard", inbound=callers.arrival("in"))
        await listener.on_connected(parse_version("22.10.1"))
        await guard.quiet()
        assert guard.line.commands == [m.Watch("in"), m.Release("in")]
        assert "in" in guard.board.legs


@pytest.mark.parametrize(
    ("last", "result"),
    [
        (DialProgressed(AT, info("member"), "in", "ANSWER"), InboundResult.ANSWERED),
        (ChannelHangupRequested(AT, info("in"), 16, soft=False), InboundResult.ABANDONED),
        (ChannelDestroyed(AT, info("in"), 16, None), InboundResult.MISSED),
    ],
)
async def test_what_becomes_of_an_inbound_call_is_read_from_its_events(
    last: Event, result: InboundResult
) -> None:
    async with a_listener_of_inbound() as (guard, listener, callers):
        await come_by(guard, listener)
        listener.on_event(StasisEnded(AT, info("in")))
        listener.on_event(DialProgressed(AT, info("member"), "in", ""))
        listener.on_event(DialProgressed(AT, info("member"), "in", "RINGING"))
        listener.on_event(DialProgressed(AT, info("member"), "in", "BUSY"))
        listener.on_event(ChannelHangupRequested(AT, info("in"), 16, soft=True))
        listener.on_event(ChannelHangupRequested(AT, info("another"), 16, soft=False))
        await guard.quiet()
        assert callers.results == []
        listener.on_event(last)
        await guard.quiet()
        assert callers.results == [result]


async def test_a_lost_connection_leaves_no_inbound_call_to_be_taken_for_abandoned() -> None:
    async with a_listener_of_inbound() as (guard, listener, callers):
        await come_by(guard, listener)
        listener.on_disconnected(AsteriskUnreachable("away"))
        listener.on_event(ChannelDestroyed(AT, info("in"), 16, None))
        await guard.quiet()
        assert callers.results == [InboundResult.UNSEEN]


async def test_an_inbound_call_that_is_forwarded_through_the_guard_is_an_outbound_call_too() -> None:
    async with a_listener_of_inbound() as (guard, listener, callers):
        await come_by(guard, listener)
        listener.on_event(started("in", "bridge", ALLOWED))
        await guard.quiet()
        listener.on_event(ChannelHangupRequested(AT, info("in"), 16, soft=False))
        await guard.quiet()
        assert guard.journal.results == ["cancelled"]
        assert callers.results == [InboundResult.ABANDONED]
