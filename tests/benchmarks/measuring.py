"""A process of its own that measures until it is told to stop, and then answers: both sides of that.

It says READY on a line when it begins, is told to stop by a line, and answers with a line of JSON, its last.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

READY = b"ready\n"


class Measuring:
    """Such a process, as seen from outside."""

    def __init__(self, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        """Start `python -m` with these; returns when it has begun."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()) != READY:  # until then comes its log
            assert line, f"{arguments[0]} ended"

    def stop(self) -> Any:
        """What it answered."""
        output, _ = self._process.communicate(b"stop\n", timeout=60)
        assert self._process.returncode == 0, output[-1000:]
        return json.loads(output.splitlines()[-1])


def begin() -> threading.Event:
    """Say that it begins; the event is set when it is told to stop."""
    told = threading.Event()
    threading.Thread(target=_wait_for_a_line, args=(told,), daemon=True).start()
    print(READY.decode(), end="", flush=True)  # noqa: T201
    return told


def answer(value: object) -> None:
    # Not to sys.stdout: unbuffered (PYTHONUNBUFFERED), that drops what a pipe does not take at once.
    with open(sys.stdout.fileno(), "wb", closefd=False) as output:
        output.write(json.dumps(value).encode() + b"\n")


def _wait_for_a_line(told: threading.Event) -> None:
    sys.stdin.readline()
    told.set()
