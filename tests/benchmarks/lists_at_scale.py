"""Lists at national scale: what a number costs in Redis and in SQL, how fast a file is live, in one run.

For each kind of numbers and each size: a made-up registry file is imported by `callguard list import`; then
replaced by its next generation, while another process looks numbers up as a guard does, without a pause (the
columns "replaced" to "wrong"); then Redis is emptied and rebuilt from SQL alone; beside it, the plain Redis
set of +E164 that people use today, where it fits the time (--set-up-to).

A second table is about the longest look-ups of that replacement: beside the import; beside a process that
keeps the cores busy (busy.py) instead, for --baseline seconds; and alone. A look-up over 5 ms is "the
machine's" if it would have taken at most 5 ms without the hiccups of the machine itself that fell into it
(witness.py, where the right to real-time scheduling is to be had); "the rest" is what something of ours did.
Next to the longest look-up is the longest "without hiccups", of those over 2 ms. Of the longest, "no core" is
how long it waited for one, which is the scheduler's doing; "most ran" is the longest that any look-up had
Redis or the prober at work, which is all that the import can do to it. "near switch" is the longest look-up
within a second of the switch of generations; "longest command" and "script" are Redis's own times. "hiccups"
are those of all cores.

With --real-time, look-ups and Redis run before all others, each first on a core of its own: what is measured
then is what an import does to Redis, not who gets a core. The import has what they leave, so that "replaced"
says little.

    python -m tests.benchmarks.lists_at_scale [--sizes 1M,10M] [--kinds us,indonesia] [--set-up-to 10M]
                                              [--postgresql] [--real-time] [--baseline 20]
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.made_up_numbers import Kind, made_up, write_file
from tests.benchmarks.realtime import may_be_real_time
from tests.benchmarks.replacing import COLUMNS as LOOKED_COLUMNS
from tests.benchmarks.replacing import LIST, replace
from tests.benchmarks.site import MEBIBYTE, Site
from tests.rig.redis import RedisServer

MILLION = 1_000_000
JURISDICTION = {Kind.US: "US", Kind.INDONESIA: "ID", Kind.RANDOM: "DE"}
FORMAT = {Kind.US: "us-text", Kind.INDONESIA: "e164-lines", Kind.RANDOM: "e164-lines"}
COLUMNS = (
    *("numbers", "file MB", "Redis B/number", "SQL B/number", "file to live s", "replaced s", "importer MiB"),
    *("switch ms", "look-up p50 ms", "p99", "longest", "wrong", "rebuild s", "SET B/number", "SET load s"),
)


@dataclass(frozen=True, slots=True)
class Case:
    kind: Kind
    count: int


@dataclass(frozen=True, slots=True)
class Manner:
    """How to measure."""

    set_up_to: int
    """Numbers of the largest plain set."""
    postgresql: bool
    real_time: bool
    baseline_seconds: float


def plain_set(case: Case, folder: Path) -> tuple[float, float]:
    """Bytes a number and seconds of the plain set: what one would do without callguard."""
    server = RedisServer(folder)
    try:
        with server.client() as client:
            before = client.info("memory")["used_memory"]
            begun = time.monotonic()
            for chunk in made_up(case.kind, case.count):
                texts = [f"+{number}" for number in chunk.tolist()]
                for start in range(0, len(texts), 10_000):
                    client.sadd("dnc", *texts[start : start + 10_000])
            seconds = time.monotonic() - begun
            after = client.info("memory")["used_memory"]
            return (after - before) / client.scard("dnc"), seconds
    finally:
        server.stop()


def measure(case: Case, folder: Path, manner: Manner) -> tuple[list[str], list[list[str]]]:
    """A row of the first table, and those of the second."""
    file = folder / "registry.txt"
    write_file(file, case.kind, case.count)
    file_bytes = file.stat().st_size
    site = Site(folder, postgresql=manner.postgresql)
    try:
        site.run(
            *("list", "create", LIST, "--jurisdiction", JURISDICTION[case.kind]),
            *("--format", FORMAT[case.kind]),
        )
        site.run("cache", "rebuild")
        redis_before, sql_before = site.redis_bytes(), site.sql_bytes()
        imported = site.run("list", "import", LIST, str(file), "--yes")
        redis_bytes, sql_bytes = site.redis_bytes() - redis_before, site.sql_bytes() - sql_before
        # The next generation is a little smaller: a shuffled file without its end.
        os.truncate(file, int(file_bytes * 0.99))
        replaced = replace(
            *(site, case.kind, case.count, file),
            baseline_seconds=manner.baseline_seconds,
            real_time=manner.real_time,
        )
        file.unlink()
        with site.redis.client() as client:
            client.flushall()
        rebuilt = site.run("cache", "rebuild")
        site.run("cache", "verify")
    finally:
        site.close()
    plain = plain_set(case, folder) if case.count <= manner.set_up_to else None
    name, looked = f"{case.kind} {case.count / MILLION:g}M", replaced.imported.looked
    return [
        name,
        f"{file_bytes / 1e6:,.0f}",
        f"{redis_bytes / case.count:.2f}",
        f"{sql_bytes / case.count:.2f}",
        f"{imported.seconds:.1f}",
        f"{replaced.ended.seconds:.1f}",
        f"{max(imported.peak, replaced.ended.peak) / MEBIBYTE:,.0f}",
        f"{replaced.imported.switch():.2f}",
        *(f"{each:.2f}" for each in (looked.p50, looked.p99, looked.longest)),
        f"{looked.wrong} of {looked.asked:,}",
        f"{rebuilt.seconds:.1f}",
        *((f"{plain[0]:.1f}", f"{plain[1]:.1f}") if plain else ("-", "-")),
    ], [[name, *row] for row in replaced.rows()]


def sizes(text: str) -> list[int]:
    """`1M,10M` as numbers."""
    return [int(float(one.removesuffix("M")) * MILLION) for one in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Lists at national scale: size and speed.")
    parser.add_argument("--sizes", type=sizes, default=sizes("1M,10M,50M,250M"))
    parser.add_argument(
        "--kinds", type=lambda text: [Kind(one) for one in text.split(",")], default=list(Kind)
    )
    parser.add_argument("--set-up-to", type=sizes, default=[10 * MILLION], metavar="SIZE")
    parser.add_argument("--postgresql", action="store_true", help="in place of SQLite")
    parser.add_argument(
        "--real-time", action="store_true", help="look-ups and Redis run before all others (as root)"
    )
    parser.add_argument("--baseline", type=float, default=20, metavar="SECONDS", help="of busy and alone")
    chosen = parser.parse_args(arguments)
    if chosen.real_time and not may_be_real_time():
        parser.error("--real-time: the right to SCHED_FIFO is missing; run it as root (CAP_SYS_NICE)")
    manner = Manner(chosen.set_up_to[0], chosen.postgresql, chosen.real_time, chosen.baseline)
    table = Table(*COLUMNS, title="Lists at national scale")
    lookups = Table(*LOOKED_COLUMNS, title="Look-ups while a list is replaced")
    for kind in chosen.kinds:
        for count in chosen.sizes:
            with tempfile.TemporaryDirectory(prefix="callguard-scale-") as folder:
                row, of_lookups = measure(Case(kind, count), Path(folder), manner)
            for each in (row, *of_lookups):
                print("  ".join(each), file=sys.stderr, flush=True)  # noqa: T201 - it is long until the table
            table.add_row(*row)
            for each in of_lookups:
                lookups.add_row(*each)
    console = Console(width=200)
    console.print(table)
    console.print(lookups)


if __name__ == "__main__":
    main()
