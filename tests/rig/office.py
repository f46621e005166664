"""A contact centre as an administrator would set it up: the repository's own dialplan and Asterisk files,
callguard with no configuration file, and a SIPp carrier on loopback. For `make demo` and `make up`."""

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.rig.asterisk import Agent, Asterisk, AsteriskFailedError
from tests.rig.guard import Guard
from tests.rig.ports import CARRIER
from tests.rig.sipp import Sipp, carrier

REPOSITORY = Path(__file__).parents[2]
WIDTH = 120
LISTED = "+6281255550100"
"""The number that is on the list."""

Files = Callable[[Asterisk], Mapping[str, str]]
"""More files of etc, once the ports and passwords are known."""


@dataclass(frozen=True)
class Office:
    asterisk: Asterisk
    carrier: Sipp
    guard: Guard


def asterisk_file(name: str) -> str:
    """A file of config/asterisk."""
    return (REPOSITORY / "config/asterisk" / name).read_text()


def extensions() -> str:
    """The dialplan of config/asterisk, with the office's trunk."""
    return asterisk_file("extensions.conf").replace("@trunk", "@carrier")


@contextmanager
def open_office(
    console: Console, *, agents: Sequence[Agent], files: Files = lambda _: {}, **settings: Any
) -> Iterator[Office]:
    """Start all of it, saying what is being done, with LISTED on the list; stop all of it at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callguard-office-")))
        console.print("Asterisk …")
        asterisk = Asterisk(
            folder / "asterisk",
            agents=agents,
            files={
                "callguard.conf": (REPOSITORY / "dialplan/callguard.conf").read_text(),
                "extensions.conf": extensions(),
                "cdr.conf": asterisk_file("cdr.conf"),
            },
        )
        asterisk.configure("ari.conf", f"{asterisk_file('ari.conf')}password = {asterisk.password}\n")
        for name, text in files(asterisk).items():
            asterisk.configure(name, text)
        stack.callback(asterisk.stop)
        asterisk.start()
        console.print(f"{asterisk.cli('core show version').split(' built')[0]}, a carrier, callguard …")
        trunk = stack.enter_context(carrier(CARRIER, asterisk.carrier_port))
        guard = Guard(asterisk, folder / "state", **settings)
        stack.callback(guard.close)
        guard.start()
        guard.command("add", LISTED, "--reason", "asked not to be called", "--source", "demo")
        console.print(f"On the list: {LISTED}")
        yield Office(asterisk, trunk, guard)


def run(main: Callable[[Console], int]) -> None:
    """Run a program to its end or to Ctrl-C or SIGTERM, either of which ends all that it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(highlight=False)
    # The table needs it; where the terminal is narrower, its lines wrap.
    console.width = max(console.width, WIDTH)
    try:
        code = main(console)
    except KeyboardInterrupt:
        console.print("stopped")
        code = 130
    except (AssertionError, AsteriskFailedError) as error:
        console.print(f"It did not start:\n{error}", style="red", markup=False)
        code = 1
    sys.exit(code)
