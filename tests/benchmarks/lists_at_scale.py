"""Lists at national scale: what a number costs in Redis and in SQL, how fast a file is live, in one run.

For each kind of numbers and each size: a made-up registry file is imported by `callguard list import`; then
replaced by its next generation, while another process looks numbers up as a guard does, without a pause (the
columns "replaced" to "wrong"); then Redis is emptied and rebuilt from SQL alone; beside it, the plain Redis
set of +E164 that people use today, where it fits the time (--set-up-to).

    python -m tests.benchmarks.lists_at_scale [--sizes 1M,10M] [--kinds us,id,random] [--set-up-to 10M]
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from tests.benchmarks.made_up_numbers import Kind, made_up, write_file
from tests.rig.redis import RedisServer

MILLION = 1_000_000
LIST = "national"
CALLGUARD = Path(sys.executable).with_name("callguard")
JURISDICTION = {Kind.US: "US", Kind.INDONESIA: "ID", Kind.RANDOM: "DE"}
FORMAT = {Kind.US: "us-text", Kind.INDONESIA: "e164-lines", Kind.RANDOM: "e164-lines"}
COLUMNS = (
    *("numbers", "file MB", "Redis B/number", "SQL B/number", "file to live s", "replaced s", "importer MiB"),
    *("switch ms", "look-up p50 ms", "p99", "longest", "wrong", "rebuild s", "SET B/number", "SET load s"),
)
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Case:
    kind: Kind
    count: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended well."""

    seconds: float
    peak: int
    """Bytes of resident memory at most."""
    output: str


class Site:
    """A callguard of the benchmark's own: a state folder, SQLite in it, and a redis-server."""

    def __init__(self, folder: Path) -> None:
        self.redis = RedisServer(folder)
        self.environ = {
            **os.environ,
            "CALLGUARD_STATE": str(folder / "state"),
            "CALLGUARD_REDIS__URL": self.redis.url,
            "CALLGUARD_CONFIG": "",
        }
        self.database = folder / "state" / "callguard.sqlite"

    def run(self, *arguments: str) -> Ended:
        """Run a callguard command. Raises AssertionError, with what it wrote, if it fails."""
        begun = time.monotonic()
        process = subprocess.Popen(
            [CALLGUARD, *arguments], env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            raise AssertionError(f"callguard {' '.join(arguments)}:\n{output}")
        return Ended(time.monotonic() - begun, usage.ru_maxrss * 1024, output)

    def redis_bytes(self) -> int:
        with self.redis.client() as client:
            return int(client.info("memory")["used_memory"])

    def sql_bytes(self) -> int:
        with sqlite3.connect(self.database) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)

    def close(self) -> None:
        self.redis.stop()


@contextmanager
def looked_up(site: Site, case: Case) -> Iterator[dict[str, float]]:
    """Look numbers up all the while, as a guard does; the figures are there at the end."""
    figures: dict[str, float] = {}
    prober = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.prober", case.kind, str(case.count)],
        env=site.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert prober.stdout is not None
        prober.stdout.readline()
        yield figures
    finally:
        output, _ = prober.communicate(b"stop\n", timeout=60)
        figures.update(json.loads(output.splitlines()[-1]))  # what comes before is its log


def longest_script_ms(client: redis.Redis) -> float:
    """The longest that a script held Redis since the slow log was emptied: a switch is one."""
    taken = [entry["duration"] for entry in client.slowlog_get(1024) if entry["command"][:4] == b"EVAL"]
    return max(taken, default=0) / 1000


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


def measure(case: Case, folder: Path, set_up_to: int) -> list[str]:
    """One row of the table."""
    file = folder / "registry.txt"
    write_file(file, case.kind, case.count)
    file_bytes = file.stat().st_size
    site = Site(folder)
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
        with site.redis.client() as client, looked_up(site, case) as looked:
            client.config_set("slowlog-log-slower-than", 200)
            client.slowlog_reset()
            replaced = site.run("list", "import", LIST, str(file), "--yes")
            switch = longest_script_ms(client)
        file.unlink()
        with site.redis.client() as client:
            client.flushall()
        rebuilt = site.run("cache", "rebuild")
        site.run("cache", "verify")
    finally:
        site.close()
    plain = plain_set(case, folder) if case.count <= set_up_to else None
    return [
        f"{case.kind} {case.count / MILLION:g}M",
        f"{file_bytes / 1e6:,.0f}",
        f"{redis_bytes / case.count:.2f}",
        f"{sql_bytes / case.count:.2f}",
        f"{imported.seconds:.1f}",
        f"{replaced.seconds:.1f}",
        f"{max(imported.peak, replaced.peak) / MEBIBYTE:,.0f}",
        f"{switch:.2f}",
        *(f"{looked[name]:.2f}" for name in ("p50", "p99", "longest")),
        f"{looked['wrong']:.0f} of {looked['asked']:,.0f}",
        f"{rebuilt.seconds:.1f}",
        *((f"{plain[0]:.1f}", f"{plain[1]:.1f}") if plain else ("-", "-")),
    ]


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
    chosen = parser.parse_args(arguments)
    table = Table(*COLUMNS, title="Lists at national scale")
    for kind in chosen.kinds:
        for count in chosen.sizes:
            with tempfile.TemporaryDirectory(prefix="callguard-scale-") as folder:
                row = measure(Case(kind, count), Path(folder), chosen.set_up_to[0])
            print("  ".join(row), file=sys.stderr, flush=True)  # noqa: T201 - hours may pass until the table
            table.add_row(*row)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
