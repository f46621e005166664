"""What ARI sends over its websocket, from bytes to frozen dataclasses. Pure.

Anything that is not a well-formed message of a kind that callguard uses is None, and nothing is raised:
the other side is trusted to be Asterisk, but names, numbers and variables in its messages come from callers.
Source of the format: rest-api/events.json and channels.json of Asterisk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

LONGEST_ID = 150
"""Characters of a channel's unique id, in Asterisk (AST_MAX_UNIQUEID)."""
LONGEST_TEXT = 1024
MOST_ARGS = 16
MOST_VARIABLES = 64


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel as Asterisk shows it. Texts are cut to LONGEST_TEXT, and as hostile as their sender."""

    id: str
    name: str
    """`PJSIP/agent1-0000002a`."""
    state: str
    """`Down`, `Ring`, `Ringing`, `Up` and so on."""
    caller_number: str
    language: str
    app: str
    """The dialplan application that it is in: `Stasis`."""
    app_args: tuple[str, ...]
    """That application's arguments; for Stasis the first is the app's name."""
    variables: Mapping[str, str] = field(hash=False, default_factory=dict)
    """Those that ari.conf's `channelvars` names, set or not."""


@dataclass(frozen=True, slots=True)
class StasisStarted:
    at: datetime
    channel: ChannelInfo
    args: tuple[str, ...]
    """The dialplan's arguments after the app's name, or the appArgs of a channel that we created."""
    replaces: str | None
    """The id of the channel whose place this one takes (a transfer)."""


@dataclass(frozen=True, slots=True)
class StasisEnded:
    at: datetime
    channel: ChannelInfo


@dataclass(frozen=True, slots=True)
class ChannelDestroyed:
    at: datetime
    channel: ChannelInfo
    cause: int
    """Q.850."""
    tech_cause: int | None
    """The SIP status, from the versions that tell it."""


@dataclass(frozen=True, slots=True)
class ChannelHangupRequested:
    """The other side of a channel has ended it, or (`soft`) something in Asterisk asks it to end."""

    at: datetime
    channel: ChannelInfo
    cause: int | None
    """Q.850, of a request that is not soft."""
    soft: bool


@dataclass(frozen=True, slots=True)
class ChannelStateChanged:
    at: datetime
    channel: ChannelInfo


@dataclass(frozen=True, slots=True)
class DialProgressed:
    """A Dial event: `peer` is being called, by ARI's dial or by the dialplan's Dial."""

    at: datetime
    peer: ChannelInfo
    caller: str | None
    """The calling channel's id; None where ARI's own dial does it."""
    status: str
    """Empty at the start, then `RINGING`, `PROGRESS`, `ANSWER`, `BUSY`, `NOANSWER`, `CANCEL` and so on."""


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    at: datetime
    playback: str
    channel: str
    """Empty when it was not played to a channel."""
    done: bool
    """It played to its end."""


@dataclass(frozen=True, slots=True)
class ApplicationReplaced:
    """Another program has connected with our application's name, and gets its events now."""

    at: datetime
    app: str


@dataclass(frozen=True, slots=True)
class RestAnswered:
    """The answer to a request that was sent over the websocket."""

    request: str
    status: int
    body: str


Event = (
    StasisStarted
    | StasisEnded
    | ChannelDestroyed
    | ChannelHangupRequested
    | ChannelStateChanged
    | DialProgressed
    | PlaybackFinished
    | ApplicationReplaced
)

ALLOWED_TYPES = (
    "StasisStart",
    "StasisEnd",
    "ChannelDestroyed",
    "ChannelHangupRequest",
    "ChannelStateChange",
    "Dial",
    "PlaybackFinished",
    "ApplicationReplaced",
    # A filter without it drops every answer to requests over the websocket.
    "RESTResponse",
)
"""What the event filter lets through: the types read here."""


class _MalformedError(ValueError):
    pass


def read_message(raw: bytes | str) -> Event | RestAnswered | None:
    """One websocket message; None when it is malformed, or of a type that is not used. Never raises."""
    try:
        message = orjson.loads(raw)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    try:
        return _read(_mapping(message))
    except _MalformedError:
        return None


def read_channel(value: object) -> ChannelInfo | None:
    """One channel of an answer's JSON; None when it is malformed."""
    try:
        return _channel(value)
    except _MalformedError:
        return None


def _read(message: dict[str, Any]) -> Event | RestAnswered | None:
    match message.get("type"):
        case "RESTResponse":
            return RestAnswered(
                request=_text(message.get("request_id"), "request_id"),
                status=_integer(message.get("status_code")),
                body=_optional_text(message.get("message_body"), None),
            )
        case "StasisStart":
            replaced = message.get("replace_channel")
            return StasisStarted(
                at=_time(message),
                channel=_channel(message.get("channel")),
                args=_texts(message.get("args")),
                replaces=None if replaced is None else _id(_mapping(replaced)),
            )
        case "StasisEnd":
            return StasisEnded(_time(message), _channel(message.get("channel")))
        case "ChannelDestroyed":
            tech_cause = message.get("tech_cause")
            return ChannelDestroyed(
                at=_time(message),
                channel=_channel(message.get("channel")),
                cause=_integer(message.get("cause")),
                tech_cause=None if tech_cause is None else _integer(tech_cause),
            )
        case "ChannelHangupRequest":
            cause = message.get("cause")
            return ChannelHangupRequested(
                at=_time(message),
                channel=_channel(message.get("channel")),
                cause=None if cause is None else _integer(cause),
                soft=message.get("soft") is True,
            )
        case "ChannelStateChange":
            return ChannelStateChanged(_time(message), _channel(message.get("channel")))
        case "Dial":
            caller = message.get("caller")
            return DialProgressed(
                at=_time(message),
                peer=_channel(message.get("peer")),
                caller=None if caller is None else _id(_mapping(caller)),
                status=_optional_text(message.get("dialstatus")),
            )
        case "PlaybackFinished":
            playback = _mapping(message.get("playback"))
            kind, _, target = _optional_text(playback.get("target_uri")).partition(":")
            return PlaybackFinished(
                at=_time(message),
                playback=_id(playback),
                channel=target if kind == "channel" else "",
                done=playback.get("state") == "done",
            )
        case "ApplicationReplaced":
            return ApplicationReplaced(_time(message), _optional_text(message.get("application")))
    return None


def _channel(value: object) -> ChannelInfo:
    channel = _mapping(value)
    dialplan = _mapping(channel.get("dialplan", {}))
    caller = _mapping(channel.get("caller", {}))
    return ChannelInfo(
        id=_id(channel),
        name=_optional_text(channel.get("name")),
        state=_optional_text(channel.get("state")),
        caller_number=_optional_text(caller.get("number")),
        language=_optional_text(channel.get("language")),
        app=_optional_text(dialplan.get("app_name")),
        app_args=tuple(_optional_text(dialplan.get("app_data")).split(",")[:MOST_ARGS]),
        variables=_variables(channel.get("channelvars")),
    )


def _variables(value: object) -> Mapping[str, str]:
    if value is None:
        return {}
    pairs = list(_mapping(value).items())[:MOST_VARIABLES]
    return {name[:LONGEST_TEXT]: _optional_text(text) for name, text in pairs}


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _MalformedError("not an object")
    return value


def _id(value: dict[str, Any]) -> str:
    return _text(value.get("id"), "id", LONGEST_ID)


def _text(value: object, name: str, longest: int = LONGEST_TEXT) -> str:
    """A text that identifies something: cutting it would make it name another thing."""
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise _MalformedError(name)
    return value


def _optional_text(value: object, longest: int | None = LONGEST_TEXT) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _MalformedError("not a text")
    return value[:longest]


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _MalformedError("not a list")
    return tuple(_optional_text(text) for text in value[:MOST_ARGS])


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _MalformedError("not a number")
    return value


def _time(message: dict[str, Any]) -> datetime:
    """Asterisk writes 2026-11-21T20:37:11.651+0000, in the zone of its machine."""
    try:
        at = datetime.fromisoformat(_text(message.get("timestamp"), "timestamp", 64))
        if at.tzinfo is None:
            raise _MalformedError("timestamp without a zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _MalformedError("timestamp") from error
