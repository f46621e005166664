"""Sample calls through a real Asterisk and callguard, as a table: `make demo`.

Exits with 0 only if every call went as it should.
"""

import contextlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.rig import demo_calls as calls
from tests.rig.asterisk import Asterisk
from tests.rig.demo_calls import PAST_CALLGUARD, Row, Sample
from tests.rig.office import Office, extensions, open_office, run
from tests.rig.ports import CARRIER
from tests.rig.sipp import Phone
from tests.rig.waiting import WaitedInVainError, wait_for

RING_SECONDS = 3
INBOUND = """
#include callguard-inbound.conf

[from-carrier]
exten => support,1,Gosub(callguard-inbound,s,1)
 same => n,Dial(PJSIP/200088@carrier)
"""


def files(_: Asterisk) -> Mapping[str, str]:
    return {"extensions.conf": extensions() + INBOUND}


def fill(office: Office, folder: Path, clock: datetime) -> None:
    """Put on the lists what the calls are about, which begin at `clock` by the guard's own."""
    command = office.guard.command

    def file(name: str, text: str) -> str:
        (folder / name).write_text(text)
        return str(folder / name)

    command("list", "import", "internal", file("entries.csv", calls.ENTRIES))
    command("exempt", "add", calls.CONSENTING, "--kind", "consent", "--evidence", "asked for it by phone")
    override = ("--kind", "override", "--once", "--by", "a supervisor", "--evidence", "waits for this call")
    command("exempt", "add", calls.OVERRIDDEN, *override, "--starts", clock.isoformat(), "--expires", "1d")
    today = datetime.now(UTC).date()
    for name, country, number, date, options in (
        ("sg-registry", "SG", calls.IN_SINGAPORE, today, ()),
        ("us-registry", "US", "+12125550199", today - timedelta(days=32), ("--covers", "212")),
    ):
        command("list", "create", name, "--jurisdiction", country, "--format", "e164-lines", *options)
        command("list", "import", name, file(f"{name}.txt", f"{number}\n"), "--date", f"{date}", "--yes")


def call_in_and_give_up(office: Office) -> None:
    """Somebody on the list calls us, and hangs up before anybody answers; return when that is on record."""
    caller = calls.ABANDONED.replace("+62", "0")
    with Phone(office.asterisk.sip_port, "support", agent=caller, host=CARRIER) as phone:
        phone.wait_for(180)
        phone.hang_up()
        phone.wait_end()
    written = 'callguard_callback_windows_total{fate="written"} 1.0'
    wait_for("the window for calling back", lambda: written in office.guard.page("/metrics")[1])


def make_call(office: Office, sample: Sample) -> list[int]:
    """Dial, do what the agent does; the SIP codes that the phone saw."""
    with Phone(office.asterisk.sip_port, sample.dialled, agent=sample.agent) as phone:
        # Whatever goes wrong shows in the row.
        with contextlib.suppress(AssertionError):
            sample.acts(phone)
            phone.wait_end(30)
        return phone.statuses if phone.calls() else []


def make_calls(office: Office, samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Make these calls at once; what each phone saw, and how many INVITEs reached the carrier."""

    def reached() -> list[int]:
        return [len(office.carrier.calls(sample.dialled[-10:])) for sample in samples]

    before = reached()
    with ThreadPoolExecutor(len(samples)) as pool:
        codes = list(pool.map(lambda sample: make_call(office, sample), samples))
    office.asterisk.wait_empty()
    return [
        (" ".join(map(str, saw)), str(now - then))
        for saw, now, then in zip(codes, reached(), before, strict=True)
    ]


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


def guarded(office: Office, samples: Sequence[Sample]) -> list[Row]:
    """Make these calls, and read what the journal has of them."""
    seen = make_calls(office, samples)
    journal = records(office, samples)
    rows = []
    for sample, (saw, invites) in zip(samples, seen, strict=True):
        record = journal.get(sample.dialled)
        # What goes past callguard is not in the journal; `check` tells what callguard thinks of it.
        told = record or json.loads(office.guard.run("check", "--json", sample.dialled).stdout)
        outcome = record["outcome"] or "" if record else PAST_CALLGUARD
        rows.append(Row(told["number"] or "", told["verdict"], told["reason"], saw, invites, outcome))
    return rows


def unguarded(office: Office, sample: Sample) -> Row:
    """Make a call with callguard dead, and read what the dialplan has left of it in the CDR."""
    asterisk = office.asterisk
    asterisk.cli(f"dialplan set global CALLGUARD_FAILURE {calls.FAILURE[sample.dialled]}")
    ((saw, invites),) = make_calls(office, [sample])
    reason = sample.expected.reason
    cdrs = (asterisk.folder / "log/cdr-csv/Master.csv").read_text()
    verdict = "refuse" if saw.endswith("403") else "allow"
    return Row("", verdict, reason if f'"callguard:{reason}"' in cdrs else "", saw, invites, PAST_CALLGUARD)


def show(console: Console, samples: Sequence[Sample], rows: Sequence[Row]) -> bool:
    """Print the table; whether every row is as it should be."""
    headings = ("call", "dialled", "number", "verdict", "reason", "phone", "sent", "journal", "")
    table = Table(*headings, box=None, padding=(0, 1, 0, 0), header_style="bold")
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
    with tempfile.TemporaryDirectory(prefix="callguard-demo-") as name:
        folder = Path(name)
        (folder / "rules.toml").write_text(calls.RULES)
        clock = calls.clock(datetime.now(UTC))
        trunk = {"name": "carrier", "endpoint": "PJSIP/{number}@carrier", "ring_seconds": RING_SECONDS}
        settings: dict[str, Any] = {
            "TRUNKS": [trunk],
            "NUMBERS__OUTSIDE_LINE": "9",
            "RULES__PRESETS": ["ID", "IN", "SG", "US"],
            "RULES__FILES": [str(folder / "rules.toml")],
            "RULES__CLOCK": clock.isoformat(),
            "REGISTRIES__NOT_COVERED": "refuse",
        }
        with open_office(console, agents=calls.AGENTS, files=files, **settings) as office:
            console.print("lists, exemptions, a caller who gives up …")
            fill(office, folder, clock)
            call_in_and_give_up(office)
            samples = (*calls.SAMPLES, *calls.AFTERWARDS, *calls.DEAD)
            console.print(
                f"{len(samples)} calls; by callguard's clock it is {clock:%A, %d %B, %H:%M} in Jakarta …\n"
            )
            rows = guarded(office, calls.SAMPLES) + guarded(office, calls.AFTERWARDS)
            office.guard.stop()
            rows += [unguarded(office, sample) for sample in calls.DEAD]
            return 0 if show(console, samples, rows) else 1


if __name__ == "__main__":
    run(demo)
