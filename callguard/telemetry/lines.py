"""Writing log lines without ever waiting for whoever reads them."""

import os
import select
import threading
from collections.abc import Callable

_CHUNK = select.PIPE_BUF
"""Bytes that a pipe takes at once when poll(2) says it takes any: pipe(7)."""


class LineStream:
    """A file descriptor, such as standard error, for a process that must not wait.

    Calls must not stop because a log collector hangs or a terminal is paused: a line that is not taken at
    once is dropped, and how many were is told in a line as soon as lines are taken again.
    """

    def __init__(self, descriptor: int, tell_dropped: Callable[[int], str]) -> None:
        """`tell_dropped` makes the line, without its line break, for a number of dropped lines."""
        self._descriptor = descriptor
        self._tell_dropped = tell_dropped
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lock = threading.Lock()
        self._dropped = 0
        self._cut = False
        """The last line was taken in part."""

    def write(self, text: str) -> int:
        """Write whole lines; never waits and never raises."""
        with self._lock:
            if self._dropped:
                start = "\n" if self._cut else ""
                if self._taken(f"{start}{self._tell_dropped(self._dropped)}\n"):
                    self._dropped = 0
            if self._dropped or not self._taken(text):
                self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def _taken(self, text: str) -> bool:
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data and self._poll.poll(0):
                written = os.write(self._descriptor, data[:_CHUNK])
                data = data[written:]
                self._cut = bool(data)
        except OSError:
            return False  # nobody reads any more
        return not data
