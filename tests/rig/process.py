"""A program run for a test: it dies with the test, and its memory and CPU can be read."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.rig.waiting import wait_for

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A child process whose output goes to a file.

    It is killed by the kernel if the test process dies (parent-death signal), so nothing is left running.
    """

    def __init__(
        self,
        command: Sequence[str],
        output: Path,
        *,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command = command
        self.output = output
        with output.open("ab") as sink:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd=cwd,
            )
        self.pid = self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._child.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def wait(self, seconds: float) -> int:
        """The exit code. Raises subprocess.TimeoutExpired if it is still running after `seconds`."""
        return self._child.wait(seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.running:
            self._child.send_signal(number)

    def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._child.wait(10)

    def freeze(self) -> None:
        """Let it hang, and return when all its threads do: the signal alone is on its way for a moment."""
        self.signal(signal.SIGSTOP)
        wait_for(f"process {self.pid} to stand still", self._stands_still)

    def _stands_still(self) -> bool:
        try:
            stats = [stat.read_text() for stat in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        except FileNotFoundError:  # a thread that ended just now
            return False
        return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)

    def stop(self, seconds: float = 10.0) -> int:
        """Ask it to end, wait, and kill it if it does not. The exit code."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._child.wait(1)

    def memory(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    def cpu_seconds(self) -> float:
        """CPU time used so far, user and system, of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def tail(self, lines: int = 40) -> str:
        """The last lines that it wrote."""
        if not self.output.exists():
            return ""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-lines:])
