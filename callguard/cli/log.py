"""`callguard log`: the journal of decisions."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Literal

import click

from callguard.cli import one_line, pass_settings
from callguard.cli.days import is_day
from callguard.config import NumberSettings, Settings
from callguard.database import migrate, open_engine
from callguard.errors import InputError, SqlError
from callguard.journal.export import as_json, csv_lines, json_lines
from callguard.journal.reader import JournalReader, Logged, Query
from callguard.numbers import NumberReader
from callguard.screening.identity import REFERENCE_DIGITS
from callguard.screening.model import Reason, Verdict

TABLE_LIMIT = 50
"""Decisions in the table, unless --limit says otherwise. --json and --csv give all."""
_SHOWN = ("reason", "dialled", "number", "agent", "project", "outcome", "duration_seconds", "reference")
"""What the table shows of a decision besides its time and its verdict."""
_CELL = 40
"""Characters of a cell of the table; --json has the whole text."""
_AGE = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TIMES = (
    "2026-11-21, 2026-11-21T14:30, with a zone 2026-11-21T14:30+07:00, today, yesterday, 90m, 24h, 7d or 2w"
)


@click.command()
@click.option("--since", metavar="TIME", help="Decided then or later.")
@click.option("--until", metavar="TIME", help="Decided before; a day alone is meant to its end.")
@click.option("--refused", is_flag=True, help="Refused calls only.")
@click.option("--agent", help="Calls of this agent.")
@click.option("--project", help="Calls for this project.")
@click.option("--number", help="Calls to this number, in any form in which it can be dialled.")
@click.option("--reason", type=click.Choice([str(reason) for reason in Reason]), help="With this reason.")
@click.option("--reference", help="With the reference that the agent heard.")
@click.option("--id", "identity", metavar="ID", help="The decision of this id.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"At most so many. Default: {TABLE_LIMIT} in the table, all with --json and --csv.",
)
@click.option("--explain", is_flag=True, help="Step by step, by the rules of then: the newest, or --limit.")
@click.option("--json", "output", flag_value="json", help="A JSON object a line, for programs.")
@click.option("--csv", "output", flag_value="csv", help="CSV that is safe to open in a spreadsheet.")
@pass_settings
def log(
    settings: Settings,
    *,
    since: str | None,
    until: str | None,
    refused: bool,
    agent: str | None,
    project: str | None,
    number: str | None,
    reason: str | None,
    reference: str | None,
    identity: str | None,
    limit: int | None,
    explain: bool,
    output: Literal["json", "csv"] | None,
) -> None:
    """Show the journal of decisions, newest first.

    TIME is a day (2026-11-21), a day and a time (2026-11-21T14:30, local unless a zone is given), today,
    yesterday, or an age: 90m, 24h, 7d, 2w. The table shows local times; --json and --csv have UTC. In CSV, a
    cell that a spreadsheet could take for a formula begins with an apostrophe; so does every number.

    --explain goes through the newest decision step by step, with what the rules of its own version say. With
    --json it adds that to the steps.

    \b
    Example:
      callguard log --refused --since today
      callguard log --number 081234567890 --json
      callguard log --reference 0123456 --explain
    """
    if explain and output == "csv":
        raise InputError("is not told in CSV", where="--explain", allowed="--json, or neither")
    now = datetime.now().astimezone()
    query = Query(
        since=None if since is None else read_time(since, now, where="--since"),
        until=None if until is None else read_time(until, now, where="--until", to_its_end=True),
        refused=refused,
        agent=agent,
        project=project,
        number=None if number is None else _read_number(settings.numbers, number),
        reason=None if reason is None else Reason(reason),
        reference=None if reference is None else _read_reference(reference),
        id=identity,
    )
    engine = open_engine(settings.sql, settings.state)
    try:
        reader = JournalReader(engine)
        try:
            reader.page(query, size=1)
        except SqlError:
            migrate(engine)  # a new database has no tables yet
        if explain:
            from callguard.cli.logexplain import Explained  # noqa: PLC0415 - rules are slow to import

            explained = Explained(engine, NumberReader(**settings.numbers.model_dump()))
            chosen = reader.newest_first(query, limit or 1)
            _write(explained.json_lines(chosen) if output else explained.texts(chosen))
            return
        decisions = reader.newest_first(query, limit if limit or output else TABLE_LIMIT)
        _write(_LINES[output](decisions))
    finally:
        engine.dispose()


def read_time(text: str, now: datetime, *, where: str, to_its_end: bool = False) -> datetime:
    """The instant (aware) that a person means; `to_its_end`: of a day alone, the midnight after it.

    `now` is aware and local. Raises InputError, which names `where`.
    """
    days = {"today": now.date(), "yesterday": now.date() - timedelta(days=1)}
    try:
        if age := _AGE.fullmatch(text):
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        day = days.get(text) or (date.fromisoformat(text) if is_day(text) else None)
        if day is not None:
            return datetime.combine(day + timedelta(days=to_its_end), time.min).astimezone()
        if is_day(text[: len("2026-11-21")]):
            return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        pass
    raise InputError(f"{text[:40]!a} is not a time", where=where, allowed=_TIMES)


def _read_number(settings: NumberSettings, text: str) -> str:
    number = NumberReader(**settings.model_dump()).read(text)
    if number.e164 is None:
        raise InputError(
            f"{text[:40]!a} is not a subscriber's number{f': {number.why}' if number.why else ''}",
            where="--number",
            allowed="a number as it is dialled, or with + and the country code",
        )
    return number.e164


def _read_reference(text: str) -> str:
    """A reference as a person writes down what the prompt spoke: three digits, a pause, four more."""
    digits = re.sub(r"[ -]", "", text)
    if len(digits) != REFERENCE_DIGITS or not (digits.isascii() and digits.isdigit()):
        raise InputError(
            f"{text[:40]!a} is no reference", where="--reference", allowed=f"{REFERENCE_DIGITS} digits"
        )
    return digits


def _table(decisions: Iterable[Logged]) -> Iterator[str]:
    from rich.console import Console  # noqa: PLC0415 - slow to import, and only the table needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        # Nothing to fit into: a line a decision, however wide.
        console = Console(width=10_000)
    table = Table(box=None, pad_edge=False)
    for heading in ("time", "verdict", *(name.removeprefix("duration_") for name in _SHOWN)):
        table.add_column(heading, overflow="fold")
    for logged in decisions:
        shown = as_json(logged)
        at = logged.decision.facts.at.astimezone()
        refused = logged.decision.verdict is Verdict.REFUSE
        table.add_row(
            Text(at.strftime("%Y-%m-%d %H:%M:%S %Z"), no_wrap=True),
            Text(shown["verdict"], style="bold red" if refused else "green"),
            *(Text(_cell(shown[name])) for name in _SHOWN),
        )
    if not table.row_count:
        yield "No decisions.\n"
        return
    with console.capture() as captured:
        console.print(table)
    yield captured.get()


def _cell(value: object) -> str:
    text = "" if value is None else one_line(str(value))
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _write(lines: Iterable[str]) -> None:
    """To standard output, as UTF-8 in any locale. A reader that has seen enough (`| head`) is no error."""
    output = sys.stdout.buffer
    try:
        for line in lines:
            output.write(line.encode("utf-8", "backslashreplace"))
        output.flush()
    except BrokenPipeError:
        # What Python flushes at its end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_LINES: dict[str | None, Callable[[Iterable[Logged]], Iterator[str]]] = {
    None: _table,
    "json": json_lines,
    "csv": csv_lines,
}
