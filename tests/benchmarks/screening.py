"""What screening costs a call with every kind of rule binding it, and how long the rules take to load.

Each call is to another number, of two time zones, and comes with what a bad day brings: five registry lists,
of which two have the number and one is old, entries, exemptions, earlier attempts. A yardstick of plain
Python takes turns with it, so that a run on another machine can be compared.

    python -m tests.benchmarks.screening [--calls 20000]
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from callguard.config.rulebook import load_rules
from callguard.config.sections import RuleSettings, Settings
from callguard.numbers import Number, NumberKind
from callguard.screening.model import (
    Attempt,
    CallFacts,
    Entry,
    Exemption,
    ExemptionKind,
    Hits,
    Mode,
    RegistryHit,
)
from callguard.screening.rules import Rules
from callguard.screening.screen import screen
from tests.rig.rules import rules

NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
"""A Tuesday, at ten in Jakarta."""

EVERY_RULE = """
[rule.week]
kind = "hours"
purposes = "all"
hours = { mon-sat = ["08:00-12:00", "13:00-20:00"] }
source = "benchmark"
[rule.offers]
kind = "hours"
purposes = ["marketing"]
hours = { mon-sat = "08:00-18:00" }
source = "benchmark"
[rule.holidays]
kind = "holidays"
purposes = "all"
country = "ID"
source = "benchmark"
[rule.a-day]
kind = "attempts"
purposes = "all"
most = 20
hours = 24
source = "benchmark"
[rule.a-week]
kind = "attempts"
purposes = ["marketing"]
most = 20
hours = 168
per = ["project", "subject"]
source = "benchmark"
[rule.purchase]
kind = "exemption"
exemption = "purchase"
purposes = "all"
months = 18
source = "benchmark"
[rule.age]
kind = "stale-registry"
purposes = "all"
days = 31
does = "warn"
source = "benchmark"
"""

Call = tuple[CallFacts, Hits, tuple[Attempt, ...]]


def every_rule() -> Rules:
    return rules(over=EVERY_RULE)


def quiet(index: int) -> Call:
    """A call that nothing speaks about, under the same rules."""
    facts, _, _ = busy(index)
    registries = tuple(
        RegistryHit(f"list-{n}", "do-not-call", "ID", 3, False, True, NOW.date(), 31) for n in range(5)
    )
    return facts, Hits((), 7, "redis", registries), ()


def busy(index: int) -> Call:
    """A call about which nearly everything speaks."""
    e164 = f"+62811{10_000_000 + index}"
    zones = ("Asia/Jakarta", "Asia/Makassar")
    number = Number(NumberKind.SUBSCRIBER, e164, zones=zones)
    facts = CallFacts(NOW, e164, number, Mode.BRIDGE, project="bank", purpose="marketing", subject="K-17")
    last_month, last_year = NOW - timedelta(days=30), NOW - timedelta(days=365)
    entries = tuple(
        Entry(n, e164, category, project, "asked by phone", "phone", "sari", last_year, None)
        for n, (category, project) in enumerate(
            [("customer-request", "bank"), ("after-transaction", None), ("own-word", None)], 1
        )
    )
    exemptions = tuple(
        Exemption(n, e164, kind, None, (), "form of May", "F-12", "crm", "sari", started, started, None)
        for n, (kind, started) in enumerate(
            [(ExemptionKind.CONSENT, last_month), (ExemptionKind.PURCHASE, last_year)], 1
        )
    )
    registries = tuple(
        RegistryHit(
            f"list-{n}", "do-not-call", "ID", 3, n < 2, True, date(2025, 1, 1) if n == 4 else NOW.date(), 31
        )
        for n in range(5)
    )
    attempts = tuple(
        Attempt(NOW - timedelta(hours=n), "bank", "marketing", "K-17", answered=False) for n in range(1, 6)
    )
    return facts, Hits(entries, 7, "redis", registries, exemptions), attempts


def yardstick() -> int:
    """A fixed piece of plain Python: some hundred steps with dicts, strings and tuples."""
    words: dict[str, tuple[int, str]] = {}
    for step in range(100):
        word = f"step {step % 17}"
        words[word] = (len(words), word)
    return len(words)


def microseconds(todo: Callable[[], object]) -> float:
    begun = time.perf_counter_ns()
    todo()
    return (time.perf_counter_ns() - begun) / 1000


def screening(calls: int) -> Table:
    binding = every_rule()
    taken: dict[str, list[float]] = {"yardstick": [], "nothing speaks": [], "everything speaks": []}
    for index in range(calls):
        taken["yardstick"].append(microseconds(yardstick))
        for name, made in (("nothing speaks", quiet(index)), ("everything speaks", busy(index))):
            facts, hits, attempts = made
            taken[name].append(
                microseconds(lambda f=facts, h=hits, a=attempts: screen(f, h, binding, a))  # type: ignore[misc]
            )
    table = Table("call", "steps", "p50 µs", "p99 µs", "p50 / yardstick", title="Screening, every rule on")
    steps = {
        "nothing speaks": len(screen(*quiet(0)[:2], binding).steps),
        "everything speaks": len(screen(*busy(0)[:2], binding, busy(0)[2]).steps),
    }
    yard = median(taken["yardstick"])
    for name, times in taken.items():
        cuts = quantiles(times, n=100)
        table.add_row(
            name, str(steps.get(name, "")), f"{cuts[49]:.1f}", f"{cuts[98]:.1f}", f"{cuts[49] / yard:.2f}"
        )
    return table


def loading(rounds: int = 9) -> Table:
    """How long the shipped rules take to load, and the imports for it, each in a Python of its own."""
    settings = Settings(state=Path("/nowhere"), rules=RuleSettings())
    loaded = [microseconds(lambda: load_rules(settings)) / 1000 for _ in range(rounds)]
    table = Table("what", "p50 ms", title="Loading the rules")
    table.add_row("load_rules, all shipped presets", f"{median(loaded):.1f}")
    for name, code in {
        "python": "pass",
        "import callguard.config": "import callguard.config",
        "import callguard.config.rulebook": "import callguard.config.rulebook",
        "import callguard.cli.check": "import callguard.cli.check",
    }.items():
        run = [sys.executable, "-c", code]
        times = [microseconds(lambda run=run: subprocess.run(run, check=True)) for _ in range(rounds)]  # type: ignore[misc]
        table.add_row(name, f"{median(times) / 1000:.0f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="What screening costs, with every rule on.")
    parser.add_argument("--calls", type=int, default=20_000)
    console = Console()
    console.print(screening(parser.parse_args().calls))
    console.print(loading())


if __name__ == "__main__":
    main()
