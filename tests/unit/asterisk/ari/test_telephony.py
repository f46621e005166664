"""Sending commands: their order, and what is tried again."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from callguard.asterisk.ari import telephony as telephony_module
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.telephony import AriTelephony
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
)
from callguard.errors import (
    AsteriskError,
    AsteriskForbidden,
    AsteriskUnreachable,
    Conflict,
    NotFound,
    Rejected,
)
from tests.rig.fake_ari import FakeAri, abort, connected, settings_for

VARIABLES = SetVariables("a", {"CALLGUARD_VERDICT": "refuse"})
ANNOUNCE = Announce("a", "p", ("sound:x",), answer_first=False)
HANG_UP = HangUp("a", HangupReason.REJECTED)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telephony_module, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(telephony_module, "RETRY_LONGEST", 0.001)


class Replies:
    """Answers the requests over HTTP one after the other: a status, or None to close without an answer."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        status = self.statuses.pop(0)
        return abort(request) if status is None else web.Response(status=status)


@pytest.mark.parametrize(
    "command",
    [
        CreateBridge("b"), CreateCallee("c", "a", "PJSIP/1@t"), Dial("c", "a", 9), Release("a"), ANNOUNCE,
    ],
)  # fmt: skip
async def test_a_retry_that_finds_it_done_is_a_success_but_a_first_conflict_is_one(
    ari: FakeAri, command: TelephonyCommand
) -> None:
    async with AriClient(settings_for(ari)) as client:
        ari.reply = Replies(None, 503, 409)
        await AriTelephony(client).execute(command)
        assert len(ari.http) == 3
        assert client.counts.retries == 2
        ari.reply = Replies(409)
        with pytest.raises(Conflict):
            await AriTelephony(client).execute(command)


@pytest.mark.parametrize(
    ("status", "error"), [(404, NotFound), (403, AsteriskForbidden), (422, Rejected), (500, Rejected)]
)
async def test_a_refusal_is_not_tried_again(ari: FakeAri, status: int, error: type[AsteriskError]) -> None:
    async with AriClient(settings_for(ari)) as client:
        ari.reply = Replies(status)
        with pytest.raises(error):
            await AriTelephony(client).execute(HANG_UP)
        assert client.counts.retries == 0


@pytest.mark.parametrize("status", [404, 409], ids=["gone", "going, on Asterisk 16"])
async def test_a_bridge_that_is_gone_is_deleted_as_wanted(ari: FakeAri, status: int) -> None:
    async with AriClient(settings_for(ari)) as client:
        ari.reply = Replies(status)
        await AriTelephony(client).execute(DeleteBridge("b"))


async def test_an_asterisk_that_is_away_is_given_up_within_the_time_limit() -> None:
    closed = FakeAri()
    closed.port = 1  # where nobody listens
    async with AriClient(settings_for(closed, timeout=0.1)) as client:
        with pytest.raises(AsteriskUnreachable):
            await AriTelephony(client).execute(HANG_UP)
        assert client.counts.retries > 0


async def test_over_the_websocket_nothing_waits_for_an_answer(ari: FakeAri) -> None:
    """No answer comes before all four frames are there."""
    all_there = asyncio.Event()

    async def after_all(_: dict[str, Any]) -> int:
        if len(ari.socket) == 4:
            all_there.set()
        await all_there.wait()
        return 204

    ari.socket_reply = after_all
    async with connected(ari) as (client, _):
        telephony = AriTelephony(client)
        async with asyncio.TaskGroup() as group:
            for command in (CreateBridge("b"), Join("b", "a", "c", "+6221"), Dial("c", "a", 9)):
                group.create_task(telephony.execute(command))
    assert [frame["uri"].split("?")[0] for frame in ari.socket] == [
        "bridges", "channels/a/variable", "bridges/b/addChannel", "channels/c/dial",
    ]  # fmt: skip


async def test_what_waits_on_a_channel_goes_by_http_and_what_follows_waits_for_it(ari: FakeAri) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: web.Request) -> web.StreamResponse:
        began.set()
        await go_on.wait()
        return web.Response(status=201)

    async with connected(ari) as (client, _):
        telephony = AriTelephony(client)
        ari.reply = hold
        async with asyncio.TaskGroup() as group:
            group.create_task(telephony.execute(VARIABLES))
            group.create_task(telephony.execute(ANNOUNCE))
            group.create_task(telephony.execute(HANG_UP))
            await began.wait()
            await telephony.execute(CreateBridge("other"))  # another call's goes ahead
            assert [frame["method"] for frame in ari.socket] == ["POST", "POST"]
            go_on.set()
    assert ari.http[-1] == "POST /ari/channels/a/play/p?media=sound%3Ax"
    assert [frame["uri"].split("?")[0] for frame in ari.socket] == [
        "channels/a/variable", "bridges", "channels/a",
    ]  # fmt: skip


async def test_a_cut_websocket_costs_no_command_and_no_order(ari: FakeAri) -> None:
    async def cut(_: dict[str, Any]) -> int | None:
        if len(ari.socket) == 2:
            await ari.cut()
        return None

    ari.socket_reply = cut
    async with connected(ari) as (client, _):
        telephony = AriTelephony(client)
        before = len(ari.http)
        ari.reply = Replies(503, 204, 204, 200)  # the last is the new connection's filter
        async with asyncio.TaskGroup() as group:
            group.create_task(telephony.execute(VARIABLES))
            group.create_task(telephony.execute(Release("a")))
        repeated = [line for line in ari.http[before:] if "/channels/" in line]
    assert [line.split("?")[0] for line in repeated] == [
        "POST /ari/channels/a/variable", "POST /ari/channels/a/variable", "POST /ari/channels/a/continue",
    ]  # fmt: skip


async def test_a_websocket_that_is_stuck_is_gone_around_until_it_answers(ari: FakeAri) -> None:
    unstick = asyncio.Event()

    async def stuck(_: dict[str, Any]) -> int | None:
        await unstick.wait()
        return 204

    ari.socket_reply = stuck
    async with connected(ari, timeout=0.2) as (client, listener):
        telephony = AriTelephony(client)
        await telephony.execute(HANG_UP)
        assert ari.http[-1] == "DELETE /ari/channels/a?reason=rejected"
        await telephony.execute(DeleteBridge("b"))
        assert [frame["uri"] for frame in ari.socket] == ["channels/a?reason=rejected"]
        unstick.set()
        await ari.answered.wait()
        await ari.send(
            {"type": "StasisEnd", "timestamp": "2026-11-21T20:37:11.651+0000", "channel": {"id": "7"}}
        )
        await listener.events.get()  # so the answer before it has arrived
        await telephony.execute(DeleteBridge("b"))
        assert ari.socket[-1]["uri"] == "bridges/b"


async def test_a_cancelled_command_lets_the_next_go(ari: FakeAri) -> None:
    never = asyncio.Event()
    began = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        if "play" in request.path:
            began.set()
            await never.wait()
        return web.Response(status=204)

    ari.reply = hold
    async with AriClient(settings_for(ari)) as client:
        telephony = AriTelephony(client)
        announcing = asyncio.create_task(telephony.execute(ANNOUNCE))
        await began.wait()
        hanging_up = asyncio.create_task(telephony.execute(HANG_UP))
        announcing.cancel()
        async with asyncio.timeout(5):
            await hanging_up
    never.set()


async def test_an_old_asterisk_is_nudged_until_it_has_taken_the_command(ari: FakeAri) -> None:
    """Asterisk before 18.25 answers addChannel when the idle channels' threads come round."""
    nudged: list[str] = []
    done = asyncio.Event()

    async def reply(request: web.Request) -> web.StreamResponse:
        if "SET(TIMEOUT" in request.query.get("variable", ""):
            nudged.append(request.path.split("/")[3])
            if {"a", "c"} <= set(nudged):
                done.set()
            return web.Response(status=404)
        if "addChannel" in request.path:
            await done.wait()
        return web.Response(status=204)

    ari.version = "16.28.0"
    ari.reply = reply
    async with AriClient(settings_for(ari)) as client:
        await client.detect()
        await AriTelephony(client).execute(Join("b", "a", "c", None))
        del nudged[:]
        await AriTelephony(client).execute(VARIABLES)
        assert nudged == []
    ari.version = "22.10.1"
    async with AriClient(settings_for(ari)) as client:
        await client.detect()
        await AriTelephony(client).execute(Release("a"))
        assert nudged == []
