"""The shell around the lifecycle: brings what happens, and what a look at Asterisk shows, to its call.

Events come in by plain calls and are taken in at once, in their order: nothing is queued.

A look at Asterisk takes a while, in which events go on coming: what it does not show is believed to be gone
only where it was known before the look, and still is after it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import structlog

from callguard.control import model as m
from callguard.control.calls import Calls, LiveCall, gone
from callguard.control.causes import dial_result
from callguard.control.decider import Decider
from callguard.control.model import Arrival, AskArrival
from callguard.control.ports import Attempts, Journal, Lists, Observer, Telephony
from callguard.control.reconcile import missed, resume
from callguard.control.sight import Sight, decision_of
from callguard.control.states import CallPolicy, HandedOver, State
from callguard.errors import CallguardError
from callguard.screening.model import CallFacts, Decision, Mode
from callguard.screening.rules import Rules

LOOK_SECONDS = 60.0
"""Seconds between two looks at Asterisk for what events may have missed."""

MOST_EARLY = 10_000

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.control")


def real_time() -> datetime:
    return datetime.now(UTC)


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
        attempts: Attempts,
        journal: Journal,
        observer: Observer,
        policy: CallPolicy,
        rules: Rules,
        facts: Callable[[Arrival, datetime], CallFacts],
        clock: Callable[[], datetime] = real_time,
    ) -> None:
        """`tasks` is where the work of the calls runs: ending it stops callguard's part and lets the calls
        themselves be. `facts` is the pure reading of an arrival: number, project, purpose, agent. `clock`
        tells the time (UTC) that calls are screened at."""
        self._guard = guard
        self._pbx = pbx
        self._telephony = telephony
        self._journal = journal
        self._decider = Decider(
            guard=guard,
            pbx=pbx,
            lists=lists,
            attempts=attempts,
            journal=journal,
            observer=observer,
            rules=rules,
            facts=facts,
        )
        self._calls = Calls(
            tasks=tasks,
            guard=guard,
            telephony=telephony,
            journal=journal,
            observer=observer,
            policy=policy,
            decider=self._decider,
            clock=clock,
        )
        self._legs = self._calls.by_leg
        self._looking = asyncio.Lock()
        """One look at a time: two would take the same call up twice."""
        self._resumed = False
        self._early: deque[Callable[[], object]] = deque(maxlen=MOST_EARLY)
        """Until the former life's calls are taken up: the events of legs that may turn out to be theirs."""

    @property
    def calls_in_progress(self) -> Counter[Mode | None]:
        """How many there are, by mode; None for those that are not decided yet."""
        return Counter(live.facts.mode if live.facts else None for live in self._calls.by_id.values())

    def use(
        self,
        rules: Rules,
        facts: Callable[[Arrival, datetime], CallFacts],
        policy: CallPolicy | None = None,
    ) -> None:
        """Read, decide and place the calls that come from now on by these; None leaves the policy as it is.
        No call in progress is touched."""
        self._decider.use(rules, facts)
        if policy is not None:
            self._calls.policy = policy

    def stop(self) -> None:
        """Do nothing more: no event changes a call after this, and no timer of one goes off."""
        self._calls.stop()

    # --- what happens -------------------------------------------------------------------------------------

    def arrived(self, arrival: Arrival) -> None:
        """A caller leg asks for a guard."""

        async def known() -> tuple[Arrival, str]:
            return arrival, ""

        self.arriving(arrival.channel, known)

    def arriving(self, channel: str, ask: AskArrival) -> None:
        """A caller leg asks for a guard, and `ask` gets what it brought. Should the leg go meanwhile, its
        call is known already. Without its project and purpose the lists cannot be read for a call: where they
        may be missing, the failure policy decides.
        """
        earlier = self._legs.get(channel)
        if earlier is not None:
            # The dialplan sends the same channel once more: what it asked for first has come to its end.
            self._calls.take(earlier, m.CallerGone(channel, datetime.now(UTC)))
        self._calls.begin(channel, ask)

    def facts_of(self, channel: str) -> CallFacts | None:
        """What is known of the call that a leg is in; None if it is in none."""
        live = self._legs.get(channel)
        return live.facts if live is not None else None

    def leg_ready(self, channel: str) -> None:
        """A leg that this guard asked for is in Stasis."""
        live = self._legs.get(channel)
        if live is not None:
            self._calls.take(live, m.CalleeReady(channel))
        else:
            self._calls.release_leg(channel)

    def leg_replaced(self, channel: str, by: str) -> bool:
        """A leg's place in the bridge was taken by another. False if it is none of ours."""
        live = self._legs.get(channel)
        if live is None:
            return False
        if channel == live.state.call.caller:
            self._legs[by] = live
            self._calls.take(live, m.CallerReplaced(channel, by))
        elif channel == live.state.call.callee:
            self._legs[by] = live
            self._calls.take(live, m.CalleeReplaced(channel, by))
        else:
            # The place of a leg that was replaced before: nobody is there to talk to.
            self._calls.release_leg(by)
        return True

    def leg_left(self, channel: str, at: datetime) -> None:
        """A leg left Stasis."""
        live = self._find(channel, partial(self.leg_left, channel, at))
        if live is not None and channel == live.state.call.caller:
            self._calls.take(live, m.CallerLeft(channel, at))

    def leg_hung_up(self, channel: str, at: datetime, cause: int | None) -> None:
        """The other side of a leg asked for its end; the leg is about to be gone."""
        live = self._find(channel, partial(self.leg_hung_up, channel, at, cause))
        if live is not None and channel == live.state.call.caller:
            self._calls.take(live, m.CallerGone(channel, at, cause, hung_up=True))

    def leg_gone(
        self, channel: str, at: datetime, cause: int | None, sip: int | None, dial_status: str = ""
    ) -> None:
        """A leg is no more. `dial_status` is what the dialplan's own Dial left on a caller leg, if known."""
        live = self._find(channel, partial(self.leg_gone, channel, at, cause, sip, dial_status))
        if live is not None:
            del self._legs[channel]
            result = dial_result(dial_status, cause)
            if result is not None:
                self._calls.take(live, m.DialEnded(channel, result))
            self._calls.take(live, gone(live, channel, at, cause, sip))

    def leg_rang(self, channel: str, at: datetime) -> None:
        live = self._find(channel, partial(self.leg_rang, channel, at))
        if live is not None:
            self._calls.take(live, m.CalleeRinging(channel, at))

    def leg_answered(self, channel: str, at: datetime) -> None:
        live = self._find(channel, partial(self.leg_answered, channel, at))
        if live is not None and channel == live.state.call.callee:
            self._calls.take(live, m.CalleeAnswered(channel, at))

    def dial_progressed(self, caller: str | None, peer: str, status: str, at: datetime) -> None:
        """A Dial event: of a callee leg of ours, or of the dialplan's own Dial for a watched caller leg."""
        ours = peer if peer in self._legs or caller is None else caller
        live = self._find(ours, partial(self.dial_progressed, caller, peer, status, at))
        if live is None:
            return
        match status:
            case "RINGING":
                self._calls.take(live, m.CalleeRinging(peer, at))
            case "PROGRESS":
                self._calls.take(live, m.CalleeProgressed(peer, at))
            case "ANSWER":
                self._calls.take(live, m.CalleeAnswered(peer, at))
            case _:
                result = dial_result(status)
                if result is not None and caller is not None:
                    self._calls.take(live, m.DialEnded(caller, result))

    def prompt_finished(self, channel: str, playback: str, *, heard: bool) -> None:
        live = self._legs.get(channel)
        if live is not None:
            self._calls.take(live, m.PromptFinished(playback, heard))

    def _find(self, channel: str, again: Callable[[], object]) -> LiveCall | None:
        """The call that a leg belongs to; `again` is the same event anew, should that be known only later."""
        live = self._legs.get(channel)
        if live is None and not self._resumed:
            self._early.append(again)
        return live

    # --- taking calls up again ----------------------------------------------------------------------------

    async def take_up(self) -> None:
        """Find the calls in progress and bring them to what Asterisk has: after each connect.

        Raises AsteriskError when Asterisk cannot be looked at, and SqlError when the journal cannot be read:
        the calls of this guard's former life are then not known, and are looked for by the next call.
        """
        async with self._looking:
            self._early.clear()
            sight = await self._look()
            for live in tuple(self._calls.by_id.values()):
                if isinstance(live.state, HandedOver):
                    # A subscription to a channel may be lost with the connection.
                    self._calls.carry_out(live, (m.Watch(live.state.call.caller),))
            if not self._resumed:
                await self._resume_former_life(sight)
                self._resumed = True
                for again in self._early:
                    again()
                self._early.clear()
                sight = await self._look()
            await self._find_waiting(sight)

    async def look_regularly(self) -> None:
        """Look at Asterisk every LOOK_SECONDS, for ever, for what events may have missed."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look_again()
            except CallguardError as error:
                _log.warning("the regular look at Asterisk failed", problem=str(error))

    async def look_again(self) -> None:
        """Find what events may have missed; nothing before the former life is known, for until then nobody
        can tell a stray. Raises AsteriskError."""
        if self._resumed:
            async with self._looking:
                await self._find_waiting(await self._look())

    async def _look(self) -> Sight:
        """Look at Asterisk; bring what went by unseen to its calls, and release what belongs to none."""
        before = {live: live.state for live in self._calls.by_id.values()}
        sight = await self._telephony.look()
        for live, state in before.items():
            unseen = missed(state, sight)
            for event in missed(live.state, sight):
                if event in unseen:
                    self._calls.take(live, event)
        if self._resumed:
            self._sweep(before, sight)
        return sight

    async def _find_waiting(self, sight: Sight) -> None:
        """Take in the legs that have asked for a guard while none listened."""
        waiting = [name for name in sight.legs if self._is_waiting(sight, name)]
        if not waiting:
            return
        # What was seen a while ago may be gone, or have become known, since.
        now = await self._telephony.look()
        for name in waiting:
            ask = self._is_waiting(now, name)
            if ask is not None:
                _log.info("a call arrived while callguard was away", channel=name)
                self.arriving(name, ask)

    def _is_waiting(self, sight: Sight, name: str) -> AskArrival | None:
        leg = sight.legs.get(name)
        return leg.ask if leg is not None and leg.in_stasis and name not in self._legs else None

    async def _resume_former_life(self, sight: Sight) -> None:
        """Take up the calls of which the journal has a decision but no outcome."""
        with self._calls.noting_ended() as ended:
            found = await self._journal.open_decisions(self._pbx, self._guard)
        # A call of this life may have got its outcome while they were read.
        former = [one for one in found if one.id not in self._calls.by_id and one.id not in ended]
        last = {decision.facts.channel: decision for decision in former}
        answered = await asyncio.gather(*(self._answered_at(decision, sight) for decision in former))
        for decision, answered_at in zip(former, answered, strict=True):
            channel = decision.facts.channel
            if channel in self._legs or last[channel] is not decision:
                # The channel has asked anew since. That call is over, whatever its leg is doing now.
                legs = {name: leg for name, leg in sight.legs.items() if name != channel}
                self._resume(decision, replace(sight, legs=legs), None)
            else:
                self._resume(decision, sight, answered_at)

    async def _answered_at(self, decision: Decision, sight: Sight) -> datetime | None:
        caller = sight.legs.get(decision.facts.channel)
        return await self._telephony.answered_at(caller.id) if caller is not None and caller.up else None

    def _resume(self, decision: Decision, sight: Sight, answered_at: datetime | None) -> None:
        state, commands = resume(decision, sight, self._calls.policy, answered_at)
        _log.info("call taken up again", decision=decision.id, state=type(state).__name__)
        self._calls.resume(state, decision.facts, commands)

    def _sweep(self, before: Mapping[LiveCall, State], sight: Sight) -> None:
        """Release the legs and bridges of this guard that no call has a use for."""
        known = self._calls.by_id.keys() | {state.call.id for state in before.values()}
        for leg, live in tuple(self._legs.items()):
            if leg in (live.state.call.caller, live.state.call.callee):
                continue
            # It was replaced, and released; or it never came to be.
            if leg in sight.legs:
                self._calls.release_leg(leg)
            else:
                del self._legs[leg]
        for leg in sight.legs:
            # Each leg of ours is known before it is asked for.
            if decision_of(self._guard, leg) and leg not in self._legs:
                self._calls.release_leg(leg)
        for bridge in sight.bridges:
            owner = decision_of(self._guard, bridge)
            if owner and owner not in known:
                self._calls.release_bridge(bridge)
