"""The states of a call, one type for each, and what is common to them.

    Deciding ──allow, bridge──> Preparing ──> Dialling ──> Talking ──> Closing ──> Done
        │    ──allow, screen──> HandingOver ──> HandedOver ──────────────────────> Done
        └────refuse───────────> Refusing ──> Announcing ─────────────> Closing ──> Done

Any state goes to Closing when the caller leg is gone or a command fails for good.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from callguard.control.model import HangupReason, Outcome, Result, Trunk
from callguard.screening.model import CallFacts, Decision, Reason


class Presence(Enum):
    """What is known of a channel or bridge in Asterisk."""

    ABSENT = "absent"
    """Never asked for."""
    REQUESTED = "requested"
    """Asked for; it may or may not exist."""
    PRESENT = "present"
    GONE = "gone"
    """It no longer exists (or, for a bridge, was told to go)."""


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How calls are placed and refused: the settings that the lifecycle needs, and pure functions of them."""

    trunks: tuple[Trunk, ...]
    endpoint: Callable[[Trunk, CallFacts], str]
    """What Asterisk dials to place the call over the trunk."""
    media: Callable[[Decision], tuple[str, ...]]
    """The media URIs, in order, of what a refused caller hears."""
    variables: Callable[[Decision], dict[str, str]]
    """The channel variables that tell the dialplan of a decision."""
    refusal: Callable[[Reason], HangupReason] = lambda _reason: HangupReason.REJECTED
    """How a refused caller leg is hung up, by the reason."""
    answer_before_prompt: bool = False
    prompt_seconds: float = 20.0
    prepare_seconds: float = 10.0
    close_seconds: float = 5.0
    backstop_seconds: int = 10
    """How much longer than the ring time Asterisk itself lets a callee leg ring, should callguard be away."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is known of a call, whatever its state."""

    id: str
    """The decision's id. With the guard's name, the ids of the callee legs and the bridge derive from it."""
    guard: str
    caller: str
    decision: Decision | None = None
    recorded: bool = False
    caller_gone_at: datetime | None = None
    caller_cause: int | None = None
    bridge: Presence = Presence.ABSENT
    callee: str = ""
    callee_is: Presence = Presence.ABSENT
    callee_gone_at: datetime | None = None
    callee_cause: int | None = None
    attempt: int = 0
    """Which trunk is being tried, from 0."""
    trunk: str | None = None
    """Its name, once a callee leg was asked for."""
    legs_tried: int = 0
    """How many callee legs were asked for: the next one's id must be new."""
    ringing_at: datetime | None = None
    answered_at: datetime | None = None

    @property
    def bridge_id(self) -> str:
        return f"{self.guard}-{self.id}"

    def callee_id(self, number: int) -> str:
        return f"{self.guard}-{self.id}-{number}"

    @property
    def caller_gone(self) -> bool:
        return self.caller_gone_at is not None

    @property
    def settled(self) -> bool:
        """The record is written, and nothing of the call is left in Asterisk."""
        left = (Presence.REQUESTED, Presence.PRESENT)
        return self.recorded and self.caller_gone and self.callee_is not in left and self.bridge not in left


@dataclass(frozen=True, slots=True)
class Deciding:
    """The caller leg waits; the lists are being asked."""

    call: Call


@dataclass(frozen=True, slots=True)
class Preparing:
    """Allowed, bridge mode: record, bridge and callee leg are made side by side, then both legs joined."""

    call: Call
    caller_is_in: bool = False
    """The caller leg is in the bridge."""
    joining: bool = False
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Dialling:
    """The callee leg was dialled; the caller hears what the carrier sends."""

    call: Call
    progressed: bool = False
    """The carrier has said something: this trunk works, so no other is tried."""


@dataclass(frozen=True, slots=True)
class Talking:
    """Both legs are up."""

    call: Call


@dataclass(frozen=True, slots=True)
class HandingOver:
    """Allowed, screen mode: the verdict variable is set, the record is being written."""

    call: Call
    released: bool = False
    """The release was commanded."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Screen mode: the dialplan's own Dial has the call; its events are watched."""

    call: Call
    dial_result: Result | None = None


@dataclass(frozen=True, slots=True)
class Refusing:
    """Refused: the record is being written."""

    call: Call


@dataclass(frozen=True, slots=True)
class Announcing:
    """Refused and recorded: the prompt plays."""

    call: Call
    playback: str


@dataclass(frozen=True, slots=True)
class Closing:
    """The result is known; waiting until the record is written and every leg is gone."""

    call: Call
    result: Result
    caller_reason: HangupReason = HangupReason.NORMAL


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing of the call is left in Asterisk, and its outcome is on its way to the journal."""

    call: Call
    outcome: Outcome


State = (
    Deciding
    | Preparing
    | Dialling
    | Talking
    | HandingOver
    | HandedOver
    | Refusing
    | Announcing
    | Closing
    | Done
)
