"""The shell around the lifecycle: brings what happens to the right call and carries the commands out.

Events come in by plain calls and are taken in at once, in their order: nothing is queued. Each command runs
as a task of one TaskGroup and brings its answer back as an event. Deciding, too, is such a task.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from callguard.control import model as m
from callguard.control.causes import dial_result
from callguard.control.lifecycle import advance, begin
from callguard.control.model import Arrival, Command, Event, HangupReason, TelephonyCommand, Timer
from callguard.control.ports import Journal, Lists, Observer, Telephony
from callguard.control.reconcile import missed, resume
from callguard.control.sight import Sight, decision_of
from callguard.control.states import CallPolicy, Done, HandedOver, State
from callguard.errors import AsteriskError, CallguardError, NotFound, Rejected, SqlError
from callguard.screening.identity import Identities
from callguard.screening.model import (
    CallFacts,
    Decision,
    FailurePolicy,
    Hits,
    ListsUnavailable,
    Mode,
)
from callguard.screening.screen import needs_lists, screen, without_journal

DECIDE_SECONDS = 5.0
"""The lists bound their own waits; this one is for the day when they do not."""
LOOK_SECONDS = 60.0
"""Seconds between two looks at Asterisk for what events may have missed."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.control")


@dataclass(eq=False, slots=True)
class _Live:
    """A call in progress."""

    state: State
    facts: CallFacts | None = None
    timers: dict[Timer, asyncio.TimerHandle] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)


class Dispatcher:
    """All calls of one guard."""

    def __init__(
        self,
        *,
        tasks: asyncio.TaskGroup,
        guard: str,
        pbx: str,
        telephony: Telephony,
        lists: Lists,
        journal: Journal,
        observer: Observer,
        policy: CallPolicy,
        failure: FailurePolicy,
        facts: Callable[[Arrival, datetime], CallFacts],
    ) -> None:
        """`tasks` is where the work of the calls runs: ending it stops callguard's part and lets the calls
        themselves be. `facts` is the pure reading of an arrival: number, project, purpose, agent."""
        self._tasks = tasks
        self._guard = guard
        self._pbx = pbx
        self._telephony = telephony
        self._lists = lists
        self._journal = journal
        self._observer = observer
        self._policy = policy
        self._failure = failure
        self._read_facts = facts
        self._identities = Identities()
        self._calls: dict[str, _Live] = {}
        """By decision id."""
        self._legs: dict[str, _Live] = {}
        """By channel id: caller legs, callee legs, and what took their place."""
        self._resumed = False
        self._loop = asyncio.get_running_loop()

    @property
    def calls_in_progress(self) -> Counter[Mode | None]:
        """How many there are, by mode; None for those that are not decided yet."""
        return Counter(live.facts.mode if live.facts else None for live in self._calls.values())

    def stop(self) -> None:
        """Do nothing more: no timer of a call goes off after this."""
        for live in self._calls.values():
            for timer in tuple(live.timers):
                self._cancel_timer(live, timer)

    # --- what happens -------------------------------------------------------------------------------------

    def arrived(self, arrival: Arrival, trouble: str = "") -> None:
        """A caller leg asks for a guard. `trouble` says why what it brought may be incomplete: without its
        project and purpose the lists cannot be read for it, and the failure policy decides."""
        at = datetime.now(UTC)
        earlier = self._legs.get(arrival.channel)
        if earlier is not None:
            # The dialplan sends the same channel once more: what it asked for first has come to its end.
            self._take(earlier, m.CallerGone(arrival.channel, at))
        decision_id = self._identities.decision_id(at)
        live = _Live(begin(decision_id, self._guard, arrival.channel))
        self._calls[decision_id] = live
        self._legs[arrival.channel] = live
        self._spawn(self._decide(live, arrival, at, trouble))

    def leg_ready(self, channel: str) -> None:
        """A leg that this guard asked for is in Stasis."""
        live = self._legs.get(channel)
        if live is not None:
            self._take(live, m.CalleeReady(channel))
        else:
            self._spawn(self._execute(None, m.HangUp(channel, HangupReason.NORMAL)))

    def leg_replaced(self, channel: str, by: str) -> bool:
        """A leg's place in the bridge was taken by another. False if it is none of ours."""
        live = self._legs.get(channel)
        if live is None:
            return False
        self._legs[by] = live
        if channel == live.state.call.caller:
            self._take(live, m.CallerReplaced(channel, by))
        else:
            self._take(live, m.CalleeReplaced(channel, by))
        return True

    def leg_left(self, channel: str, at: datetime) -> None:
        """A leg left Stasis."""
        live = self._legs.get(channel)
        if live is not None and channel == live.state.call.caller:
            self._take(live, m.CallerLeft(channel, at))

    def leg_hung_up(self, channel: str, at: datetime, cause: int | None) -> None:
        """The other side of a leg asked for its end; the leg is about to be gone."""
        live = self._legs.get(channel)
        if live is not None and channel == live.state.call.caller:
            self._take(live, m.CallerGone(channel, at, cause, hung_up=True))

    def leg_gone(
        self, channel: str, at: datetime, cause: int | None, sip: int | None, dial_status: str = ""
    ) -> None:
        """A leg is no more. `dial_status` is what the dialplan's own Dial left on a caller leg, if known."""
        live = self._legs.pop(channel, None)
        if live is not None:
            result = dial_result(dial_status, cause)
            if result is not None:
                self._take(live, m.DialEnded(channel, result))
            self._take(live, self._gone(live, channel, at, cause, sip))

    def leg_rang(self, channel: str, at: datetime) -> None:
        live = self._legs.get(channel)
        if live is not None:
            self._take(live, m.CalleeRinging(channel, at))

    def leg_answered(self, channel: str, at: datetime) -> None:
        live = self._legs.get(channel)
        if live is not None and channel == live.state.call.callee:
            self._take(live, m.CalleeAnswered(channel, at))

    def dial_progressed(self, caller: str | None, peer: str, status: str, at: datetime) -> None:
        """A Dial event: of a callee leg of ours, or of the dialplan's own Dial for a watched caller leg."""
        live = self._legs.get(peer)
        if live is None and caller is not None:
            live = self._legs.get(caller)
        if live is None:
            return
        match status:
            case "RINGING":
                self._take(live, m.CalleeRinging(peer, at))
            case "PROGRESS":
                self._take(live, m.CalleeProgressed(peer, at))
            case "ANSWER":
                self._take(live, m.CalleeAnswered(peer, at))
            case _:
                result = dial_result(status)
                if result is not None and caller is not None:
                    self._take(live, m.DialEnded(caller, result))

    def prompt_finished(self, channel: str, playback: str, *, heard: bool) -> None:
        live = self._legs.get(channel)
        if live is not None:
            self._take(live, m.PromptFinished(playback, heard))

    # --- taking calls up again ----------------------------------------------------------------------------

    async def take_up(self) -> None:
        """Find the calls in progress and bring them to what Asterisk has: after each connect.

        Raises AsteriskError when Asterisk cannot be looked at, and SqlError when the journal cannot be read
        (the calls of this guard's former life are then not known).
        """
        known = dict(self._calls)
        sight = await self._telephony.look()
        for live in known.values():
            for event in missed(live.state, sight):
                self._take(live, event)
            if isinstance(live.state, HandedOver):
                # A subscription to a channel may be lost with the connection.
                self._carry_out(live, (m.Watch(live.state.call.caller),))
        if not self._resumed:
            for decision in await self._journal.open_decisions(self._pbx, self._guard):
                if decision.id not in self._calls:
                    await self._resume(decision, sight)
            self._resumed = True
        waiting = [leg.arrival for leg in sight.legs.values() if leg.arrival and leg.in_stasis]
        if any(arrival.channel not in self._legs for arrival in waiting):
            # What was seen a while ago may be gone, or have become known, since.
            now = await self._telephony.look()
            for arrival in waiting:
                if arrival.channel in now.legs and arrival.channel not in self._legs:
                    _log.info("a call arrived while callguard was away", channel=arrival.channel)
                    self.arrived(arrival)
        self._sweep(known, sight)

    async def look_regularly(self) -> None:
        """Look at Asterisk every LOOK_SECONDS, for ever, for what events may have missed."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.take_up()
            except CallguardError as error:
                _log.warning("the regular look at Asterisk failed", problem=str(error))

    async def _resume(self, decision: Decision, sight: Sight) -> None:
        channel = decision.facts.channel
        answered_at = None
        if channel in sight.legs and sight.legs[channel].up:
            answered_at = await self._telephony.answered_at(channel)
        state, commands = resume(decision, sight, self._policy, answered_at)
        _log.info("call taken up again", decision=decision.id, state=type(state).__name__)
        live = _Live(state, decision.facts)
        self._calls[decision.id] = live
        for leg in (state.call.caller, state.call.callee):
            if leg:
                self._legs[leg] = live
        self._carry_out(live, commands)

    def _sweep(self, known: dict[str, _Live], sight: Sight) -> None:
        """Release the callee legs and bridges of this guard that belong to no call."""
        for leg in sight.legs:
            owner = decision_of(self._guard, leg)
            if owner and leg not in self._legs and owner not in self._calls and owner not in known:
                self._spawn(self._execute(None, m.HangUp(leg, HangupReason.NORMAL)))
        for bridge in sight.bridges:
            owner = decision_of(self._guard, bridge)
            if owner and owner not in self._calls and owner not in known:
                self._spawn(self._execute(None, m.DeleteBridge(bridge)))

    # --- the call's way -----------------------------------------------------------------------------------

    async def _decide(self, live: _Live, arrival: Arrival, at: datetime, trouble: str) -> None:
        started = time.perf_counter()
        facts = self._read_facts(arrival, at)
        live.facts = facts
        lists = ListsUnavailable(trouble) if trouble else await self._ask_lists(facts)
        hits = lists if isinstance(lists, Hits) else None
        decision = Decision(
            id=live.state.call.id,
            reference=self._identities.reference(),
            facts=facts,
            screened=screen(facts, lists, self._failure),
            lists_position=hits.position if hits else None,
            lists_origin=hits.origin if hits else None,
        )
        self._observer.decided(decision, time.perf_counter() - started)
        self._take(live, m.Decided(decision))

    async def _ask_lists(self, facts: CallFacts) -> Hits | ListsUnavailable | None:
        if not needs_lists(facts) or facts.number.e164 is None:
            return None
        try:
            async with asyncio.timeout(DECIDE_SECONDS):
                return await self._lists.lookup(facts.number.e164)
        except (CallguardError, TimeoutError) as error:
            why = str(error) or "no answer in time"
        except Exception as error:  # a defect must neither let a call through nor leave it waiting
            _log.exception("asking the lists failed", number=facts.number.e164)
            why = type(error).__name__
        _log.error("the lists cannot be asked: the failure policy decides", problem=why)
        return ListsUnavailable(why)

    async def _record(self, live: _Live, decision: Decision) -> None:
        started = time.perf_counter()
        try:
            await self._journal.record(decision)
        except SqlError as error:
            _log.error("the journal cannot be written", decision=decision.id, problem=str(error))
            decision = without_journal(decision, self._failure)
            try:
                await asyncio.to_thread(self._journal.spool, decision)
            except OSError as problem:
                # No record, no call, whatever the policy; only an emergency call still goes.
                decision = without_journal(decision, FailurePolicy())
                self._observer.unrecorded(decision, str(problem))
        self._observer.recorded(decision, time.perf_counter() - started)
        self._take(live, m.Recorded(decision))

    def _take(self, live: _Live, event: Event) -> None:
        old = live.state
        live.state, commands = advance(old, event, self._policy)
        if type(live.state) is not type(old):
            self._observer.moved(
                live.facts, type(old).__name__, type(event).__name__, type(live.state).__name__
            )
        if commands:
            self._carry_out(live, commands)

    def _carry_out(self, live: _Live, commands: tuple[Command, ...]) -> None:
        for command in commands:
            match command:
                case m.Record(decision):
                    self._spawn(self._record(live, decision))
                case m.Finish(outcome):
                    self._journal.outcome(outcome)
                    self._observer.ended(outcome)
                    self._forget(live)
                case m.StartTimer(timer, seconds):
                    self._cancel_timer(live, timer)
                    live.timers[timer] = self._loop.call_later(seconds, self._expire, live, timer)
                case m.CancelTimer(timer):
                    self._cancel_timer(live, timer)
                case _:
                    if isinstance(command, m.CreateCallee):
                        # Before the request: the leg's first event may come before its answer.
                        self._legs[command.callee] = live
                    self._spawn(self._execute(live, command))

    async def _execute(self, live: _Live | None, command: TelephonyCommand) -> None:
        """Carry one command out, and bring its answer to the call. `live` is None for a stray."""
        answer: Event | None = None
        try:
            await self._telephony.execute(command)
        except NotFound as error:
            if live is not None and isinstance(command, m.HangUp):
                self._legs.pop(command.channel, None)
                answer = self._gone(live, command.channel, datetime.now(UTC), None, None)
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
        if live is not None and answer is not None:
            self._take(live, answer)

    @staticmethod
    def _gone(live: _Live, channel: str, at: datetime, cause: int | None, sip: int | None) -> Event:
        if channel == live.state.call.caller:
            return m.CallerGone(channel, at, cause)
        return m.CalleeGone(channel, at, cause, sip)

    def _expire(self, live: _Live, timer: Timer) -> None:
        live.timers.pop(timer, None)
        self._take(live, m.TimerExpired(timer, datetime.now(UTC)))

    @staticmethod
    def _cancel_timer(live: _Live, timer: Timer) -> None:
        handle = live.timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def _forget(self, live: _Live) -> None:
        assert isinstance(live.state, Done)  # noqa: S101 - only the last command of a call comes here
        for timer in tuple(live.timers):
            self._cancel_timer(live, timer)
        self._calls.pop(live.state.call.id, None)
        for leg in [leg for leg in (live.state.call.caller, live.state.call.callee) if leg]:
            if self._legs.get(leg) is live:
                del self._legs[leg]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work)
