"""Commands of callguard in processes of their own that begin at once, to be killed while they work.

A process that has imported everything forks a child for each command: so a moment chosen at random lies in
the command's work and not in the start of Python, which takes several times as long. Imports write and load
in small portions there: one of some hundred thousand numbers takes as many steps as one of a national list.
"""

import asyncio
import ctypes
import importlib
import json
import os
import signal
import sys
import traceback
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

_ROOT = Path(__file__).parents[2]
_NUMBERS_AT_ONCE = 50_000
_BYTES_AT_ONCE = 50_000
_SET_PDEATHSIG = 1
_IMPORTED = ("alembic.command", "numpy", "psycopg", "redis.asyncio", "rich.progress", "callguard.config",
             "callguard.cli.cache", "callguard.cli.list", "callguard.cli.listimport")  # fmt: skip


class Command:
    """A command that runs, or ran."""

    def __init__(self, commands: "Commands", pid: int, output: Path) -> None:
        self.pid = pid
        self._commands = commands
        self._output = output
        self._ended: asyncio.Task[int] | None = None

    @property
    def told(self) -> str:
        """What it has written so far."""
        return self._output.read_text(errors="backslashreplace")

    async def ended(self, seconds: float) -> int | None:
        """Its exit code, negative for a signal; None if it still runs after so many seconds.

        While this is asked about one command, no other can be started or asked about.
        """
        if self._ended is None:
            self._ended = self._commands.end_of(self.pid)
        done, _ = await asyncio.wait([self._ended], timeout=seconds)
        return self._ended.result() if done else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, which does nothing if the command has ended."""
        os.kill(self.pid, number)


class Commands:
    """Starts commands; to be used in `async with`, at whose end all of them are killed."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """`folder` takes the output; `settings` are callguard's, by their environment names."""
        self._folder = folder
        self._environ = os.environ | settings | {"OPENBLAS_NUM_THREADS": "1"}
        self._process: Process | None = None
        self._count = 0
        self._turn = asyncio.Lock()
        self._asking: list[asyncio.Task[int]] = []

    async def __aenter__(self) -> Self:
        self._folder.mkdir(exist_ok=True)
        # Its children die with it, and it dies with the test.
        self._process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.rig.commands",
            stdin=PIPE, stdout=PIPE, cwd=_ROOT, env=self._environ,
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        assert self._process is not None
        self._process.kill()
        await self._process.communicate()

    async def start(self, *arguments: str | Path) -> Command:
        """Start `callguard` with these arguments."""
        self._count += 1
        output = self._folder / f"{self._count:03}"
        pid = await self.ask({"run": [str(argument) for argument in arguments], "output": str(output)})
        return Command(self, pid, output)

    async def run(self, *arguments: str | Path, seconds: float = 60.0) -> tuple[int, str]:
        """Run one to its end: its exit code, and what it wrote."""
        command = await self.start(*arguments)
        code = await command.ended(seconds)
        assert code is not None, f"{arguments} did not end in {seconds} s: {command.told}"
        return code, command.told

    def end_of(self, pid: int) -> asyncio.Task[int]:
        """Begin to wait for the exit code of a command."""
        self._asking.append(asyncio.create_task(self.ask({"end": pid})))
        return self._asking[-1]

    async def ask(self, question: Mapping[str, Any]) -> int:
        """One number for one question: the id of a new process, or an exit code."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        async with self._turn:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            answer = await process.stdout.readline()
        assert answer, "what starts commands has ended"
        return int(answer)


def _serve() -> None:
    for module in _IMPORTED:
        importlib.import_module(module)
    importer: Any = importlib.import_module("callguard.lists.importer")
    importer._AT_ONCE = _NUMBERS_AT_ONCE
    importer._TRANSACTION = _BYTES_AT_ONCE
    for line in sys.stdin:
        question = json.loads(line)
        if "run" in question:
            answer = _fork(question["run"], question["output"])
        else:
            # It stays a zombie, so that its id is nobody else's while it may still be signalled.
            end = os.waitid(os.P_PID, question["end"], os.WEXITED | os.WNOWAIT)
            assert end is not None
            answer = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _fork(arguments: list[str], output: str) -> int:
    pid = os.fork()
    if not pid:
        _become(arguments, output)
    return pid


def _become(arguments: list[str], output: str) -> NoReturn:
    """Run the command and end as its process would."""
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)
    written = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(source, target)
    cli = importlib.import_module("callguard.cli").cli
    code = 1
    try:
        cli(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
