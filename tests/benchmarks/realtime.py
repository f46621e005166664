"""Real-time scheduling (sched(7)): who runs before all others on which core."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIORITY = 10
"""Of what is measured: above all that is not real-time, below the kernel's own (50 and more)."""
WITNESS_PRIORITY = 40


def cores() -> list[int]:
    """Those that this process may use."""
    return sorted(os.sched_getaffinity(0))


def may_be_real_time() -> bool:
    """Tell whether this process has the right: root's, or CAP_SYS_NICE, and no control group without a share
    of real time."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def stay_first(core: int, priority: int, thread: int = 0) -> None:
    """Have a thread (0: the calling one), and those that it will start, run on one core, before all others
    there but those of higher priority."""
    os.sched_setaffinity(thread, {core})
    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))


def threads(process: int) -> list[int]:
    return [int(task.name) for task in Path(f"/proc/{process}/task").iterdir()]


@contextmanager
def first_on(core: int, process: int) -> Iterator[None]:
    """The main thread of a process runs first on a core; its helpers, such as those that free Redis's memory,
    run after all others, as they always do."""
    stay_first(core, PRIORITY, process)
    try:
        yield
    finally:
        os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(process, cores())
