"""Inbound calls go on at once, whatever fails, and what they mean for calling back is written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from callguard.control import callbacks
from callguard.control import model as m
from callguard.control.callbacks import InboundCalls
from callguard.control.inbound import (
    CloseWindow,
    Happened,
    InboundResult,
    OpenWindow,
    WindowFate,
)
from callguard.errors import AsteriskUnreachable, Conflict, InputError, SqlError
from tests.rig.callers import ANONYMOUS, CALLER, Callers, inbound_of
from tests.rig.switchboard import Guard, Leg, a_guard, now


@asynccontextmanager
async def inbound(project: str = "") -> AsyncIterator[tuple[Guard, Callers]]:
    async with a_guard() as guard:
        yield guard, inbound_of(guard, project=project)


async def come_by(guard: Guard, callers: Callers, channel: str = "in", caller: str = CALLER) -> None:
    """Let a call come in and go on to the queue."""
    guard.board.legs[channel] = Leg("callguard")
    callers.calls.arrived(callers.arrival(channel, caller), now())
    await guard.quiet()


async def abandon(guard: Guard, callers: Callers, channel: str = "in", caller: str = CALLER) -> None:
    await come_by(guard, callers, channel, caller)
    callers.calls.happened(channel, Happened.HUNG_UP, now())
    await guard.quiet()


@asynccontextmanager
async def writing(calls: InboundCalls) -> AsyncIterator[None]:
    task = asyncio.create_task(calls.write_windows())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def written(callers: Callers, fates: int) -> None:
    """Write windows, until so many were written or given up."""
    async with writing(callers.calls):
        await callers.wait_fates(fates)


async def test_a_call_is_watched_before_it_goes_on() -> None:
    async with inbound() as (guard, callers):
        await come_by(guard, callers)
        assert guard.line.commands == [m.Watch("in"), m.Release("in")]
        assert callers.calls.in_progress == 1


async def test_a_call_that_cannot_be_watched_goes_on_and_opens_nothing() -> None:
    async with inbound() as (guard, callers):
        guard.line.faults[m.Watch] = [AsteriskUnreachable("stuck")]
        await come_by(guard, callers)
        assert guard.line.given(m.Release) == [m.Release("in")]
        callers.calls.happened("in", Happened.LEFT, now())
        callers.calls.happened("in", Happened.HUNG_UP, now())
        await guard.quiet()
        assert callers.results == [InboundResult.UNSEEN]


async def test_a_call_that_went_on_by_itself_meanwhile_opens_nothing() -> None:
    async with inbound() as (guard, callers):
        guard.line.faults[m.Release] = [Conflict("not in Stasis")]
        await come_by(guard, callers)
        assert callers.results == [InboundResult.UNSEEN]


async def test_no_call_is_ever_hung_up_or_set_a_verdict() -> None:
    async with inbound() as (guard, callers):
        for fault in (AsteriskUnreachable("stuck"), Conflict("gone on")):
            guard.line.faults = {m.Watch: [fault], m.Release: [fault]}
            await come_by(guard, callers, channel=str(fault))
        assert {type(command) for command in guard.line.commands} == {m.Watch, m.Release}


async def test_the_same_channel_once_more_goes_on_and_is_the_same_call() -> None:
    async with inbound() as (guard, callers):
        await come_by(guard, callers)
        await come_by(guard, callers)
        assert len(guard.line.given(m.Release)) == 2
        callers.calls.happened("in", Happened.HUNG_UP, now())
        await guard.quiet()
        assert callers.results == [InboundResult.ABANDONED]


async def test_an_abandoned_call_opens_a_window_of_the_project_it_was_for() -> None:
    async with inbound() as (guard, callers):
        await abandon(guard, callers)
        await written(callers, 1)
        (window,) = callers.windows.written
        assert isinstance(window, OpenWindow)
        assert (window.number, window.project, window.reference) == (CALLER, "bank", "in")
        assert callers.fates == [(window, WindowFate.WRITTEN)]


@pytest.mark.parametrize(("default", "project"), [("", None), ("house", "house")])
async def test_a_call_without_a_project_is_the_default_projects_or_the_companys(
    default: str, project: str | None
) -> None:
    async with inbound(project=default) as (guard, callers):
        callers.project = ""
        await abandon(guard, callers)
        await written(callers, 1)
        assert callers.windows.written[0].project == project


async def test_a_call_whose_project_cannot_be_known_opens_no_window() -> None:
    async with inbound() as (guard, callers):
        callers.project = None
        await abandon(guard, callers, "first")
        callers.project = "bank"
        await abandon(guard, callers, "second")
        await written(callers, 1)
        assert [window.number for window, _ in callers.fates] == [CALLER]
        assert len(callers.ends) == 2


async def test_nobody_is_to_be_called_back_at_a_number_that_cannot_be_read() -> None:
    async with inbound() as (guard, callers):
        await abandon(guard, callers, "first", ANONYMOUS)
        await abandon(guard, callers, "second")
        await written(callers, 1)
        assert [number for _, number in callers.ends] == [None, CALLER]
        assert len(callers.windows.written) == 1


async def test_an_answered_call_is_looked_at_no_further() -> None:
    async with inbound() as (guard, callers):
        await come_by(guard, callers)
        for happened in (Happened.ANSWERED, Happened.HUNG_UP, Happened.GONE):
            callers.calls.happened("in", happened, now())
        await guard.quiet()
        assert callers.results == [InboundResult.ANSWERED]
        assert callers.calls.in_progress == 0


async def test_a_window_is_written_when_sql_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "RETRY_FIRST", 0.0)
    async with inbound() as (guard, callers):
        callers.windows.faults = [SqlError("away"), SqlError("away")]
        await abandon(guard, callers)
        await written(callers, 1)
        assert len(callers.windows.written) == 1


@pytest.mark.parametrize("fault", [InputError("too long"), ZeroDivisionError()])
async def test_a_window_that_cannot_be_stored_keeps_no_other_from_being_written(fault: Exception) -> None:
    async with inbound() as (guard, callers):
        callers.windows.faults = [fault]
        await abandon(guard, callers, "first", "+62811")
        await abandon(guard, callers, "second", "+62812")
        await written(callers, 2)
        assert [fate for _, fate in callers.fates] == [WindowFate.GIVEN_UP, WindowFate.WRITTEN]
        assert [window.number for window in callers.windows.written] == ["+62812"]


async def test_while_sql_is_away_the_latest_word_about_a_number_waits_and_the_oldest_number_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callbacks, "MOST_WAITING", 2)
    async with inbound() as (guard, callers):
        for index in range(3):
            await abandon(guard, callers, f"in{index}", f"+6281{index}")
        await come_by(guard, callers, "again", "+62812")
        callers.calls.happened("again", Happened.ANSWERED, now())
        await guard.quiet()
        await written(callers, 3)
        assert [(window.number, fate) for window, fate in callers.fates] == [
            ("+62810", WindowFate.GIVEN_UP),
            ("+62811", WindowFate.WRITTEN),
            ("+62812", WindowFate.WRITTEN),
        ]
        assert isinstance(callers.windows.written[-1], CloseWindow)


async def test_a_newer_word_that_comes_during_a_write_is_written_after_it() -> None:
    async with inbound() as (guard, callers):
        callers.windows.gate.clear()
        await abandon(guard, callers, "first")
        async with writing(callers.calls):
            await asyncio.sleep(0)
            await come_by(guard, callers, "second")
            callers.calls.happened("second", Happened.ANSWERED, now())
            await guard.quiet()
            callers.windows.gate.set()
            await callers.wait_fates(2)
        assert [type(window) for window in callers.windows.written] == [OpenWindow, CloseWindow]


async def test_the_oldest_of_too_many_calls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "MOST_CALLS", 2)
    async with inbound() as (guard, callers):
        for index in range(3):
            await come_by(guard, callers, f"in{index}")
        assert callers.calls.in_progress == 2
        assert [(end.channel, end.result) for end, _ in callers.ends] == [("in0", InboundResult.UNSEEN)]
