"""The calls in progress: takes events into them, and carries out the commands that come of it.

Each command runs as a task of one TaskGroup and brings its answer back as an event. Deciding, too, is such a
task.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from callguard.control import model as m
from callguard.control.decider import Decider
from callguard.control.lifecycle import advance, begin
from callguard.control.model import AskArrival, Command, Event, HangupReason, TelephonyCommand, Timer
from callguard.control.ports import Journal, Observer, Telephony
from callguard.control.states import CallPolicy, Presence, State
from callguard.errors import AsteriskError, NotFound, Rejected
from callguard.screening.model import CallFacts, Decision

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.control")


@dataclass(eq=False, slots=True)
class LiveCall:
    """A call in progress."""

    state: State
    policy: CallPolicy
    """By which it is placed or refused to its end, whatever is set meanwhile."""
    facts: CallFacts | None = None
    timers: dict[Timer, asyncio.TimerHandle] = field(default_factory=dict)
    since: float = field(default_factory=time.perf_counter)
    abandoned: bool = False
    """A defect kept its work from being done: nothing more is done for it."""


class Calls:
    """All calls of one guard. Its public attributes are for reading; `by_leg` may be taken from."""

    def __init__(
        self,
        *,
        tasks: asyncio.TaskGroup,
        guard: str,
        telephony: Telephony,
        journal: Journal,
        observer: Observer,
        policy: CallPolicy,
        decider: Decider,
        clock: Callable[[], datetime],
    ) -> None:
        """`clock` tells the time (UTC) that calls are screened at, and that their ids are of; their outcomes
        have the real time."""
        self.policy = policy
        """Of the calls that begin from now on."""
        self.by_id: dict[str, LiveCall] = {}
        """By decision id."""
        self.by_leg: dict[str, LiveCall] = {}
        """By channel id: caller legs, callee legs, what took their place, and what they replaced."""
        self._tasks = tasks
        self._guard = guard
        self._telephony = telephony
        self._journal = journal
        self._observer = observer
        self._decider = decider
        self._clock = clock
        self._ended: set[str] | None = None
        self._stopped = False
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Do nothing more: no event changes a call after this, and no timer of one goes off."""
        self._stopped = True
        for live in self.by_id.values():
            _cancel_timers(live)

    @contextmanager
    def noting_ended(self) -> Iterator[set[str]]:
        """The ids of the calls that end while this lasts."""
        ended: set[str] = set()
        self._ended = ended
        try:
            yield ended
        finally:
            self._ended = None

    def begin(self, channel: str, ask: AskArrival) -> None:
        """Begin the call of this caller leg, and decide about it once it is known what the leg brought."""
        if self._stopped:
            return
        at = self._clock()
        decision_id = self._decider.new_id(at)
        live = LiveCall(begin(decision_id, self._guard, channel), self.policy)
        self.by_id[decision_id] = live
        self.by_leg[channel] = live
        self._spawn(live, self._decide(live, at, ask))

    def resume(self, state: State, facts: CallFacts, commands: tuple[Command, ...]) -> None:
        """Go on with a call of this guard's former life."""
        live = LiveCall(state, self.policy, facts)
        call = state.call
        self.by_id[call.id] = live
        if not call.caller_gone:
            self.by_leg[call.caller] = live
        if call.callee_is is Presence.PRESENT:
            self.by_leg[call.callee] = live
        self.carry_out(live, commands)

    def take(self, live: LiveCall, event: Event) -> None:
        """Take an event into a call, and begin to carry out what comes of it."""
        if self._stopped or live.abandoned:
            return
        old = live.state
        try:
            live.state, commands = advance(old, event, live.policy)
        except Exception:
            self._abandon(live)
            return
        if type(live.state) is not type(old):
            self._observer.moved(
                live.facts, type(old).__name__, type(event).__name__, type(live.state).__name__
            )
        if commands:
            self.carry_out(live, commands)

    def carry_out(self, live: LiveCall, commands: tuple[Command, ...]) -> None:
        for command in commands:
            match command:
                case m.Record(decision):
                    self._spawn(live, self._record(live, decision))
                case m.Finish(outcome):
                    self._journal.outcome(outcome)
                    self._observer.ended(outcome)
                    self._forget(live)
                case m.StartTimer(timer, seconds):
                    _cancel_timer(live, timer)
                    live.timers[timer] = self._loop.call_later(seconds, self._expire, live, timer)
                case m.CancelTimer(timer):
                    _cancel_timer(live, timer)
                case _:
                    if isinstance(command, m.CreateCallee):
                        # Before the request: the leg's first event may come before its answer.
                        self.by_leg[command.callee] = live
                    self._spawn(live, self._execute(live, command))

    def release_leg(self, channel: str) -> None:
        """Hang up a leg that no call has a use for."""
        self._spawn(None, self._execute(None, m.HangUp(channel, HangupReason.NORMAL)))

    def release_bridge(self, bridge: str) -> None:
        """Delete a bridge that no call has a use for."""
        self._spawn(None, self._execute(None, m.DeleteBridge(bridge)))

    async def _decide(self, live: LiveCall, at: datetime, ask: AskArrival) -> None:
        arrival, trouble = await ask()
        live.facts = self._decider.read(arrival, at)
        decision = await self._decider.decide(live.state.call.id, live.facts, trouble)
        self._observer.decided(decision, time.perf_counter() - live.since)
        self.take(live, m.Decided(decision))

    async def _record(self, live: LiveCall, decision: Decision) -> None:
        started = time.perf_counter()
        recorded = await self._decider.record(decision)
        seconds = time.perf_counter() - started
        # The call goes on first; the rest can wait.
        self.take(live, m.Recorded(recorded))
        self._observer.recorded(recorded, seconds)
        if recorded.verdict is not decision.verdict:
            await self._decider.release(recorded)

    async def _execute(self, live: LiveCall | None, command: TelephonyCommand) -> None:
        """Carry one command out, and bring its answer to the call. `live` is None for a stray."""
        answer: Event | None = None
        try:
            await self._telephony.execute(command)
        except NotFound as error:
            if live is not None and isinstance(command, m.HangUp):
                self.by_leg.pop(command.channel, None)
                answer = gone(live, command.channel, datetime.now(UTC))
            else:
                answer = m.CommandFailed(command, gone=True, why=str(error))
        except AsteriskError as error:
            # A creation that was refused has made nothing; one without an answer may have.
            made_nothing = isinstance(error, Rejected) and isinstance(
                command, m.CreateCallee | m.CreateBridge
            )
            answer = m.CommandFailed(command, gone=made_nothing, why=str(error))
        except Exception as error:  # a defect in one command must not end all calls
            _log.exception("a command failed", command=type(command).__name__)
            answer = m.CommandFailed(command, gone=False, why=type(error).__name__)
        else:
            match command:
                case m.CreateBridge(bridge):
                    answer = m.BridgeCreated(bridge)
                case m.Join(callee=callee):
                    answer = m.Joined(callee)
        if isinstance(answer, m.CommandFailed):
            _log.warning("a command was not carried out", command=repr(command), problem=answer.why)
            if isinstance(command, m.CreateCallee) and answer.gone:
                self.by_leg.pop(command.callee, None)
        if live is not None and answer is not None:
            self.take(live, answer)

    def _expire(self, live: LiveCall, timer: Timer) -> None:
        live.timers.pop(timer, None)
        self.take(live, m.TimerExpired(timer, datetime.now(UTC)))

    def _forget(self, live: LiveCall) -> None:
        _cancel_timers(live)
        call = live.state.call
        self.by_id.pop(call.id, None)
        if self._ended is not None:
            self._ended.add(call.id)
        for leg in (call.caller, call.callee):
            if self.by_leg.get(leg) is live:
                del self.by_leg[leg]

    def _spawn(self, live: LiveCall | None, work: Coroutine[Any, Any, None]) -> None:
        if self._stopped:
            work.close()
        else:
            self._tasks.create_task(self._contained(live, work))

    async def _contained(self, live: LiveCall | None, work: Coroutine[Any, Any, None]) -> None:
        """Keep a defect in one call's work from ending all calls."""
        try:
            await work
        except Exception:
            self._abandon(live)

    def _abandon(self, live: LiveCall | None) -> None:
        """A defect, now being handled, keeps a call from going on. What became of it nobody can tell: its
        caller is let go, and the next look at Asterisk releases what is left of it."""
        _log.exception("the work of a call failed", decision=live.state.call.id if live else None)
        if live is not None and not live.abandoned:
            live.abandoned = True
            self._forget(live)
            self.release_leg(live.state.call.caller)


def gone(
    live: LiveCall, channel: str, at: datetime, cause: int | None = None, sip: int | None = None
) -> Event:
    """The event that tells this call of the end of one of its legs."""
    if channel == live.state.call.caller:
        return m.CallerGone(channel, at, cause)
    return m.CalleeGone(channel, at, cause, sip)


def _cancel_timer(live: LiveCall, timer: Timer) -> None:
    handle = live.timers.pop(timer, None)
    if handle is not None:
        handle.cancel()


def _cancel_timers(live: LiveCall) -> None:
    for timer in tuple(live.timers):
        _cancel_timer(live, timer)
