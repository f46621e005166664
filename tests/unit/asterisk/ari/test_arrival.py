"""What a caller leg brings, hostile or not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from callguard.asterisk.ari.arrival import LONGEST, arrival_now, inbound_now
from callguard.asterisk.ari.client import AriClient
from callguard.asterisk.ari.events import ChannelInfo, StasisStarted
from callguard.asterisk.variables import BROUGHT, PROJECT
from callguard.screening.model import Mode
from tests.rig.fake_ari import FakeAri, settings_for

CHANNEL = ChannelInfo(
    id="7",
    name="PJSIP/agent-1-0000002a",
    state="Ring",
    caller_number="101",
    language="id",
    app="Stasis",
    app_args=("callguard", "bridge", "0812"),
    variables=dict.fromkeys(BROUGHT, "") | {"CALLGUARD_PROJECT": " acme "},
)
STARTED = StasisStarted(datetime(2026, 11, 21, tzinfo=UTC), CHANNEL, ("screen", "0812"), None)


def test_a_channel_that_brings_its_variables_needs_no_request() -> None:
    arrival = arrival_now(STARTED)
    assert arrival is not None
    assert (arrival.mode, arrival.dialled, arrival.endpoint) == (Mode.SCREEN, "0812", "agent-1")
    assert (arrival.project, arrival.purpose, arrival.language) == ("acme", "", "id")


@pytest.mark.parametrize("missing", BROUGHT)
def test_one_variable_that_is_not_brought_is_never_taken_for_empty(missing: str) -> None:
    rest = {name: "x" for name in BROUGHT if name != missing}
    assert arrival_now(replace(STARTED, channel=replace(CHANNEL, variables=rest))) is None


@pytest.mark.parametrize("args", [(), ("",), ("brigde", "0812"), ("callee", "7"), ("0812",)])
def test_an_unknown_mode_gives_nothing_to_dial_and_no_way_back_to_the_dialplan(args: tuple[str, ...]) -> None:
    arrival = arrival_now(replace(STARTED, args=args))
    assert arrival is not None
    assert (arrival.mode, arrival.dialled) == (Mode.BRIDGE, "")


def test_a_comma_in_what_was_dialled_does_not_make_it_another_number() -> None:
    arrival = arrival_now(replace(STARTED, args=("bridge", "0812", "34")))
    assert arrival is not None
    assert arrival.dialled == "0812,34"


@given(st.text(max_size=300), st.text(max_size=300))
def test_all_texts_are_bounded_and_printable(odd: str, name: str) -> None:
    channel = replace(
        CHANNEL, name=name, caller_number=odd, language=odd, variables=dict.fromkeys(BROUGHT, odd)
    )
    arrival = arrival_now(replace(STARTED, channel=channel, args=("bridge", odd)))
    assert arrival is not None
    for text in (
        arrival.dialled, arrival.endpoint, arrival.caller_number, arrival.language, arrival.project,
        arrival.purpose, arrival.agent, arrival.subject,
    ):  # fmt: skip
        assert len(text) <= LONGEST
        assert text.isprintable()


def inbound(*args: str, variables: dict[str, str]) -> StasisStarted:
    channel = replace(CHANNEL, id="in", variables=variables)
    return replace(STARTED, channel=channel, args=args)


@pytest.mark.parametrize("text", ["0812", "", "1" * 5000, "08,12", "\u202e\n0812"])
async def test_an_inbound_leg_brings_a_bounded_printable_number(ari: FakeAri, text: str) -> None:
    async with AriClient(settings_for(ari)) as client:
        arrival = inbound_now(client, inbound("inbound", *text.split(","), variables={}))
    assert arrival is not None
    assert len(arrival.caller_number) <= LONGEST
    assert arrival.caller_number.isprintable()
    assert "," in arrival.caller_number or "," not in text


async def test_no_other_leg_is_inbound(ari: FakeAri) -> None:
    async with AriClient(settings_for(ari)) as client:
        for args in ((), ("bridge", "0812"), ("screen", "inbound"), ("callee", "in"), ("inbounds",)):
            assert inbound_now(client, inbound(*args, variables={})) is None


async def test_an_inbound_legs_project_came_with_it_or_is_asked_for(ari: FakeAri) -> None:
    async def reply(request: web.Request) -> web.StreamResponse:
        return web.json_response({"value": "shop"})

    ari.reply = reply
    async with AriClient(settings_for(ari)) as client:
        cases: list[tuple[dict[str, str], str]] = [
            ({PROJECT: " bank "}, "bank"),
            ({PROJECT: ""}, ""),
            ({}, "shop"),
        ]
        for variables, project in cases:
            arrival = inbound_now(client, inbound("inbound", "0812", variables=variables))
            assert arrival is not None
            assert await arrival.ask_project() == project


@pytest.mark.parametrize(("gone", "project"), [(True, None), (False, "")], ids=["gone", "not set"])
async def test_a_leg_that_is_gone_is_not_taken_for_one_without_a_project(
    ari: FakeAri, gone: bool, project: str | None
) -> None:
    async def reply(request: web.Request) -> web.StreamResponse:
        found = not gone and request.path.endswith("/channels/in")
        return web.json_response({}, status=200 if found else 404)

    ari.reply = reply
    async with AriClient(settings_for(ari)) as client:
        arrival = inbound_now(client, inbound("inbound", "0812", variables={}))
        assert arrival is not None
        assert await arrival.ask_project() == project
