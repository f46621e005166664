"""What a loaded dialplan makes of outbound calls: which contexts lead to the guard, which go around. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from callguard.control.inbound import INBOUND

_JUMPS = {"goto", "gotoif", "gotoiftime", "gosub", "gosubif", "macro"}
_DIALS = {"dial", "queue", "followme", "page", "originate", "trydial", "retrydial"}
OWN_CONTEXTS = "callguard-"
"""How the contexts of dialplan/callguard.conf begin."""


@dataclass(slots=True)
class _Context:
    leads_to: set[str] = field(default_factory=set)
    asks: bool = False
    """It has Stasis() with the guard's application."""
    endpoints: set[str] = field(default_factory=set)
    """What it dials by itself."""


@dataclass(frozen=True, slots=True)
class Dialplan:
    """What was found, by the names of contexts, sorted."""

    asking: tuple[str, ...]
    """Those with Stasis() for the guard's application."""
    guarded: tuple[str, ...]
    """The administrator's own that lead to one of these."""
    around: tuple[str, ...]
    """The administrator's own that dial a trunk and lead to no guard."""


def read_dialplan(rows: Iterable[Mapping[str, str]], app: str, endpoints: Sequence[str]) -> Dialplan:
    """Read the ListDialplan events of AMI's action ShowDialPlan, their keys in lower case.

    `app` is the guard's ARI application, `endpoints` are the trunks', with {number} in them. Variables in the
    dialplan are not followed: a dial string that names a trunk only through one is not seen.
    Source of the rows' keys: manager_show_dialplan_helper in Asterisk's pbx/pbx_config.c.
    """
    contexts: dict[str, _Context] = {}
    for row in rows:
        # Asterisk itself makes `stasis-APP` for an application that is connected: nobody wrote it.
        if row.get("context", f"stasis-{app}") != f"stasis-{app}":
            _take(contexts.setdefault(row["context"], _Context()), row, app)
    names = set(contexts)
    asking = {name for name, context in contexts.items() if context.asks}
    leading = set(asking)
    while more := {
        name for name in names - leading if any(to in leading for to in contexts[name].leads_to & names)
    }:
        leading |= more
    trunks = [_dial_string(endpoint) for endpoint in endpoints]
    dialling = {
        name
        for name, context in contexts.items()
        if any(trunk.search(dialled) for trunk in trunks for dialled in context.endpoints)
    }
    own = {name for name in names if not name.startswith(OWN_CONTEXTS)}
    return Dialplan(
        asking=tuple(sorted(asking)),
        guarded=tuple(sorted(leading & own)),
        around=tuple(sorted((dialling & own) - leading)),
    )


def _dial_string(endpoint: str) -> re.Pattern[str]:
    """What a dial string to this trunk looks like, whatever the number: not that of `trunk2` for `trunk`."""
    before, after = map(re.escape, endpoint.split("{number}"))
    return re.compile(rf"{before}[^,&]*{after}(?![A-Za-z0-9_-])" if after else before)


def _take(context: _Context, row: Mapping[str, str], app: str) -> None:
    application, data = row.get("application", "").lower(), row.get("appdata", "")
    if "includecontext" in row:
        context.leads_to.add(row["includecontext"])
    elif application == "stasis":
        asked, _, arguments = data.partition(",")
        # An inbound call comes by there, and is not asked about.
        inbound = arguments.partition(",")[0].strip() == INBOUND
        context.asks = context.asks or (asked.strip() == app and not inbound)
    elif application in _JUMPS:
        # `context,extension,priority`, possibly behind a condition: any word may be the context's name.
        context.leads_to.update(re.findall(r"[A-Za-z0-9_.-]+", data))
    elif application in _DIALS:
        context.endpoints.add(data)
