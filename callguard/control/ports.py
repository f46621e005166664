"""What call control needs from the outside, as Protocols; asterisk, lists and journal have the adapters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from callguard.control.inbound import InboundEnd, Window, WindowFate
from callguard.control.model import Outcome, TelephonyCommand
from callguard.control.sight import Sight
from callguard.screening.model import Attempt, CallFacts, Decision, Exemption, Hits


class Telephony(Protocol):
    """Asterisk, as call control commands it."""

    async def execute(self, command: TelephonyCommand) -> None:
        """Carry one command out; return when Asterisk has accepted it.

        Connection faults are retried with backoff inside, within a bound; ids are chosen by us, so that a
        retry is harmless. DeleteBridge of a bridge that is gone, or going, succeeds; HangUp of a channel that
        is gone raises NotFound. Commands given one after the other for the same channel take effect in that
        order.

        Raises NotFound, Conflict, Rejected, AsteriskUnreachable or AsteriskForbidden.
        """

    async def look(self) -> Sight:
        """All channels and bridges, as they are now. Raises AsteriskError."""

    async def answered_at(self, channel: str) -> datetime | None:
        """When a caller leg was answered, as Asterisk tells (UTC); None if it was not, or is gone."""


class Lists(Protocol):
    """The DNC lists, as a call asks them."""

    async def lookup(self, number: str) -> Hits:
        """Everything the lists hold about one number (E.164), expired or not.

        Redis is asked first; where it is cold, wrong or away, SQL is. Bounded in time.
        Raises SqlError when neither could answer.
        """

    async def use_override(self, exemption: Exemption, decision_id: str) -> bool:
        """Use an override for one call up, for the call of this decision; True for the one caller that got
        it, False if it is not in force any more. Bounded in time.

        Raises SqlError: then nobody knows, and the call is to be screened without it.
        """


@dataclass(frozen=True, slots=True)
class Seen:
    """The earlier attempts to a number, as they were at one instant."""

    attempts: tuple[Attempt, ...]
    token: object
    """For Attempts.reserve alone."""


class Attempts(Protocol):
    """The earlier calls that were placed to a number, and the promise that one more is.

    An attempt is there from its promise on. Once its decision is in the journal, the journal speaks for it,
    and says whether it was answered. A promise whose decision never comes there is forgotten after minutes.
    """

    async def of(self, number: str, decision_id: str, at: datetime, period: timedelta) -> Seen:
        """The attempts to a number (E.164) in the period before `at`, but for that of the decision itself.

        Bounded in time. Raises SqlError when they cannot be counted.
        """

    async def reserve(self, number: str, seen: Seen, decision_id: str, attempt: Attempt) -> bool:
        """Promise the attempt of a call that is to be placed; False if there were others since `seen`: then
        nothing was promised.

        Bounded in time. Raises SqlError when nobody could promise it; it may then count for minutes.
        """

    async def release(self, number: str, decision_id: str) -> None:
        """Forget the promise of a call that is not placed after all. Bounded in time; raises nothing."""


class Journal(Protocol):
    """The durable record of decisions."""

    async def record(self, decision: Decision) -> None:
        """Return when the decision is committed. Raises SqlError when it cannot be, within a bounded time."""

    def spool(self, decision: Decision) -> None:
        """Keep a decision durably outside SQL, to be brought into it later. Raises OSError if that fails."""

    def outcome(self, outcome: Outcome) -> None:
        """Take an outcome, to be written soon; kept and retried while SQL is away. Never blocks or raises."""

    async def open_decisions(self, pbx: str, guard: str) -> Sequence[Decision]:
        """This guard's decisions on this PBX that have no outcome yet, oldest first. Raises SqlError."""


class Observer(Protocol):
    """Who is told what happens, for logs and metrics. Nothing here may wait or raise."""

    def decided(self, decision: Decision, seconds: float) -> None:
        """A decision was made; `seconds` is how long it took from the leg's arrival."""

    def recorded(self, decision: Decision, seconds: float) -> None:
        """The decision is durable; `seconds` is how long the journal took. It is the one acted on."""

    def unrecorded(self, decision: Decision, why: str) -> None:
        """The decision could be kept neither in SQL nor in the spool."""

    def moved(self, facts: CallFacts | None, old: str, event: str, new: str) -> None:
        """A call went from one state to another."""

    def ended(self, outcome: Outcome) -> None: ...


class CallbackWindows(Protocol):
    """The windows in which somebody who called us may be called back."""

    async def write(self, window: Window) -> None:
        """Bring what the lists hold about the number in line with it; return when that is in force.

        Doing it twice is harmless. Raises SqlError, and InputError for what cannot be stored.
        """


class InboundObserver(Protocol):
    """Who is told of inbound calls, for logs and metrics. Nothing here may wait or raise."""

    def inbound_ended(self, end: InboundEnd, number: str | None) -> None:
        """No more is waited for of an inbound call. `number` is its caller's (E.164), if it has one."""

    def window_written(self, window: Window, fate: WindowFate) -> None: ...
