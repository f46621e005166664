"""A million internal entries with details: imported from CSV, exported, and rebuilt in Redis, in one run.

python -m tests.benchmarks.entries [--entries 1000000]
"""

import argparse
import csv
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.site import MEBIBYTE, Site

COLUMNS = ("what", "seconds", "peak MiB")
HEADER = ("number", "category", "project", "reason", "expires_at")
CATEGORIES = ("customer-request", "inactive-customer", "invalid-contact", "after-transaction")
PROJECTS = ("", "bank", "telco", "insurance")


def rows(count: int) -> Iterator[tuple[str, ...]]:
    """Entries about so many Indonesian mobiles; one in three ends some day."""
    draw = random.Random(1)
    for number in draw.sample(range(10**8, 10**9), count):
        ends = f"2099-{draw.randint(1, 12):02}-15T17:00:00+07:00" if number % 3 == 0 else ""
        reason = f"asked agent {draw.randint(1, 500)} on the phone"
        yield f"+6281{number}", draw.choice(CATEGORIES), draw.choice(PROJECTS), reason, ends


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Internal lists at scale.")
    parser.add_argument("--entries", type=int, default=1_000_000)
    count = parser.parse_args(arguments).entries
    table = Table(*COLUMNS, title=f"{count:,} internal entries")
    with tempfile.TemporaryDirectory(prefix="callguard-entries-") as name:
        folder = Path(name)
        with (folder / "entries.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows(rows(count))
        site = Site(folder)
        try:
            site.run("cache", "rebuild")
            redis_before, sql_before = site.redis_bytes(), site.sql_bytes()
            for what, command in (
                ("import, until it is in force", ("list", "import", "internal", str(folder / "entries.csv"))),
                ("export as CSV", ("list", "export", "internal", "-o", str(folder / "out.csv"))),
                ("export as JSON lines", ("list", "export", "internal", "-o", str(folder / "out.jsonl"))),
                ("rebuild of Redis", ("cache", "rebuild")),
                ("comparison of Redis with SQL", ("cache", "verify")),
            ):
                ended = site.run(*command)
                table.add_row(what, f"{ended.seconds:.1f}", f"{ended.peak / MEBIBYTE:,.0f}")
            in_redis, in_sql = site.redis_bytes() - redis_before, site.sql_bytes() - sql_before
        finally:
            site.close()
    console = Console()
    console.print(table)
    console.print(f"an entry takes {in_redis / count:.0f} bytes in Redis, {in_sql / count:.0f} in SQL")


if __name__ == "__main__":
    main()
