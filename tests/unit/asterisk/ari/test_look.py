"""A look at Asterisk: what there is, what of it is ours, and who waits."""

import orjson
from aiohttp import web

from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.telephony import AriTelephony
from callguard.screening.model import Mode
from tests.rig.fake_ari import FakeAri, settings_for


def channel(identity: str, state: str, app_data: str, app: str = "Stasis") -> dict[str, object]:
    return {
        "id": identity,
        "name": f"PJSIP/agent1-{identity}",
        "state": state,
        "caller": {"name": "", "number": "101"},
        "language": "id",
        "dialplan": {"app_name": app, "app_data": app_data},
    }


CHANNELS = [
    channel("waiting", "Ring", "callguard,screen,0812"),
    channel("callee", "Ringing", "callguard,callee,waiting"),
    channel("local", "Up", "callguard"),
    channel("inbound", "Ring", "callguard,inbound,0814"),
    channel("others", "Ring", "callguard-2,bridge,0813"),
    channel("dialling", "Up", "PJSIP/1@trunk", "Dial"),
]
ANSWERS: dict[str, object] = {
    "/ari/channels": CHANNELS,
    "/ari/bridges": [{"id": "bridge", "channels": ["waiting", "callee"]}],
    "/ari/applications/callguard": {"channel_ids": ["waiting"], "bridge_ids": []},
}


async def answer(request: web.Request) -> web.StreamResponse:
    if request.path in ANSWERS:
        return web.Response(body=orjson.dumps(ANSWERS[request.path]), content_type="application/json")
    if request.path == "/ari/channels/waiting/variable":
        return web.json_response({"value": request.query["variable"]})
    return web.Response(status=500)


async def test_a_look_shows_legs_and_bridges_and_asks_no_leg_for_what_it_brought(ari: FakeAri) -> None:
    ari.reply = answer
    async with AriClient(settings_for(ari)) as client:
        sight = await AriTelephony(client).look()
    assert {name: (leg.up, leg.ringing, leg.in_stasis) for name, leg in sight.legs.items()} == {
        "waiting": (False, False, True),
        "callee": (False, True, True),
        "local": (True, False, True),
        "inbound": (False, False, True),
        "others": (False, False, False),
        "dialling": (True, False, False),
    }
    assert [name for name, leg in sight.legs.items() if leg.ask] == ["waiting"]
    assert [leg.inbound.caller_number for leg in sight.legs.values() if leg.inbound] == ["0814"]
    assert sight.bridges == {"bridge": frozenset({"waiting", "callee"})}
    assert not [request for request in ari.http if "variable" in request]


async def test_a_leg_that_waits_is_asked_what_it_brought_when_it_is_taken_in(ari: FakeAri) -> None:
    ari.reply = answer
    async with AriClient(settings_for(ari)) as client:
        ask = (await AriTelephony(client).look()).legs["waiting"].ask
        assert ask is not None
        arrival, trouble = await ask()
    assert (arrival.channel, arrival.mode, arrival.dialled) == ("waiting", Mode.SCREEN, "0812")
    assert (arrival.project, trouble) == ("CALLGUARD_PROJECT", "")


async def test_a_leg_that_cannot_be_asked_keeps_no_other_from_being_seen(ari: FakeAri) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500) if "variable" in request.path else await answer(request)

    ari.reply = refuse
    async with AriClient(settings_for(ari)) as client:
        sight = await AriTelephony(client).look()
        ask = sight.legs["waiting"].ask
        assert ask is not None
        arrival, trouble = await ask()
    assert len(sight.legs) == len(CHANNELS)
    assert arrival.dialled == "0812"
    assert trouble
