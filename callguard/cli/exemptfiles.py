"""`callguard exempt import` and `exempt export`: files of exemptions."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from callguard.cli import in_bulk, pass_settings
from callguard.cli.exempt import KIND
from callguard.cli.lists import known_purposes, open_lists, who_asks
from callguard.cli.wordfiles import check_import, export_file, import_file
from callguard.config import Settings
from callguard.config.rulebook import load_rules
from callguard.lists.bulk import Spool, kept_exemptions
from callguard.lists.entryfiles.exemptions import ExemptionReading, check_exemptions
from callguard.lists.entryfiles.export import EXEMPTION_COLUMNS, Kept
from callguard.lists.entryfiles.rejected import Rejected
from callguard.lists.entrynumbers import EntryNumbers
from callguard.lists.model import NewExemption
from callguard.screening.model import ExemptionKind
from callguard.screening.overrides import why_forbidden


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", type=KIND, help="Of rows that name none.")
@click.option("--project", help="Likewise. Default: the whole company.")
@click.option("--source", default="import", show_default=True, help="Likewise.")
@click.option("--region", metavar="XX", help="Of numbers without a country code. Default: numbers.region.")
@click.option("--rejected", "refused", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read, check and count; change nothing.")
@click.option("--by", metavar="WHO", help="Of rows that name nobody. Default: the user of this command.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
@pass_settings
@in_bulk
def import_(
    settings: Settings,
    *,
    file: Path,
    kind: str | None,
    project: str | None,
    source: str,
    region: str | None,
    refused: Path | None,
    dry_run: bool,
    by: str | None,
    as_json: bool,
) -> None:
    """Add the exemptions of FILE: CSV or JSON lines, with the columns of `exempt export`.

    A row needs number, kind (or --kind), evidence and starts_at. One without evidence, with a time that
    cannot be read, that ends before it starts, that has ended, or that the rules forbid, is refused: it goes
    to FILE.rejected.csv with its line and the reason. The others are added, and the exit code is 0; it is 2
    where no row can be used. --json counts both. What is there already is not added twice. All is in force
    when the command returns.

    White space of any kind in an evidence, a reference, a source or a name becomes one plain space.

    Other columns are passed over, but one that would narrow an exemption, such as expiry or campaign, refuses
    the whole file until it has the name that the export gives it.

    \b
    Example:
      callguard exempt import consents.csv --kind consent --project bank
    """
    who = who_asks(by)
    check_import(file)
    rules = load_rules(settings)

    def forbidden(new: NewExemption) -> str:
        if new.kind is not ExemptionKind.OVERRIDE:
            return ""
        return why_forbidden(rules, new.number, new.project, new.purposes)

    reading = ExemptionReading(
        numbers=EntryNumbers(settings.numbers, region=region),
        purposes=known_purposes(settings),
        now=datetime.now(UTC),
        added_by=who,
        kind=None if kind is None else ExemptionKind(kind),
        project=project,
        source=source,
        forbidden=forbidden,
    )

    def check(spool: Spool, rejected: Rejected, progress: Callable[[int], None]) -> tuple[str, ...]:
        return check_exemptions(file, reading, spool, rejected, progress)

    import_file(settings, file, check, rejected=refused, dry_run=dry_run, as_json=as_json, who=who)


@click.command("export")
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="*.csv or *.jsonl"
)
@click.option("--kind", type=KIND, help="Only exemptions of this kind.")
@click.option("--project", help='Only exemptions of this project; "" for those of the whole company.')
@click.option("--all", "everything", is_flag=True, help="Also what has ended or expired.")
@pass_settings
def export_(
    settings: Settings, *, output: Path, kind: str | None, project: str | None, everything: bool
) -> None:
    """Write the exemptions to a file, as CSV or as JSON lines. `exempt import` reads them again exactly.

    \b
    Example:
      callguard exempt export -o exemptions.csv
      callguard exempt export -o consents.jsonl --kind consent --all
    """
    wanted = None if kind is None else ExemptionKind(kind)
    with open_lists(settings) as engine:

        def kept() -> Iterator[Kept]:
            return kept_exemptions(
                engine, now=datetime.now(UTC), project=project, kind=wanted, everything=everything
            )

        count = export_file(output, EXEMPTION_COLUMNS, kept)
    click.echo(f"{count} exemptions")
