"""The life of one call: state and event give the next state and the commands to carry out.

Pure: no I/O, no clock, no asyncio. What holds whatever the order of events (hypothesis drives it so):
both legs are always released, the bridge is always deleted, there is exactly one decision and one outcome,
no callee leg is dialled without a recorded allow, and no command goes to a channel known to be gone.
"""

import math
from dataclasses import replace
from datetime import datetime

from callguard.control import model as m
from callguard.control.causes import dial_failure, failure, is_trunk_failure
from callguard.control.model import Command, Event, HangupReason, Outcome, Result, Timer
from callguard.control.states import (
    Announcing,
    Call,
    CallPolicy,
    Closing,
    Deciding,
    Dialling,
    Done,
    HandedOver,
    HandingOver,
    Preparing,
    Presence,
    Refusing,
    State,
    Talking,
)
from callguard.screening.model import Decision, Mode, Verdict

Step = tuple[State, tuple[Command, ...]]

_MAYBE_THERE = (Presence.REQUESTED, Presence.PRESENT)


def begin(decision_id: str, guard: str, caller: str) -> State:
    """The first state of a call: its caller leg has arrived and the lists are being asked."""
    return Deciding(Call(decision_id, guard, caller))


def advance(state: State, event: Event, policy: CallPolicy) -> Step:
    """Take one event in. An event about another leg, or one that comes late, changes nothing."""
    if _is_about_another_leg(state, event):
        return state, _release_stray(event)
    state = replace(state, call=_note(state, event))
    if isinstance(event, m.CallerReplaced):
        # The leg that transferred the call away stays in Stasis, with nobody to talk to.
        return state, (m.HangUp(event.caller, HangupReason.NORMAL),)
    if isinstance(event, m.CalleeReplaced):
        return state, (m.HangUp(event.callee, HangupReason.NORMAL),)
    match state:
        case Deciding():
            return _deciding(state, event, policy)
        case Preparing():
            return _preparing(state, event, policy)
        case Dialling():
            return _dialling(state, event, policy)
        case Talking():
            return _talking(state, event, policy)
        case HandingOver():
            return _handing_over(state, event, policy)
        case HandedOver():
            return _handed_over(state, event)
        case Refusing():
            return _refusing(state, event, policy)
        case Announcing():
            return _announcing(state, event, policy)
        case Closing():
            return _closing(state, event, policy)
        case Done():
            return state, ()


# --- what an event tells, whatever the state ---------------------------------------------------------------


def _is_about_another_leg(state: State, event: Event) -> bool:
    call = state.call
    match event:
        case m.CalleeReady() | m.CalleeGone() | m.CalleeReplaced() | m.Joined():
            return event.callee != call.callee or isinstance(state, Done)
        case m.CalleeRinging() | m.CalleeProgressed() | m.CalleeAnswered():
            # In screen mode the callee leg is the dialplan's own: its id is not ours to know.
            return not isinstance(state, HandedOver) and event.callee != call.callee
        case m.CallerGone() | m.CallerLeft() | m.CallerReplaced() | m.DialEnded():
            return event.caller != call.caller
        case m.BridgeCreated() | m.CommandFailed(command=m.CreateBridge()):
            return isinstance(state, Done)
        case m.CommandFailed(
            command=m.CreateCallee(callee=callee) | m.Join(callee=callee) | m.Dial(callee=callee)
        ):
            return callee != call.callee or isinstance(state, Done)
        case m.PromptFinished():
            return not isinstance(state, Announcing) or event.playback != state.playback
        case _:
            return False


def _release_stray(event: Event) -> tuple[Command, ...]:
    match event:
        case m.CalleeReady(callee) | m.CommandFailed(command=m.CreateCallee(callee=callee), gone=False):
            return (m.HangUp(callee, HangupReason.NORMAL),)
        case m.BridgeCreated(bridge) | m.CommandFailed(command=m.CreateBridge(bridge), gone=False):
            return (m.DeleteBridge(bridge),)
        case _:
            return ()


def _note(state: State, event: Event) -> Call:
    call = state.call
    match event:
        case m.Decided(decision) if call.decision is None:
            return replace(call, decision=decision)
        case m.Recorded(decision) if not call.recorded:
            return replace(call, recorded=True, decision=decision)
        case m.BridgeCreated():
            return replace(call, bridge=Presence.PRESENT)
        case m.CalleeReady():
            return replace(call, callee_is=Presence.PRESENT)
        case m.CalleeRinging(at=at) if call.ringing_at is None:
            return replace(call, ringing_at=at)
        case m.CalleeAnswered(at=at) if call.answered_at is None and isinstance(state, Dialling | HandedOver):
            return replace(call, answered_at=at)
        case m.CalleeGone(at=at, cause=cause) if call.callee_is is not Presence.GONE:
            return replace(call, callee_is=Presence.GONE, callee_gone_at=at, callee_cause=cause)
        case m.CallerGone(at=at, cause=cause) if not call.caller_gone:
            return replace(call, caller_gone_at=at, caller_cause=cause)
        case m.CallerLeft(at=at) if not call.caller_gone and not _was_released(state):
            # Out of Stasis without our doing: it hangs up, or somebody moved it. It is out of reach.
            return replace(call, caller_gone_at=at)
        case m.CallerReplaced(by=by):
            return replace(call, caller=by, caller_gone_at=None, caller_cause=None)
        case m.CalleeReplaced(by=by):
            return replace(call, callee=by, callee_is=Presence.PRESENT)
        case m.CommandFailed(command=m.CreateCallee(callee=callee), gone=gone) if callee == call.callee:
            # No answer does not mean that nothing was made: what may be there is hung up, too.
            return replace(call, callee_is=Presence.GONE if gone else Presence.PRESENT)
        case m.CommandFailed(command=m.CreateBridge(), gone=gone):
            return replace(call, bridge=Presence.GONE if gone else Presence.PRESENT)
        case m.CommandFailed(command=m.DeleteBridge()):
            return replace(call, bridge=Presence.REQUESTED)
        case _:
            return call


def _was_released(state: State) -> bool:
    return isinstance(state, HandedOver) or (isinstance(state, HandingOver) and state.released)


# --- one function a state ----------------------------------------------------------------------------------


def _deciding(state: Deciding, event: Event, policy: CallPolicy) -> Step:
    call = state.call
    if not isinstance(event, m.Decided) or call.decision is None:
        return state, ()
    record = m.Record(call.decision)
    if call.caller_gone:
        return Closing(call, Result.CANCELLED), (record,)
    tell = m.SetVariables(call.caller, policy.variables(call.decision))
    if call.decision.verdict is Verdict.REFUSE:
        return Refusing(call), (record, tell)
    if call.decision.facts.mode is Mode.SCREEN:
        return HandingOver(call), (record, m.Watch(call.caller), tell)
    preparing, commands = place(call, call.decision, policy)
    return preparing, (record, *commands)


def place(call: Call, decision: Decision, policy: CallPolicy, *, caller_is_in: bool = False) -> Step:
    """Ask for a callee leg over the trunk of `call.attempt`, and for the bridge where there is none yet."""
    number = call.legs_tried + 1
    callee = call.callee_id(number)
    endpoint = policy.endpoint(policy.trunks[call.attempt], decision.facts)
    create: tuple[Command, ...] = (m.CreateCallee(callee, call.caller, endpoint),)
    if call.bridge is not Presence.PRESENT:
        create = (m.CreateBridge(call.bridge_id), *create)
        call = replace(call, bridge=Presence.REQUESTED)
    call = replace(
        call,
        callee=callee,
        callee_is=Presence.REQUESTED,
        callee_gone_at=None,
        callee_cause=None,
        legs_tried=number,
        trunk=policy.trunks[call.attempt].name,
    )
    timer = m.StartTimer(Timer.PREPARE, policy.prepare_seconds)
    return Preparing(call, caller_is_in=caller_is_in), (*create, timer)


def _preparing(state: Preparing, event: Event, policy: CallPolicy) -> Step:
    call = state.call
    match event:
        case _ if call.caller_gone:
            return close(call, policy, Result.CANCELLED)
        case m.Recorded(decision) if decision.verdict is Verdict.REFUSE:
            return _refuse_after_all(call, decision, policy)
        case m.CalleeGone(cause=cause, sip=sip):
            return _next_trunk(call, cause, sip, policy, caller_is_in=state.caller_is_in)
        case m.CommandFailed(command=m.CreateCallee(callee=callee), gone=True) if callee == call.callee:
            return _next_trunk(call, None, None, policy, caller_is_in=state.caller_is_in)
        case m.CommandFailed(command=m.CreateCallee(callee=callee)) if callee == call.callee:
            return close(call, policy, Result.FAILED, HangupReason.CONGESTION)
        case m.CommandFailed(command=m.CreateBridge() | m.Join()):
            return close(call, policy, Result.FAILED, HangupReason.CONGESTION)
        case m.TimerExpired(timer=Timer.PREPARE):
            return close(call, policy, Result.FAILED, HangupReason.CONGESTION)
        case m.Joined():
            state = replace(state, joined=True, caller_is_in=True)
        case _:
            pass
    trunk = policy.trunks[call.attempt]
    if state.joined and call.recorded and call.decision is not None:
        seconds = math.ceil(trunk.ring_seconds) + policy.backstop_seconds
        return Dialling(call), (
            m.Dial(call.callee, call.caller, seconds),
            # Only hangup handlers and CDRs read them in this mode: they need not hold the call up.
            m.SetVariables(call.caller, policy.variables(call.decision)),
            m.CancelTimer(Timer.PREPARE),
            m.StartTimer(Timer.RING, trunk.ring_seconds),
        )
    if not state.joining and call.bridge is Presence.PRESENT and call.callee_is is Presence.PRESENT:
        join = m.Join(call.bridge_id, call.caller, call.callee, trunk.caller_id, state.caller_is_in)
        return replace(state, joining=True), (join,)
    return state, ()


def _dialling(state: Dialling, event: Event, policy: CallPolicy) -> Step:
    call = state.call
    match event:
        case m.CallerGone(cause=None, hung_up=False):
            return close(call, policy, Result.UNKNOWN)
        case _ if call.caller_gone:
            return close(call, policy, Result.CANCELLED)
        case m.CalleeAnswered():
            return Talking(call), (m.CancelTimer(Timer.RING),)
        case m.CalleeRinging() | m.CalleeProgressed():
            return replace(state, progressed=True), ()
        case m.CalleeGone(cause=cause, sip=sip) if not state.progressed:
            return _next_trunk(call, cause, sip, policy, caller_is_in=True)
        case m.CalleeGone(cause=cause, sip=sip):
            return close(call, policy, *failure(cause, sip))
        case m.TimerExpired(timer=Timer.RING):
            return close(call, policy, Result.NO_ANSWER, HangupReason.NO_ANSWER)
        case m.CommandFailed(command=m.Dial(), gone=False):
            # If the leg is gone, its own event brings the cause.
            return close(call, policy, Result.FAILED, HangupReason.CONGESTION)
        case _:
            return state, ()


def _talking(state: Talking, event: Event, policy: CallPolicy) -> Step:
    if state.call.caller_gone or isinstance(event, m.CalleeGone):
        return close(state.call, policy, Result.ANSWERED)
    return state, ()


def _handing_over(state: HandingOver, event: Event, policy: CallPolicy) -> Step:
    call = state.call
    match event:
        case _ if call.caller_gone:
            return close(call, policy, Result.CANCELLED)
        case m.Recorded(decision) if decision.verdict is Verdict.REFUSE:
            return _refuse_after_all(call, decision, policy)
        case m.Recorded() if not state.released:
            return replace(state, released=True), (m.Release(call.caller),)
        case m.CallerLeft():
            return HandedOver(call), ()
        case m.CommandFailed(command=m.SetVariables() | m.Release(), gone=False):
            # Without its verdict the dialplan would go by the failure policy: end the call here instead.
            return close(call, policy, Result.FAILED, HangupReason.CONGESTION)
        case _:
            return state, ()


def _handed_over(state: HandedOver, event: Event) -> Step:
    call = state.call
    match event:
        case m.DialEnded(result=result):
            return replace(state, dial_result=result), ()
        case m.CallerGone(cause=cause, hung_up=hung_up):
            if call.answered_at is not None or state.dial_result is Result.ANSWERED:
                # The latter where the answer itself went by unseen.
                return finish(call, Result.ANSWERED)
            if hung_up:
                return finish(call, Result.CANCELLED)
            return finish(call, dial_failure(state.dial_result, cause))
        case _:
            return state, ()


def _refusing(state: Refusing, event: Event, policy: CallPolicy) -> Step:
    call = state.call
    if call.caller_gone:
        return close(call, policy, Result.CANCELLED)
    if isinstance(event, m.Recorded):
        return announce(call, event.decision, policy)
    return state, ()


def announce(call: Call, decision: Decision, policy: CallPolicy) -> Step:
    """Play the prompt that tells the caller why the call is refused."""
    playback = f"{call.bridge_id}-prompt"
    return Announcing(call, playback), (
        m.Announce(call.caller, playback, policy.media(decision), policy.answer_before_prompt),
        m.StartTimer(Timer.PROMPT, policy.prompt_seconds),
    )


def _announcing(state: Announcing, event: Event, policy: CallPolicy) -> Step:
    call = state.call
    match event:
        case _ if call.caller_gone:
            closing, commands = close(call, policy, Result.PROMPT_CUT)
        case m.PromptFinished(heard=True):
            closing, commands = close(call, policy, Result.PROMPT_HEARD, _refusal(call, policy))
        case (
            m.PromptFinished()
            | m.TimerExpired(timer=Timer.PROMPT)
            | m.CommandFailed(command=m.Announce(), gone=False)
        ):
            closing, commands = close(call, policy, Result.PROMPT_FAILED, _refusal(call, policy))
        case _:
            call, commands = _drop_unwanted(call, event)
            return replace(state, call=call), commands
    return closing, (m.CancelTimer(Timer.PROMPT), *commands)


def _refusal(call: Call, policy: CallPolicy) -> HangupReason:
    return policy.refusal(call.decision.reason) if call.decision is not None else HangupReason.REJECTED


def _closing(state: Closing, event: Event, policy: CallPolicy) -> Step:
    call = state.call
    overdue = isinstance(event, m.TimerExpired) and event.timer is Timer.CLOSE
    if overdue:
        commands = _release(call, state.caller_reason, _MAYBE_THERE)
        if call.bridge in _MAYBE_THERE:
            commands += (m.DeleteBridge(call.bridge_id),)
            call = replace(call, bridge=Presence.GONE)
    else:
        call, commands = _drop_unwanted(call, event)
        call, delete = _delete_bridge(call)
        commands += delete
    if call.settled:
        done, last = finish(call, state.result)
        return done, (*commands, m.CancelTimer(Timer.CLOSE), *last)
    if overdue:
        commands += (m.StartTimer(Timer.CLOSE, policy.close_seconds),)
    return replace(state, call=call), commands


# --- ways from one state to another -------------------------------------------------------------------------


def _next_trunk(
    call: Call, cause: int | None, sip: int | None, policy: CallPolicy, *, caller_is_in: bool
) -> Step:
    """Try the next trunk where this one failed; otherwise end the call as the carrier ended it."""
    decision = call.decision
    if decision is not None and is_trunk_failure(cause) and call.attempt + 1 < len(policy.trunks):
        call = replace(call, attempt=call.attempt + 1)
        preparing, commands = place(call, decision, policy, caller_is_in=caller_is_in)
        return preparing, (m.CancelTimer(Timer.RING), *commands)
    return close(call, policy, *failure(cause, sip))


def _refuse_after_all(call: Call, decision: Decision, policy: CallPolicy) -> Step:
    """Allowed at first, but the journal could not be written and the failure policy refuses."""
    commands: tuple[Command, ...] = (m.CancelTimer(Timer.PREPARE),)
    if call.callee_is is Presence.PRESENT:
        commands += (m.HangUp(call.callee, HangupReason.NORMAL),)
    if call.bridge is Presence.PRESENT:
        commands += (m.DeleteBridge(call.bridge_id),)
        call = replace(call, bridge=Presence.GONE)
    announcing, prompt = announce(call, decision, policy)
    return announcing, (*commands, m.SetVariables(call.caller, policy.variables(decision)), *prompt)


def close(
    call: Call,
    policy: CallPolicy,
    result: Result,
    caller_reason: HangupReason = HangupReason.NORMAL,
) -> Step:
    """Release whatever the call still has; its result is known."""
    call, delete = _delete_bridge(call)
    commands = (*_release(call, caller_reason, (Presence.PRESENT,)), *delete)
    cancel = (m.CancelTimer(Timer.PREPARE), m.CancelTimer(Timer.RING))
    if call.settled:
        done, last = finish(call, result)
        return done, (*cancel, *commands, *last)
    timer = m.StartTimer(Timer.CLOSE, policy.close_seconds)
    return Closing(call, result, caller_reason), (*cancel, *commands, timer)


def _release(call: Call, caller_reason: HangupReason, present: tuple[Presence, ...]) -> tuple[Command, ...]:
    """Hang up what is left: the caller leg, and the callee leg where its presence is one of these.

    At first a leg that is still being made is left until it is known to be there: a hangup that overtook its
    creation would be lost.
    """
    commands: tuple[Command, ...] = ()
    if call.callee_is in present:
        commands += (m.HangUp(call.callee, HangupReason.NORMAL),)
    if not call.caller_gone:
        commands += (m.HangUp(call.caller, caller_reason),)
    return commands


def _delete_bridge(call: Call) -> tuple[Call, tuple[Command, ...]]:
    """Delete the bridge once the caller leg is gone.

    Before, Asterisk would give the caller leg a cause of its own (seen on 16: 603 for a busy customer).
    """
    if call.bridge is not Presence.PRESENT or not call.caller_gone:
        return call, ()
    return replace(call, bridge=Presence.GONE), (m.DeleteBridge(call.bridge_id),)


def _drop_unwanted(call: Call, event: Event) -> tuple[Call, tuple[Command, ...]]:
    """Release what came into being, or may have, after it was no longer wanted."""
    match event:
        case m.CalleeReady() | m.CommandFailed(command=m.CreateCallee(), gone=False):
            return call, (m.HangUp(call.callee, HangupReason.NORMAL),)
        case m.BridgeCreated() | m.CommandFailed(command=m.CreateBridge(), gone=False):
            # Nobody is in it.
            return replace(call, bridge=Presence.GONE), (m.DeleteBridge(call.bridge_id),)
        case _:
            return call, ()


def finish(call: Call, result: Result) -> Step:
    """Nothing of the call is left: give its outcome to the journal."""
    ends = [at for at in (call.callee_gone_at, call.caller_gone_at) if at is not None]
    ended_at: datetime = min(ends)
    callee_first = call.callee_gone_at is not None and ended_at == call.callee_gone_at
    outcome = Outcome(
        decision_id=call.id,
        result=result,
        ended_at=ended_at,
        ringing_at=call.ringing_at,
        answered_at=call.answered_at,
        cause=call.callee_cause if callee_first else call.caller_cause,
        trunk=call.trunk,
    )
    return Done(call, outcome), (m.Finish(outcome),)
