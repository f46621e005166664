"""`callguard list import internal` and `list export internal`: files of entries of the internal lists."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa

from callguard.cli import in_bulk, one_line, pass_settings
from callguard.cli.lists import open_lists, tell_reach, who_asks, with_writer
from callguard.config import Settings
from callguard.errors import InputError
from callguard.lists.bulk import Spool, add_rows, count_new, kept_entries
from callguard.lists.entryfiles.checked import Defaults
from callguard.lists.entryfiles.checking import Reading, check_file
from callguard.lists.entryfiles.columns import ALLOWED_COLUMNS, WITHOUT_HEADER, Columns, Role
from callguard.lists.entryfiles.export import Kept, csv_lines, json_lines
from callguard.lists.entryfiles.records import DELIMITERS
from callguard.lists.entryfiles.rejected import Rejected
from callguard.lists.entrynumbers import EntryNumbers
from callguard.lists.writer import ListWriter, Reach
from callguard.screening.model import Category

if TYPE_CHECKING:
    from rich.progress import Progress

_EXPORTS: dict[str, Callable[[Iterator[Kept]], Iterator[str]]] = {".csv": csv_lines, ".jsonl": json_lines}
_PAUSE = 0.5
"""On SQLite, how long others get the database after each batch, as a share of the batch's own time."""


@dataclass
class _Outcome:
    """What became of an import."""

    rejected: Rejected
    columns: Columns
    added: int = 0
    already_there: int = 0
    reach: Reach = Reach.EVERYWHERE
    why: str = ""


@click.command("internal")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "layout",
    type=click.Choice(list(WITHOUT_HEADER)),
    help="What the columns are, in a file without a header.",
)
@click.option(
    "--column",
    "chosen",
    metavar="ROLE=NAME",
    multiple=True,
    help="A column by its header, or its place from 1. ROLE: " + ", ".join(Role),
)
@click.option("--delimiter", metavar="CHAR", help="Between columns. Default: found in the first line.")
@click.option("--region", metavar="XX", help="Of numbers without a country code. Default: numbers.region.")
@click.option("--project", help="Of rows that name none. Default: the whole company.")
@click.option("--category", default=str(Category.CUSTOMER_REQUEST), show_default=True, help="Likewise.")
@click.option("--reason", default="", help="Likewise.")
@click.option("--source", default="import", show_default=True, help="Likewise.")
@click.option(
    "--days-from", metavar="DAY", help="Where days to expiry start. Default: the file's last change."
)
@click.option("--rejected", "refused", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read, check and count; change nothing.")
@click.option("--by", metavar="WHO", help="Who imports it. Default: the user of this command.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
@pass_settings
@in_bulk
def import_internal(
    settings: Settings,
    *,
    file: Path,
    layout: str | None,
    chosen: Sequence[str],
    delimiter: str | None,
    region: str | None,
    project: str | None,
    category: str,
    reason: str,
    source: str,
    days_from: str | None,
    refused: Path | None,
    dry_run: bool,
    by: str | None,
    as_json: bool,
) -> None:
    """Put the numbers and patterns of FILE on the internal lists.

    FILE is CSV, one number a line, or JSON lines: an export of VICIdial, Genesys Cloud, LiveVox, or of
    callguard itself. The whole file is checked first. A row with a number, a date or a text that cannot be
    read is refused, and so is one that has expired or was removed: it goes to FILE.rejected.csv with its
    line and the reason. An entry that is in force already is not added twice, so an import that was stopped
    is completed by running it again. All is in force when the command returns.

    \b
    Example:
      callguard list import internal DNC_BANK_20261121.txt --project bank
      callguard list import internal livevox.csv --format livevox --dry-run
      callguard list import internal crm.csv --column number=Handset \\
        --column expires_at="Valid until"
    """
    who, now = who_asks(by), datetime.now(UTC)
    if not file.is_file():  # a pipe would make us wait for its writer
        raise InputError("not a file", where=str(file), allowed="a file, whose size and day are known")
    if delimiter is not None and (len(delimiter) != 1 or delimiter not in DELIMITERS):
        raise InputError("not a delimiter", where="--delimiter", allowed="a comma, a semicolon, a tab or |")
    reading = Reading(
        numbers=EntryNumbers(settings.numbers, region=region),
        defaults=Defaults(who, project, category, reason, source),
        now=now,
        days_from=_start_of_days(file, days_from),
        layout=layout,
        chosen=_chosen(chosen),
        delimiter=delimiter,
    )
    with Spool() as spool, _progress() as progress:
        size = file.stat().st_size
        with Rejected(refused or file.with_name(file.name + ".rejected.csv")) as rejected:
            task = progress.add_task("checking", total=size)
            columns = check_file(
                file, reading, spool, rejected, lambda done: progress.update(task, completed=done)
            )
            progress.update(task, completed=size)
        outcome = _Outcome(rejected, columns)
        if spool:
            with open_lists(settings) as engine:
                if dry_run:
                    _compare(engine, spool, outcome, progress)
                else:
                    _write(engine, spool, outcome, progress, who=who, why=f"imported from {file.name}")
                    progress.add_task("into Redis", total=None)
                    outcome.reach, outcome.why = with_writer(settings, engine, ListWriter.catch_up)
    _tell(outcome, as_json=as_json, dry_run=dry_run)
    if not spool:
        raise InputError("no row that can be used", where=file.name, allowed="a file of entries")


@click.command("internal")
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="*.csv or *.jsonl"
)
@click.option("--project", help='Only entries of this project; "" for those of the whole company.')
@click.option("--category", help="Only entries of this category.")
@click.option("--all", "everything", is_flag=True, help="Also what is removed or expired.")
@pass_settings
def export_internal(
    settings: Settings, *, output: Path, project: str | None, category: str | None, everything: bool
) -> None:
    """Write the entries of the internal lists to a file, as CSV or as JSON lines.

    `list import internal` reads them again exactly. In CSV, a cell that a spreadsheet could take for a
    formula begins with an apostrophe; so does every number. A file of that name is replaced once the new one
    is whole.

    \b
    Example:
      callguard list export internal -o entries.csv
      callguard list export internal -o bank.jsonl --project bank --all
    """
    lines = _EXPORTS.get(output.suffix.lower())
    if lines is None:
        raise InputError(
            "not a kind of file", where=str(output), allowed="a name that ends in .csv or .jsonl"
        )
    count = 0

    def counted(kept: Iterator[Kept]) -> Iterator[Kept]:
        nonlocal count
        for count, one in enumerate(kept, start=1):  # noqa: B007 - read below
            yield one

    with open_lists(settings) as engine:
        kept = kept_entries(
            engine, now=datetime.now(UTC), project=project, category=category, everything=everything
        )
        _write_whole(output, lines(counted(kept)))
    click.echo(f"{count} entries")


def _compare(engine: sa.Engine, spool: Spool, outcome: _Outcome, progress: "Progress") -> None:
    task = progress.add_task("comparing", total=len(spool))
    for rows in spool.batches():
        _count(outcome, count_new(engine, rows), len(rows))
        progress.update(task, advance=len(rows))


def _write(
    engine: sa.Engine, spool: Spool, outcome: _Outcome, progress: "Progress", *, who: str, why: str
) -> None:
    task = progress.add_task("writing", total=len(spool))
    try:
        for rows in spool.batches():
            begun = time.monotonic()
            _count(outcome, add_rows(engine, rows, who=who, why=why, now=datetime.now(UTC)), len(rows))
            progress.update(task, advance=len(rows))
            if engine.dialect.name == "sqlite":
                # SQLite's lock is no queue: whoever waits for it needs a gap to find.
                time.sleep(_PAUSE * (time.monotonic() - begun))
    except BaseException:
        click.echo(
            f"callguard: stopped: {outcome.added} entries were added; run it again for the rest", err=True
        )
        raise


def _count(outcome: _Outcome, new: int, of: int) -> None:
    outcome.added += new
    outcome.already_there += of - new


def _tell(outcome: _Outcome, *, as_json: bool, dry_run: bool) -> None:
    rejected, unused = outcome.rejected, outcome.columns.unused
    if as_json:
        summary = {
            "added": outcome.added,
            "already_there": outcome.already_there,
            "rejected": rejected.count,
            "rejected_file": str(rejected.path) if rejected.count else None,
            "unused_columns": list(unused),
            "dry_run": dry_run,
            "reach": str(outcome.reach),
        }
        click.echo(json.dumps(summary))
    else:
        click.echo(f"{'would be added' if dry_run else 'added'}: {outcome.added}")
        click.echo(f"already there: {outcome.already_there}")
        click.echo(f"rejected: {rejected.count}")
        for line, why in rejected.first:
            click.echo(one_line(f"  line {line}: {why}"))
        if rejected.count:
            click.echo(one_line(f"  all of them: {rejected.path}"))
        if unused:
            click.echo(one_line("columns that nothing was read from: " + ", ".join(unused)))
    tell_reach(outcome.reach, outcome.why)


def _chosen(texts: Sequence[str]) -> dict[Role, list[str]]:
    chosen: dict[Role, list[str]] = {}
    for text in texts:
        role, equals, name = text.partition("=")
        if not equals or role not in set(Role) or not name:
            raise InputError(f"{text[:40]!a} names no column", where="--column", allowed=ALLOWED_COLUMNS)
        chosen.setdefault(Role(role), []).append(name)
    return chosen


def _start_of_days(file: Path, text: str | None) -> date:
    if text is None:
        return datetime.fromtimestamp(file.stat().st_mtime).astimezone().date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError("not a day", where="--days-from", allowed="such as 2026-11-21") from None


@contextmanager
def _progress() -> Iterator["Progress"]:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def _write_whole(path: Path, lines: Iterator[str]) -> None:
    """Write a file under a passing name, and give it its own at the end. Raises InputError."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        # As private as the database: it holds numbers of people.
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        part.unlink(missing_ok=True)
