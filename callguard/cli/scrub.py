"""`callguard scrub`: check a dialer's lead file before it is loaded."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from callguard.cli import in_bulk, one_line, pass_settings
from callguard.cli.explain import read_instant
from callguard.config import Settings
from callguard.config.purposes import call_project, call_purpose
from callguard.config.rulebook import load_rules
from callguard.database import migrate, open_engine
from callguard.errors import InputError
from callguard.lists.model import LONGEST_PROJECT, check_text
from callguard.screening.timeless import timeless

if TYPE_CHECKING:
    from callguard.scrub.run import Summary

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("leads", type=_FILE)
@click.option("-o", "--output", "clean", type=_FILE, required=True, help="The rows that may be called.")
@click.option("--refused", type=_FILE, required=True, help="The other rows, each with its reason.")
@click.option("--project", help="The client company that the calls are for. Default: defaults.project.")
@click.option("--purpose", help="Why the calls are made. Default: the project's.")
@click.option("--column", "columns", multiple=True, metavar="NAME|N", help="A column of numbers; repeatable.")
@click.option("--code-column", metavar="NAME|N", help="The column of the numbers' calling codes.")
@click.option("--delimiter", metavar="CHAR", help="A character, or comma, semicolon, tab, pipe.")
@click.option("--header/--no-header", default=None, help="Whether the first row names the columns.")
@click.option("--region", metavar="CC", help="The country of numbers without +. Default: numbers.region.")
@click.option("--at", metavar="TIME", help="When the calls will be made; see above.")
@click.option("--force", is_flag=True, help="Replace output files that exist.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object, for programs.")
@pass_settings
@in_bulk
def scrub(
    settings: Settings,
    *,
    leads: Path,
    clean: Path,
    refused: Path,
    project: str | None,
    purpose: str | None,
    columns: tuple[str, ...],
    code_column: str | None,
    delimiter: str | None,
    header: bool | None,
    region: str | None,
    at: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Check every number of the file LEADS, and sort its rows into those that may be called and the others.

    Rows are kept to the byte. A header goes to both files; the refused file has two more columns,
    callguard_lists and callguard_reason. The column of the numbers is found by its heading and its content,
    where that leaves no doubt; another whose heading says the same, and that is empty in the first rows, is
    checked with it. With several --column, every number of a row must be allowed; cells without one are
    passed over. What is not the number of a subscriber is refused as unreadable-number. What a spreadsheet
    puts around a number ('..., ="...", .0) does not count.

    Quotes may hold several lines together. Such a row is refused as unreadable-number, too, if one of its
    lines, taken alone, has another number in a checked column: a dialer may read line by line, and call it.

    A file with calling codes in a column of their own, row by row, is read by them: VICIdial's phone_code
    beside phone_number (62 and 0812... or 812..., 1 and 201...), or what --code-column names. A number with
    a + has its code already; a row without a code is read as --region says.

    The lists are taken from the database as they are when the command begins. What expires, and how old a
    registry is, count as of --at (ISO 8601 with its zone), else as of now. With --at, calling hours, holidays
    and the attempts until then count, too; without, they do not: that is for each call to
    see. Nothing is recorded. Either both files are there at the end, or neither. The exit code is 0 however
    many rows are refused; --json counts them by reason.

    \b
    Example:
      callguard scrub leads.csv -o clean.csv --refused refused.csv \\
        --project bank --purpose marketing --at 2026-11-23T10:00+07:00
      callguard scrub leads.csv -o clean.csv --refused refused.csv \\
        --column phone --column alt_phone
    """
    # numpy is slow to import, and no other command needs it.
    from callguard.scrub.layout import read_delimiter  # noqa: PLC0415
    from callguard.scrub.lists import load  # noqa: PLC0415
    from callguard.scrub.outputs import Outputs  # noqa: PLC0415
    from callguard.scrub.reading import LeadReader  # noqa: PLC0415
    from callguard.scrub.recent import NOT_COUNTED, recent  # noqa: PLC0415
    from callguard.scrub.run import Wanted  # noqa: PLC0415
    from callguard.scrub.run import scrub as run  # noqa: PLC0415
    from callguard.scrub.verdicts import Verdicts, months_of  # noqa: PLC0415

    now = datetime.now(UTC)
    when = now if at is None else read_instant(at, "--at")
    project = call_project(settings, project)
    check_text("--project", project or "", longest=LONGEST_PROJECT)
    if purpose is not None:
        check_text("--purpose", purpose, longest=LONGEST_PROJECT, required=True)
    purpose = call_purpose(settings, purpose, project)
    wanted = Wanted(columns, None if delimiter is None else read_delimiter(delimiter), header, code_column)
    reader = LeadReader(settings.numbers, _region(region))
    try:
        size = leads.stat().st_size
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(leads)) from error

    rules = load_rules(settings) if at is not None else timeless(load_rules(settings))

    if (taken := rules.purpose(purpose)) != purpose:
        click.echo(f"callguard: {purpose!a} is no purpose: the leads are checked for {taken}", err=True)

    def lists() -> Verdicts:
        engine = open_engine(settings.sql, settings.state)
        try:
            migrate(engine)
            found = load(engine, project=project, at=when, months=months_of(rules))
            called = NOT_COUNTED if at is None else recent(engine, rules, when)
        finally:
            engine.dispose()
        return Verdicts(found, rules, at=when, project=project, purpose=purpose, recent=called)

    with Outputs(leads, clean, refused, force=force) as outputs, _progress(size) as progress:
        summary = run(leads, outputs, reader, lists, wanted=wanted, progress=progress)
    if as_json:
        click.echo(json.dumps(asdict(summary)))
    else:
        click.echo("\n".join(_told(summary)))


def _region(text: str | None) -> str | None:
    if text is None:
        return None
    import phonenumbers  # noqa: PLC0415

    if text not in phonenumbers.SUPPORTED_REGIONS:
        allowed = "two capital letters (ISO 3166), such as ID or US"
        raise InputError(f"{text[:20]!a} is not a region", where="--region", allowed=allowed)
    return text


def _told(summary: "Summary") -> Iterator[str]:
    rate = summary.rows / summary.seconds if summary.seconds else 0
    yield f"rows      {summary.rows:>12,}   in {summary.seconds:.1f} s, {rate:,.0f} a second"
    yield f"clean     {summary.clean:>12,}"
    yield f"refused   {sum(summary.refused.values()):>12,}"
    for reason, count in summary.refused.items():
        yield f"  {reason:<20}{count:>12,}"
    codes = f", calling code in {summary.code_column}" if summary.code_column else ""
    yield one_line(f"column    {', '.join(summary.columns)}{codes}; lists at position {summary.position}")


@contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    shown = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*shown, console=Console(stderr=True)) as bar:
        task = bar.add_task("scrub", total=size)
        yield lambda done: bar.update(task, completed=done)
