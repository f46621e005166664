"""What a look at Asterisk means: for a call in memory, and for one of which only the journal knows."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.control import model as m
from callguard.control.lifecycle import advance
from callguard.control.model import HangupReason, Result, Timer
from callguard.control.reconcile import missed, resume
from callguard.control.sight import LegSeen, Sight, decision_of, leg_number
from callguard.control.states import (
    Announcing,
    Call,
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
from tests.rig.world import (
    BRIDGE,
    CALLEE,
    CALLER,
    ID,
    ONE_TRUNK,
    POLICY,
    SECOND_CALLEE,
    World,
    at,
    decision,
)

NOW = at(100)


def leg(name: str, *, up: bool = False, ringing: bool = False, in_stasis: bool = True) -> LegSeen:
    return LegSeen(name, up, ringing, in_stasis)


def sight(*legs: LegSeen, bridge: tuple[str, ...] | None = None) -> Sight:
    bridges = {} if bridge is None else {BRIDGE: frozenset(bridge)}
    return Sight(NOW, {seen.id: seen for seen in legs}, bridges)


IN_STASIS = leg(CALLER)
IN_DIALPLAN = leg(CALLER, in_stasis=False)

# --- a call in memory ---------------------------------------------------------------------------------------

YOUNG = Call(ID, "callguard", CALLER, decision=decision())
CALLED = replace(YOUNG, recorded=True, bridge=Presence.PRESENT, callee=CALLEE, callee_is=Presence.PRESENT)
ASKED = replace(CALLED, callee_is=Presence.REQUESTED)
LEFT = replace(CALLED, caller_gone_at=at(1))

WITHOUT_CALLEE: list[State] = [
    Deciding(YOUNG),
    Refusing(YOUNG),
    Announcing(YOUNG, "prompt"),
    HandingOver(YOUNG),
    HandingOver(YOUNG, released=True),
    Closing(YOUNG, Result.FAILED),
]
WITH_CALLEE: list[State] = [
    Preparing(CALLED),
    Dialling(CALLED),
    Talking(CALLED),
    Closing(CALLED, Result.FAILED),
]


def named(state: State) -> str:
    return type(state).__name__


@pytest.mark.parametrize("state", [*WITHOUT_CALLEE, HandedOver(YOUNG)], ids=named)
def test_a_caller_leg_that_is_no_more_is_gone(state: State) -> None:
    assert missed(state, sight()) == (m.CallerGone(CALLER, NOW),)
    assert missed(state, sight(IN_STASIS)) == ()


@pytest.mark.parametrize("state", WITHOUT_CALLEE, ids=named)
def test_a_caller_leg_that_is_in_the_dialplan_has_left(state: State) -> None:
    assert missed(state, sight(IN_DIALPLAN)) == (m.CallerLeft(CALLER, NOW),)


def test_a_caller_leg_that_was_handed_over_belongs_into_the_dialplan() -> None:
    assert missed(HandedOver(YOUNG), sight(IN_DIALPLAN)) == ()


@pytest.mark.parametrize("state", WITH_CALLEE, ids=named)
def test_legs_that_are_no_more_are_gone_the_caller_leg_first(state: State) -> None:
    assert missed(state, sight()) == (m.CallerGone(CALLER, NOW), m.CalleeGone(CALLEE, NOW))
    assert missed(state, sight(IN_STASIS)) == (m.CalleeGone(CALLEE, NOW),)
    assert missed(state, sight(leg(CALLEE))) == (m.CallerGone(CALLER, NOW),)


@pytest.mark.parametrize("state", WITH_CALLEE, ids=named)
def test_a_call_that_is_as_it_was_has_missed_nothing(state: State) -> None:
    assert missed(state, sight(IN_STASIS, leg(CALLEE))) == ()


def test_a_leg_that_a_transfer_put_into_the_bridge_has_not_left() -> None:
    state = Talking(replace(CALLED, caller="local"))
    there = sight(leg("local", up=True, in_stasis=False), leg(CALLEE, up=True), bridge=("local", CALLEE))
    assert missed(state, there) == ()


def test_a_callee_leg_that_got_ready_unseen_is_ready() -> None:
    assert missed(Preparing(ASKED), sight(IN_STASIS, leg(CALLEE))) == (m.CalleeReady(CALLEE),)
    assert missed(Closing(ASKED, Result.FAILED), sight(leg(CALLEE)))[-1] == m.CalleeReady(CALLEE)


def test_a_callee_leg_that_is_still_being_made_is_neither_ready_nor_gone() -> None:
    assert missed(Preparing(ASKED), sight(IN_STASIS)) == ()
    assert missed(Preparing(ASKED), sight(IN_STASIS, leg(CALLEE, in_stasis=False))) == ()


def test_an_answer_that_was_not_seen_has_happened() -> None:
    there = sight(IN_STASIS, leg(CALLEE, up=True))
    assert missed(Dialling(CALLED), there) == (m.CalleeAnswered(CALLEE, NOW),)
    assert missed(Talking(CALLED), there) == ()


def test_a_conversation_that_began_and_ended_unseen_is_over_and_nobody_is_called_again() -> None:
    alone = sight(leg(CALLER, up=True))
    assert missed(Dialling(CALLED), alone) == (m.CalleeAnswered(CALLEE, NOW), m.CalleeGone(CALLEE, NOW))
    assert missed(Talking(CALLED), alone) == (m.CalleeGone(CALLEE, NOW),)


def test_what_is_known_to_be_gone_is_not_missed_again() -> None:
    gone = replace(LEFT, callee_is=Presence.GONE)
    assert missed(Closing(gone, Result.ANSWERED), sight()) == ()
    assert missed(Closing(LEFT, Result.ANSWERED), sight(leg(CALLEE))) == ()


def test_a_call_that_is_done_misses_nothing() -> None:
    done = Done(CALLED, m.Outcome(ID, Result.ANSWERED, NOW))
    assert missed(done, sight()) == ()


# --- a call that only the journal knows ---------------------------------------------------------------------

BRIDGED = decision()
SCREENED = decision(mode=Mode.SCREEN)
REFUSED = decision(Verdict.REFUSE)


@pytest.mark.parametrize("decided", [BRIDGED, SCREENED, REFUSED])
def test_a_call_of_which_nothing_is_left_ends_as_unknown(decided: Decision) -> None:
    state, commands = resume(decided, sight(), POLICY, None)
    assert isinstance(state, Done)
    assert commands == (m.Finish(m.Outcome(ID, Result.UNKNOWN, NOW)),)


def test_what_a_gone_caller_left_behind_is_released() -> None:
    state, commands = resume(BRIDGED, sight(leg(CALLEE), bridge=(CALLEE,)), POLICY, None)
    assert isinstance(state, Closing)
    assert m.HangUp(CALLEE, HangupReason.NORMAL) in commands
    state, *_ = advance(state, m.TimerExpired(Timer.CLOSE, NOW), POLICY)
    state, commands = advance(state, m.CalleeGone(CALLEE, NOW), POLICY)
    assert isinstance(state, Done)
    assert state.outcome.result is Result.UNKNOWN


def test_a_refused_caller_still_waiting_hears_the_prompt() -> None:
    state, commands = resume(REFUSED, sight(IN_STASIS), POLICY, None)
    assert isinstance(state, Announcing)
    assert isinstance(commands[0], m.Announce)


def test_a_refused_caller_who_got_into_the_dialplan_is_hung_up() -> None:
    state, commands = resume(REFUSED, sight(IN_DIALPLAN), POLICY, None)
    assert isinstance(state, Closing)
    assert m.HangUp(CALLER, HangupReason.NORMAL) in commands


def test_a_screened_call_still_waiting_is_told_its_verdict_and_released() -> None:
    state, commands = resume(SCREENED, sight(IN_STASIS), POLICY, None)
    assert state == HandingOver(state.call, released=True)
    assert commands == (
        m.Watch(CALLER),
        m.SetVariables(CALLER, {"CALLGUARD_VERDICT": "allow"}),
        m.Release(CALLER),
    )


def test_a_screened_call_in_the_dialplan_is_watched_with_the_time_of_its_answer() -> None:
    state, commands = resume(SCREENED, sight(IN_DIALPLAN), POLICY, at(3))
    assert isinstance(state, HandedOver)
    assert state.call.answered_at == at(3)
    assert commands == (m.Watch(CALLER),)


def test_a_conversation_goes_on_untouched() -> None:
    there = sight(leg(CALLER, up=True), leg(CALLEE, up=True), bridge=(CALLER, CALLEE))
    state, commands = resume(BRIDGED, there, POLICY, at(3))
    assert isinstance(state, Talking)
    assert state.call.answered_at == at(3)
    assert commands == ()


def test_a_call_that_rings_goes_on_ringing_for_a_ring_time() -> None:
    there = sight(IN_STASIS, leg(CALLEE, ringing=True), bridge=(CALLER, CALLEE))
    state, commands = resume(BRIDGED, there, POLICY, None)
    assert isinstance(state, Dialling)
    assert commands == (m.StartTimer(Timer.RING, 30.0),)


@pytest.mark.parametrize("caller", [leg(CALLER, up=True), IN_DIALPLAN])
def test_a_conversation_whose_callee_leg_is_gone_is_over_and_not_dialled_again(caller: LegSeen) -> None:
    state, commands = resume(BRIDGED, sight(caller, bridge=(CALLER,)), POLICY, at(3))
    assert isinstance(state, Closing)
    assert state.result is Result.ANSWERED
    assert m.HangUp(CALLER, HangupReason.NORMAL) in commands
    assert not [command for command in commands if isinstance(command, m.CreateCallee)]


def test_a_call_not_dialled_yet_is_placed_anew_with_a_leg_of_another_id() -> None:
    state, commands = resume(BRIDGED, sight(IN_STASIS, leg(CALLEE)), POLICY, None)
    assert isinstance(state, Preparing)
    assert commands[:3] == (
        m.HangUp(CALLEE, HangupReason.NORMAL),
        m.CreateBridge(BRIDGE),
        m.CreateCallee(SECOND_CALLEE, CALLER, "PJSIP/+62812@first"),
    )


@pytest.mark.parametrize(("bridge", "is_in"), [((), False), ((CALLER,), True)])
def test_a_bridge_that_is_there_is_used_with_the_caller_leg_that_may_be_in_it(
    bridge: tuple[str, ...], is_in: bool
) -> None:
    state, commands = resume(BRIDGED, sight(IN_STASIS, bridge=bridge), POLICY, None)
    assert not [command for command in commands if isinstance(command, m.CreateBridge)]
    state, commands = advance(state, m.CalleeReady(CALLEE), POLICY)
    assert commands == (m.Join(BRIDGE, CALLER, CALLEE, None, caller_is_in=is_in),)


def test_the_leg_that_a_transfer_put_in_the_callers_place_is_the_caller() -> None:
    there = sight(leg("local", up=True, in_stasis=False), leg(CALLEE, up=True), bridge=("local", CALLEE))
    state, commands = resume(BRIDGED, there, POLICY, None)
    assert isinstance(state, Talking)
    assert (state.call.caller, state.call.callee, commands) == ("local", CALLEE, ())


def test_the_leg_that_a_transfer_put_in_the_callees_place_is_the_callee() -> None:
    there = sight(leg(CALLER, up=True), leg("local", up=True, in_stasis=False), bridge=(CALLER, "local"))
    state, commands = resume(BRIDGED, there, POLICY, None)
    assert isinstance(state, Talking)
    assert (state.call.caller, state.call.callee, commands) == (CALLER, "local", ())


def test_the_callee_leg_of_the_last_trunk_tried_is_the_calls() -> None:
    there = sight(leg(CALLER, up=True), leg(SECOND_CALLEE, up=True), bridge=(CALLER, SECOND_CALLEE))
    state, _ = resume(BRIDGED, there, POLICY, None)
    assert state.call.callee == SECOND_CALLEE
    assert state.call.legs_tried == 2


# --- names --------------------------------------------------------------------------------------------------

LONG_ID = "01m8001892tmxfc3dxr5t21tqc"


def test_only_legs_and_bridges_of_this_guard_are_its_own() -> None:
    assert decision_of("callguard", f"callguard-{LONG_ID}") == LONG_ID
    assert decision_of("callguard", f"callguard-{LONG_ID}-12") == LONG_ID
    for name in (
        f"callguard-2-{LONG_ID}",
        f"callguard-{LONG_ID}-1-1",
        f"callguard-{LONG_ID}-1\n",
        f"callguard-{LONG_ID.upper()}",
        f"x-callguard-{LONG_ID}",
        "1795296370.167",
        "",
    ):
        assert decision_of("callguard", name) is None
    assert decision_of("call.guard", f"callXguard-{LONG_ID}") is None


def test_the_number_of_a_callee_leg_is_read_from_its_id() -> None:
    assert leg_number("callguard", LONG_ID, f"callguard-{LONG_ID}-12") == 12
    for name in (f"callguard-{LONG_ID}", f"callguard-{LONG_ID}-", f"callguard-{LONG_ID}-x", ""):
        assert leg_number("callguard", LONG_ID, name) == 0


# --- whatever is seen ---------------------------------------------------------------------------------------

DECISIONS = st.sampled_from([BRIDGED, SCREENED, REFUSED])
FLAGS = st.tuples(st.booleans(), st.booleans(), st.booleans())


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_whatever_is_left_of_a_call_after_a_restart_it_is_released_and_has_one_outcome(
    data: st.DataObject,
) -> None:
    """However the legs are found, and whatever happens then in whatever order."""
    decided = data.draw(DECISIONS)
    names = data.draw(st.sets(st.sampled_from([CALLER, "local", "stranger"])))
    made_by_us = decided.facts.mode is Mode.BRIDGE
    if made_by_us:
        names |= data.draw(st.sampled_from([set(), {CALLEE}, {SECOND_CALLEE}]))
    legs = {}
    for name in sorted(names):
        up, ringing, in_stasis = data.draw(FLAGS)
        legs[name] = LegSeen(name, up, ringing and not up, in_stasis)
    bridges = {}
    if made_by_us and data.draw(st.booleans()):
        joined = data.draw(st.sets(st.sampled_from([*sorted(names - {"stranger"}), "gone"])))
        bridges[BRIDGE] = frozenset(joined)
    seen = Sight(NOW, legs, bridges)
    world = World(data.draw(st.sampled_from([POLICY, ONE_TRUNK])), decided, data)
    world.channels, world.bridges = set(names), set(seen.bridges)
    state, commands = resume(decided, seen, world.policy, data.draw(st.sampled_from([None, at(3)])))
    world.resumed(state, commands, decided)
    for _ in range(data.draw(st.integers(0, 12))):
        world.step()
    world.wind_down()
    assert world.records == []
    assert len(world.outcomes) == 1
    assert not [channel for channel in world.channels if channel.startswith("callguard-")]
    assert not world.bridges
    assert world.state.call.caller_gone


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_call_whose_legs_vanish_unseen_is_ended_by_a_look(data: st.DataObject) -> None:
    decided = data.draw(DECISIONS)
    world = World(data.draw(st.sampled_from([POLICY, ONE_TRUNK])), decided, data)
    for _ in range(data.draw(st.integers(0, 12))):
        world.step()
    for channel in (world.state.call.caller, world.state.call.callee):
        if data.draw(st.booleans()):
            world.channels.discard(channel)
    seen = Sight(
        at(world.now),
        {name: LegSeen(name, name in world.dialled, False, True) for name in world.channels},
        {name: frozenset(world.channels) for name in world.bridges},
    )
    for event in missed(world.state, seen):
        world.deliver(event)
    assert missed(world.state, seen) == ()
    world.wind_down()
    assert len(world.records) == 1
    assert len(world.outcomes) == 1
    assert not [channel for channel in world.channels if channel.startswith("callguard-")]
    assert not world.bridges
