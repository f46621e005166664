"""The ARI adapter against a real Asterisk: Local channels stand for agents and trunks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar
from uuid import uuid4

import pytest
from pydantic import SecretStr

from callguard.asterisk.ari.arrival import arrival, arrival_now
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.events import (
    ChannelDestroyed,
    ChannelStateChanged,
    DialProgressed,
    Event,
    PlaybackFinished,
    StasisEnded,
    StasisStarted,
)
from callguard.asterisk.ari.snapshot import channel_info, take_snapshot
from callguard.asterisk.ari.telephony import AriTelephony
from callguard.asterisk.ari.version import Version
from callguard.config import AsteriskSettings
from callguard.control.model import (
    Announce,
    CreateBridge,
    CreateCallee,
    DeleteBridge,
    Dial,
    HangUp,
    HangupReason,
    Join,
    Release,
    SetVariables,
    TelephonyCommand,
    Watch,
)
from callguard.errors import (
    AsteriskError,
    AsteriskForbidden,
    AsteriskUnreachable,
    Conflict,
    NotFound,
    Rejected,
)
from callguard.screening.model import Mode
from tests.rig.asterisk import Asterisk, running_asterisk

pytestmark = pytest.mark.system

_E = TypeVar("_E", bound=Event)

DIALPLAN = """
[adapter]
exten => _X!,1,Set(CALLGUARD_PROJECT=acme)
 same => n,Set(CALLGUARD_REFERENCE=debt 7)
 same => n,Set(TIMEOUT(absolute)=60)
 same => n,Stasis(callguard,bridge,${EXTEN})
 same => n,Set(GLOBAL(AFTER)=${CALLGUARD_VERDICT}/${CALLGUARD_REASON}/${CALLGUARD_NUMBER})
 same => n,Dial(Local/1@busy)
 same => n,Hangup(21)

[silent]
exten => _X!,1,Wait(60)

[customer]
exten => _X!,1,Ringing()
 same => n,Wait(0.2)
 same => n,Answer()
 same => n,Wait(60)

[busy]
exten => _X!,1,Wait(0.2)
 same => n,Hangup(17)

[without-variables]
exten => _X!,1,Stasis(callguard,screen,${EXTEN})
"""


class Listener:
    """Keeps all events, and waits for one of them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.connected = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.problem: AsteriskError | None = None
        self._more = asyncio.Event()

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self._more.set()

    async def on_connected(self, version: Version) -> None:
        self.disconnected.clear()
        self.connected.set()

    def on_disconnected(self, problem: AsteriskError) -> None:
        self.problem = problem
        self.connected.clear()
        self.disconnected.set()

    async def wait(self, kind: type[_E], which: Callable[[_E], bool] = lambda _: True) -> _E:
        async with asyncio.timeout(10):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and which(event):
                        return event
                self._more.clear()
                await self._more.wait()


@pytest.fixture(scope="module")
def asterisk() -> Iterator[Asterisk]:
    with running_asterisk(dialplan=DIALPLAN) as started:
        yield started


def settings(asterisk: Asterisk, **changes: object) -> AsteriskSettings:
    values: dict[str, object] = {
        "url": asterisk.ari_url,
        "username": asterisk.user,
        "password": SecretStr(asterisk.password),
    }
    return AsteriskSettings.model_validate(values | changes)


@asynccontextmanager
async def connected(given: AsteriskSettings) -> AsyncIterator[tuple[AriClient, Listener]]:
    listener = Listener()
    async with AriClient(given) as client:
        running = asyncio.create_task(client.run(listener))
        try:
            async with asyncio.timeout(10):
                await listener.connected.wait()
            yield client, listener
        finally:
            running.cancel()
            await asyncio.wait([running])


@pytest.fixture(params=["auto", "never"])
async def link(
    asterisk: Asterisk, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[AriClient, Listener]]:
    async with connected(settings(asterisk, rest_over_websocket=request.param)) as pair:
        yield pair
    try:
        await asyncio.to_thread(asterisk.wait_empty)
    finally:  # what one test left is not another's failure
        asterisk.cli("channel request hangup all")
        for bridge in asterisk.bridges():
            asterisk.cli(f"bridge destroy {bridge}")


async def caller(
    client: AriClient, listener: Listener, digits: str, context: str = "adapter"
) -> StasisStarted:
    """A caller leg in Stasis: the far end of a Local channel whose near end stays silent."""
    far = f"far-{uuid4()}"
    await client.request(
        "POST", "channels",
        query={
            "endpoint": f"Local/{digits}@{context}", "context": "silent", "extension": "1",
            "channelId": f"near-{uuid4()}", "otherChannelId": far,
        },
    )  # fmt: skip
    return await listener.wait(StasisStarted, lambda e: e.channel.id == far)


async def callee(telephony: AriTelephony, listener: Listener, caller_id: str, endpoint: str) -> str:
    name = f"callee-{uuid4()}"
    await telephony.execute(CreateCallee(name, caller_id, endpoint))
    started = await listener.wait(StasisStarted, lambda e: e.channel.id == name)
    assert started.args == ("callee", caller_id)
    return name


async def at_once(telephony: AriTelephony, *commands: TelephonyCommand) -> None:
    """All in order, none awaited before the next is given."""
    async with asyncio.TaskGroup() as group:
        for command in commands:
            group.create_task(telephony.execute(command))


async def variable(client: AriClient, channel: str, name: str) -> str:
    answer = await client.request("GET", "channels", channel, "variable", query={"variable": name})
    return str(answer["value"])


async def test_an_allowed_call_is_bridged_ringing_answered_and_ended(
    link: tuple[AriClient, Listener],
) -> None:
    client, listener = link
    telephony = AriTelephony(client)
    leg = (await caller(client, listener, "1001")).channel.id
    other = await callee(telephony, listener, leg, "Local/1@customer")
    bridge = f"bridge-{uuid4()}"
    await at_once(
        telephony, CreateBridge(bridge), Join(bridge, leg, other, "+622150001"), Dial(other, leg, 20)
    )
    ringing = await listener.wait(DialProgressed, lambda e: e.peer.id == other and e.status == "RINGING")
    up = await listener.wait(ChannelStateChanged, lambda e: e.channel.id == other and e.channel.state == "Up")
    assert up.at >= ringing.at
    taken = await take_snapshot(client)
    assert taken.bridges[bridge].channels == {leg, other}
    assert taken.application.channels >= {leg, other}
    assert {c.id for c in taken.in_stasis("callguard")} == {leg, other}
    assert taken.channels[leg].caller_number == "+622150001"
    assert (await channel_info(client, leg)).app_args == ("callguard", "bridge", "1001")
    await telephony.execute(HangUp(other, HangupReason.NORMAL))
    gone = await listener.wait(ChannelDestroyed, lambda e: e.channel.id == other)
    assert gone.cause == 16
    await telephony.execute(HangUp(leg, HangupReason.NORMAL))
    await telephony.execute(DeleteBridge(bridge))
    await telephony.execute(DeleteBridge(bridge))
    with pytest.raises(NotFound):
        await telephony.execute(HangUp(other, HangupReason.NORMAL))


async def test_the_callees_cause_tells_why_it_failed(link: tuple[AriClient, Listener]) -> None:
    client, listener = link
    telephony = AriTelephony(client)
    leg = (await caller(client, listener, "1002")).channel.id
    other = await callee(telephony, listener, leg, "Local/1@busy")
    bridge = f"bridge-{uuid4()}"
    await at_once(telephony, CreateBridge(bridge), Join(bridge, leg, other, None), Dial(other, leg, 20))
    gone = await listener.wait(ChannelDestroyed, lambda e: e.channel.id == other)
    assert gone.cause == 17
    further = await callee(telephony, listener, leg, "Local/1@customer")
    await at_once(
        telephony, Join(bridge, leg, further, "+622150002", caller_is_in=True), Dial(further, leg, 20)
    )
    await listener.wait(ChannelStateChanged, lambda e: e.channel.id == further and e.channel.state == "Up")
    assert (await take_snapshot(client)).bridges[bridge].channels == {leg, further}
    await at_once(
        telephony,
        HangUp(further, HangupReason.NORMAL),
        HangUp(leg, HangupReason.NORMAL),
        DeleteBridge(bridge),
    )


async def test_variables_set_before_the_release_are_there_in_the_dialplan_and_literal(
    asterisk: Asterisk, link: tuple[AriClient, Listener]
) -> None:
    client, listener = link
    telephony = AriTelephony(client)
    leg = (await caller(client, listener, "1003")).channel.id
    values = {"CALLGUARD_VERDICT": "allow", "CALLGUARD_REASON": "${EXTEN}", "CALLGUARD_NUMBER": "+62(0)8,1"}
    await at_once(
        telephony,
        Watch(leg),
        SetVariables(leg, {"CDR(userfield)": "callguard:1", "CALLGUARD_DECISION": "", **values}),
        Release(leg),
    )
    left = await listener.wait(StasisEnded, lambda e: e.channel.id == leg)
    dialled = await listener.wait(DialProgressed, lambda e: e.caller == leg and e.status == "")
    assert dialled.at >= left.at
    await listener.wait(ChannelDestroyed, lambda e: e.channel.id == leg)
    assert "AFTER=allow/${EXTEN}/+62(0)8,1" in asterisk.cli("dialplan show globals")
    with pytest.raises((NotFound, Conflict)):
        await telephony.execute(Release(leg))


async def test_a_prompt_is_played_and_a_missing_one_tells_so(link: tuple[AriClient, Listener]) -> None:
    client, listener = link
    telephony = AriTelephony(client)
    leg = (await caller(client, listener, "1004")).channel.id
    await telephony.execute(Watch(leg))  # without it, Asterisk says no more after StasisEnd
    await telephony.execute(Announce(leg, f"{leg}-1", ("sound:beep", "sound:beep"), answer_first=True))
    played = await listener.wait(PlaybackFinished, lambda e: e.playback == f"{leg}-1")
    assert (played.channel, played.done) == (leg, True)
    assert (await channel_info(client, leg)).state == "Up"
    await telephony.execute(Announce(leg, f"{leg}-2", ("sound:no-such-sound",), answer_first=False))
    assert not (await listener.wait(PlaybackFinished, lambda e: e.playback == f"{leg}-2")).done
    await telephony.execute(HangUp(leg, HangupReason.REJECTED))
    assert (await listener.wait(ChannelDestroyed, lambda e: e.channel.id == leg)).cause == 21


async def test_a_prompt_holds_up_neither_its_own_hangup_nor_another_call(
    link: tuple[AriClient, Listener],
) -> None:
    client, listener = link
    telephony = AriTelephony(client)
    leg = (await caller(client, listener, "1005")).channel.id
    other = (await caller(client, listener, "1006")).channel.id
    long = tuple(["sound:demo-congrats"] * 3)
    await at_once(
        telephony,
        Announce(leg, f"{leg}-1", long, answer_first=False),
        SetVariables(other, {"CALLGUARD_VERDICT": "allow"}),
        HangUp(leg, HangupReason.REJECTED),
        HangUp(other, HangupReason.REJECTED),
    )
    await listener.wait(StasisEnded, lambda e: e.channel.id == leg)
    await listener.wait(StasisEnded, lambda e: e.channel.id == other)
    assert client.counts.retries == 0


async def test_what_a_channel_brings_comes_with_it_or_is_fetched(link: tuple[AriClient, Listener]) -> None:
    client, listener = link
    came = await caller(client, listener, "08123")
    at_hand = arrival_now(came)
    assert at_hand is not None
    assert (at_hand.mode, at_hand.dialled) == (Mode.BRIDGE, "08123")
    assert (at_hand.project, at_hand.subject, at_hand.purpose) == ("acme", "debt 7", "")
    bare = replace(came, channel=replace(came.channel, variables={}))
    assert arrival_now(bare) is None
    assert await arrival(client, bare) == at_hand
    await AriTelephony(client).execute(HangUp(came.channel.id, HangupReason.NORMAL))


async def test_a_created_id_that_exists_is_a_conflict_and_a_channel_that_is_gone_not_found(
    link: tuple[AriClient, Listener],
) -> None:
    client, listener = link
    telephony = AriTelephony(client)
    leg = (await caller(client, listener, "1007")).channel.id
    other = await callee(telephony, listener, leg, "Local/1@customer")
    with pytest.raises(Conflict):
        await telephony.execute(CreateCallee(other, leg, "Local/1@customer"))
    for command in (SetVariables("none", {"A": "1"}), Release("none"), Announce("none", "p", ("m",), False)):
        with pytest.raises(NotFound):
            await telephony.execute(command)
    await at_once(telephony, HangUp(other, HangupReason.NORMAL), HangUp(leg, HangupReason.NORMAL))


async def test_a_wrong_password_is_forbidden_and_said_so(asterisk: Asterisk) -> None:
    async with AriClient(settings(asterisk, password=SecretStr("wrong"))) as client:
        with pytest.raises(AsteriskForbidden, match="password"):
            await client.detect()


async def test_a_url_that_is_not_ari_is_said_so(asterisk: Asterisk) -> None:
    async with AriClient(settings(asterisk, url=asterisk.ari_url.replace("/ari", "/static"))) as client:
        with pytest.raises(Rejected, match="not as ARI"):
            await client.detect()


async def test_after_a_lost_connection_the_call_in_progress_is_found_again(asterisk: Asterisk) -> None:
    async with connected(settings(asterisk)) as (client, listener):
        leg = (await caller(client, listener, "1008")).channel.id
        far = leg
    async with connected(settings(asterisk)) as (client, listener):
        taken = await take_snapshot(client)
        assert [(c.id, c.app_args) for c in taken.in_stasis("callguard")] == [
            (far, ("callguard", "bridge", "1008"))
        ]
        await AriTelephony(client).execute(HangUp(leg, HangupReason.NORMAL))
        await listener.wait(StasisEnded, lambda e: e.channel.id == leg)


async def test_a_second_guard_with_our_name_is_not_fought_over(asterisk: Asterisk) -> None:
    async with (
        connected(settings(asterisk)) as (first, replaced),
        connected(settings(asterisk)) as (second, listener),
    ):
        async with asyncio.timeout(5):
            await replaced.disconnected.wait()
        assert "another program" in str(replaced.problem)
        assert not first.connected
        leg = (await caller(second, listener, "1009")).channel.id
        await AriTelephony(second).execute(HangUp(leg, HangupReason.NORMAL))
        assert second.connected


async def test_a_hung_asterisk_is_noticed_and_commands_fail_in_time(asterisk: Asterisk) -> None:
    async with connected(settings(asterisk, timeout=1)) as (client, listener):
        asterisk.freeze()
        try:
            with pytest.raises(AsteriskUnreachable):
                await AriTelephony(client).execute(CreateBridge("frozen"))
            async with asyncio.timeout(10):
                await listener.disconnected.wait()
            assert "ping" in str(listener.problem)
        finally:
            asterisk.thaw()
        async with asyncio.timeout(20):
            await listener.connected.wait()
        await AriTelephony(client).execute(DeleteBridge("frozen"))


async def test_a_restarted_asterisk_is_found_again(asterisk: Asterisk) -> None:
    async with connected(settings(asterisk)) as (client, listener):
        asterisk.kill()
        async with asyncio.timeout(5):
            await listener.disconnected.wait()
        assert not client.connected
        await asyncio.to_thread(asterisk.start)
        async with asyncio.timeout(20):
            await listener.connected.wait()
        leg = (await caller(client, listener, "1010")).channel.id
        await AriTelephony(client).execute(HangUp(leg, HangupReason.NORMAL))
