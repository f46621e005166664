"""`callguard add`, `remove` and `show`: the internal lists."""

import asyncio
import getpass
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import click
import sqlalchemy as sa

from callguard.cli import one_line, pass_settings
from callguard.config import Settings
from callguard.database import migrate, open_engine
from callguard.errors import InputError
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.entrynumbers import EntryNumbers
from callguard.lists.model import Change, NewEntry, check_text
from callguard.lists.store import ListStore
from callguard.lists.threads import SqlThreads
from callguard.lists.writer import ListWriter, Reach, Written
from callguard.screening.model import Category, Entry
from callguard.screening.patterns import shape_of

T = TypeVar("T")

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_ALLOWED_EXPIRY = "such as 30d (h, d or w), 2027-01-31 (to its end, local time), or 2027-01-31T17:00+07:00"

_REACHED = {
    Reach.EVERYWHERE: "",
    Reach.COLD: "Redis holds no lists yet: guards ask the database until it does.",
    Reach.UNREACHABLE: "Redis could not be told; guards notice the change in the database within a second.",
    Reach.NOT_RUNNING: "",
}


@click.command()
@click.argument("number")
@click.option("--category", default=str(Category.CUSTOMER_REQUEST), show_default=True, help="Why in a word.")
@click.option("--reason", default="", help="Why, in a sentence.")
@click.option("--source", default="command line", show_default=True, help="Where the wish came in.")
@click.option("--project", help="The project that it binds. Default: the whole company.")
@click.option("--expires", metavar="WHEN", help=f"Until when: {_ALLOWED_EXPIRY}. Default: for ever.")
@click.option("--by", metavar="WHO", help="Who adds it. Default: the user of this command.")
@pass_settings
def add(
    settings: Settings,
    *,
    number: str,
    category: str,
    reason: str,
    source: str,
    project: str | None,
    expires: str | None,
    by: str | None,
) -> None:
    """Put NUMBER on an internal list, so that it is not called.

    NUMBER may stand for many: +6221* for all that begin so, 201XXXXXXX for those of that length. In force
    when the command returns. An entry that says the very same is not added twice.

    \b
    Example:
      callguard add +6281234567890 --reason "asked the agent" --project bank
      callguard add 081234567890 --category inactive-customer --expires 90d
      callguard add '+6221*' --project bank
    """
    new = NewEntry(
        number=EntryNumbers(settings.numbers).read(number),
        added_by=who_asks(by),
        category=category,
        project=project,
        reason=reason,
        source=source,
        expires_at=None if expires is None else expiry(expires, datetime.now(UTC)),
    )
    written = _write(settings, lambda writer: writer.add(new))
    verb = "added" if written.changed else "already there"
    _tell(written, f"{new.number}: {verb}")


@click.command()
@click.argument("number")
@click.option("--project", help='Only entries of this project; "" for those of the whole company.')
@click.option("--category", help="Only entries of this category.")
@click.option("--reason", default="", help="Why, in a sentence.")
@click.option("--by", metavar="WHO", help="Who removes it. Default: the user of this command.")
@pass_settings
def remove(
    settings: Settings, *, number: str, project: str | None, category: str | None, reason: str, by: str | None
) -> None:
    """Take NUMBER off the internal lists: all its entries, or those that the options name.

    The history keeps them; see `callguard show`. A pattern such as 201XXXXXXX goes only as it was added: it
    cannot be taken off one of its numbers.

    \b
    Example:
      callguard remove +6281234567890 --project bank \\
        --reason "asked to be called again"
    """
    target = EntryNumbers(settings.numbers).read(number)
    who = who_asks(by)
    check_text("reason", reason)
    written = _write(
        settings,
        lambda writer: writer.remove(target, by=who, why=reason, project=project, category=category),
    )
    _tell(written, f"{target}: {'removed' if written.changed else 'no such entry'}")


@click.command()
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@pass_settings
def show(settings: Settings, *, number: str, as_json: bool) -> None:
    """Show what the internal lists hold about NUMBER, and every change they have seen.

    Patterns that NUMBER matches are shown with their entries; their changes are shown with the pattern.

    \b
    Example:
      callguard show 081234567890
    """
    target = EntryNumbers(settings.numbers).read(number)
    with open_lists(settings) as engine:
        store = ListStore(engine)
        if shape_of(target) is None:
            hits = store.lookup(target)
            entries, position = hits.entries, hits.position
        else:
            mark, found_entries = store.lookup_entries([target])
            entries, position = found_entries[target], mark.position
        history = store.history(target)
    if as_json:
        found = {
            "number": target,
            "position": position,
            "entries": [_entry_row(entry) for entry in entries],
            "history": [_change_row(change) for change in history],
        }
        click.echo(json.dumps(found))
        return
    _print_tables(target, entries, history)


def expiry(text: str, now: datetime) -> datetime:
    """Read when an entry expires: so many hours, days or weeks from now, a date, or a time with its zone.

    A date means its end, in this computer's time zone. Raises InputError for anything else, and for what is
    past.
    """
    at = _expiry(text.strip(), now)
    if at is None:
        raise InputError("not a time that can be read", where="expires", allowed=_ALLOWED_EXPIRY)
    if at <= now:
        raise InputError("in the past", where="expires", allowed="a time to come")
    return at


def _expiry(text: str, now: datetime) -> datetime | None:
    try:
        if span := re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text, re.ASCII):
            return now + int(span[1]) * _UNITS[span[2]]
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            following = date.fromisoformat(text) + timedelta(days=1)
            return datetime.combine(following, time()).astimezone(UTC)
        at = datetime.fromisoformat(text)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def who_asks(by: str | None) -> str:
    """Who is at it: the name given, or that of this command's user. Raises InputError."""
    if by is None:
        try:
            by = os.environ.get("SUDO_USER") or getpass.getuser()
        except (KeyError, OSError):
            raise InputError("this user has no name", where="by", allowed="--by WHO") from None
    check_text("by", by, required=True)
    return by


@contextmanager
def open_lists(settings: Settings) -> Iterator[sa.Engine]:
    """The database that the settings name, with its tables. Raises SqlError."""
    engine = open_engine(settings.sql, settings.state)
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()


def with_writer(settings: Settings, engine: sa.Engine, work: Callable[[ListWriter], Awaitable[T]]) -> T:
    """Do something with a writer of the lists, and of the Redis that the settings name."""

    async def run() -> T:
        cache = ListCache(
            connect(settings.redis, settings.state), key=settings.redis.key, timeout=settings.redis.timeout
        )
        threads = SqlThreads(timeout=settings.sql.timeout, count=1)
        try:
            return await work(ListWriter(ListStore(engine), cache, threads, embedded=not settings.redis.url))
        finally:
            threads.close()
            await cache.close()

    return asyncio.run(run())


def _write(settings: Settings, change: Callable[[ListWriter], Awaitable[Written]]) -> Written:
    with open_lists(settings) as engine:
        return with_writer(settings, engine, change)


def _tell(written: Written, headline: str) -> None:
    click.echo(headline)
    for entry in written.entries:
        click.echo(one_line(f"  entry {entry.id}: {_told(entry)}"))
    tell_reach(written.reach, written.why)


def tell_reach(reach: Reach, why: str) -> None:
    """Say on standard error how far a change has come, where that is not everywhere."""
    if hint := _REACHED[reach]:
        click.echo(one_line(f"callguard: {hint}{f' ({why})' if why else ''}"), err=True)


def _told(entry: Entry) -> str:
    told = f"{entry.category}, {_binds(entry)}"
    if entry.expires_at is not None:
        told += f", until {_local(entry.expires_at)}"
    return f"{told}, {entry.reason}" if entry.reason else told


def _binds(entry: Entry) -> str:
    return "the whole company" if entry.project is None else f"project {entry.project}"


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def _entry_row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "number": entry.number,
        "category": entry.category,
        "project": entry.project,
        "reason": entry.reason,
        "source": entry.source,
        "added_by": entry.added_by,
        "added_at": entry.added_at.isoformat(),
        "expires_at": entry.expires_at.isoformat() if entry.expires_at else None,
        "expired": _expired(entry),
    }


def _change_row(change: Change) -> dict[str, Any]:
    return {
        "position": change.position,
        "at": change.at.isoformat(),
        "who": change.who,
        "why": change.why,
        "action": str(change.action),
        "entry": _entry_row(change.entry),
    }


def _expired(entry: Entry) -> bool:
    return entry.expires_at is not None and entry.expires_at <= datetime.now(UTC)


def _print_tables(number: str, entries: tuple[Entry, ...], history: tuple[Change, ...]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only `show` pays for it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # for a file or a pager: a line a row
    if not history and not entries:
        console.print(f"{number}: on no internal list, and never was", markup=False, highlight=False)
        return
    in_force = Table(title=f"{number}: entries", title_justify="left")
    for heading in ("entry", "number", "category", "binds", "expires", "reason", "source"):
        in_force.add_column(heading, overflow="fold")
    for entry in entries:
        expires = "never" if entry.expires_at is None else _local(entry.expires_at)
        if _expired(entry):
            expires += " (expired)"
        cells = [str(entry.id), entry.number, entry.category, _binds(entry), expires]
        cells += [entry.reason, entry.source]
        in_force.add_row(*(Text(one_line(cell)) for cell in cells))
    changes = Table(title="history", title_justify="left")
    for heading in ("position", "at", "who", "did", "entry", "why"):
        changes.add_column(heading, overflow="fold")
    for change in history:
        entry = change.entry
        told = f"{entry.id}: {entry.category}, {_binds(entry)}"
        cells = [str(change.position), _local(change.at), change.who, str(change.action), told, change.why]
        changes.add_row(*(Text(one_line(cell)) for cell in cells))
    if entries:
        console.print(in_force)
    else:
        console.print(f"{number}: on no internal list now", markup=False, highlight=False)
    if history:
        console.print(changes)
