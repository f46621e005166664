"""What a look at Asterisk shows: the legs and bridges there are, for taking calls up again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from callguard.control.inbound import InboundArrival
from callguard.control.model import AskArrival

_OURS = r"-([0-9a-z]{26})(?:-[0-9]+)?"


@dataclass(frozen=True, slots=True)
class LegSeen:
    """A channel that Asterisk has."""

    id: str
    up: bool
    ringing: bool
    in_stasis: bool
    """It is in this guard's Stasis application."""
    ask: AskArrival | None = field(default=None, compare=False)
    """For a leg in Stasis that came from the dialplan: gets what it asks for."""
    inbound: InboundArrival | None = field(default=None, compare=False)
    """For an inbound leg in Stasis: what it brought."""


@dataclass(frozen=True, slots=True)
class Sight:
    """All channels and bridges, as they were at one moment (between two events)."""

    at: datetime
    legs: Mapping[str, LegSeen]
    bridges: Mapping[str, frozenset[str]]
    """Bridge to the legs in it."""


def decision_of(guard: str, name: str) -> str | None:
    """The decision that a callee leg or a bridge of this guard belongs to, read from its id; else None."""
    found = re.fullmatch(re.escape(guard) + _OURS, name)
    return found[1] if found else None


def leg_number(guard: str, decision: str, name: str) -> int:
    """Which callee leg of this decision a channel is, read from its id: from 1; 0 if it is none."""
    found = re.fullmatch(re.escape(f"{guard}-{decision}-") + "([0-9]{1,9})", name)
    return int(found[1]) if found else 0
