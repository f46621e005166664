"""What a caller leg brings, hostile or not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.asterisk.ari.arrival import LONGEST, arrival_now
from callguard.asterisk.ari.events import ChannelInfo, StasisStarted
from callguard.asterisk.variables import BROUGHT
from callguard.screening.model import Mode

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
