"""The words of call control as types: events are facts in the past tense, commands are imperatives.

Pure. The lifecycle turns (state, event) into (state, commands); the dispatcher carries the commands out
through the ports and brings what happened back as events.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from callguard.screening.model import Decision, Mode


class HangupReason(StrEnum):
    """Why a leg is hung up, as every ARI version takes it, with the SIP code an unanswered PJSIP leg gets."""

    NORMAL = "normal"
    """603 Decline."""
    BUSY = "busy"
    """486 Busy Here."""
    CONGESTION = "congestion"
    """503 Service Unavailable."""
    NO_ANSWER = "no_answer"
    """480 Temporarily Unavailable."""
    REJECTED = "rejected"
    """403 Forbidden with Reason: Q.850;cause=21."""
    UNALLOCATED = "unallocated"
    """404 Not Found."""


class RefusalCode(IntEnum):
    """The SIP codes that a refused call may get, where it was not answered."""

    FORBIDDEN = 403
    """With Q.850 cause 21: do not call again."""
    UNAVAILABLE = 480
    """With cause 19: it may be tried later."""
    DECLINE = 603
    """With cause 16."""

    @property
    def hangup(self) -> HangupReason:
        """What gives this code, on every version."""
        return _HANGUP[self]

    @property
    def cause(self) -> int:
        """The Q.850 cause by which a dialplan's own Hangup gives this code."""
        return _CAUSE[self]


_HANGUP = {
    RefusalCode.FORBIDDEN: HangupReason.REJECTED,
    RefusalCode.UNAVAILABLE: HangupReason.NO_ANSWER,
    RefusalCode.DECLINE: HangupReason.NORMAL,
}
_CAUSE = {RefusalCode.FORBIDDEN: 21, RefusalCode.UNAVAILABLE: 19, RefusalCode.DECLINE: 16}


class Result(StrEnum):
    """What became of a call, in a word. Part of the outside contract."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    """Nobody answered within the ring time, or the carrier said so (480)."""
    DECLINED = "declined"
    """The callee refused (603)."""
    FAILED = "failed"
    """The carrier or the trunk could not place it (404, 503, no route and the like)."""
    CANCELLED = "cancelled"
    """The caller hung up before an answer."""
    PROMPT_HEARD = "prompt-heard"
    """Refused, and the prompt played to its end: of several recordings Asterisk tells how the last ended."""
    PROMPT_CUT = "prompt-cut"
    """Refused, and the caller hung up during the prompt."""
    PROMPT_FAILED = "prompt-failed"
    """Refused, and the prompt could not be played."""
    UNKNOWN = "unknown"
    """The end was not seen: callguard was away. The times that are known are filled in."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call. Times are UTC; None means that it did not happen or was not seen."""

    decision_id: str
    result: Result
    ended_at: datetime
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    cause: int | None = None
    """The Q.850 cause of the leg that ended first."""
    trunk: str | None = None
    """The name of the last trunk tried."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """A way to the carrier."""

    name: str
    endpoint: str
    """What Asterisk dials, with {number} in it: `PJSIP/{number}@carrier`."""
    number_format: str
    """`e164-plus` (+62812...), `e164` (62812...) or `national` (0812... for numbers of the PBX's region)."""
    ring_seconds: float
    caller_id: str | None = None
    """The caller ID number shown to the callee; None leaves the caller's own."""


# --- events -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decided:
    """Screening has come to a decision (by the failure policy, if the lists could not be asked)."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Recorded:
    """The decision is durable. Its verdict is the one to act on: it may differ from the one decided, where
    the journal could not be written and the failure policy refused."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class BridgeCreated:
    bridge: str


@dataclass(frozen=True, slots=True)
class CalleeReady:
    """The callee leg is in Stasis: it can be put into the bridge. Nothing was sent to the carrier yet."""

    callee: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Both legs are in the bridge."""

    callee: str


@dataclass(frozen=True, slots=True)
class CalleeRinging:
    callee: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CalleeProgressed:
    """Early media."""

    callee: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CalleeAnswered:
    callee: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CalleeGone:
    """The callee leg is no more. `sip` is the carrier's status where Asterisk tells it."""

    callee: str
    at: datetime
    cause: int | None = None
    sip: int | None = None


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The caller leg hung up, or is no more. Where its end was not seen it has no cause: it may have been
    answered before."""

    caller: str
    at: datetime
    cause: int | None = None
    hung_up: bool = False
    """The caller's phone asked for it."""


@dataclass(frozen=True, slots=True)
class CallerReplaced:
    """Another channel took the caller leg's place in the bridge (a transfer)."""

    caller: str
    by: str


@dataclass(frozen=True, slots=True)
class CalleeReplaced:
    """Another channel took the callee leg's place in the bridge (a transfer)."""

    callee: str
    by: str


@dataclass(frozen=True, slots=True)
class CallerLeft:
    """The caller leg left Stasis: it went back to the dialplan, or is about to be gone."""

    caller: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DialEnded:
    """The dialplan's own Dial came to an end without an answer (screen mode)."""

    caller: str
    result: Result


@dataclass(frozen=True, slots=True)
class PromptFinished:
    """The prompt ended; `heard` tells whether it played to its end."""

    playback: str
    heard: bool


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """A command was refused or could not be delivered, for good: retries are over."""

    command: "Command"
    gone: bool
    """The channel that it was for no longer exists."""
    why: str


class Timer(StrEnum):
    RING = "ring"
    """The ring time of the trunk."""
    PROMPT = "prompt"
    """The longest that a prompt may take."""
    PREPARE = "prepare"
    """The longest that preparing and dialling may take."""
    CLOSE = "close"
    """How long to wait for the confirmation that the legs are gone."""


@dataclass(frozen=True, slots=True)
class TimerExpired:
    timer: Timer
    at: datetime


Event = (
    Decided
    | Recorded
    | BridgeCreated
    | CalleeReady
    | Joined
    | CalleeRinging
    | CalleeProgressed
    | CalleeAnswered
    | CalleeGone
    | CallerGone
    | CallerReplaced
    | CalleeReplaced
    | CallerLeft
    | DialEnded
    | PromptFinished
    | CommandFailed
    | TimerExpired
)


# --- commands ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """Make the decision durable. Answered by Recorded, always."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Finish:
    """Add the outcome to the journal. The last command of every call."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class StartTimer:
    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    timer: Timer


@dataclass(frozen=True, slots=True)
class CreateBridge:
    """Answered by BridgeCreated or CommandFailed."""

    bridge: str


@dataclass(frozen=True, slots=True)
class CreateCallee:
    """Create the callee leg without dialling it. Answered by CalleeReady or CommandFailed."""

    callee: str
    caller: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Join:
    """Set the caller ID, then put both legs into the bridge. Answered by Joined or CommandFailed."""

    bridge: str
    caller: str
    callee: str
    caller_id: str | None
    caller_is_in: bool = False
    """The caller leg is in the bridge already (a further trunk is tried): only the callee leg is added."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Send the callee leg's INVITE. `seconds` is Asterisk's own time limit, a backstop for ours."""

    callee: str
    caller: str
    seconds: int


@dataclass(frozen=True, slots=True)
class SetVariables:
    """Set channel variables on an idle leg, all at once."""

    channel: str
    variables: dict[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Watch:
    """Go on receiving the events of a channel after it leaves for the dialplan."""

    channel: str


@dataclass(frozen=True, slots=True)
class Release:
    """Send the caller leg to the next priority of its dialplan. Answered by CallerLeft or CommandFailed."""

    caller: str


@dataclass(frozen=True, slots=True)
class Announce:
    """Play a prompt (answering first, if asked to). Answered by PromptFinished or CommandFailed."""

    caller: str
    playback: str
    media: tuple[str, ...]
    answer_first: bool


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a leg. Answered by the leg's Gone event, also when it turns out to be gone already (NotFound)."""

    channel: str
    reason: HangupReason


@dataclass(frozen=True, slots=True)
class DeleteBridge:
    """A bridge that is gone already is a success."""

    bridge: str


Command = (
    Record
    | Finish
    | StartTimer
    | CancelTimer
    | CreateBridge
    | CreateCallee
    | Join
    | Dial
    | SetVariables
    | Watch
    | Release
    | Announce
    | HangUp
    | DeleteBridge
)

TelephonyCommand = (
    CreateBridge
    | CreateCallee
    | Join
    | Dial
    | SetVariables
    | Watch
    | Release
    | Announce
    | HangUp
    | DeleteBridge
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A caller leg that asks for a guard: what the channel brought, bounded and printable."""

    channel: str
    mode: Mode
    dialled: str
    endpoint: str
    """The caller's endpoint name, `agent1` of PJSIP/agent1-0000002a."""
    caller_number: str
    language: str
    project: str
    purpose: str
    agent: str
    subject: str


AskArrival = Callable[[], Awaitable[tuple[Arrival, str]]]
"""Gets what a leg brought, and why that may be incomplete (an empty text if it is not). It bounds its waits
and raises nothing."""
