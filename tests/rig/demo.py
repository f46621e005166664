"""Sample calls through a real Asterisk and callguard, as a table: `make demo`.

Exits with 0 only if every call went as it should.
"""

import contextlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tests.rig.asterisk import Agent
from tests.rig.office import LISTED, Office, open_office, run
from tests.rig.sipp import Phone
from tests.rig.waiting import WaitedInVainError, wait_for

AGENT = Agent("agent1", "agents", "101")
RING_SECONDS = 3
NATIONAL = LISTED.replace("+62", "0")
PAST_CALLGUARD = "none: past callguard"


@dataclass(frozen=True)
class Row:
    """What is said of a call in the table, after what was dialled."""

    number: str
    verdict: str
    reason: str
    phone_saw: str
    """The SIP codes, in order, without 100."""
    invites: str
    """How many reached the carrier."""
    journal: str


@dataclass(frozen=True)
class Sample:
    """A call to make, and what should come of it. The carrier behaves by the last two digits."""

    what: str
    dialled: str
    agent: Callable[[Phone], object]
    """What the agent does, after dialling."""
    expected: Row


def talk(phone: Phone) -> None:
    phone.wait_for("ACK")
    phone.hang_up()


def give_up_ringing(phone: Phone) -> None:
    phone.wait_for(180)
    phone.hang_up()


def listen(phone: Phone) -> None:
    """Do nothing until the end."""


def allowed(what: str, number: str, agent: Callable[[Phone], object], saw: str, journal: str) -> Sample:
    return Sample(what, f"0{number}", agent, Row(f"+62{number}", "allow", "not-listed", saw, "1", journal))


def refused(what: str, dialled: str) -> Sample:
    return Sample(what, dialled, listen, Row(LISTED, "refuse", "opt-out", "183 403", "0", "prompt-heard"))


SAMPLES = (
    allowed("answered", "81234567800", talk, "180 200", "answered"),
    allowed("busy", "81234567886", listen, "486", "busy"),
    allowed("early media, no answer", "81234567883", listen, "183 480", "no-answer"),
    allowed("the agent hangs up ringing", "81234567888", give_up_ringing, "180 487", "cancelled"),
    refused("refused", LISTED.replace("+", "00")),
    refused("with outside-line digit", f"9{NATIONAL}"),
    refused("national form", NATIONAL),
    refused("+62 form", LISTED),
    Sample("emergency", "112", talk, Row("", "allow", "emergency", "180 200", "1", PAST_CALLGUARD)),
)


def make_call(office: Office, sample: Sample) -> list[int]:
    """Dial, do what the agent does; the SIP codes that the phone saw."""
    with Phone(office.asterisk.sip_port, sample.dialled, agent=AGENT.name) as phone:
        # Whatever goes wrong shows in the row.
        with contextlib.suppress(AssertionError):
            sample.agent(phone)
            phone.wait_end(30)
        return phone.statuses if phone.calls() else []


def records(office: Office, samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """The journal by what was dialled, when each record has its outcome, or as it is after 5 s."""
    found: dict[str, dict[str, Any]] = {}

    def complete() -> bool:
        found.clear()
        found.update({row["dialled"]: row for row in office.guard.log()})
        return all(
            found.get(sample.dialled, {}).get("outcome")
            for sample in samples
            if sample.expected.journal != PAST_CALLGUARD
        )

    with contextlib.suppress(WaitedInVainError):
        wait_for("the outcomes", complete, seconds=5)
    return found


def invites(office: Office, dialled: str) -> int:
    """How many INVITEs for this number reached the carrier, in whichever form."""
    return len(office.carrier.calls(dialled[-10:]))


def show(console: Console, samples: Sequence[Sample], rows: Sequence[Row]) -> bool:
    """Print the table; whether every row is as it should be."""
    headings = ("call", "dialled", "number", "verdict", "reason", "agent's phone", "INVITEs", "journal", "")
    table = Table(*headings, title="Calls through callguard", title_justify="left", box=box.SIMPLE_HEAD)
    for sample, row in zip(samples, rows, strict=True):
        cells = [
            cell if cell == wanted else f"[red]{cell or 'nothing'}[/] (expected {wanted or 'nothing'})"
            for cell, wanted in zip(astuple(row), astuple(sample.expected), strict=True)
        ]
        right = row == sample.expected
        table.add_row(sample.what, sample.dialled, *cells, "[green]ok[/]" if right else "[red]wrong[/]")
    console.print(table)
    wrong = sum(row != sample.expected for sample, row in zip(samples, rows, strict=True))
    console.print(f"[red]{wrong} of {len(rows)} wrong[/]" if wrong else f"all {len(rows)} as they should be")
    return not wrong


def demo(console: Console) -> int:
    settings: dict[str, Any] = {
        "TRUNKS": [{"name": "carrier", "endpoint": "PJSIP/{number}@carrier", "ring_seconds": RING_SECONDS}],
        "NUMBERS__OUTSIDE_LINE": "9",
    }
    with open_office(console, agents=[AGENT], **settings) as office:
        console.print(f"{len(SAMPLES)} calls …")
        with ThreadPoolExecutor(len(SAMPLES)) as pool:
            codes = list(pool.map(lambda sample: make_call(office, sample), SAMPLES))
        office.asterisk.wait_empty()
        journal = records(office, SAMPLES)
        rows = []
        for sample, saw in zip(SAMPLES, codes, strict=True):
            record = journal.get(sample.dialled)
            # What goes past callguard is not in the journal; `check` tells what callguard thinks of it.
            told = record or json.loads(office.guard.run("check", "--json", sample.dialled).stdout)
            rows.append(
                Row(
                    number=told["number"] or "",
                    verdict=told["verdict"],
                    reason=told["reason"],
                    phone_saw=" ".join(str(code) for code in saw),
                    invites=str(invites(office, sample.dialled)),
                    journal=record["outcome"] or "" if record else PAST_CALLGUARD,
                )
            )
        return 0 if show(console, SAMPLES, rows) else 1


if __name__ == "__main__":
    run(demo)
