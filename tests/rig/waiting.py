"""Waiting for something to become true, with a bound."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.01


class WaitedInVainError(AssertionError):
    """What was awaited did not come in time."""


def wait_for(what: str, probe: Callable[[], T | None], *, seconds: float = 10.0) -> T:
    """Ask `probe` until it gives something true, and return that.

    Raises WaitedInVainError, naming `what`, after `seconds`.
    """
    end = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise WaitedInVainError(f"waited {seconds} s in vain for {what}")
        time.sleep(POLL_SECONDS)
