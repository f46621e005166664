"""Files of entries and of exemptions, as commands read and write them."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa

from callguard.cli import one_line
from callguard.cli.lists import open_lists, tell_reach, with_writer
from callguard.config import Settings
from callguard.errors import InputError
from callguard.lists.bulk import Spool, add_rows, count_new
from callguard.lists.entryfiles.export import Kept, Values, csv_lines, json_lines, kept_values
from callguard.lists.entryfiles.rejected import Rejected
from callguard.lists.ownfile import beside
from callguard.lists.writer import ListWriter, Reach

if TYPE_CHECKING:
    from rich.progress import Progress

_EXPORTS: dict[str, Callable[[Sequence[str], Iterator[Values]], Iterator[str]]] = {
    ".csv": csv_lines,
    ".jsonl": json_lines,
}
_PAUSE = 0.5
"""On SQLite, how long others get the database after each batch, as a share of the batch's own time."""


@dataclass
class Outcome:
    """What became of an import."""

    rejected: Rejected
    unused: tuple[str, ...] = ()
    """The headers of what nothing was read from."""
    added: int = 0
    already_there: int = 0
    reach: Reach = Reach.EVERYWHERE
    why: str = ""


def import_file(
    settings: Settings,
    file: Path,
    check: Callable[[Spool, Rejected, Callable[[int], None]], tuple[str, ...]],
    *,
    rejected: Path | None,
    dry_run: bool,
    as_json: bool,
    who: str,
) -> None:
    """Check a file and add what can be used of it, and tell what became of it.

    `check` reads the whole file into the spool and the rejected, and returns the headers of what it did not
    use. Raises InputError, also where no row can be used, and SqlError.
    """
    with Spool() as spool, _progress() as progress:
        size = file.stat().st_size
        with Rejected(rejected or beside(file, ".rejected.csv")) as refused:
            task = progress.add_task("checking", total=size)
            unused = check(spool, refused, lambda done: progress.update(task, completed=done))
            progress.update(task, completed=size)
        outcome = Outcome(refused, unused)
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
        raise InputError("no row that can be used", where=file.name, allowed="a file that says more")


def check_import(file: Path) -> None:
    """Refuse what is no file: a pipe would make us wait for its writer. Raises InputError."""
    if not file.is_file():
        raise InputError("not a file", where=str(file), allowed="a file, whose size and day are known")


def export_file(output: Path, columns: Sequence[str], kept: Callable[[], Iterator[Kept]]) -> int:
    """Write a file of these columns, CSV or JSON lines as its name says; how many rows. `kept` is called once
    the name has been found good. Raises InputError."""
    lines = _EXPORTS.get(output.suffix.lower())
    if lines is None:
        raise InputError(
            "not a kind of file", where=str(output), allowed="a name that ends in .csv or .jsonl"
        )
    count = 0

    def rows() -> Iterator[Values]:
        nonlocal count
        for one in kept():
            count += 1
            yield kept_values(one)

    _write_whole(output, lines(columns, rows()))
    return count


def _compare(engine: sa.Engine, spool: Spool, outcome: Outcome, progress: "Progress") -> None:
    task = progress.add_task("comparing", total=len(spool))
    for rows in spool.batches():
        _count(outcome, count_new(engine, rows), len(rows))
        progress.update(task, advance=len(rows))


def _write(
    engine: sa.Engine, spool: Spool, outcome: Outcome, progress: "Progress", *, who: str, why: str
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


def _count(outcome: Outcome, new: int, of: int) -> None:
    outcome.added += new
    outcome.already_there += of - new


def _tell(outcome: Outcome, *, as_json: bool, dry_run: bool) -> None:
    rejected, unused = outcome.rejected, outcome.unused
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
