"""A witness of the machine's own hiccups, as cyclictest and jHiccup are: on each core a process sleeps for a
moment, again and again, and notes when it woke too late.

Its real-time priority is above that of all else here, so that nothing of ours keeps it from waking: the core
did not run. On a virtual machine that is nearly always the host, which gave the core to somebody else;
besides, it may be the kernel itself, at work where it cannot be interrupted. When the core stopped during
a sleep is not known: a hiccup counts from when the sleep should have ended, so up to SLEEP_SECONDS too short.

    python -m tests.benchmarks.witness 0     the core; until a line comes in, then it prints its hiccups
"""

import gc
import sys
import threading
import time

from tests.benchmarks.hiccups import Hiccup, Hiccups
from tests.benchmarks.measuring import Measuring, answer, begin
from tests.benchmarks.realtime import WITNESS_PRIORITY, cores, may_be_real_time, stay_first

SLEEP_SECONDS = 0.002
"""Takes under 2 % of a core, which is mostly the virtual machine's timer: half of it takes twice that."""
LATE_SECONDS = 0.00025
MOST = 100_000


class Watch:
    """The witnesses of one stretch of time, one a core."""

    def __init__(self) -> None:
        self._witnesses = [Measuring("tests.benchmarks.witness", str(core)) for core in cores()]

    def stop(self) -> Hiccups:
        found = [witness.stop() for witness in self._witnesses]
        return Hiccups(Hiccup(*stretch) for of_core in found for stretch in of_core)


class Unwatched:
    """In place of a Watch where real-time priority is not to be had."""

    def stop(self) -> None:
        return None


def watch() -> Watch | Unwatched:
    """Begin to watch, if that is allowed."""
    return Watch() if may_be_real_time() else Unwatched()


def _hiccups(stopped: threading.Event) -> list[tuple[float, float]]:
    """When this core stood still, until told to stop."""
    found: list[tuple[float, float]] = []
    while not stopped.is_set():
        due = time.monotonic() + SLEEP_SECONDS
        time.sleep(SLEEP_SECONDS)
        woke = time.monotonic()
        if woke - due > LATE_SECONDS and len(found) < MOST:
            found.append((due, woke))
    return found


if __name__ == "__main__":
    stay_first(int(sys.argv[1]), WITNESS_PRIORITY)
    gc.disable()  # a hiccup of its own would look like the machine's
    answer(_hiccups(begin()))
