"""Inbound calls in memory: the ports of control.callbacks, over a guard's switchboard."""

import asyncio
from dataclasses import dataclass, field

from callguard.control.callbacks import InboundCalls
from callguard.control.inbound import (
    CallbackRules,
    InboundArrival,
    InboundEnd,
    InboundResult,
    Window,
    WindowFate,
)
from callguard.errors import InputError
from tests.rig.switchboard import Guard, now

CALLER = "+6281234567890"
ANONYMOUS = "anonymous"


@dataclass
class MemoryWindows:
    """The CallbackWindows port."""

    written: list[Window] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """What the next writes raise, each once."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Writes wait for it."""

    async def write(self, window: Window) -> None:
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)
        self.written.append(window)


@dataclass
class Callers:
    """The inbound calls of a guard, and what is told of them. It is their InboundObserver."""

    windows: MemoryWindows = field(default_factory=MemoryWindows)
    ends: list[tuple[InboundEnd, str | None]] = field(default_factory=list)
    fates: list[tuple[Window, WindowFate]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    project: str | None = "bank"
    """What a leg brings."""

    def __post_init__(self) -> None:
        self.calls: InboundCalls

    @property
    def results(self) -> list[InboundResult]:
        return [end.result for end, _ in self.ends]

    def arrival(self, channel: str, caller: str = CALLER) -> InboundArrival:
        async def ask() -> str | None:
            return self.project

        return InboundArrival(channel, caller, ask)

    def inbound_ended(self, end: InboundEnd, number: str | None) -> None:
        self.ends.append((end, number))

    def window_written(self, window: Window, fate: WindowFate) -> None:
        self.fates.append((window, fate))
        self.told.set()

    async def wait_fates(self, count: int) -> None:
        """Wait until so many windows were written or given up."""
        async with asyncio.timeout(5):
            while len(self.fates) < count:
                self.told.clear()
                await self.told.wait()


def inbound_of(guard: Guard, rules: CallbackRules | None = None, project: str = "") -> Callers:
    """The inbound calls of this guard."""
    callers = Callers()
    callers.windows.gate.set()
    callers.calls = InboundCalls(
        tasks=guard.tasks,
        telephony=guard.line,
        windows=callers.windows,
        observer=callers,
        rules=rules or CallbackRules(),
        read_number=_read,
        clock=now,
        project=project,
    )
    return callers


def _read(number: str) -> str:
    if number == ANONYMOUS:
        raise InputError("not a number")
    return number
