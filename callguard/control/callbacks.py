"""The inbound calls in progress, and the windows for calling back that are still to be written.

The shell around control.inbound. What it does to a call is to have its events told and to let it go on, at
once: an inbound call is never held up, refused or hung up.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

import structlog

from callguard.control import model as m
from callguard.control.inbound import (
    CallbackRules,
    Happened,
    InboundArrival,
    InboundCall,
    InboundEnd,
    Window,
    WindowFate,
    advance,
    meaning,
)
from callguard.control.ports import CallbackWindows, InboundObserver, Telephony
from callguard.control.sight import Sight
from callguard.errors import AsteriskError, CallguardError, InputError

MOST_CALLS = 10_000
"""Calls that are watched at once; for a further one the oldest is given up."""
MOST_WAITING = 1000
"""Windows that wait to be written while SQL is away; for a further one the oldest is given up."""
RETRY_FIRST = 0.5
RETRY_LONGEST = 30.0
"""Seconds before a window is written again, doubling from the first to the longest."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.inbound")


@dataclass(slots=True)
class _Live:
    call: InboundCall
    caller_number: str
    project: "asyncio.Task[str | None]"
    """Lets the call go on, and gives its project: None if that cannot be known."""


class InboundCalls:
    """All inbound calls that nobody has answered yet."""

    def __init__(
        self,
        *,
        tasks: asyncio.TaskGroup,
        telephony: Telephony,
        windows: CallbackWindows,
        observer: InboundObserver,
        rules: CallbackRules,
        read_number: Callable[[str], str],
        clock: Callable[[], datetime],
        project: str = "",
    ) -> None:
        """`read_number` reads a caller's number as E.164, or raises InputError. `clock` tells the time (UTC)
        that calls are screened at, and so that windows begin at. `project` is that of a leg which brings
        none; empty for the whole company."""
        self._tasks = tasks
        self._telephony = telephony
        self._windows = windows
        self._observer = observer
        self._rules = rules
        self._read_number = read_number
        self._project = project
        self._clock = clock
        self._calls: OrderedDict[str, _Live] = OrderedDict()
        self._waiting: OrderedDict[tuple[str, str | None], Window] = OrderedDict()
        self._wanted = asyncio.Event()

    def use(self, rules: CallbackRules, read_number: Callable[[str], str], project: str) -> None:
        """Go by these from now on; see __init__."""
        self._rules = rules
        self._read_number = read_number
        self._project = project

    @property
    def in_progress(self) -> int:
        return len(self._calls)

    def arrived(self, arrival: InboundArrival, at: datetime) -> None:
        """An inbound leg comes by."""
        channel = arrival.channel
        if channel in self._calls:
            # The dialplan sends the same channel once more, and nobody has answered yet.
            self._tasks.create_task(self._release(channel))
            return
        if len(self._calls) >= MOST_CALLS:
            self.happened(next(iter(self._calls)), Happened.LOST, at)
        let_go = self._tasks.create_task(self._let_go_on(arrival))
        self._calls[channel] = _Live(InboundCall(channel, at), arrival.caller_number, let_go)

    def happened(self, channel: str, what: Happened, at: datetime) -> None:
        """Take in what happened to a channel; nothing where it is none that is watched."""
        live = self._calls.get(channel)
        if live is None:
            return
        now = advance(live.call, what, at)
        if isinstance(now, InboundCall):
            live.call = now
            return
        del self._calls[channel]
        self._tasks.create_task(self._ended(live, now))

    def lost(self, at: datetime) -> None:
        """The connection to Asterisk ended: of no call can be told any more whether it was answered."""
        for channel in tuple(self._calls):
            self.happened(channel, Happened.LOST, at)

    async def take_up(self) -> None:
        """Let the legs go on that came by while nobody listened: after each connect. Raises AsteriskError."""
        self._take_in(await self._telephony.look())

    def _take_in(self, sight: Sight) -> None:
        for leg in sight.legs.values():
            if leg.inbound is not None and leg.in_stasis and leg.id not in self._calls:
                self.arrived(leg.inbound, sight.at)

    async def _let_go_on(self, arrival: InboundArrival) -> str | None:
        """Watch the leg while it is in Stasis, so that nothing of what follows is missed; then let it go,
        even if it cannot be watched. Gives its project."""
        channel = arrival.channel
        try:
            await self._telephony.execute(m.Watch(channel))
        except AsteriskError as error:
            _log.warning("an inbound call cannot be watched", channel=channel, problem=str(error))
        else:
            self.happened(channel, Happened.WATCHED, datetime.now(UTC))
        await self._release(channel)
        return await arrival.ask_project()

    async def _release(self, channel: str) -> None:
        try:
            await self._telephony.execute(m.Release(channel))
        except AsteriskError as error:
            # It went on by itself, or hung up.
            _log.info("an inbound call was not waiting any more", channel=channel, problem=str(error))
            self.happened(channel, Happened.LOST, datetime.now(UTC))

    async def _ended(self, live: _Live, end: InboundEnd) -> None:
        try:
            number = self._read_number(live.caller_number)
        except InputError:
            # Anonymous, one of our own extensions, or what no number is: nobody to call back.
            number = None
        self._observer.inbound_ended(end, number)
        if number is None:
            return
        at = self._clock()
        project = await live.project
        if project is None:
            # Without it the window could be one for calls of every project.
            _log.error("the project of an inbound call cannot be read", channel=end.channel)
            return
        window = meaning(end, number, project or self._project or None, self._rules, at)
        if window is not None:
            self._want(window)

    def _want(self, window: Window) -> None:
        key = (window.number, window.project)
        if key not in self._waiting and len(self._waiting) >= MOST_WAITING:
            _, given_up = self._waiting.popitem(last=False)
            self._observer.window_written(given_up, WindowFate.GIVEN_UP)
        self._waiting[key] = window
        self._wanted.set()

    async def write_windows(self) -> NoReturn:
        """Write the windows as they come, one at a time, for ever; while SQL is away, try again."""
        pause = RETRY_FIRST
        while True:
            await self._wanted.wait()
            if not self._waiting:
                self._wanted.clear()
                continue
            key, window = next(iter(self._waiting.items()))
            fate = WindowFate.GIVEN_UP
            try:
                await self._windows.write(window)
                fate = WindowFate.WRITTEN
            except InputError as error:
                _log.warning(
                    "a window for calling back cannot be stored", number=window.number, problem=str(error)
                )
            except CallguardError as error:
                _log.error("a window for calling back cannot be written yet", problem=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY_LONGEST)
                continue
            except Exception:  # a defect in one window must not keep the others from being written
                _log.exception("writing a window for calling back failed", number=window.number)
            pause = RETRY_FIRST
            if self._waiting.get(key) is window:
                del self._waiting[key]
            self._observer.window_written(window, fate)
