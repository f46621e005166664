"""Lists at national scale: what a number costs in Redis and in SQL, how fast a file is live, in one run.

For each kind of numbers and each size: a made-up registry file is imported by `callguard list import`; then
replaced by its next generation, while another process looks numbers up as a guard does, without a pause (the
columns "replaced" to "wrong"); then Redis is emptied and rebuilt from SQL alone; beside it, the plain Redis
set of +E164 that people use today, where it fits the time (--set-up-to).

A second table is about the longest look-ups of that replacement. Of the longest,
"no core" is how long it waited for one, which is the scheduler's doing; "most ran" is the longest that any
look-up had Redis or the prober at work, which is all that the import can do to it. "busy" is the same
for BASELINE_SECONDS beside a process that keeps the cores busy (busy.py) instead of the import; "alone",
beside nothing.

    python -m tests.benchmarks.lists_at_scale [--sizes 1M,10M] [--kinds us,indonesia] [--set-up-to 10M]
                                              [--postgresql]
"""

import argparse
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

import psycopg
import redis
from rich.console import Console
from rich.table import Table

from tests.benchmarks.made_up_numbers import Kind, made_up, write_file
from tests.benchmarks.prober import NEAR_SECONDS, Looked, read_looked
from tests.rig.postgres import PostgresServer
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
OF_LOOK_UPS = ("look-ups", "over 5 ms", "longest ms", "no core ms", "most ran ms")
LOOKED_COLUMNS = (
    *(*OF_LOOK_UPS, "near switch ms", "longest command ms", "longest script near switch ms"),
    *(f"{beside}: {column}" for beside in ("busy", "alone") for column in OF_LOOK_UPS),
)
BASELINE_SECONDS = 20
STALL_MS = 5
"""A look-up that takes longer is a stall."""
MEBIBYTE = 1 << 20
BULK_NICENESS = "10"
"""That of imports."""


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
    """A callguard of its own: a state folder, SQLite in it or a PostgreSQL, and a redis-server."""

    def __init__(self, folder: Path, *, postgresql: bool = False) -> None:
        self.redis = RedisServer(folder)
        self.postgresql = PostgresServer("-c", "fsync=on") if postgresql else None
        self.sql_url = self.postgresql.new_database() if self.postgresql else ""
        self.environ = {
            **os.environ,
            "CALLGUARD_STATE": str(folder / "state"),
            "CALLGUARD_REDIS__URL": self.redis.url,
            "CALLGUARD_SQL__URL": self.sql_url,
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
        if self.sql_url:
            with psycopg.connect(self.sql_url) as postgresql:
                row = postgresql.execute("SELECT pg_database_size(current_database())").fetchone()
            assert row is not None
            return int(row[0])
        with sqlite3.connect(self.database) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)

    def close(self) -> None:
        self.redis.stop()
        if self.postgresql is not None:
            self.postgresql.close()


class Lookups:
    """A process that looks numbers up all the while, as a guard does."""

    def __init__(self, site: Site, case: Case) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.prober", case.kind, str(case.count)],
            env=site.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def stop(self) -> Looked:
        output, _ = self._process.communicate(b"stop\n", timeout=60)
        return read_looked(output.splitlines()[-1])  # what comes before is its log


@contextmanager
def busy_cores() -> Iterator[None]:
    """A process of an import's priority that keeps the cores busy."""
    process = subprocess.Popen(["nice", "-n", BULK_NICENESS, sys.executable, "-m", "tests.benchmarks.busy"])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True)
class Command:
    """One that held Redis for long."""

    at: int
    """Seconds since 1970 when it ended."""
    milliseconds: float
    is_script: bool


def slow_commands(client: redis.Redis) -> list[Command]:
    """What took Redis longer than 0.2 ms since log_slow_commands."""
    return [
        Command(entry["start_time"], entry["duration"] / 1000, entry["command"][:4] == b"EVAL")
        for entry in client.slowlog_get(100_000)
    ]


def log_slow_commands(client: redis.Redis) -> None:
    client.config_set("slowlog-log-slower-than", 200)
    client.config_set("slowlog-max-len", 100_000)
    client.slowlog_reset()


@dataclass(frozen=True, slots=True)
class Replaced:
    """A replacement under look-ups."""

    ended: Ended
    looked: Looked
    commands: list[Command]
    busy: Looked
    """Beside a busy process instead."""
    alone: Looked
    """Beside nothing."""

    def switch(self) -> float:
        """Milliseconds that the longest script held Redis within a second of the switch."""
        near = (abs(command.at - self.looked.switched_at) <= NEAR_SECONDS + 1 for command in self.commands)
        scripts = (one for one, is_near in zip(self.commands, near, strict=True) if is_near and one.is_script)
        return max((command.milliseconds for command in scripts), default=0)


def replace(site: Site, case: Case, file: Path) -> Replaced:
    """Import a file over the list, with look-ups all the while."""

    def baseline() -> Looked:
        lookups = Lookups(site, case)
        time.sleep(BASELINE_SECONDS)
        return lookups.stop()

    lookups = Lookups(site, case)
    with site.redis.client() as client:
        log_slow_commands(client)
        ended = site.run("list", "import", LIST, str(file), "--yes")
        looked, commands = lookups.stop(), slow_commands(client)
    with busy_cores():
        busy = baseline()
    return Replaced(ended, looked, commands, busy, alone=baseline())


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


def measure(case: Case, folder: Path, set_up_to: int, *, postgresql: bool) -> tuple[list[str], list[str]]:
    """One row of either table."""
    file = folder / "registry.txt"
    write_file(file, case.kind, case.count)
    file_bytes = file.stat().st_size
    site = Site(folder, postgresql=postgresql)
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
        replaced = replace(site, case, file)
        file.unlink()
        with site.redis.client() as client:
            client.flushall()
        rebuilt = site.run("cache", "rebuild")
        site.run("cache", "verify")
    finally:
        site.close()
    plain = plain_set(case, folder) if case.count <= set_up_to else None
    name, looked = f"{case.kind} {case.count / MILLION:g}M", replaced.looked
    return [
        name,
        f"{file_bytes / 1e6:,.0f}",
        f"{redis_bytes / case.count:.2f}",
        f"{sql_bytes / case.count:.2f}",
        f"{imported.seconds:.1f}",
        f"{replaced.ended.seconds:.1f}",
        f"{max(imported.peak, replaced.ended.peak) / MEBIBYTE:,.0f}",
        f"{replaced.switch():.2f}",
        *(f"{each:.2f}" for each in (looked.p50, looked.p99, looked.longest)),
        f"{looked.wrong} of {looked.asked:,}",
        f"{rebuilt.seconds:.1f}",
        *((f"{plain[0]:.1f}", f"{plain[1]:.1f}") if plain else ("-", "-")),
    ], [name, *looked_row(replaced)]


def looked_row(replaced: Replaced) -> list[str]:
    return [
        *of_look_ups(replaced.looked),
        f"{replaced.looked.near_switch:.2f}",
        f"{max((command.milliseconds for command in replaced.commands), default=0):.2f}",
        f"{replaced.switch():.2f}",
        *of_look_ups(replaced.busy),
        *of_look_ups(replaced.alone),
    ]


def of_look_ups(looked: Looked) -> list[str]:
    waited = max(looked.slow, key=lambda slow: slow.taken).waited if looked.slow else 0
    times = (looked.longest, waited, looked.most_ran)
    stalls = sum(slow.taken > STALL_MS for slow in looked.slow)
    return [f"{looked.asked:,}", f"{stalls}", *(f"{each:.2f}" for each in times)]


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
    chosen = parser.parse_args(arguments)
    table = Table(*COLUMNS, title="Lists at national scale")
    lookups = Table("numbers", *LOOKED_COLUMNS, title="Look-ups while a list is replaced")
    for kind in chosen.kinds:
        for count in chosen.sizes:
            with tempfile.TemporaryDirectory(prefix="callguard-scale-") as folder:
                case = Case(kind, count)
                row, of_lookups = measure(
                    case, Path(folder), chosen.set_up_to[0], postgresql=chosen.postgresql
                )
            for each in (row, of_lookups):
                print("  ".join(each), file=sys.stderr, flush=True)  # noqa: T201 - it is long until the table
            table.add_row(*row)
            lookups.add_row(*of_lookups)
    console = Console(width=200)
    console.print(table)
    console.print(lookups)


if __name__ == "__main__":
    main()
