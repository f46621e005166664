"""After a lost connection and after a restart every call is found again, once, and goes on as it should."""

import asyncio
from dataclasses import replace

import pytest

from callguard.control import dispatcher as dispatching
from callguard.control import model as m
from callguard.control.model import HangupReason
from callguard.errors import AsteriskUnreachable, SqlError
from callguard.screening.model import Mode
from tests.rig.switchboard import ALLOWED, LISTED, Guard, Leg, Switchboard, a_guard, now, restarted

AWAY = AsteriskUnreachable("no answer")


async def take_up(guard: Guard) -> None:
    await guard.dispatcher.take_up()
    await guard.quiet()


async def regular_look(guard: Guard) -> None:
    await guard.dispatcher.look_again()
    await guard.quiet()


# --- a lost connection --------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["caller", "callee"])
async def test_a_conversation_that_ended_unseen_is_ended(side: str) -> None:
    async with a_guard() as guard:
        callee = await guard.talk("agent")
        guard.disconnect()
        guard.board.hang_up(callee if side == "callee" else "agent")
        await guard.reconnect()
        assert guard.board.legs == {}
        assert guard.board.bridges == {}
        assert guard.journal.results == ["answered"]
        guard.assert_nothing_is_kept()


async def test_a_conversation_goes_on_when_the_connection_is_back() -> None:
    async with a_guard() as guard:
        callee = await guard.talk("agent")
        guard.disconnect()
        await guard.reconnect()
        assert set(guard.board.legs) == {"agent", callee}
        guard.board.hang_up(callee)
        await guard.quiet()
        assert guard.journal.results == ["answered"]


async def test_an_answer_that_went_by_unseen_is_no_ring_time_that_runs_out() -> None:
    async with a_guard() as guard:
        callee = f"callguard-{await guard.dial('agent')}-1"
        guard.disconnect()
        guard.board.answer(callee, "agent")
        await guard.reconnect()
        guard.board.hang_up(callee)
        await guard.quiet()
        assert guard.journal.results == ["answered"]


async def test_a_conversation_that_began_and_ended_unseen_is_not_dialled_again() -> None:
    async with a_guard() as guard:
        callee = f"callguard-{await guard.dial('agent')}-1"
        guard.disconnect()
        guard.board.answer(callee, "agent")
        guard.board.hang_up(callee)
        await guard.reconnect()
        assert guard.line.given(m.CreateCallee) == [guard.line.given(m.CreateCallee)[0]]
        assert guard.journal.results == ["answered"]
        assert guard.board.legs == {}


@pytest.mark.parametrize("mode", Mode)
async def test_a_call_whose_answer_and_end_may_have_gone_by_unseen_is_on_record_as_unknown(
    mode: Mode,
) -> None:
    async with a_guard() as guard:
        await guard.dial("agent", mode=mode)
        guard.disconnect()
        guard.board.legs.clear()
        await guard.reconnect()
        assert guard.journal.results == ["unknown"]
        assert len(guard.line.given(m.CreateCallee)) == (1 if mode is Mode.BRIDGE else 0)
        guard.assert_nothing_is_kept()


async def test_a_screened_call_is_watched_anew_after_each_connect_but_not_at_each_look() -> None:
    async with a_guard() as guard:
        await take_up(guard)
        await guard.dial("agent", mode=Mode.SCREEN)
        await guard.reconnect()
        assert guard.line.given(m.Watch) == [m.Watch("agent")] * 2
        await regular_look(guard)
        assert guard.line.given(m.Watch) == [m.Watch("agent")] * 2


async def test_a_transferred_call_goes_on_after_a_reconnect() -> None:
    async with a_guard() as guard:
        callee = await guard.talk("agent")
        guard.board.replace_leg("agent", "local")
        await guard.quiet()
        guard.disconnect()
        await guard.reconnect()
        assert set(guard.board.legs) == {"local", callee}
        assert guard.dispatcher.calls_in_progress == {Mode.BRIDGE: 1}


# --- what happens while Asterisk is looked at ---------------------------------------------------------------


async def test_a_leg_that_is_made_during_a_look_is_not_taken_for_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_guard() as guard:
        await take_up(guard)
        execute, looking = guard.line.execute, asyncio.Event()

        async def not_before_the_look(command: m.TelephonyCommand) -> None:
            if isinstance(command, m.CreateCallee):
                await looking.wait()
            await execute(command)

        async def meanwhile() -> None:
            looking.set()
            await guard.quiet()

        monkeypatch.setattr(guard.line, "execute", not_before_the_look)
        guard.line.during_look = [meanwhile]
        guard.board.arrive("callguard", "agent")
        await guard.line.came[m.CreateBridge].wait()
        await take_up(guard)
        assert len(guard.line.given(m.CreateCallee)) == 1
        assert len(guard.line.given(m.Dial)) == 1
        assert guard.journal.results == []


async def test_a_leg_that_takes_anothers_place_during_a_look_is_not_taken_for_gone() -> None:
    async with a_guard() as guard:
        await take_up(guard)
        callee = await guard.talk("agent")

        async def transfer() -> None:
            guard.board.replace_leg("agent", "local")

        guard.line.during_look = [transfer]
        await take_up(guard)
        assert set(guard.board.legs) == {"local", callee}
        assert guard.journal.results == []


async def test_two_looks_at_a_time_take_up_nothing_twice() -> None:
    async with a_guard() as former:
        await former.talk("agent")
        former.disconnect()
        former.board.arrive("callguard", "waiting")
        async with restarted(former) as guard:
            await asyncio.gather(guard.dispatcher.take_up(), guard.dispatcher.take_up())
            await guard.quiet()
            assert guard.dispatcher.calls_in_progress == {Mode.BRIDGE: 2}
            assert len(guard.journal.decisions) == 2


# --- legs that waited ---------------------------------------------------------------------------------------


async def test_a_call_that_came_while_callguard_was_away_is_taken_in_once() -> None:
    async with a_guard() as guard:
        guard.disconnect()
        guard.board.arrive("callguard", "agent", LISTED)
        await guard.reconnect()
        await guard.reconnect()
        assert [decision.verdict for decision in guard.journal.decisions.values()] == ["refuse"]


async def test_a_leg_that_waited_and_went_before_it_was_taken_in_is_no_call() -> None:
    async with a_guard() as guard:
        guard.disconnect()
        guard.board.arrive("callguard", "gone")
        guard.board.arrive("callguard", "moved")

        async def nothing() -> None:
            pass

        async def go() -> None:
            guard.board.end("gone")
            guard.board.legs["moved"].guard = ""

        guard.line.during_look = [nothing, go]
        await guard.reconnect()
        assert guard.journal.decisions == {}


async def test_a_leg_whose_variables_are_being_asked_for_is_not_taken_in_twice() -> None:
    async with a_guard() as guard:
        await take_up(guard)
        answer = asyncio.Event()
        arrival = replace(guard_arrival(guard, "agent"), project="asked")

        async def ask() -> tuple[m.Arrival, str]:
            await answer.wait()
            return arrival, ""

        guard.dispatcher.arriving("agent", ask)
        await guard.dispatcher.take_up()
        answer.set()
        await guard.quiet()
        assert len(guard.journal.decisions) == 1


def guard_arrival(guard: Guard, channel: str) -> m.Arrival:
    """A leg that waits, and of which no event was told."""
    told, guard.board.guards = guard.board.guards, {}
    guard.board.arrive(guard.name, channel)
    guard.board.guards = told
    arrival = guard.board.legs[channel].arrival
    assert arrival
    return arrival


# --- a restart ----------------------------------------------------------------------------------------------


async def test_a_conversation_outlives_a_restart_and_its_end_is_recorded() -> None:
    async with a_guard() as former:
        callee = await former.talk("agent")
        async with restarted(former) as guard:
            await take_up(guard)
            assert set(guard.board.legs) == {"agent", callee}
            guard.board.hang_up("agent")
            await guard.quiet()
            assert guard.board.legs == {}
            assert guard.journal.results == ["answered"]
            assert guard.journal.outcomes[0].answered_at
            guard.assert_nothing_is_kept()


async def test_a_conversation_that_was_transferred_outlives_a_restart() -> None:
    async with a_guard() as former:
        callee = await former.talk("agent")
        former.board.replace_leg("agent", "local")
        await former.quiet()
        async with restarted(former) as guard:
            await take_up(guard)
            assert set(guard.board.legs) == {"local", callee}
            guard.board.hang_up("local")
            await guard.quiet()
            assert guard.board.legs == {}
            assert guard.journal.results == ["answered"]
            guard.assert_nothing_is_kept()


async def test_a_call_that_rings_through_a_restart_can_be_answered() -> None:
    async with a_guard() as former:
        callee = f"callguard-{await former.dial('agent')}-1"
        former.board.ring(callee)
        async with restarted(former) as guard:
            await take_up(guard)
            guard.board.answer(callee, "agent")
            guard.board.hang_up(callee)
            await guard.quiet()
            assert guard.journal.results == ["answered"]
            assert len(guard.board.legs) == 0


async def test_a_call_that_was_not_dialled_before_the_restart_is_dialled_after_it() -> None:
    async with a_guard() as former:
        former.line.faults[m.Join] = [AWAY]
        former.board.arrive("callguard", "agent")
        await former.line.came[m.Join].wait()
        async with restarted(former) as guard:
            await former.quiet()
            await take_up(guard)
            (dial,) = guard.line.given(m.Dial)
            assert dial.callee.endswith("-2")
            assert set(guard.board.legs) == {"agent", dial.callee}
            assert len(guard.board.bridges) == 1


async def test_a_refused_caller_hears_the_prompt_after_a_restart_and_is_refused() -> None:
    async with a_guard() as former:
        await former.dial("agent", LISTED)
        async with restarted(former) as guard:
            await take_up(guard)
            (announce,) = guard.line.given(m.Announce)
            guard.dispatcher.prompt_finished("agent", announce.playback, heard=True)
            await guard.quiet()
            assert guard.journal.results == ["prompt-heard"]
            assert guard.board.legs == {}


async def test_a_screened_call_has_its_outcome_after_a_restart() -> None:
    async with a_guard() as former:
        await former.dial("agent", mode=Mode.SCREEN)
        async with restarted(former) as guard:
            await take_up(guard)
            guard.dispatcher.dial_progressed("agent", "peer", "ANSWER", now())
            guard.board.end("agent")
            await guard.quiet()
            assert guard.journal.results == ["answered"]
            guard.assert_nothing_is_kept()


async def test_what_happens_while_the_former_life_is_read_is_not_lost() -> None:
    async with a_guard() as former:
        await former.dial("agent", mode=Mode.SCREEN)
        async with restarted(former) as guard:

            async def answered_and_ended() -> None:
                guard.dispatcher.dial_progressed("agent", "peer", "ANSWER", now())
                guard.board.end("agent")

            guard.journal.while_reading = answered_and_ended
            await take_up(guard)
            assert guard.journal.results == ["answered"]
            guard.assert_nothing_is_kept()


async def test_a_call_that_ended_while_callguard_was_down_gets_its_outcome_once() -> None:
    async with a_guard() as former:
        callee = await former.talk("agent")
        former.disconnect()
        former.board.hang_up("agent")
        async with restarted(former) as guard:
            await take_up(guard)
            await take_up(guard)
            assert callee not in guard.board.legs
            assert guard.board.bridges == {}
            assert guard.journal.results == ["unknown"]
            guard.assert_nothing_is_kept()


async def test_a_call_that_ends_while_the_former_life_is_read_has_one_outcome() -> None:
    async with a_guard() as guard:
        callee = await guard.talk("agent")

        async def end() -> None:
            guard.board.hang_up(callee)
            await guard.quiet()

        guard.journal.while_reading = end
        await take_up(guard)
        assert guard.journal.results == ["answered"]


async def test_of_two_open_decisions_about_one_leg_only_the_last_has_it() -> None:
    async with a_guard() as former:
        await former.dial("agent", mode=Mode.SCREEN)
        outcomes = former.journal.outcomes
        former.board.legs["agent"].guard = "callguard"
        second = await former.dial("agent", LISTED, Mode.SCREEN)
        outcomes.clear()  # as if both had been cut off before they were written
        async with restarted(former) as guard:
            await take_up(guard)
            assert guard.line.given(m.Release) == []
            assert [command.caller for command in guard.line.given(m.Announce)] == ["agent"]
            assert guard.journal.results == ["unknown"]
            assert guard.journal.outcomes[0].decision_id != second


async def test_a_leg_that_asks_anew_after_a_restart_is_not_released_by_its_former_verdict() -> None:
    async with a_guard() as former:
        await former.dial("agent", mode=Mode.SCREEN)
        async with restarted(former) as guard:

            async def ask_again() -> None:
                guard.board.arrive("callguard", "agent", LISTED, Mode.SCREEN)

            guard.journal.while_reading = ask_again
            await take_up(guard)
            assert guard.line.given(m.Release) == []
            assert guard.line.given(m.Announce)
            assert guard.journal.results == ["unknown"]


async def test_the_former_life_is_found_once_the_journal_can_be_read_again() -> None:
    async with a_guard() as former:
        callee = await former.talk("agent")
        former.board.bridges["callguard-" + "0" * 26] = set()
        async with restarted(former) as guard:
            guard.journal.reading = SqlError("away")
            with pytest.raises(SqlError):
                await guard.dispatcher.take_up()
            assert set(guard.board.legs) == {"agent", callee}
            assert guard.line.commands == []
            guard.journal.reading = None
            await take_up(guard)
            assert guard.dispatcher.calls_in_progress == {Mode.BRIDGE: 1}
            assert len(guard.board.bridges) == 1


async def test_new_calls_are_served_before_the_journal_can_be_read() -> None:
    async with a_guard() as guard:
        guard.journal.reading = SqlError("away")
        with pytest.raises(SqlError):
            await guard.dispatcher.take_up()
        await guard.talk("agent")
        guard.board.hang_up("agent")
        await guard.quiet()
        assert guard.journal.results == ["answered"]


# --- strays, and other guards -------------------------------------------------------------------------------

STRAY = "callguard-" + "0" * 26


async def test_legs_and_bridges_of_no_call_are_released() -> None:
    async with a_guard() as guard:
        guard.board.legs[f"{STRAY}-1"] = Leg("callguard")
        guard.board.bridges[STRAY] = set()
        await take_up(guard)
        assert guard.board.legs == {}
        assert guard.board.bridges == {}


async def test_a_leg_that_its_own_call_has_no_use_for_is_released() -> None:
    async with a_guard() as former:
        callee = f"callguard-{await former.dial('agent')}-1"
        async with restarted(former) as guard:
            guard.line.faults[m.HangUp] = [AWAY, AWAY]
            await take_up(guard)
            assert callee in guard.board.legs
            await regular_look(guard)
            assert set(guard.board.legs) == {"agent", guard.line.given(m.Dial)[0].callee}


async def test_two_guards_never_touch_each_others_calls() -> None:
    board = Switchboard()
    async with a_guard(board, "callguard") as one, a_guard(board, "callguard-2", one.journal) as two:
        callee = await one.talk("agent")
        board.legs["callguard-2-" + "0" * 26 + "-1"] = Leg("callguard-2")
        board.bridges["callguard-2-" + "0" * 26] = set()
        await take_up(one)
        assert len(board.bridges) == 2
        await take_up(two)
        assert set(board.legs) == {"agent", callee}
        assert len(board.bridges) == 1
        async with restarted(two) as again:
            await take_up(again)
            assert again.dispatcher.calls_in_progress == {}
        assert set(board.legs) == {"agent", callee}
        assert one.dispatcher.calls_in_progress == {Mode.BRIDGE: 1}


async def test_a_leg_of_a_hostile_name_stops_no_restart() -> None:
    async with a_guard() as former:
        callee = await former.talk("agent")
        for name in (callee.rpartition("-")[0], callee + "9" * 5000, callee + "\n", "", "callguard-"):
            former.board.legs[name] = Leg("")
        async with restarted(former) as guard:
            await take_up(guard)
            assert guard.dispatcher.calls_in_progress == {Mode.BRIDGE: 1}
            assert "agent" in guard.board.legs


async def test_a_replaced_leg_that_could_not_be_hung_up_is_hung_up_by_the_next_look() -> None:
    async with a_guard() as guard:
        await take_up(guard)
        callee = await guard.talk("agent")
        guard.line.faults[m.HangUp] = [AWAY]
        guard.board.replace_leg("agent", "local")
        await guard.quiet()
        assert "agent" in guard.board.legs
        await regular_look(guard)
        assert set(guard.board.legs) == {"local", callee}
        guard.board.hang_up("local")
        await guard.quiet()
        guard.assert_nothing_is_kept()


async def test_a_replaced_leg_whose_end_went_by_unseen_is_forgotten() -> None:
    async with a_guard() as guard:
        await take_up(guard)
        await guard.talk("agent")
        guard.line.faults[m.HangUp] = [AWAY]
        guard.board.replace_leg("agent", "local")
        await guard.quiet()
        guard.disconnect()
        guard.board.end("agent")
        guard.board.guards["callguard"] = guard.dispatcher
        guard.board.hang_up("local")
        await guard.quiet()
        await take_up(guard)
        guard.assert_nothing_is_kept()


# --- the regular look ---------------------------------------------------------------------------------------


async def test_the_regular_look_ends_a_call_whose_end_no_event_told() -> None:
    async with a_guard() as guard:
        await take_up(guard)
        await guard.talk("agent")
        told, guard.board.guards = guard.board.guards, {}
        guard.board.end("agent")
        guard.board.guards = told
        await regular_look(guard)
        assert guard.journal.results == ["answered"]
        assert guard.board.legs == {}


async def test_a_regular_look_that_fails_is_not_the_last() -> None:
    async with a_guard() as guard:
        await take_up(guard)
        look = guard.line.look
        looked = asyncio.Event()

        async def fail() -> object:
            guard.line.look = succeed  # type: ignore[method-assign, assignment]
            raise AWAY

        async def succeed() -> object:
            looked.set()
            return await look()

        guard.line.look = fail  # type: ignore[method-assign, assignment]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatching, "LOOK_SECONDS", 0)
            looking = asyncio.create_task(guard.dispatcher.look_regularly())
            await looked.wait()
        looking.cancel()
        await asyncio.wait([looking])


async def test_a_former_life_that_is_not_known_yet_is_not_swept_by_the_regular_look() -> None:
    async with a_guard() as former:
        callee = await former.talk("agent")
        async with restarted(former) as guard:
            guard.journal.reading = SqlError("away")
            with pytest.raises(SqlError):
                await guard.dispatcher.take_up()
            await regular_look(guard)
            assert guard.line.commands == []
            assert set(guard.board.legs) == {"agent", callee}


async def test_a_waiting_leg_is_found_by_the_regular_look() -> None:
    async with a_guard() as guard:
        await take_up(guard)
        guard_arrival(guard, "agent")
        await regular_look(guard)
        (decision,) = guard.journal.decisions.values()
        assert decision.facts.dialled == ALLOWED
        assert m.HangUp("agent", HangupReason.NORMAL) not in guard.line.commands
