"""Replace a list under look-ups, and find out what slowed these: the import, the scheduler or the machine."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import redis

from tests.benchmarks.hiccups import Hiccups
from tests.benchmarks.made_up_numbers import Kind
from tests.benchmarks.measuring import Measuring
from tests.benchmarks.prober import NEAR_SECONDS, Looked, looked_of
from tests.benchmarks.realtime import cores, first_on
from tests.benchmarks.site import Ended, Site
from tests.benchmarks.witness import watch

_T = TypeVar("_T")

LIST = "national"
STALL_MS = 5
"""A look-up that takes longer is a stall."""
BULK_NICENESS = "10"
"""That of imports."""
COLUMNS = (
    *("numbers", "beside", "look-ups", "over 5 ms", "the machine's", "the rest"),
    *("longest ms", "without hiccups", "no core", "most ran", "near switch", "without hiccups"),
    *("longest command", "script near switch", "hiccups", "longest"),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One that held Redis for long."""

    at: int
    """Seconds since 1970 when it ended."""
    milliseconds: float
    is_script: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """Look-ups, and what else went on meanwhile."""

    looked: Looked
    hiccups: Hiccups | None
    """The machine's; None if nobody watched."""
    commands: list[Command]

    def switch(self) -> float:
        """Milliseconds that the longest script held Redis within a second of the switch."""
        near = (abs(command.at - self.looked.switched_at) <= NEAR_SECONDS + 1 for command in self.commands)
        scripts = (one for one, is_near in zip(self.commands, near, strict=True) if is_near and one.is_script)
        return max((command.milliseconds for command in scripts), default=0)

    def without_hiccups(self, at: float, taken: float) -> float:
        """Milliseconds that a look-up would have taken on a machine that never stands still."""
        assert self.hiccups is not None
        return taken - 1000 * self.hiccups.within(at, at + taken / 1000)

    def row(self) -> list[str]:
        """What COLUMNS say, after the first two."""
        looked = self.looked
        stalls = sum(slow.taken > STALL_MS for slow in looked.slow)
        waited = max(looked.slow, key=lambda slow: slow.taken).waited if looked.slow else 0
        near = looked.near_switch
        machines = rest = longest_without = near_without = hiccups = longest_hiccup = "-"
        if self.hiccups is not None:
            without = [self.without_hiccups(slow.at, slow.taken) for slow in looked.slow]
            over = sum(taken > STALL_MS for taken in without)
            machines, rest = f"{stalls - over}", f"{over}"
            longest_without = f"{max(without, default=looked.longest):.2f}"
            near_without = f"{max((self.without_hiccups(*one) for one in near), default=0):.2f}"
            hiccups, longest_hiccup = f"{len(self.hiccups)}", f"{self.hiccups.longest * 1000:.2f}"
        return [
            *(f"{looked.asked:,}", f"{stalls}", machines, rest, f"{looked.longest:.2f}", longest_without),
            *(f"{waited:.2f}", f"{looked.most_ran:.2f}"),
            *(f"{max((taken for _, taken in near), default=0):.2f}", near_without),
            f"{max((command.milliseconds for command in self.commands), default=0):.2f}",
            *(f"{self.switch():.2f}", hiccups, longest_hiccup),
        ]


@dataclass(frozen=True, slots=True)
class Replaced:
    """A replacement under look-ups."""

    ended: Ended
    imported: Stretch
    """Beside the import."""
    busy: Stretch
    """Beside a busy process instead."""
    alone: Stretch
    """Beside nothing."""

    def rows(self) -> list[list[str]]:
        stretches = {"import": self.imported, "busy": self.busy, "alone": self.alone}
        return [[beside, *stretch.row()] for beside, stretch in stretches.items()]


@contextmanager
def busy_cores() -> Iterator[None]:
    """A process of an import's priority that keeps the cores busy."""
    process = subprocess.Popen(["nice", "-n", BULK_NICENESS, sys.executable, "-m", "tests.benchmarks.busy"])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def slow_commands(client: redis.Redis) -> list[Command]:
    """What took Redis longer than 0.2 ms since log_slow_commands."""
    return [
        Command(entry["start_time"], entry["duration"] / 1000, entry["command"][:4] == b"EVAL")
        for entry in client.slowlog_get(100_000)
    ]


def log_slow_commands(client: redis.Redis) -> None:
    client.config_set("slowlog-log-slower-than", 200)
    client.config_set("slowlog-max-len", 100_000)
    client.slowlog_reset()


def replace(
    site: Site, kind: Kind, count: int, file: Path, *, baseline_seconds: float, real_time: bool
) -> Replaced:
    """Import a file over the list, with look-ups all the while. `real_time`: look-ups and Redis run before
    all others, each first on a core of its own."""

    core = [str(cores()[-1])] if real_time else []

    def beside(work: Callable[[], _T]) -> tuple[_T, Stretch]:
        log_slow_commands(client)  # to forget the last ones takes Redis some milliseconds
        watching = watch()  # before the look-ups begin, until they have ended
        lookups = Measuring("tests.benchmarks.prober", kind, str(count), *core, environ=site.environ)
        done = work()
        looked, hiccups = looked_of(lookups.stop()), watching.stop()
        return done, Stretch(looked, hiccups, slow_commands(client))

    def baseline() -> Stretch:
        return beside(lambda: time.sleep(baseline_seconds))[1]

    first = first_on(cores()[0], site.redis.process.pid) if real_time else nullcontext()
    with site.redis.client() as client, first:
        ended, imported = beside(lambda: site.run("list", "import", LIST, str(file), "--yes"))
        with busy_cores():
            busy = baseline()
        return Replaced(ended, imported, busy, alone=baseline())
