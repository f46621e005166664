"""The delay that the guard adds: from the agent's INVITE in to the carrier's INVITE out, in one run.

Three ways take turns, so that whatever else the machine does falls on all alike: a plain Dial, the guard in
mode screen, the guard in mode bridge. Calls are refused by the carrier with 486, so that only the way there
is measured.

    python -m tests.benchmarks.post_dial_delay [--rounds 6] [--seconds 5] [--rate 50] [--bare]
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from tests.rig.asterisk import Asterisk, running_asterisk
from tests.rig.capture import Capture, Invite
from tests.rig.guard import Guard
from tests.rig.numbers import Behaviour, subscriber
from tests.rig.ports import AGENTS, CARRIER
from tests.rig.sipp import Phones, carrier
from tests.rig.waiting import wait_for

PLAIN, SCREEN, BRIDGE = "plain Dial", "screen", "bridge"
AGENT = {PLAIN: "agent3", SCREEN: "agent2", BRIDGE: "agent1"}
BARE_AGENT = {PLAIN: "agent3", SCREEN: "bare-screen", BRIDGE: "bare-bridge"}
COLUMNS = (
    *("way", "calls", "p50 ms", "p99 ms", "added p50", "added p99"),
    *("Asterisk CPU ms", "guard CPU ms", "CPU ratio"),
)
P50_ADDED = {SCREEN: 1.0, BRIDGE: 2.5}
"""Milliseconds that the guard may add at p50."""
CPU_RATIO = {SCREEN: 1.15, BRIDGE: 1.6}
"""CPU a call, Asterisk and guard together, against plain Dial, that there may be."""


class Turn(NamedTuple):
    calls: int
    rate: float
    """Calls a second."""


class Round:
    """What one way took, over all its rounds."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        """Milliseconds."""
        self.asterisk_cpu = 0.0
        self.guard_cpu = 0.0
        self.calls = 0


def delays(invites: Sequence[Invite], numbers: Sequence[str]) -> list[float]:
    """Milliseconds from INVITE in to INVITE out of each call, by number; all must have gone out."""
    arrived: dict[str, float] = {}
    left: dict[str, float] = {}
    for invite in invites:
        if invite.source == AGENTS:
            arrived.setdefault(invite.user[-11:], invite.at)
        elif invite.target == CARRIER:
            left.setdefault(invite.user[-11:], invite.at)
    return [(left[number] - arrived[number]) * 1000 for number in numbers]


def measure(asterisk: Asterisk, guard: Guard, agent: str, turn: Turn, taken: Round) -> None:
    """Place a turn's calls in one way and add what they took."""
    numbers = [subscriber(Behaviour.BUSY) for _ in range(turn.calls)]
    before = asterisk.process.cpu_seconds(), guard.process.cpu_seconds()
    with Capture() as capture:
        dialled = [f"0{number}" for number in numbers]
        with Phones(asterisk.sip_port, dialled, rate=turn.rate, agent=agent) as phones:
            wait_for("the calls of a round", lambda: phones.done, seconds=turn.calls / turn.rate + 30)
        asterisk.wait_empty()
    taken.asterisk_cpu += asterisk.process.cpu_seconds() - before[0]
    taken.guard_cpu += guard.process.cpu_seconds() - before[1]
    taken.calls += turn.calls
    taken.delays += delays(capture.invites(), numbers)


def table(rounds: dict[str, Round]) -> Table:
    shown = Table(title="From the agent's INVITE in to the carrier's INVITE out")
    for column in COLUMNS:
        shown.add_column(column, justify="left" if column == "way" else "right")
    plain = rounds[PLAIN]
    plain_p50, plain_p99 = median(plain.delays), quantiles(plain.delays, n=100)[98]
    plain_cpu = plain.asterisk_cpu / plain.calls
    for way, taken in rounds.items():
        p50, p99 = median(taken.delays), quantiles(taken.delays, n=100)[98]
        guard_cpu = 0.0 if way == PLAIN else taken.guard_cpu / taken.calls
        cpu = taken.asterisk_cpu / taken.calls
        ratio = (cpu + guard_cpu) / plain_cpu
        added = "" if way == PLAIN else f"{p50 - plain_p50:.2f} (≤ {P50_ADDED[way]})"
        against = "" if way == PLAIN else f"{ratio:.2f} (≤ {CPU_RATIO[way]})"
        shown.add_row(
            way, str(taken.calls), f"{p50:.2f}", f"{p99:.2f}", added,
            "" if way == PLAIN else f"{p99 - plain_p99:.2f}",
            f"{cpu * 1000:.1f}", f"{guard_cpu * 1000:.1f}", against,
        )  # fmt: skip
    return shown


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=6, help="how often each way has its turn")
    options.add_argument("--seconds", type=float, default=5.0, help="how long a turn is")
    options.add_argument("--rate", type=float, default=50.0, help="calls a second")
    options.add_argument("--bare", action="store_true", help="with the guard alone in the dialplan")
    chosen = options.parse_args()
    agents = BARE_AGENT if chosen.bare else AGENT
    turn = Turn(round(chosen.seconds * chosen.rate), chosen.rate)
    rounds: dict[str, Round] = defaultdict(Round)
    with tempfile.TemporaryDirectory(prefix="callguard-benchmark-") as folder, running_asterisk() as asterisk:
        guard = Guard(asterisk, Path(folder) / "state")
        try:
            guard.start()
            with carrier(CARRIER, asterisk.carrier_port):
                # One turn each to warm up, which does not count.
                for agent in agents.values():
                    measure(asterisk, guard, agent, turn, Round())
                for _ in range(chosen.rounds):
                    for way, agent in agents.items():
                        measure(asterisk, guard, agent, turn, rounds[way])
        finally:
            guard.close()
    Console().print(table(rounds))


if __name__ == "__main__":
    main()
