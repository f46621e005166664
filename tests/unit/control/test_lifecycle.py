"""The life of a call, event by event, and by every order of events that hypothesis can think of."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.control import model as m
from callguard.control.lifecycle import advance, begin
from callguard.control.model import Command, Event, HangupReason, Result, Timer
from callguard.control.states import CallPolicy, Deciding, Dialling, Done, State, Talking
from callguard.screening.model import Mode, Verdict
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
    refused_for_the_journal,
)


@dataclass
class Run:
    """One call driven through the lifecycle, with the commands of the last event at hand."""

    policy: CallPolicy = POLICY
    state: State = field(default_factory=lambda: begin(ID, "callguard", CALLER))
    commands: tuple[Command, ...] = ()

    def after(self, *events: Event) -> "Run":
        for event in events:
            self.state, self.commands = advance(self.state, event, self.policy)
        return self

    def gives(self, kind: type[Command]) -> list[Command]:
        return [command for command in self.commands if isinstance(command, kind)]

    @property
    def outcome(self) -> m.Outcome:
        assert isinstance(self.state, Done), self.state
        return self.state.outcome


def prepared(policy: CallPolicy = POLICY) -> Run:
    decided = decision()
    return Run(policy).after(
        m.Decided(decided), m.Recorded(decided), m.BridgeCreated(BRIDGE), m.CalleeReady(CALLEE)
    )


def dialling(policy: CallPolicy = POLICY) -> Run:
    return prepared(policy).after(m.Joined(CALLEE))


def talking() -> Run:
    return dialling().after(m.CalleeRinging(CALLEE, at(1)), m.CalleeAnswered(CALLEE, at(4)))


def screened() -> Run:
    decided = decision(mode=Mode.SCREEN)
    return Run().after(m.Decided(decided), m.Recorded(decided), m.CallerLeft(CALLER, at(0)))


# --- allowed, bridged ---------------------------------------------------------------------------------------


def test_record_bridge_and_callee_leg_are_made_side_by_side() -> None:
    run = Run().after(m.Decided(decision()))
    assert run.gives(m.Record)
    assert run.gives(m.CreateBridge) == [m.CreateBridge(BRIDGE)]
    assert run.gives(m.CreateCallee) == [m.CreateCallee(CALLEE, CALLER, "PJSIP/+62812@first")]
    assert not run.gives(m.Dial)


def test_the_callee_leg_is_not_dialled_before_the_record_is_durable() -> None:
    run = Run().after(m.Decided(decision()), m.BridgeCreated(BRIDGE), m.CalleeReady(CALLEE), m.Joined(CALLEE))
    assert not run.gives(m.Dial)
    assert run.after(m.Recorded(decision())).gives(m.Dial)


def test_the_callee_leg_is_not_dialled_before_both_legs_are_in_the_bridge() -> None:
    run = prepared()
    assert run.gives(m.Join) == [m.Join(BRIDGE, CALLER, CALLEE, None)]
    assert not run.gives(m.Dial)
    assert run.after(m.Joined(CALLEE)).gives(m.Dial)


def test_an_answered_call_ends_with_its_times_when_the_customer_hangs_up() -> None:
    run = talking().after(m.CalleeGone(CALLEE, at(64), cause=16))
    assert run.gives(m.HangUp) == [m.HangUp(CALLER, HangupReason.NORMAL)]
    run.after(m.CallerGone(CALLER, at(64.1), cause=16))
    assert run.gives(m.DeleteBridge)
    assert run.outcome == m.Outcome(ID, Result.ANSWERED, at(64), at(1), at(4), 16, "first")


def test_the_callee_leg_is_released_when_the_agent_hangs_up() -> None:
    for run in (dialling(), talking()):
        run.after(m.CallerGone(CALLER, at(10), cause=16, hung_up=True))
        assert run.gives(m.HangUp) == [m.HangUp(CALLEE, HangupReason.NORMAL)]
        run.after(m.CalleeGone(CALLEE, at(10.1)))
        assert run.outcome.ended_at == at(10)


def test_a_leg_still_being_made_is_hung_up_once_it_is_there() -> None:
    run = Run().after(m.Decided(decision()), m.CallerGone(CALLER, at(1)))
    assert not run.gives(m.HangUp)
    assert run.after(m.CalleeReady(CALLEE)).gives(m.HangUp) == [m.HangUp(CALLEE, HangupReason.NORMAL)]
    assert run.after(m.BridgeCreated(BRIDGE)).gives(m.DeleteBridge)


def test_the_caller_hears_how_the_carrier_ended_the_call() -> None:
    expected = {
        17: (Result.BUSY, HangupReason.BUSY),
        19: (Result.NO_ANSWER, HangupReason.NO_ANSWER),
        21: (Result.DECLINED, HangupReason.NORMAL),
        1: (Result.FAILED, HangupReason.UNALLOCATED),
        34: (Result.FAILED, HangupReason.CONGESTION),
    }
    for cause, (result, reason) in expected.items():
        run = dialling(ONE_TRUNK).after(m.CalleeGone(CALLEE, at(2), cause=cause))
        assert run.gives(m.HangUp) == [m.HangUp(CALLER, reason)]
        assert run.after(m.CallerGone(CALLER, at(2))).outcome.result is result


def test_the_bridge_is_left_until_the_caller_has_its_code() -> None:
    # Asterisk 16 gave the caller 603 for a busy customer when the bridge was deleted at once.
    run = dialling(ONE_TRUNK).after(m.CalleeGone(CALLEE, at(2), cause=17))
    assert not run.gives(m.DeleteBridge)
    assert run.after(m.CallerGone(CALLER, at(2))).gives(m.DeleteBridge)


def test_a_403_of_the_carrier_is_told_from_a_603_where_asterisk_tells_them_apart() -> None:
    run = dialling().after(m.CalleeGone(CALLEE, at(2), cause=21, sip=403))
    assert run.gives(m.HangUp) == [m.HangUp(CALLER, HangupReason.REJECTED)]


def test_the_next_trunk_is_tried_when_the_first_has_no_route() -> None:
    run = dialling().after(m.CalleeGone(CALLEE, at(1), cause=34))
    assert run.gives(m.CreateCallee) == [m.CreateCallee(SECOND_CALLEE, CALLER, "PJSIP/+62812@second")]
    assert not run.gives(m.CreateBridge)
    run.after(m.CalleeReady(SECOND_CALLEE))
    assert run.gives(m.Join) == [m.Join(BRIDGE, CALLER, SECOND_CALLEE, "+622150001", caller_is_in=True)]
    assert run.after(m.Joined(SECOND_CALLEE)).gives(m.Dial)


def test_the_next_trunk_is_tried_when_the_first_cannot_make_a_leg() -> None:
    run = Run().after(m.Decided(decision()), m.BridgeCreated(BRIDGE))
    run.after(m.CommandFailed(m.CreateCallee(CALLEE, CALLER, ""), gone=True, why="no such endpoint"))
    assert run.gives(m.CreateCallee) == [m.CreateCallee(SECOND_CALLEE, CALLER, "PJSIP/+62812@second")]


def test_no_further_trunk_is_tried_once_the_customer_was_rung_or_is_busy() -> None:
    rung = dialling().after(m.CalleeRinging(CALLEE, at(1)), m.CalleeGone(CALLEE, at(3), cause=34))
    assert not rung.gives(m.CreateCallee)
    busy = dialling().after(m.CalleeGone(CALLEE, at(1), cause=17))
    assert not busy.gives(m.CreateCallee)


def test_an_unanswered_call_ends_with_the_ring_time() -> None:
    run = dialling().after(m.CalleeRinging(CALLEE, at(1)), m.TimerExpired(Timer.RING, at(30)))
    assert run.gives(m.HangUp) == [
        m.HangUp(CALLEE, HangupReason.NORMAL),
        m.HangUp(CALLER, HangupReason.NO_ANSWER),
    ]
    run.after(m.CalleeGone(CALLEE, at(30)), m.CallerGone(CALLER, at(30)))
    assert run.outcome.result is Result.NO_ANSWER


def test_a_transfer_replaces_the_caller_leg_and_the_call_goes_on() -> None:
    run = talking().after(m.CallerReplaced(CALLER, "local-leg"))
    assert run.commands == (m.HangUp(CALLER, HangupReason.NORMAL),)
    run.after(m.CallerGone(CALLER, at(20)))
    assert isinstance(run.state, Talking)
    run.after(m.CallerGone("local-leg", at(30)))
    assert run.gives(m.HangUp) == [m.HangUp(CALLEE, HangupReason.NORMAL)]


def test_a_leg_that_cannot_be_hung_up_is_tried_again() -> None:
    run = talking().after(m.CallerGone(CALLER, at(10)))
    hang_up = m.HangUp(CALLEE, HangupReason.NORMAL)
    run.after(m.CommandFailed(hang_up, gone=False, why="no answer"), m.TimerExpired(Timer.CLOSE, at(15)))
    assert run.gives(m.HangUp) == [hang_up]


# --- allowed, screened --------------------------------------------------------------------------------------


def test_a_screened_call_goes_back_to_the_dialplan_only_when_its_record_is_durable() -> None:
    decided = decision(mode=Mode.SCREEN)
    run = Run().after(m.Decided(decided))
    assert run.gives(m.SetVariables) == [m.SetVariables(CALLER, {"CALLGUARD_VERDICT": "allow"})]
    assert run.gives(m.Watch)
    assert not run.gives(m.Release)
    assert run.after(m.Recorded(decided)).gives(m.Release) == [m.Release(CALLER)]


def test_the_outcome_of_the_dialplans_own_dial_is_recorded() -> None:
    answered = screened().after(
        m.CalleeRinging("PJSIP/x", at(1)), m.CalleeAnswered("PJSIP/x", at(2)), m.CallerGone(CALLER, at(9), 16)
    )
    assert answered.outcome == m.Outcome(ID, Result.ANSWERED, at(9), at(1), at(2), 16, None)
    busy = screened().after(m.DialEnded(CALLER, Result.BUSY), m.CallerGone(CALLER, at(2), 17))
    assert busy.outcome.result is Result.BUSY
    unknown = screened().after(m.DialEnded(CALLER, Result.NO_ANSWER), m.CallerGone(CALLER, at(2), 1))
    assert unknown.outcome.result is Result.FAILED
    cancelled = screened().after(m.CallerGone(CALLER, at(2), 16, hung_up=True))
    assert cancelled.outcome.result is Result.CANCELLED


def test_a_screened_call_whose_verdict_cannot_be_set_is_ended_and_not_left_to_the_dialplan() -> None:
    decided = decision(mode=Mode.SCREEN)
    run = Run().after(m.Decided(decided))
    run.after(m.CommandFailed(m.SetVariables(CALLER, {}), gone=False, why="no answer"))
    assert run.gives(m.HangUp) == [m.HangUp(CALLER, HangupReason.CONGESTION)]
    assert not run.after(m.Recorded(decided)).gives(m.Release)


# --- refused ------------------------------------------------------------------------------------------------


def refused(policy: CallPolicy = POLICY) -> Run:
    return Run(policy).after(m.Decided(decision(Verdict.REFUSE)))


def test_no_prompt_is_played_before_the_refusal_is_durable() -> None:
    run = refused()
    assert not run.gives(m.Announce)
    assert not run.gives(m.CreateCallee)
    run.after(m.Recorded(decision(Verdict.REFUSE)))
    assert run.gives(m.Announce) == [m.Announce(CALLER, f"{BRIDGE}-prompt", ("sound:id/opt-out",), False)]


def test_the_caller_is_rejected_after_the_prompt_however_it_ends() -> None:
    playing = f"{BRIDGE}-prompt"
    announce = m.Announce(CALLER, playing, (), False)
    ends: dict[Result, list[Event]] = {
        Result.PROMPT_HEARD: [m.PromptFinished(playing, heard=True)],
        Result.PROMPT_FAILED: [
            m.PromptFinished(playing, heard=False),
            m.TimerExpired(Timer.PROMPT, at(20)),
            m.CommandFailed(announce, gone=False, why="no such file"),
        ],
    }
    for result, events in ends.items():
        for event in events:
            run = refused().after(m.Recorded(decision(Verdict.REFUSE)), event)
            assert run.gives(m.HangUp) == [m.HangUp(CALLER, HangupReason.REJECTED)]
            assert run.after(m.CallerGone(CALLER, at(4))).outcome.result is result


def test_a_caller_who_hangs_up_during_the_prompt_is_on_record_as_such() -> None:
    run = refused().after(m.Recorded(decision(Verdict.REFUSE)), m.CallerGone(CALLER, at(1), hung_up=True))
    assert run.outcome.result is Result.PROMPT_CUT


def test_a_caller_who_hangs_up_before_the_decision_still_has_decision_and_outcome() -> None:
    run = Run().after(m.CallerGone(CALLER, at(1)), m.Decided(decision()))
    assert run.commands == (m.Record(decision()),)
    assert run.after(m.Recorded(decision())).outcome.result is Result.CANCELLED


def test_an_allowed_call_is_refused_when_the_journal_refuses_it() -> None:
    decided = decision()
    run = Run().after(m.Decided(decided), m.CalleeReady(CALLEE))
    run.after(m.Recorded(refused_for_the_journal(decided)))
    assert run.gives(m.HangUp) == [m.HangUp(CALLEE, HangupReason.NORMAL)]
    assert run.gives(m.Announce) == [
        m.Announce(CALLER, f"{BRIDGE}-prompt", ("sound:id/guard-unavailable",), False)
    ]
    assert run.after(m.BridgeCreated(BRIDGE)).gives(m.DeleteBridge)


# --- every order of events ----------------------------------------------------------------------------------


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_whatever_the_order_of_events_every_call_is_released_and_recorded_once(data: st.DataObject) -> None:
    decided = decision(
        data.draw(st.sampled_from(list(Verdict))), data.draw(st.sampled_from([Mode.BRIDGE, Mode.SCREEN]))
    )
    world = World(data.draw(st.sampled_from([POLICY, ONE_TRUNK])), decided, data)
    for _ in range(data.draw(st.integers(0, 25))):
        world.step()
    world.wind_down()
    assert len(world.records) == 1
    assert len(world.outcomes) == 1
    assert not [channel for channel in world.channels if channel.startswith("callguard-")]
    assert not world.bridges
    assert world.state.call.caller_gone
    assert world.dialled == set() or decided.verdict is Verdict.ALLOW


def test_an_event_after_the_end_changes_nothing() -> None:
    run = talking().after(m.CallerGone(CALLER, at(9)), m.CalleeGone(CALLEE, at(9)))
    state = run.state
    for event in (m.CalleeRinging(CALLEE, at(10)), m.CallerGone(CALLER, at(10)), m.Recorded(decision())):
        run.after(event)
        assert run.state is state or run.state == state
        assert run.commands == ()


def test_a_leg_that_appears_after_the_end_is_hung_up() -> None:
    run = talking().after(m.CallerGone(CALLER, at(9)), m.CalleeGone(CALLEE, at(9)))
    assert run.after(m.CalleeReady(SECOND_CALLEE)).gives(m.HangUp) == [
        m.HangUp(SECOND_CALLEE, HangupReason.NORMAL)
    ]


def test_a_bridge_that_may_have_been_made_is_deleted_even_after_the_end() -> None:
    run = Run().after(m.Decided(decision()), m.CalleeReady(CALLEE), m.CallerGone(CALLER, at(1)))
    run.after(m.CalleeGone(CALLEE, at(1)), m.TimerExpired(Timer.CLOSE, at(6)), m.Recorded(decision()))
    assert run.outcome.result is Result.CANCELLED
    run.after(m.CommandFailed(m.CreateBridge(BRIDGE), gone=False, why="no answer"))
    assert run.gives(m.DeleteBridge) == [m.DeleteBridge(BRIDGE)]


def test_the_first_state_waits_for_the_decision() -> None:
    assert isinstance(Run().after(m.TimerExpired(Timer.RING, at(0))).state, Deciding)
    assert isinstance(dialling().state, Dialling)
