"""Events find their call, commands their answer, and every call its end, whatever fails on the way."""

import asyncio
import threading
from dataclasses import replace

import pytest

from callguard.control import calls, decider
from callguard.control import model as m
from callguard.control.dispatcher import Dispatcher
from callguard.control.model import HangupReason, Result, TelephonyCommand, Trunk
from callguard.errors import AsteriskUnreachable, CacheError, Conflict, NotFound, Rejected, SqlError
from callguard.screening.model import CallFacts, FailurePolicy, Hits, Mode, Reason, Verdict
from tests.rig.switchboard import (
    ALLOWED,
    DEFECT,
    EMERGENCY,
    LISTED,
    ONE_TRUNK,
    POLICY,
    a_guard,
    an_arrival,
    now,
)

LENIENT = FailurePolicy(Verdict.ALLOW)


# --- events find their call ---------------------------------------------------------------------------------


async def test_an_allowed_call_is_dialled_answered_and_ended_and_nothing_is_kept() -> None:
    async with a_guard() as guard:
        callee = await guard.talk("agent")
        assert guard.line.given(m.Dial) == [m.Dial(callee, "agent", 40)]
        guard.board.hang_up(callee)
        await guard.quiet()
        assert guard.journal.results == ["answered"]
        assert guard.board.legs == {}
        assert guard.board.bridges == {}
        guard.assert_nothing_is_kept()


async def test_each_event_reaches_the_call_of_its_leg_alone() -> None:
    async with a_guard() as guard:
        first = await guard.talk("agent1")
        second = f"callguard-{await guard.dial('agent2')}-1"
        guard.board.ring(second)
        guard.board.hang_up(first)
        await guard.quiet()
        assert guard.journal.results == ["answered"]
        assert guard.dispatcher.calls_in_progress == {Mode.BRIDGE: 1}
        guard.board.end(second, cause=17)
        await guard.quiet()
        assert guard.journal.results == ["answered", "busy"]
        guard.assert_nothing_is_kept()


async def test_a_listed_number_is_refused_by_a_prompt_and_never_gets_a_leg() -> None:
    async with a_guard() as guard:
        identity = await guard.dial("agent", LISTED)
        assert guard.line.given(m.CreateCallee) == []
        playback = guard.line.given(m.Announce)[0].playback
        guard.dispatcher.prompt_finished("agent", playback, heard=True)
        await guard.quiet()
        assert guard.line.given(m.HangUp) == [m.HangUp("agent", HangupReason.REJECTED)]
        assert guard.journal.decisions[identity].reason is Reason.OPT_OUT
        assert guard.journal.results == ["prompt-heard"]
        guard.assert_nothing_is_kept()


async def test_a_screened_call_gets_the_outcome_of_the_dialplans_own_dial() -> None:
    async with a_guard() as guard:
        await guard.dial("agent", mode=Mode.SCREEN)
        assert guard.board.legs["agent"].guard == ""
        guard.dispatcher.dial_progressed("agent", "peer", "RINGING", now())
        guard.dispatcher.dial_progressed("agent", "peer", "BUSY", now())
        guard.board.end("agent", cause=17)
        await guard.quiet()
        assert guard.journal.results == ["busy"]
        assert guard.journal.outcomes[0].ringing_at
        guard.assert_nothing_is_kept()


async def test_the_status_that_the_dialplans_dial_left_is_taken_with_the_legs_end() -> None:
    async with a_guard() as guard:
        await guard.dial("agent", mode=Mode.SCREEN)
        guard.dispatcher.leg_gone("agent", now(), 21, None, "CHANUNAVAIL")
        assert guard.journal.results == ["declined"]


async def test_events_of_legs_that_are_nobodys_change_nothing() -> None:
    async with a_guard() as guard:
        callee = await guard.talk("agent")
        commands = list(guard.line.commands)
        at = now()
        guard.dispatcher.leg_left("stranger", at)
        guard.dispatcher.leg_hung_up("stranger", at, 16)
        guard.dispatcher.leg_gone("stranger", at, 16, None)
        guard.dispatcher.leg_rang("stranger", at)
        guard.dispatcher.leg_answered("stranger", at)
        guard.dispatcher.dial_progressed("stranger", "another", "ANSWER", at)
        guard.dispatcher.dial_progressed(None, "another", "BUSY", at)
        guard.dispatcher.dial_progressed("agent", callee, "GIBBERISH", at)
        guard.dispatcher.prompt_finished("stranger", "prompt", heard=True)
        assert not guard.dispatcher.leg_replaced("stranger", "another")
        await guard.quiet()
        assert guard.line.commands == commands
        assert guard.dispatcher.calls_in_progress == {Mode.BRIDGE: 1}


async def test_a_callee_leg_that_no_call_waits_for_is_hung_up() -> None:
    async with a_guard() as guard:
        guard.dispatcher.leg_ready("callguard-stray-1")
        await guard.quiet()
        assert guard.line.commands == [m.HangUp("callguard-stray-1", HangupReason.NORMAL)]


async def test_a_caller_that_goes_before_its_variables_are_known_has_decision_and_outcome() -> None:
    async with a_guard() as guard:
        answer = asyncio.Event()

        async def ask() -> tuple[m.Arrival, str]:
            await answer.wait()
            return an_arrival("agent"), ""

        guard.dispatcher.arriving("agent", ask)
        guard.dispatcher.leg_gone("agent", now(), 16, None)
        answer.set()
        await guard.quiet()
        assert len(guard.journal.decisions) == 1
        assert guard.journal.results == ["cancelled"]
        assert guard.line.commands == []
        guard.assert_nothing_is_kept()


async def test_the_same_leg_coming_again_ends_its_first_call_and_begins_another() -> None:
    async with a_guard() as guard:
        await guard.dial("agent", mode=Mode.SCREEN)
        await guard.dial("agent", LISTED, Mode.SCREEN)
        assert [decision.verdict.value for decision in guard.journal.decisions.values()] == [
            "allow",
            "refuse",
        ]
        assert len(guard.journal.outcomes) == 1
        assert guard.journal.outcomes[0].decision_id == next(iter(guard.journal.decisions))
        guard.board.hang_up("agent")
        await guard.quiet()
        assert guard.journal.results[1:] == ["prompt-cut"]
        guard.assert_nothing_is_kept()


# --- transfers, further trunks: no leg is kept --------------------------------------------------------------


async def test_a_transfer_goes_on_with_the_new_leg_and_the_replaced_one_is_released() -> None:
    async with a_guard() as guard:
        callee = await guard.talk("agent")
        guard.board.replace_leg("agent", "local")
        await guard.quiet()
        assert "agent" not in guard.board.legs
        assert guard.dispatcher.calls_in_progress == {Mode.BRIDGE: 1}
        guard.board.hang_up("local")
        await guard.quiet()
        assert callee not in guard.board.legs
        assert guard.journal.results == ["answered"]
        guard.assert_nothing_is_kept()


async def test_a_customer_who_transfers_is_replaced_and_released() -> None:
    async with a_guard() as guard:
        callee = await guard.talk("agent")
        guard.board.replace_leg(callee, "local")
        await guard.quiet()
        assert callee not in guard.board.legs
        guard.board.hang_up("agent")
        await guard.quiet()
        assert guard.board.legs == {}
        assert guard.journal.results == ["answered"]
        guard.assert_nothing_is_kept()


async def test_a_leg_that_takes_the_place_of_one_already_replaced_is_not_left_waiting() -> None:
    async with a_guard() as guard:
        await guard.talk("agent")
        guard.line.faults[m.HangUp] = [AsteriskUnreachable("no answer")]
        guard.board.replace_leg("agent", "local")
        await guard.quiet()
        guard.board.replace_leg("agent", "late")
        await guard.quiet()
        assert "late" not in guard.board.legs
        assert guard.dispatcher.calls_in_progress == {Mode.BRIDGE: 1}


@pytest.mark.parametrize("fault", [Rejected("no such endpoint"), NotFound("no such endpoint")])
async def test_trunks_that_cannot_make_a_leg_leave_none_in_memory(fault: Exception) -> None:
    async with a_guard() as guard:
        guard.line.faults[m.CreateCallee] = [fault, fault]
        await guard.dial("agent")
        assert guard.journal.results == ["failed"]
        assert guard.board.legs == {}
        assert guard.board.bridges == {}
        guard.assert_nothing_is_kept()


async def test_a_trunk_without_a_route_is_followed_by_the_next_and_its_leg_is_forgotten() -> None:
    async with a_guard() as guard:
        identity = await guard.dial("agent")
        guard.board.end(f"callguard-{identity}-1", cause=34)
        await guard.quiet()
        guard.board.answer(f"callguard-{identity}-2", "agent")
        guard.board.hang_up("agent")
        await guard.quiet()
        assert guard.journal.outcomes[0].trunk == "second"
        guard.assert_nothing_is_kept()


@pytest.mark.parametrize("kind", [m.CreateCallee, m.CreateBridge])
async def test_what_was_made_though_its_answer_was_lost_is_released(kind: type[TelephonyCommand]) -> None:
    async with a_guard(policy=ONE_TRUNK) as guard:
        guard.line.lost.append(kind)
        await guard.dial("agent")
        assert guard.journal.results == ["failed"]
        assert guard.board.legs == {}
        assert guard.board.bridges == {}
        guard.assert_nothing_is_kept()


# --- what commands answer -----------------------------------------------------------------------------------

ENDS_THE_CALL = [Rejected("no"), Conflict("no"), AsteriskUnreachable("no"), ZeroDivisionError("a defect")]


@pytest.mark.parametrize("fault", ENDS_THE_CALL, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("kind", [m.CreateBridge, m.CreateCallee, m.Join, m.Dial])
async def test_a_command_that_fails_for_good_ends_its_call_as_failed(
    kind: type[TelephonyCommand], fault: Exception
) -> None:
    async with a_guard(policy=ONE_TRUNK) as guard:
        guard.line.faults[kind] = [fault]
        await guard.dial("agent")
        assert guard.journal.results == ["failed"]
        assert m.HangUp("agent", HangupReason.CONGESTION) in guard.line.commands
        assert guard.board.legs == {}
        assert guard.board.bridges == {}
        guard.assert_nothing_is_kept()


@pytest.mark.parametrize("fault", ENDS_THE_CALL, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("kind", [m.SetVariables, m.Release])
async def test_a_screened_call_whose_command_fails_is_never_left_to_the_dialplan(
    kind: type[TelephonyCommand], fault: Exception
) -> None:
    async with a_guard() as guard:
        guard.line.faults[kind] = [fault]
        await guard.dial("agent", mode=Mode.SCREEN)
        assert guard.journal.results == ["failed"]
        assert guard.board.legs == {}
        guard.assert_nothing_is_kept()


@pytest.mark.parametrize("fault", ENDS_THE_CALL, ids=lambda fault: type(fault).__name__)
async def test_a_prompt_that_cannot_be_played_still_refuses(fault: Exception) -> None:
    async with a_guard() as guard:
        guard.line.faults[m.Announce] = [fault]
        await guard.dial("agent", LISTED)
        assert guard.line.given(m.HangUp) == [m.HangUp("agent", HangupReason.REJECTED)]
        assert guard.journal.results == ["prompt-failed"]
        guard.assert_nothing_is_kept()


async def test_a_leg_that_was_gone_before_its_hangup_is_gone() -> None:
    async with a_guard() as guard:
        callee = await guard.talk("agent")
        guard.line.faults[m.HangUp] = [NotFound("gone")]
        guard.board.hang_up("agent")
        await guard.quiet()
        assert guard.journal.results == ["answered"]
        guard.assert_nothing_is_kept()
        assert callee in guard.board.legs


# --- decisions ----------------------------------------------------------------------------------------------


async def failing() -> Hits:
    raise SqlError("away")


async def cold() -> Hits:
    raise CacheError("away")


async def broken() -> Hits:
    raise ZeroDivisionError


async def hanging() -> Hits:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("lookup", [failing, cold, broken, hanging])
@pytest.mark.parametrize(("policy", "verdict"), [(FailurePolicy(), "refuse"), (LENIENT, "allow")])
async def test_lists_that_cannot_be_asked_leave_the_call_to_the_failure_policy(
    lookup: object, policy: FailurePolicy, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decider, "LISTS_SECONDS", 0.01)
    async with a_guard(failure=policy) as guard:
        guard.lists.lookup_instead = lookup  # type: ignore[assignment]
        decision = guard.journal.decisions[await guard.dial("agent")]
        assert (decision.verdict, decision.reason) == (verdict, Reason.GUARD_UNAVAILABLE)
        assert (decision.lists_position, decision.lists_origin) == (None, None)


async def test_a_call_whose_project_is_not_known_is_left_to_the_failure_policy() -> None:
    async with a_guard() as guard:

        async def ask() -> tuple[m.Arrival, str]:
            return an_arrival("agent"), "the variables cannot be read"

        guard.dispatcher.arriving("agent", ask)
        await guard.quiet()
        (decision,) = guard.journal.decisions.values()
        assert (decision.verdict, decision.reason) == (Verdict.REFUSE, Reason.GUARD_UNAVAILABLE)


async def test_a_call_that_a_defect_keeps_from_being_read_is_refused_on_record() -> None:
    async with a_guard(failure=LENIENT) as guard:
        decision = guard.journal.decisions[await guard.dial("agent", DEFECT, Mode.SCREEN)]
        assert (decision.verdict, decision.reason) == (Verdict.REFUSE, Reason.UNREADABLE_NUMBER)
        assert (decision.facts.pbx, decision.facts.guard, decision.facts.channel) == (
            "pbx",
            "callguard",
            "agent",
        )
        assert guard.line.given(m.Announce)


async def test_an_emergency_call_asks_no_list() -> None:
    async with a_guard() as guard:
        guard.lists.lookup_instead = broken
        decision = guard.journal.decisions[await guard.dial("agent", EMERGENCY)]
        assert decision.reason is Reason.EMERGENCY


# --- records ------------------------------------------------------------------------------------------------

RECORDING = [SqlError("away"), ZeroDivisionError("a defect")]
SPOOLING = [OSError("disk full"), ZeroDivisionError("a defect")]


@pytest.mark.parametrize("fault", RECORDING, ids=lambda fault: type(fault).__name__)
async def test_a_call_that_only_the_spool_can_record_goes_by_the_failure_policy(fault: Exception) -> None:
    for policy, verdict in ((LENIENT, Verdict.ALLOW), (FailurePolicy(), Verdict.REFUSE)):
        async with a_guard(failure=policy) as guard:
            guard.journal.recording = fault
            await guard.dial("agent")
            assert [decision.verdict for decision in guard.journal.spooled] == [verdict]
            assert bool(guard.line.given(m.Dial)) == (verdict is Verdict.ALLOW)
            assert bool(guard.line.given(m.Announce)) == (verdict is Verdict.REFUSE)
            assert guard.witness.unrecorded_decisions == []


@pytest.mark.parametrize("spooling", SPOOLING, ids=lambda fault: type(fault).__name__)
async def test_a_call_that_nothing_can_record_is_refused_whatever_the_policy(spooling: Exception) -> None:
    async with a_guard(failure=LENIENT) as guard:
        guard.journal.recording = SqlError("away")
        guard.journal.spooling = spooling
        await guard.dial("agent")
        assert not guard.line.given(m.Dial)
        assert guard.line.given(m.Announce)
        assert [decision.verdict for decision in guard.witness.unrecorded_decisions] == [Verdict.REFUSE]


async def test_a_spool_that_hangs_holds_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decider, "SPOOL_SECONDS", 0.01)
    let_go = threading.Event()
    async with a_guard(failure=LENIENT) as guard:
        guard.journal.recording = SqlError("away")
        monkeypatch.setattr(guard.journal, "spool", lambda decision: let_go.wait())
        try:
            await guard.dial("agent")
            assert guard.line.given(m.Announce)
            assert guard.witness.unrecorded_decisions
        finally:
            let_go.set()


async def test_an_emergency_call_goes_on_even_when_nothing_can_record_it() -> None:
    async with a_guard() as guard:
        guard.journal.recording = SqlError("away")
        guard.journal.spooling = OSError("disk full")
        await guard.dial("agent", EMERGENCY)
        assert guard.line.given(m.Dial)


# --- a defect in one call -----------------------------------------------------------------------------------


async def test_a_defect_in_one_call_ends_that_call_alone() -> None:
    def endpoint(trunk: Trunk, facts: CallFacts) -> str:
        if facts.dialled == "0899":
            raise ZeroDivisionError
        return "PJSIP/1@trunk"

    async with a_guard(policy=replace(POLICY, endpoint=endpoint)) as guard:
        callee = await guard.talk("agent1")
        guard.board.arrive("callguard", "agent2", "0899")
        await guard.quiet()
        assert "agent2" not in guard.board.legs
        assert callee in guard.board.legs
        guard.board.hang_up(callee)
        await guard.quiet()
        guard.assert_nothing_is_kept()


async def test_a_defect_that_an_event_brings_out_ends_the_call_and_its_timers() -> None:
    def endpoint(trunk: Trunk, facts: CallFacts) -> str:
        if trunk.name == "second":
            raise ZeroDivisionError
        return "PJSIP/1@trunk"

    async with a_guard(policy=replace(POLICY, endpoint=endpoint)) as guard:
        identity = await guard.dial("agent")
        (live,) = live_calls(guard.dispatcher)
        guard.board.end(f"callguard-{identity}-1", cause=34)
        await guard.quiet()
        assert guard.board.legs == {}
        assert live.timers == {}
        await guard.dispatcher.take_up()
        await guard.quiet()
        assert guard.board.bridges == {}
        guard.assert_nothing_is_kept()


# --- timers and the stop ------------------------------------------------------------------------------------


def live_calls(dispatcher: Dispatcher) -> list[calls.LiveCall]:
    return list(dispatcher._calls.by_id.values())


async def test_a_callee_that_nobody_answers_is_given_up_after_the_ring_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trunk = replace(ONE_TRUNK.trunks[0], ring_seconds=0.01)
    async with a_guard(policy=replace(ONE_TRUNK, trunks=(trunk,))) as guard:
        ended = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(guard.journal, "outcome", ended.set_result)
        await guard.dial("agent")
        assert (await ended).result is Result.NO_ANSWER
        assert guard.board.legs == {}


@pytest.mark.parametrize("dialled", [ALLOWED, LISTED])
async def test_no_timer_outlives_its_call(dialled: str) -> None:
    async with a_guard() as guard:
        await guard.dial("agent", dialled)
        (live,) = live_calls(guard.dispatcher)
        (handle,) = live.timers.values()
        guard.board.hang_up("agent")
        await guard.quiet()
        assert live.timers == {}
        assert handle.cancelled()


async def test_after_the_stop_nothing_happens_to_any_call() -> None:
    async with a_guard() as guard:
        callee = f"callguard-{await guard.dial('agent')}-1"
        (live,) = live_calls(guard.dispatcher)
        commands = list(guard.line.commands)
        guard.dispatcher.stop()
        assert live.timers == {}
        guard.board.answer(callee)
        guard.board.hang_up("agent")
        guard.board.arrive("callguard", "another")
        guard.dispatcher.leg_ready("stray")
        await guard.quiet()
        assert guard.line.commands == commands
        assert guard.journal.results == []
        assert live.timers == {}
        assert callee in guard.board.legs
        assert guard.dispatcher.calls_in_progress == {Mode.BRIDGE: 1}


async def test_a_stop_while_a_decision_is_made_places_no_call() -> None:
    async with a_guard() as guard:
        guard.board.arrive("callguard", "agent")
        guard.dispatcher.stop()
        await guard.quiet()
        assert guard.line.commands == []
        assert guard.journal.decisions == {}
