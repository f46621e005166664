"""`callguard list import`: a registry's file becomes the list's next generation."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from callguard.cli import in_bulk, one_line, pass_settings
from callguard.cli.days import read_day
from callguard.cli.list import ask, check_terminal, layout_json, named, opened, tell_left_behind
from callguard.cli.lists import tell_reach, who_asks
from callguard.config import Settings
from callguard.errors import InputError, SqlError
from callguard.journal.reader import JournalReader
from callguard.lists.formats.layout import Layout
from callguard.lists.importer import Importer, Order, Outcome
from callguard.lists.importlock import import_lock
from callguard.lists.importrules import Limits, Mode
from callguard.lists.livecopy import LiveCopy
from callguard.lists.ownfile import beside
from callguard.lists.registries import Registry, RegistryStore
from callguard.lists.registryrules import RESERVED, check_name, region_of
from callguard.lists.writer import Reach

CALLS_SINCE = timedelta(days=30)
MOST_CALLS = 100_000
"""The calls of the past that a dry run looks at: the newest ones."""


@click.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--mode",
    type=click.Choice([str(mode) for mode in Mode], case_sensitive=False),
    help="What becomes of its numbers. Default: change if the list's format says what is added and removed,"
    " else replace.",
)
@click.option("--date", "day", metavar="YYYY-MM-DD", help="The day of its data. Default: what the file says.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--allow-empty", is_flag=True, help="Let the list be empty.")
@click.option(
    "--shrink",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="By how much the list may become smaller. Default: registries.shrink_percent of the settings.",
)
@click.option(
    "--rejects",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="How much of the file may be of no use. Default: registries.rejected_percent of the settings.",
)
@click.option(
    "--out-of-order", is_flag=True, help="Let data be older than those in force, or the same file come again."
)
@click.option("--format", "format_name", metavar="FORMAT", help="How this file is. Default: as the list's.")
@click.option("--mapping", metavar="FILE", type=click.Path(path_type=Path), help="The same, as TOML.")
@click.option(
    "--rejected",
    type=click.Path(path_type=Path),
    metavar="OTHER",
    help="Where lines go that cannot be used. Default: FILE.rejected.csv.",
)
@click.option("--by", metavar="WHO", help="Who imports it. Default: the user of this command.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
@pass_settings
@in_bulk
def import_(
    settings: Settings,
    *,
    name: str,
    file: Path,
    mode: str | None,
    day: str | None,
    dry_run: bool,
    yes: bool,
    allow_empty: bool,
    shrink: float | None,
    rejects: float | None,
    out_of_order: bool,
    format_name: str | None,
    mapping: Path | None,
    rejected: Path | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Import FILE into the list NAME: plain, .gz or .zip, of any size.

    The list of now stays in force until the new one is complete, and is switched in one step; Ctrl-C at any
    time leaves it as it is. A new list that is much smaller than that of now is refused. The one before is
    kept: see `callguard list rollback`.

    Lines that cannot be used are counted, shown, and written to a file; up to --rejects they stop nothing,
    and the exit code is 0. A dry run of what would be refused shows the difference and the refusal; the exit
    code is 2.

    A list of full files takes change files, too, with --mapping: its TOML says how they are, and with
    [action] what is added and removed.

    \b
    Example:
      callguard list import us-national 2026-11-01.zip --dry-run
      callguard list import us-national 2026-11-01.zip --yes
      callguard list import us-national changes-2026-11-08.txt \\
        --mapping changes.toml --yes
    """
    if name == RESERVED:
        raise InputError(
            "its name comes first", where=RESERVED, allowed=f"callguard list import {RESERVED} FILE ..."
        )
    check_name(name)
    who = who_asks(by)
    if not (yes or dry_run):
        check_terminal()
    with opened(settings) as store:
        known = named(store, name)
        with import_lock(store.engine, known.id, name, who=who):
            # What was in force before the lock was ours, and how its files are, may not be so any more.
            registry = named(store, name)
            own = format_name is not None or mapping is not None
            layout = Layout.from_json(layout_json(format_name, mapping) if own else registry.layout)
            default = Mode.REPLACE if layout.action is None else Mode.CHANGE
            order = Order(
                path=file,
                mode=Mode(mode) if mode else default,
                who=who,
                layout=layout,
                region=region_of(registry.jurisdiction),
                data_date=None if day is None else read_day(day, where="--date"),
                rejected=rejected or beside(file, ".rejected.csv"),
                limits=Limits(
                    shrink_percent=settings.registries.shrink_percent if shrink is None else shrink,
                    rejected_percent=settings.registries.rejected_percent if rejects is None else rejects,
                    allow_empty=allow_empty,
                    allow_out_of_order=out_of_order,
                ),
            )
            with LiveCopy(settings, store.engine) as live, _Bar() as bar:
                importer = Importer(store, registry, live, bar)
                if dry_run:
                    outcome = importer.try_out(order, _calls(store, registry))
                    bar.stop()
                    if as_json:
                        click.echo(json.dumps(_summary(name, outcome, reach=None)))
                    else:
                        _tell(name, outcome, "would have")
                    if outcome.refusal is not None:
                        raise outcome.refusal
                else:
                    _import(importer, order, live, bar, name=name, yes=yes, as_json=as_json)


def _import(
    importer: Importer,
    order: Order,
    live: LiveCopy,
    bar: "_Bar",
    *,
    name: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Import, asking before the switch, and tell what became of it."""

    def confirm(outcome: Outcome) -> None:
        bar.stop()
        if not yes:
            _tell(name, outcome, "would have", err=as_json)
        ask("Put it in force?", yes=yes)

    made = importer.run(order, confirm)
    reach, why = live.switch()
    if as_json:
        click.echo(json.dumps(_summary(name, made, reach=reach)))
    else:
        _tell(name, made, "has")
    tell_reach(reach, why)
    try:
        importer.clean(switched=True)
    except SqlError as error:
        tell_left_behind(error)


def _calls(store: RegistryStore, registry: Registry) -> Mapping[int, int]:
    """The numbers of recent calls that the list could speak of."""
    calls = JournalReader(store.engine).calls_by_number(datetime.now(UTC) - CALLS_SINCE, MOST_CALLS)
    prefix = f"+{registry.calling_code}"
    return {int(number[1:]): count for number, count in calls.items() if number.startswith(prefix)}


def _tell(name: str, outcome: Outcome, has: str, *, err: bool = False) -> None:
    difference, file = outcome.difference, outcome.file
    of = f"data of {outcome.data_date}" if outcome.data_date else "data of no known day (--date says it)"
    lines = [
        f"{name} {has} {difference.numbers:,} numbers, {of}",
        f"  added      {difference.added:,}",
        f"  removed    {difference.removed:,}",
        f"  unchanged  {difference.unchanged:,}",
        f"  rejected   {file.rejected:,} of {file.lines:,} lines",
    ]
    if file.outside:
        lines.append(f"  outside    {file.outside:,} numbers, of areas that the list does not cover")
    lines += [f"  warning    {warning}" for warning in outcome.warnings]
    lines += [f"    {one.file}, line {one.line}: {one.why}: {one.text}" for one in file.first_rejected]
    if file.rejected_file is not None:
        lines.append(f"    all of them: {file.rejected_file}")
    if outcome.impact is not None:
        impact = outcome.impact
        lines.append(
            f"  of {impact.calls:,} recent calls to numbers of its country,"
            f" {impact.newly_listed:,} are newly listed, {impact.no_longer_listed:,} no longer"
        )
    click.echo("\n".join(one_line(line) for line in lines), err=err)


def _summary(name: str, outcome: Outcome, *, reach: Reach | None) -> dict[str, Any]:
    """What an import made, for JSON; without `reach`, what it would make."""
    difference, file, impact = outcome.difference, outcome.file, outcome.impact
    return {
        "name": name,
        "version": outcome.version,
        "numbers": difference.numbers,
        "added": difference.added,
        "removed": difference.removed,
        "unchanged": difference.unchanged,
        "lines": file.lines,
        "rejected": file.rejected,
        "first_rejected": [
            {"file": one.file, "line": one.line, "reason": one.why, "text": one.text}
            for one in file.first_rejected
        ],
        "rejected_file": None if file.rejected_file is None else str(file.rejected_file),
        "outside": file.outside,
        "data_date": outcome.data_date.isoformat() if outcome.data_date else None,
        "warnings": list(outcome.warnings),
        "recent_calls": None if impact is None else asdict(impact),
        "dry_run": reach is None,
        "refused": None if outcome.refusal is None else str(outcome.refusal),
        "reach": None if reach is None else str(reach),
    }


class _Rate(ProgressColumn):
    """What was done in a second, on the whole."""

    def render(self, task: Task) -> Text:
        done = task.fields.get("lines", 0)
        rate = done / task.elapsed if done and task.elapsed else 0.0
        return Text(f"{rate / 1e6:.1f} M lines/s" if rate else "")


class _Bar:
    """The progress of an import, on a terminal: first the reading, then the writing."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._reading = self._progress.add_task("reading", total=None, lines=0)
        self._writing = self._progress.add_task("writing", total=None, start=False, visible=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal to others."""
        self._progress.stop()

    def reading(self, done: int, of: int, lines: int) -> None:
        self._progress.update(self._reading, completed=done, total=of, lines=lines)

    def writing(self, done: int, of: int) -> None:
        if not self._progress.tasks[self._writing].started:
            self._progress.start_task(self._writing)
        self._progress.update(self._writing, completed=done, total=of, visible=True)
