"""Call control's commands as ARI requests. Pure.

Source of the paths and parameters: rest-api/bridges.json, channels.json and applications.json of Asterisk.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from callguard.control.model import (
    Announce,
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
from callguard.errors import Rejected

CALLEE = "callee"
"""The first argument with which a callee leg enters Stasis; the second is its caller leg's id."""

# What ARRAY() splits its value by, or takes for quoting; a value with one of them is set by itself.
_MEANS_SOMETHING_TO_ARRAY = re.compile(r'[,"\\()\[\]]')


_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
"""RFC 3986's unreserved characters."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its method, its path in parts, its query, its JSON body (none where it is empty)."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str] = field(hash=False, default_factory=dict)
    body: dict[str, Any] = field(hash=False, default_factory=dict)

    @property
    def uri(self) -> str:
        """The path and the query, quoted, as they follow `/ari/`."""
        path = "/".join(map(_quoted, self.path))
        if not self.query:
            return path
        return f"{path}?{'&'.join(f'{name}={_quoted(value)}' for name, value in self.query.items())}"

    def __str__(self) -> str:
        return f"{self.method} {'/'.join(self.path)[:200]}"


def _quoted(text: str) -> str:
    """Percent-encoded. What needs no encoding, as most do, is seen at a glance."""
    return text if _PLAIN.fullmatch(text) else quote(text, safe="")


def requests(command: TelephonyCommand, app: str) -> tuple[Request, ...]:
    """What to send for a command, in order. `app` is our application's name.

    Raises Rejected for a variable whose value has a control character.
    """
    match command:
        case CreateBridge(bridge):
            return (_post("bridges", bridgeId=bridge, type="mixing"),)
        case CreateCallee(callee, caller, endpoint):
            created = {"channelId": callee, "originator": caller, "endpoint": endpoint}
            return (_post("channels", "create", app=app, appArgs=f"{CALLEE},{caller}", **created),)
        case Join(bridge, caller, callee, caller_id, caller_is_in):
            legs = callee if caller_is_in else f"{caller},{callee}"
            join = _post("bridges", bridge, "addChannel", channel=legs)
            # The trunk's caller ID is the caller's at the moment of joining.
            return (join,) if caller_id is None else (_set(caller, "CALLERID(num)", caller_id), join)
        case Dial(callee, caller, seconds):
            return (_post("channels", callee, "dial", caller=caller, timeout=str(seconds)),)
        case SetVariables(channel, variables):
            return _settings(channel, variables)
        case Watch(channel):
            return (_post("applications", app, "subscription", eventSource=f"channel:{channel}"),)
        case Release(caller):
            return (_post("channels", caller, "continue"),)
        case Announce(caller, playback, media, answer_first):
            play = _post("channels", caller, "play", playback, media=",".join(media))
            return (_post("channels", caller, "answer"), play) if answer_first else (play,)
        case HangUp(channel, reason):
            return (Request("DELETE", ("channels", channel), {"reason": reason.value}),)
        case DeleteBridge(bridge):
            return (Request("DELETE", ("bridges", bridge)),)


def _settings(channel: str, variables: dict[str, str]) -> tuple[Request, ...]:
    """One request for all variables that the dialplan function ARRAY can set, and one for each other."""
    if not all(value.isprintable() for value in variables.values()):
        raise Rejected("a channel variable's value has a control character")
    together = {
        name: value
        for name, value in variables.items()
        if "(" not in name and not _MEANS_SOMETHING_TO_ARRAY.search(value)
    }
    alone = {name: value for name, value in variables.items() if name not in together}
    if together:
        alone[f"ARRAY({','.join(together)})"] = ",".join(together.values())
    return tuple(_set(channel, name, value) for name, value in alone.items())


def _set(channel: str, name: str, value: str) -> Request:
    return _post("channels", channel, "variable", variable=name, value=value)


def _post(*path: str, **query: str) -> Request:
    return Request("POST", path, query)
