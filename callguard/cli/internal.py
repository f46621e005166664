"""`callguard list import internal` and `list export internal`: files of entries of the internal lists."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import click

from callguard.cli import in_bulk, pass_settings
from callguard.cli.days import read_day
from callguard.cli.lists import known_purposes, open_lists, who_asks
from callguard.cli.wordfiles import check_import, export_file, import_file
from callguard.config import Settings
from callguard.errors import InputError
from callguard.lists.bulk import Spool, kept_entries
from callguard.lists.entryfiles.checked import Defaults
from callguard.lists.entryfiles.checking import Reading, check_file
from callguard.lists.entryfiles.columns import ALLOWED_COLUMNS, WITHOUT_HEADER, Role
from callguard.lists.entryfiles.export import ENTRY_COLUMNS, Kept
from callguard.lists.entryfiles.records import DELIMITERS
from callguard.lists.entryfiles.rejected import Rejected
from callguard.lists.entrynumbers import EntryNumbers
from callguard.screening.model import Category


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
    line and the reason, and may be imported again once corrected. The others are imported, and the exit code
    is 0; it is 2 where no row can be used. --json counts both. An entry that is in force already is not
    added twice, so an import that was stopped is completed by running it again. All is in force when the
    command returns.

    What a spreadsheet puts around a number ('..., ="...", .0) does not count. White space of any kind in a
    reason, a source or a name becomes one plain space, also where quotes hold several lines together; but not
    where one of these lines, taken alone, has another number, for a stray quote would hide it. A time has its
    zone (2027-01-31T17:00+07:00); a day (2027-01-31) means its end, local time.

    \b
    Example:
      callguard list import internal DNC_BANK_20261121.txt --project bank
      callguard list import internal livevox.csv --format livevox --dry-run
      callguard list import internal crm.csv --column number=Handset \\
        --column expires_at="Valid until"
    """
    who, now = who_asks(by), datetime.now(UTC)
    check_import(file)
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
        purposes=known_purposes(settings),
    )

    def check(spool: Spool, rejected: Rejected, progress: Callable[[int], None]) -> tuple[str, ...]:
        return check_file(file, reading, spool, rejected, progress).unused

    import_file(settings, file, check, rejected=refused, dry_run=dry_run, as_json=as_json, who=who)


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
    with open_lists(settings) as engine:

        def kept() -> Iterator[Kept]:
            return kept_entries(
                engine, now=datetime.now(UTC), project=project, category=category, everything=everything
            )

        count = export_file(output, ENTRY_COLUMNS, kept)
    click.echo(f"{count} entries")


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
    return read_day(text, where="--days-from")
