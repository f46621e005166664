"""The reader of ARI's messages, with real ones and hostile ones. The real ones are of 22.10.1 and 16.28."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.asterisk.ari.events import (
    ALLOWED_TYPES,
    LONGEST_TEXT,
    ApplicationReplaced,
    ChannelDestroyed,
    ChannelHangupRequested,
    ChannelStateChanged,
    DialProgressed,
    PlaybackFinished,
    RestAnswered,
    StasisEnded,
    StasisStarted,
    read_channel,
    read_message,
)

AT = "2026-11-21T20:37:11.651+0000"

CHANNEL: dict[str, Any] = {
    "id": "1700000000.7",
    "name": "PJSIP/agent1-0000002a",
    "state": "Ring",
    "protocol_id": "",
    "caller": {"name": "agent1", "number": "101"},
    "connected": {"name": "", "number": ""},
    "accountcode": "",
    "dialplan": {
        "context": "agents", "exten": "0812", "priority": 2,
        "app_name": "Stasis", "app_data": "callguard,bridge,0812",
    },
    "creationtime": AT,
    "language": "en",
    "channelvars": {"CALLGUARD_PROJECT": "acme", "CALLGUARD_PURPOSE": ""},
}  # fmt: skip

MESSAGES: list[dict[str, Any]] = [
    {"type": "StasisStart", "timestamp": AT, "args": ["bridge", "0812"], "channel": CHANNEL},
    {"type": "StasisStart", "timestamp": AT, "args": [], "channel": CHANNEL, "replace_channel": CHANNEL},
    {"type": "StasisEnd", "timestamp": AT, "channel": CHANNEL},
    {"type": "ChannelDestroyed", "timestamp": AT, "channel": CHANNEL, "cause": 17, "cause_txt": "Busy"},
    {"type": "ChannelDestroyed", "timestamp": AT, "channel": CHANNEL, "cause": 21, "tech_cause": 603},
    {"type": "ChannelHangupRequest", "timestamp": AT, "channel": CHANNEL, "cause": 32},
    {"type": "ChannelStateChange", "timestamp": AT, "channel": CHANNEL},
    {"type": "Dial", "timestamp": AT, "peer": CHANNEL, "caller": CHANNEL, "dialstatus": "BUSY"},
    {"type": "Dial", "timestamp": AT, "peer": CHANNEL, "dialstring": "x", "dialstatus": ""},
    {
        "type": "PlaybackFinished",
        "timestamp": AT,
        "playback": {"id": "p", "target_uri": "channel:c", "state": "failed"},
    },
    {"type": "ApplicationReplaced", "timestamp": AT, "application": "callguard"},
    {"type": "RESTResponse", "request_id": "7", "status_code": 204, "message_body": ""},
]


def test_a_real_message_of_each_type_is_read() -> None:
    read = [read_message(orjson.dumps(message)) for message in MESSAGES]
    assert [type(event) for event in read] == [
        StasisStarted, StasisStarted, StasisEnded, ChannelDestroyed, ChannelDestroyed, ChannelHangupRequested,
        ChannelStateChanged, DialProgressed, DialProgressed, PlaybackFinished, ApplicationReplaced,
        RestAnswered,
    ]  # fmt: skip
    assert {str(message["type"]) for message in MESSAGES} == set(ALLOWED_TYPES)


def test_what_call_control_rests_on_is_read_right() -> None:
    started = read_message(orjson.dumps(MESSAGES[0]))
    assert isinstance(started, StasisStarted)
    assert started.at == datetime(2026, 11, 21, 20, 37, 11, 651000, UTC)
    assert started.args == ("bridge", "0812")
    assert started.replaces is None
    assert started.channel.app_args == ("callguard", "bridge", "0812")
    assert started.channel.caller_number == "101"
    assert started.channel.variables == {"CALLGUARD_PROJECT": "acme", "CALLGUARD_PURPOSE": ""}
    transferred = read_message(orjson.dumps(MESSAGES[1]))
    assert isinstance(transferred, StasisStarted)
    assert transferred.replaces == "1700000000.7"
    destroyed = read_message(orjson.dumps(MESSAGES[4]))
    assert isinstance(destroyed, ChannelDestroyed)
    assert (destroyed.cause, destroyed.tech_cause) == (21, 603)
    played = read_message(orjson.dumps(MESSAGES[9]))
    assert isinstance(played, PlaybackFinished)
    assert (played.playback, played.channel, played.done) == ("p", "c", False)


def test_a_time_in_another_zone_is_turned_to_utc() -> None:
    event = read_message(orjson.dumps({**MESSAGES[2], "timestamp": "2026-11-22T03:37:11.651+0700"}))
    assert isinstance(event, StasisEnded)
    assert event.at == datetime(2026, 11, 21, 20, 37, 11, 651000, UTC)


@pytest.mark.parametrize(
    "timestamp", ["", "yesterday", "2026-11-21T20:37:11", "0001-01-01T00:00:00+2300", 7, None, "9" * 10_000]
)
def test_a_message_without_a_time_is_nothing(timestamp: object) -> None:
    assert read_message(orjson.dumps({**MESSAGES[2], "timestamp": timestamp})) is None


@pytest.mark.parametrize("identity", ["", None, 7, "x" * 151, [], {}])
def test_a_channel_without_an_id_is_nothing(identity: object) -> None:
    assert read_channel({**CHANNEL, "id": identity}) is None


def test_long_and_odd_texts_are_cut_and_do_not_hide_the_call() -> None:
    odd = {**CHANNEL, "caller": {"number": "\0\n\"'" * 10_000}, "language": "x" * 1_000_000}
    event = read_message(orjson.dumps({**MESSAGES[0], "args": ["bridge", "9" * 1_000_000], "channel": odd}))
    assert isinstance(event, StasisStarted)
    assert (
        len(event.args[1]) == len(event.channel.caller_number) == len(event.channel.language) == LONGEST_TEXT
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b"7", b'"StasisStart"', b"{}", b'{"type": 7}', b'{"type": "Unknown"}',
        b"[" * 100_000, b'{"a":' * 100_000, b'{"type":"StasisEnd","channel":' + b"[" * 900, b"\0" * 1_000_000,
        b'{"type":"\\ud800"}', b'{"type":"RESTResponse","request_id":"1","status_code":true}',
        b'{"type":"RESTResponse","request_id":"1","status_code":1e400}', "\ud800", b"\xff\xfe",
    ],
)  # fmt: skip
def test_junk_is_nothing(raw: bytes | str) -> None:
    assert read_message(raw) is None


@given(st.binary(max_size=2000))
def test_no_bytes_raise(raw: bytes) -> None:
    read_message(raw)


@given(st.sampled_from(MESSAGES), st.integers(0, 2000), st.binary(max_size=8))
@settings(max_examples=200)
def test_a_message_cut_or_patched_anywhere_does_not_raise(
    message: dict[str, Any], at: int, patch: bytes
) -> None:
    raw = orjson.dumps(message)
    read_message(raw[: at % len(raw)])
    read_message(raw[: at % len(raw)] + patch + raw[at % len(raw) + len(patch) :])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(CHANNEL)), inner),
    max_leaves=6,
)


@given(st.sampled_from(MESSAGES), st.data())
@settings(max_examples=300)
def test_a_wrong_type_anywhere_does_not_raise(message: dict[str, Any], data: st.DataObject) -> None:
    changed = json.loads(json.dumps(message))
    place: Any = changed
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not (isinstance(place[key], dict) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = data.draw(JSON)
    read_message(json.dumps(changed))
