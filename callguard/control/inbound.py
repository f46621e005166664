"""An inbound call, from its arrival to what it means for calling back. Pure.

Who called us and reached nobody asks to be called back: that opens a window in which calls of the purpose
`callback` are exempt. A call of which anything was missed opens none: an exemption needs evidence.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from callguard.screening.model import ExemptionKind, Hits

INBOUND = "inbound"
"""The first argument with which an inbound call enters Stasis; the second is the caller's number."""
SOURCE = "inbound call"
"""The source of every window that an inbound call opened: no other is ever closed by one."""
PROLONG = timedelta(minutes=10)
"""By how much less a standing window is not prolonged: so that no caller can fill the database."""


class InboundResult(StrEnum):
    """What became of an inbound call, in a word."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    """The caller hung up before anybody answered."""
    MISSED = "missed"
    """The PBX ended it, and nobody had answered: after the ring time, or a full queue."""
    UNSEEN = "unseen"
    """Its end was not seen, or not all before it."""


class Happened(StrEnum):
    """What happens to an inbound call."""

    WATCHED = "watched"
    """Asterisk has taken our wish to be told of it."""
    LEFT = "left"
    """It went on in the dialplan."""
    ANSWERED = "answered"
    """Somebody whom Dial or Queue had called answered."""
    HUNG_UP = "hung-up"
    """The caller did."""
    GONE = "gone"
    LOST = "lost"
    """Nobody can tell any more what becomes of it: the connection to Asterisk ended."""


class Answered(StrEnum):
    """What an answered inbound call does to the caller's window."""

    CLOSE = "close"
    """The person has been talked to: a window that an earlier call opened is closed."""
    KEEP = "keep"
    OPEN = "open"
    """Opens or prolongs one, as an abandoned call does."""


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """The settings of [inbound]."""

    window: timedelta = timedelta(hours=72)
    """How long somebody may be called back; 0 opens no windows."""
    answered: Answered = Answered.CLOSE


@dataclass(frozen=True, slots=True)
class InboundCall:
    """An inbound call that nobody has answered yet."""

    channel: str
    arrived_at: datetime
    watched: bool = False


@dataclass(frozen=True, slots=True)
class InboundEnd:
    """All that is known of an inbound call when no more is waited for: at its end, or its answer."""

    channel: str
    result: InboundResult
    seconds: int
    """Since its arrival."""


AskProject = Callable[[], Awaitable[str | None]]
"""Gets the project that a leg brought, empty if none; None if that cannot be known. It bounds its waits and
raises nothing."""


@dataclass(frozen=True, slots=True)
class InboundArrival:
    """An inbound leg that comes by: what it brought, bounded and printable."""

    channel: str
    caller_number: str
    ask_project: AskProject


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """From now on the number may be called back."""

    number: str
    """E.164."""
    project: str | None
    evidence: str
    reference: str
    starts_at: datetime
    """Aware, UTC."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CloseWindow:
    """What inbound calls of this project opened for the number is over."""

    number: str
    project: str | None
    why: str


Window = OpenWindow | CloseWindow


class WindowFate(StrEnum):
    """What became of a window that was to be written."""

    WRITTEN = "written"
    GIVEN_UP = "given-up"
    """It cannot be stored, or too many wait for SQL."""


def advance(call: InboundCall, happened: Happened, at: datetime) -> InboundCall | InboundEnd:
    """Take in what happened to a call (at an instant of Asterisk's clock, aware)."""
    match happened:
        case Happened.WATCHED:
            return replace(call, watched=True)
        case Happened.LEFT if call.watched:
            return call
        case Happened.ANSWERED:
            result = InboundResult.ANSWERED
        case Happened.HUNG_UP:
            result = InboundResult.ABANDONED
        case Happened.GONE:
            result = InboundResult.MISSED
        case Happened.LEFT | Happened.LOST:
            # Nobody told us of an answer between its leaving and our watching.
            result = InboundResult.UNSEEN
    return InboundEnd(call.channel, result, max(0, round((at - call.arrived_at).total_seconds())))


def meaning(
    end: InboundEnd, number: str, project: str | None, rules: CallbackRules, now: datetime
) -> Window | None:
    """What the end of a call from this number (E.164) is to change at this instant (aware, UTC)."""
    match end.result:
        case InboundResult.UNSEEN:
            return None
        case InboundResult.ANSWERED if rules.answered is Answered.CLOSE:
            return CloseWindow(number, project, f"inbound call {end.channel} answered")
        case InboundResult.ANSWERED if rules.answered is Answered.KEEP:
            return None
        case result:
            told = {
                InboundResult.ANSWERED: "answered",
                InboundResult.ABANDONED: f"abandoned after {end.seconds} s",
                InboundResult.MISSED: f"not answered in {end.seconds} s",
            }[result]
    if not rules.window:
        return None
    return OpenWindow(number, project, f"inbound call, {told}", end.channel, now, now + rules.window)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written for a window."""

    add: bool
    end: tuple[int, ...]
    """The ids of the exemptions whose place it takes, or that it closes."""


def plan(window: Window, hits: Hits) -> Plan:
    """What to write, given what the lists hold about the number now: one number and project has one window,
    which is prolonged."""
    standing = [
        exemption
        for exemption in hits.exemptions
        if exemption.kind is ExemptionKind.CALLBACK
        and exemption.source == SOURCE
        and exemption.project == window.project
    ]
    if isinstance(window, CloseWindow):
        return Plan(add=False, end=tuple(exemption.id for exemption in standing))
    newest_entry = max((entry.added_at for entry in hits.entries), default=None)
    for exemption in standing:
        covers = exemption.expires_at is None or exemption.expires_at + PROLONG > window.expires_at
        # An opt-out in between would beat the standing window, but not the new one.
        if covers and (newest_entry is None or exemption.starts_at > newest_entry):
            return Plan(add=False, end=())
    return Plan(add=True, end=tuple(exemption.id for exemption in standing))
