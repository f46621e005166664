"""How long `callguard scrub` takes for ten million leads, beside a registry list and a million entries.

A US-like registry list and internal entries of made-up numbers are put into a SQLite database; a fifth of the
leads are of the registry. Then the command runs as a dialer's administrator runs it, from the start of Python
to the two files.

    python -m tests.benchmarks.scrub [--leads 10000000] [--registry 40000000] [--entries 1000000]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from callguard.config import SqlSettings
from callguard.database import migrate, open_engine, write
from callguard.lists.packing import Numbers, pack
from callguard.lists.registries import Counts, NewRegistry, RegistryStore
from tests.benchmarks.made_up_numbers import Kind, made_up

BLOCK_SIZE = 10_000
FIRST, LAST = 12_012_000_000, 19_899_999_999
"""Where leads are drawn from that are on no list, but for a few by chance."""
CHUNK = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=10_000_000)
    parser.add_argument("--registry", type=int, default=40_000_000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="callguard-scrub-") as name:
        folder = Path(name)
        # In a process of its own: a command's peak memory counts that of the process that starts it.
        making = get_context("spawn").Process(
            target=prepare, args=(folder, wanted.leads, wanted.registry, wanted.entries)
        )
        making.start()
        making.join()
        if making.exitcode:
            sys.exit(making.exitcode)
        print(json.dumps(run(folder), indent=2))  # noqa: T201


def prepare(folder: Path, leads: int, registry: int, entries: int) -> None:
    listed = np.concatenate(list(made_up(Kind.US, registry)))
    engine = open_engine(SqlSettings(), folder)
    migrate(engine)
    add_registry(engine, np.sort(listed))
    add_entries(engine, entries)
    engine.dispose()
    write_leads(folder / "leads.csv", listed, leads)


def add_registry(engine: sa.Engine, numbers: Numbers) -> None:
    store = RegistryStore(engine)
    created = store.create(NewRegistry("national", "US", "national", "1", (), None, "{}"), by="benchmark")
    generation = store.begin(
        created.id,
        mode="replace",
        file="made up",
        digest="0" * 64,
        data_date=datetime.now(UTC).date(),
        who="benchmark",
        block_size=BLOCK_SIZE,
    )
    blocks = pack(numbers, BLOCK_SIZE)
    for at in range(0, len(blocks), 2000):
        store.add_blocks(generation.id, blocks[at : at + 2000])
    counts = Counts(len(blocks), len(numbers), len(numbers), 0, 0)
    store.switch(generation.id, counts, instead_of=None, why="")


def add_entries(engine: sa.Engine, count: int) -> None:
    drawn = np.random.default_rng(1).integers(FIRST, LAST, count)
    rows = [(f"+{number}", "customer-request", "asked by phone", "import", "agent 7", 0) for number in drawn]
    columns = "number, category, reason, source, added_by, added_at"
    with write(engine) as connection:
        connection.exec_driver_sql(f"INSERT INTO entries ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608


def write_leads(path: Path, listed: Numbers, count: int) -> None:
    draw = np.random.default_rng(2)
    known = listed[: count // 5].astype(np.int64)
    leads = np.concatenate((known, draw.integers(FIRST, LAST, count - len(known))))
    draw.shuffle(leads)
    with path.open("w") as file:
        file.write("vendor_lead_code,phone_number,title,first_name,last_name,address1,city,state\n")
        for at in range(0, count, CHUNK):
            national = (leads[at : at + CHUNK] - 10_000_000_000).tolist()
            file.writelines(
                f"L{at + row},{number},Mr,First,Last-Name,12 Long Street,Springfield,IL\n"
                for row, number in enumerate(national)
            )


def run(folder: Path) -> dict[str, object]:
    environ = {
        "CALLGUARD_CONFIG": "",
        "CALLGUARD_STATE": str(folder),
        "CALLGUARD_NUMBERS__REGION": "US",
    }
    leads = folder / "leads.csv"
    outputs = ["-o", str(folder / "clean.csv"), "--refused", str(folder / "refused.csv")]
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "callguard", "scrub", str(leads), *outputs, "--json"],
        env=os.environ | environ,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        summary = json.loads(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds, busy = time.monotonic() - begun, used.ru_utime + used.ru_stime
    return {
        "seconds, all in all": round(seconds, 1),
        "rows a second": round(summary["rows"] / seconds),
        "CPU seconds": round(busy, 1),
        "CPU seconds a million rows": round(busy * 1e6 / summary["rows"], 2),
        "peak MiB": used.ru_maxrss // 1024,
        "file MB": leads.stat().st_size // 1_000_000,
        **summary,
    }


if __name__ == "__main__":
    main()
