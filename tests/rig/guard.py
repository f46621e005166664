"""A real callguard: `callguard guard` as a process of its own, and the command line beside it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.rig.asterisk import Asterisk
from tests.rig.ports import LOCALHOST, free_tcp_port
from tests.rig.process import Process
from tests.rig.waiting import WaitedInVainError, wait_for

PROGRAM = Path(sys.executable).parent / "callguard"

Row = dict[str, Any]
"""A line of `callguard log --json`."""


class Guard:
    """callguard with nothing set but where Asterisk is: its state lies in a folder of the test's own."""

    def __init__(self, asterisk: Asterisk, state: Path, **settings: Any) -> None:
        """`settings` are settings by their environment name: ASTERISK__APP="callguard-2"; what is not text
        is written as JSON."""
        self.state = state
        self.http_port = free_tcp_port()
        given = {
            "STATE": str(state),
            "CONFIG": "",
            "ASTERISK__URL": asterisk.ari_url,
            "ASTERISK__PASSWORD": asterisk.password,
            "HTTP__PORT": self.http_port,
            "TRUNKS": [{"name": "carrier", "endpoint": "PJSIP/{number}@carrier"}],
            # Six seconds a refused call, which only a test of the reference itself has a use for.
            "PROMPTS__REFERENCE": "false",
            "LOG__FORMAT": "json",
            # Whether a test passes is no matter of the hour. A test of presets names those that it is about.
            "RULES__PRESETS": [],
            **settings,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLGUARD_")}
        self.environ = inherited | {
            f"CALLGUARD_{name}": value if isinstance(value, str) else json.dumps(value)
            for name, value in given.items()
        }
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, "the guard was never started"
        return self._process

    def launch(self) -> None:
        """Start it, without waiting for anything."""
        self.state.mkdir(parents=True, exist_ok=True)
        self._process = Process([str(PROGRAM), "guard"], self.state / "output", environ=self.environ)

    def start(self) -> None:
        """Start it, and return when it guards calls. Raises WaitedInVainError with the end of its log."""
        self.launch()
        self.wait_ready()

    def wait_ready(self, seconds: float = 20.0) -> None:
        try:
            wait_for("the guard to be ready", self._ready, seconds=seconds)
        except WaitedInVainError as error:
            raise WaitedInVainError(f"{error}\n{self.page('/readyz')}\n{self.process.tail()}") from None

    def _ready(self) -> bool:
        assert self.process.running, f"ended with {self.process.exit_code}\n{self.process.tail()}"
        return self.page("/readyz")[0] == 200

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages; (0, reason) when there is no answer."""
        asked = f"http://{LOCALHOST}:{self.http_port}{path}"
        try:
            with urllib.request.urlopen(asked, timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self.process.stop()

    def kill(self) -> None:
        """kill -9. What it started itself (its redis-server) is left to itself, as in a crash."""
        self.process.kill()

    def close(self) -> None:
        """Stop it for good, with what a killed one left behind."""
        if self._process:
            self._process.stop()
        for found in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if os.fsencode(self.state) in found.read_bytes():
                    os.kill(int(found.parent.name), signal.SIGKILL)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `callguard ARGUMENTS` with the guard's settings."""
        return subprocess.run(
            [PROGRAM, *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def command(self, *arguments: str) -> str:
        """The same, for a command that must succeed; what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"callguard {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def add(self, number: str, *options: str) -> None:
        """Put a number on the internal list."""
        self.command("add", number, "--reason", "asked by phone", *options)

    def log(self, *filters: str) -> list[Row]:
        """The journal, newest first."""
        return [json.loads(line) for line in self.command("log", "--json", *filters).splitlines()]
