"""Taking calls up again: what a look at Asterisk means for a call, pure.

After a lost connection the calls are still in memory and `missed` gives the events that went by unseen. After
a restart only the journal knows them, and `resume` finds the state that a call is in.
"""

from dataclasses import replace
from datetime import datetime

from callguard.control import model as m
from callguard.control.lifecycle import Step, announce, close, finish, place
from callguard.control.model import Event, HangupReason, Result, Timer
from callguard.control.sight import LegSeen, Sight, leg_number
from callguard.control.states import (
    Call,
    CallPolicy,
    Dialling,
    Done,
    HandedOver,
    HandingOver,
    Presence,
    State,
    Talking,
)
from callguard.screening.model import Decision, Mode, Verdict


def missed(state: State, sight: Sight) -> tuple[Event, ...]:
    """The events that a call in memory has missed, in the order in which they may be taken in."""
    call = state.call
    if isinstance(state, Done):
        return ()
    events: list[Event] = []
    caller = sight.legs.get(call.caller)
    # The caller leg first: no further trunk is to be tried for one that is gone.
    if not call.caller_gone and caller is None:
        events.append(m.CallerGone(call.caller, sight.at))
    elif not call.caller_gone and caller is not None and _has_left(state, caller, sight):
        events.append(m.CallerLeft(call.caller, sight.at))
    callee = sight.legs.get(call.callee)
    if callee is None and call.callee_is is Presence.PRESENT:
        if isinstance(state, Dialling) and caller is not None and caller.up:
            # It was answered and has ended since: the conversation is over, and nobody is to be called again.
            events.append(m.CalleeAnswered(call.callee, sight.at))
        events.append(m.CalleeGone(call.callee, sight.at))
    elif callee is not None and call.callee_is is Presence.REQUESTED and callee.in_stasis:
        events.append(m.CalleeReady(call.callee))
    elif callee is not None and callee.up and isinstance(state, Dialling):
        events.append(m.CalleeAnswered(call.callee, sight.at))
    return tuple(events)


def _has_left(state: State, caller: LegSeen, sight: Sight) -> bool:
    if caller.in_stasis or isinstance(state, HandedOver):
        return False
    # A leg that a transfer put into the bridge never was in Stasis by the dialplan.
    return caller.id not in sight.bridges.get(state.call.bridge_id, ())


def resume(decision: Decision, sight: Sight, policy: CallPolicy, answered_at: datetime | None) -> Step:
    """Find the state of a call of which the journal has the decision but no outcome.

    `answered_at` is when its caller leg was answered, as Asterisk tells, if it was.
    """
    facts = decision.facts
    call = _recall(decision, sight)
    caller = sight.legs.get(call.caller)
    if caller is None:
        call = replace(call, caller_gone_at=sight.at, answered_at=answered_at)
        if call.callee_is is Presence.PRESENT or call.bridge is Presence.PRESENT:
            return close(call, policy, Result.UNKNOWN)
        return finish(call, Result.UNKNOWN)
    if decision.verdict is Verdict.REFUSE:
        # The prompt may have been heard in part: it is played anew, whole.
        return announce(call, decision, policy) if caller.in_stasis else close(call, policy, Result.UNKNOWN)
    if facts.mode is Mode.SCREEN:
        watch = m.Watch(call.caller)
        if caller.in_stasis:
            tell = m.SetVariables(call.caller, policy.variables(decision))
            return HandingOver(call, released=True), (watch, tell, m.Release(call.caller))
        return HandedOver(replace(call, answered_at=answered_at)), (watch,)
    call = replace(call, answered_at=answered_at)
    callee = sight.legs.get(call.callee)
    if callee is not None and callee.up:
        return Talking(call), ()
    if callee is not None and callee.ringing:
        timer = m.StartTimer(Timer.RING, policy.trunks[0].ring_seconds)
        return Dialling(replace(call, ringing_at=sight.at), progressed=True), (timer,)
    if caller.up or not caller.in_stasis:
        # It was answered and the callee leg is gone: the conversation is over.
        return close(call, policy, Result.ANSWERED)
    # Nothing was dialled, or it cannot be told: begin the placing anew, with a leg of a new id.
    drop = () if callee is None else (m.HangUp(callee.id, HangupReason.NORMAL),)
    caller_is_in = call.caller in sight.bridges.get(call.bridge_id, ())
    preparing, commands = place(call, decision, policy, caller_is_in=caller_is_in)
    return preparing, (*drop, *commands)


def _recall(decision: Decision, sight: Sight) -> Call:
    """What is known of a call from its decision and from the legs and the bridge that bear its id."""
    facts = decision.facts
    call = Call(decision.id, facts.guard, facts.channel, decision=decision, recorded=True)
    numbers = [leg_number(facts.guard, decision.id, name) for name in sight.legs]
    number = max(numbers, default=0)
    if number:
        call = replace(call, callee=call.callee_id(number), callee_is=Presence.PRESENT, legs_tried=number)
    if call.bridge_id in sight.bridges:
        call = replace(call, bridge=Presence.PRESENT)
        # A transfer puts another leg in the place of the first.
        others = sorted(sight.bridges[call.bridge_id] & sight.legs.keys() - {call.caller, call.callee})
        if others and call.caller not in sight.legs:
            call = replace(call, caller=others[0])
        elif others and not number:
            call = replace(call, callee=others[0], callee_is=Presence.PRESENT)
    return call
