"""An Asterisk, lists and a journal in memory, and a guard's dispatcher over them: the ports of call control.

A command is obeyed one turn of the event loop after it was given, and its event comes before its answer.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from callguard.control import model as m
from callguard.control.dispatcher import Dispatcher
from callguard.control.inbound import InboundArrival
from callguard.control.model import Arrival, AskArrival, Outcome, TelephonyCommand, Trunk
from callguard.control.ports import Seen
from callguard.control.sight import LegSeen, Sight
from callguard.control.states import CallPolicy
from callguard.errors import AsteriskUnreachable, Conflict, NotFound
from callguard.numbers import Number, NumberKind
from callguard.screening.model import (
    Attempt,
    CallFacts,
    Decision,
    Entry,
    Exemption,
    FailurePolicy,
    Hits,
    Mode,
)
from tests.rig.rules import rules

T = TypeVar("T")

LISTED = "0811"
ALLOWED = "0812"
EMERGENCY = "112"
DEFECT = "a defect in reading"

POLICY = CallPolicy(
    trunks=(
        Trunk("first", "PJSIP/{number}@first", "e164", 30.0),
        Trunk("second", "PJSIP/{number}@second", "e164", 30.0),
    ),
    endpoint=lambda trunk, facts: trunk.endpoint.format(number=facts.number.e164 or facts.number.digits),
    media=lambda decision: (f"sound:{decision.reason}",),
    variables=lambda decision: {"CALLGUARD_VERDICT": decision.verdict.value},
)


def now() -> datetime:
    return datetime.now(UTC)


def an_arrival(channel: str, dialled: str = ALLOWED, mode: Mode = Mode.BRIDGE) -> Arrival:
    return Arrival(channel, mode, dialled, "agent1", "1001", "id", "bank", "marketing", "", "")


class Tasks(asyncio.TaskGroup):
    """A task group that tells when all its work is done."""

    def __init__(self) -> None:
        super().__init__()
        self.open: set[asyncio.Task[Any]] = set()

    def create_task(self, coro: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:  # type: ignore[override]
        task = super().create_task(coro, **options)
        self.open.add(task)
        task.add_done_callback(self.open.discard)
        return task

    async def quiet(self) -> None:
        while self.open:
            await asyncio.wait(self.open)


@dataclass
class Leg:
    guard: str
    """Whose Stasis application it is in; empty if it is in none."""
    arrival: Arrival | None = None
    up: bool = False
    ringing: bool = False
    answered_at: datetime | None = None
    inbound: InboundArrival | None = None


class Switchboard:
    """The Asterisk that several guards may share."""

    def __init__(self) -> None:
        self.legs: dict[str, Leg] = {}
        self.bridges: dict[str, set[str]] = {}
        self.guards: dict[str, Dispatcher] = {}
        """Those that are connected: the others get no events."""
        self.watched: set[str] = set()

    def tell(self, channel: str, told: Callable[[Dispatcher], object]) -> None:
        """Give an event of a channel to the guards that are told of it."""
        leg = self.legs[channel]
        for name, guard in tuple(self.guards.items()):
            if leg.guard == name or channel in self.watched:
                told(guard)

    def arrive(self, guard: str, channel: str, dialled: str = ALLOWED, mode: Mode = Mode.BRIDGE) -> None:
        arrival = an_arrival(channel, dialled, mode)
        self.legs[channel] = Leg(guard, arrival)
        self.tell(channel, lambda dispatcher: dispatcher.arrived(arrival))

    def ring(self, channel: str) -> None:
        self.legs[channel].ringing = True
        self.tell(channel, lambda guard: guard.leg_rang(channel, now()))

    def answer(self, channel: str, caller: str | None = None) -> None:
        for name in filter(None, (channel, caller)):
            self.legs[name].up = True
            self.legs[name].answered_at = now()
        self.tell(channel, lambda guard: guard.leg_answered(channel, now()))

    def hang_up(self, channel: str, cause: int = 16) -> None:
        """The other side ends it."""
        self.tell(channel, lambda guard: guard.leg_hung_up(channel, now(), cause))
        self.end(channel, cause)

    def end(self, channel: str, cause: int | None = 16) -> None:
        self.tell(channel, lambda guard: guard.leg_left(channel, now()))
        self.tell(channel, lambda guard: guard.leg_gone(channel, now(), cause, None))
        del self.legs[channel]
        for legs in self.bridges.values():
            legs.discard(channel)

    def replace_leg(self, channel: str, by: str) -> None:
        """A transfer puts another leg into the place of this one, which stays in Stasis."""
        self.legs[by] = Leg(self.legs[channel].guard, up=True)
        for legs in self.bridges.values():
            if channel in legs:
                legs.remove(channel)
                legs.add(by)
        self.tell(by, lambda guard: guard.leg_replaced(channel, by))


class Line:
    """The Telephony port of one guard."""

    def __init__(self, board: Switchboard, guard: str) -> None:
        self.board = board
        self.guard = guard
        self.commands: list[TelephonyCommand] = []
        self.came: dict[type[TelephonyCommand], asyncio.Event] = defaultdict(asyncio.Event)
        """Set by the first command of a kind."""
        self.faults: dict[type[TelephonyCommand], list[Exception]] = {}
        """What the next commands of a kind raise, each once."""
        self.lost: list[type[TelephonyCommand]] = []
        """Kinds of commands of which the next is obeyed, but its answer is lost; each once."""
        self.during_look: list[Callable[[], Coroutine[Any, Any, object]]] = []
        """What happens while the next look's answer is on its way, each once."""
        self.looks = 0

    def given(self, kind: type[T]) -> list[T]:
        return [command for command in self.commands if isinstance(command, kind)]

    async def execute(self, command: TelephonyCommand) -> None:
        self.commands.append(command)
        self.came[type(command)].set()
        await asyncio.sleep(0)
        if self.faults.get(type(command)):
            raise self.faults[type(command)].pop(0)
        self._obey(command)
        if type(command) in self.lost:
            self.lost.remove(type(command))
            raise AsteriskUnreachable("no answer")

    def _obey(self, command: TelephonyCommand) -> None:
        board = self.board
        match command:
            case m.CreateBridge(bridge):
                board.bridges[bridge] = set()
            case m.DeleteBridge(bridge):
                board.bridges.pop(bridge, None)
            case m.CreateCallee(callee):
                if callee in board.legs:
                    raise Conflict("the id is taken")
                board.legs[callee] = Leg(self.guard)
                board.tell(callee, lambda guard: guard.leg_ready(callee))
            case m.Join(bridge, caller, callee):
                self._must_be(caller, callee)
                board.bridges[bridge] |= {caller, callee}
            case m.Dial(callee, caller):
                self._must_be(caller, callee)
            case m.SetVariables(channel) | m.Announce(channel):
                self._must_be(channel)
            case m.Watch(channel):
                self._must_be(channel)
                board.watched.add(channel)
            case m.Release(caller):
                self._must_be(caller)
                board.tell(caller, lambda guard: guard.leg_left(caller, now()))
                board.legs[caller].guard = ""
            case m.HangUp(channel):
                self._must_be(channel)
                board.end(channel)

    def _must_be(self, *channels: str) -> None:
        for channel in channels:
            if channel not in self.board.legs:
                raise NotFound(f"no channel {channel}")

    async def look(self) -> Sight:
        if self.guard not in self.board.guards:
            raise AsteriskUnreachable("not connected")
        self.looks += 1
        sight = Sight(
            now(),
            {
                name: LegSeen(
                    name,
                    leg.up,
                    leg.ringing and not leg.up,
                    leg.guard == self.guard,
                    self._ask(leg),
                    leg.inbound,
                )
                for name, leg in self.board.legs.items()
            },
            {name: frozenset(legs) for name, legs in self.board.bridges.items()},
        )
        await asyncio.sleep(0)
        if self.during_look:
            await self.during_look.pop(0)()
        return sight

    def _ask(self, leg: Leg) -> AskArrival | None:
        arrival = leg.arrival
        if arrival is None or leg.guard != self.guard:
            return None

        async def ask() -> tuple[Arrival, str]:
            return arrival, ""

        return ask

    async def answered_at(self, channel: str) -> datetime | None:
        leg = self.board.legs.get(channel)
        return leg.answered_at if leg else None


class MemoryLists:
    """The Lists port: one number is listed."""

    def __init__(self) -> None:
        self.lookup_instead: Callable[[], Coroutine[Any, Any, Hits]] | None = None
        self.exemptions: tuple[Exemption, ...] = ()
        """Those that every number's answer has."""
        self.used: list[tuple[int, str]] = []
        """Overrides for one call that were used up, and for which decision."""
        self.using: Exception | None = None
        """What using an override raises."""

    async def lookup(self, number: str) -> Hits:
        if self.lookup_instead:
            return await self.lookup_instead()
        listed = Entry(1, f"+62{LISTED[1:]}", "customer-request", None, "", "phone", "sari", now(), None)
        entries = (listed,) if listed.number == number else ()
        return Hits(entries, 1, "redis", exemptions=self.exemptions)

    async def use_override(self, exemption: Exemption, decision_id: str) -> bool:
        await asyncio.sleep(0)
        if self.using:
            raise self.using
        if any(used == exemption.id for used, _ in self.used):
            return False
        self.used.append((exemption.id, decision_id))
        return True


class MemoryAttempts:
    """The Attempts port."""

    def __init__(self) -> None:
        self.promised: dict[str, tuple[str, Attempt]] = {}
        """Decision id -> number and attempt."""
        self.asked = 0
        self.released: list[str] = []
        self.failing: Exception | None = None
        """What counting raises."""
        self.before_reserve: list[Callable[[], object]] = []
        """What others do between the counting and the promise, each once."""

    async def of(self, number: str, decision_id: str, at: datetime, period: timedelta) -> Seen:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failing:
            raise self.failing
        found = {
            name: attempt
            for name, (to, attempt) in self.promised.items()
            if to == number and name != decision_id and attempt.at > at - period
        }
        return Seen(tuple(found.values()), frozenset(self.promised))

    async def reserve(self, number: str, seen: Seen, decision_id: str, attempt: Attempt) -> bool:
        await asyncio.sleep(0)
        if self.before_reserve:
            self.before_reserve.pop(0)()
        if seen.token != frozenset(self.promised):
            return False
        self.promised[decision_id] = (number, attempt)
        return True

    async def release(self, number: str, decision_id: str) -> None:
        self.released.append(decision_id)
        self.promised.pop(decision_id, None)


class MemoryJournal:
    """The Journal port. It outlives the guards that write into it."""

    def __init__(self) -> None:
        self.decisions: dict[str, Decision] = {}
        self.outcomes: list[Outcome] = []
        self.spooled: list[Decision] = []
        self.recording: Exception | None = None
        """What a record raises."""
        self.spooling: Exception | None = None
        self.reading: Exception | None = None
        self.while_reading: Callable[[], Coroutine[Any, Any, object]] | None = None

    @property
    def results(self) -> list[str]:
        return [outcome.result.value for outcome in self.outcomes]

    async def record(self, decision: Decision) -> None:
        await asyncio.sleep(0)
        if self.recording:
            raise self.recording
        assert decision.id not in self.decisions
        self.decisions[decision.id] = decision

    def spool(self, decision: Decision) -> None:
        if self.spooling:
            raise self.spooling
        self.spooled.append(decision)

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    async def open_decisions(self, pbx: str, guard: str) -> Sequence[Decision]:
        if self.reading:
            raise self.reading
        ended = {outcome.decision_id for outcome in self.outcomes}
        found = [
            decision
            for decision in self.decisions.values()
            if decision.id not in ended and (decision.facts.pbx, decision.facts.guard) == (pbx, guard)
        ]
        if self.while_reading:
            await self.while_reading()
        return found


@dataclass
class Witness:
    """The Observer port."""

    unrecorded_decisions: list[Decision] = field(default_factory=list)
    recorded_decisions: list[Decision] = field(default_factory=list)

    def decided(self, decision: Decision, seconds: float) -> None:
        assert seconds >= 0

    def recorded(self, decision: Decision, seconds: float) -> None:
        assert seconds >= 0
        self.recorded_decisions.append(decision)

    def unrecorded(self, decision: Decision, why: str) -> None:
        assert why
        self.unrecorded_decisions.append(decision)

    def moved(self, facts: CallFacts | None, old: str, event: str, new: str) -> None:
        assert old != new

    def ended(self, outcome: Outcome) -> None:
        pass


@dataclass
class Guard:
    """A guard at work."""

    name: str
    board: Switchboard
    dispatcher: Dispatcher
    line: Line
    lists: MemoryLists
    attempts: MemoryAttempts
    journal: MemoryJournal
    witness: Witness
    tasks: Tasks
    facts: Callable[[Arrival, datetime], CallFacts]

    async def quiet(self) -> None:
        await self.tasks.quiet()

    async def dial(self, channel: str, dialled: str = ALLOWED, mode: Mode = Mode.BRIDGE) -> str:
        """Let a call come in and go as far as it goes by itself; give the id of its decision."""
        self.board.arrive(self.name, channel, dialled, mode)
        await self.quiet()
        return self.witness.recorded_decisions[-1].id

    async def talk(self, channel: str) -> str:
        """Let an allowed call come in and be answered; give the callee leg."""
        callee = f"{self.name}-{await self.dial(channel)}-1"
        self.board.answer(callee, channel)
        return callee

    def disconnect(self) -> None:
        del self.board.guards[self.name]

    async def reconnect(self) -> None:
        self.board.guards[self.name] = self.dispatcher
        await self.dispatcher.take_up()
        await self.quiet()

    def assert_nothing_is_kept(self) -> None:
        calls = self.dispatcher._calls
        assert calls.by_id == {}
        assert calls.by_leg == {}


class _EndedError(Exception):
    pass


async def _end() -> NoReturn:
    raise _EndedError


@asynccontextmanager
async def a_guard(
    board: Switchboard | None = None,
    name: str = "callguard",
    journal: MemoryJournal | None = None,
    *,
    failure: FailurePolicy | None = None,
    policy: CallPolicy = POLICY,
    attempts: MemoryAttempts | None = None,
    over: str = "",
) -> AsyncIterator[Guard]:
    """A guard that is connected, but has taken nothing up yet; it ends as callguard ends when told to."""
    board = board or Switchboard()
    attempts = attempts or MemoryAttempts()
    line, lists, journal, witness = Line(board, name), MemoryLists(), journal or MemoryJournal(), Witness()

    def facts(arrival: Arrival, at: datetime) -> CallFacts:
        if arrival.dialled == DEFECT:
            raise ZeroDivisionError
        number = Number(NumberKind.SUBSCRIBER, f"+62{arrival.dialled[1:]}")
        if not arrival.dialled:
            number = Number(NumberKind.UNREADABLE, None, "nothing was dialled")
        if arrival.dialled == EMERGENCY:
            number = Number(NumberKind.EMERGENCY, None, digits=EMERGENCY)
        return CallFacts(
            at,
            arrival.dialled,
            number,
            arrival.mode,
            project=arrival.project or None,
            agent=arrival.agent or arrival.endpoint,
            pbx="pbx",
            guard=name,
            channel=arrival.channel,
        )

    try:
        async with Tasks() as tasks:
            dispatcher = Dispatcher(
                tasks=tasks,
                guard=name,
                pbx="pbx",
                telephony=line,
                lists=lists,
                attempts=attempts,
                journal=journal,
                observer=witness,
                policy=policy,
                rules=rules(failure or FailurePolicy(), over=over),
                facts=facts,
            )
            board.guards[name] = dispatcher
            yield Guard(name, board, dispatcher, line, lists, attempts, journal, witness, tasks, facts)
            dispatcher.stop()
            board.guards.pop(name, None)
            tasks.create_task(_end())
    except* _EndedError:
        pass


@asynccontextmanager
async def restarted(former: Guard) -> AsyncIterator[Guard]:
    """The same guard after a restart, connected, with nothing taken up yet."""
    former.dispatcher.stop()
    former.board.guards.pop(former.name, None)
    async with a_guard(former.board, former.name, former.journal) as guard:
        yield guard


ONE_TRUNK = replace(POLICY, trunks=POLICY.trunks[:1])
