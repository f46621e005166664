"""`callguard add`, `remove` and `show`: the internal lists."""

import asyncio
import getpass
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

import click
import sqlalchemy as sa

from callguard.cli import one_line, pass_settings
from callguard.cli.days import is_day
from callguard.cli.shown import change_row, print_words, word_line, word_row
from callguard.config import Settings
from callguard.database import migrate, open_engine
from callguard.errors import InputError
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.entrynumbers import EntryNumbers
from callguard.lists.model import NewEntry, check_text, read_purposes
from callguard.lists.store import ListStore
from callguard.lists.threads import SqlThreads
from callguard.lists.writer import ListWriter, Reach, Written
from callguard.screening.model import Category, Entry, Purpose
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
@click.option("--purposes", metavar="WORDS", help="The purposes that it binds, with commas; see above.")
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
    purposes: str | None,
    expires: str | None,
    by: str | None,
) -> None:
    """Put NUMBER on an internal list, so that it is not called.

    NUMBER may stand for many: +6221* for all that begin so, 201XXXXXXX for those of that length. In force
    when the command returns. An entry that says the very same is not added twice.

    Without --purposes it binds the calls that the rules say of its category; with them, calls of these
    purposes alone, such as marketing,survey.

    \b
    Example:
      callguard add +6281234567890 --reason "asked the agent" --project bank
      callguard add 081234567890 --category inactive-customer --expires 90d
      callguard add '+6221*' --project bank --purposes marketing
    """
    new = NewEntry(
        number=EntryNumbers(settings.numbers).read(number),
        added_by=who_asks(by),
        category=category,
        project=project,
        reason=reason,
        source=source,
        expires_at=None if expires is None else expiry(expires, datetime.now(UTC)),
        purposes=given_purposes(settings, purposes),
    )
    written = write(settings, lambda writer: writer.add(new))
    verb = "added" if written.changed else "already there"
    tell(written, f"{new.number}: {verb}")


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
    written = write(
        settings,
        lambda writer: writer.remove(target, by=who, why=reason, project=project, category=category),
    )
    tell(written, f"{target}: {'removed' if written.changed else 'no such entry'}")


@click.command()
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@pass_settings
def show(settings: Settings, *, number: str, as_json: bool) -> None:
    """Show what the internal lists hold about NUMBER, its exemptions, and every change of both.

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
            entries, exemptions, position = hits.entries, hits.exemptions, hits.position
        else:
            mark, words = store.lookup_words([target])
            entries = tuple(word for word in words[target] if isinstance(word, Entry))
            exemptions, position = (), mark.position
        history = store.history(target)
    if as_json:
        found = {
            "number": target,
            "position": position,
            "entries": [word_row(entry) for entry in entries],
            "exemptions": [word_row(exemption) for exemption in exemptions],
            "history": [change_row(change) for change in history],
        }
        click.echo(json.dumps(found))
        return
    print_words(target, entries, exemptions, history)


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
        if is_day(text):
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


def known_purposes(settings: Settings) -> frozenset[str]:
    """Every word that is a purpose."""
    return frozenset({*Purpose, *settings.rules.purposes})


def given_purposes(settings: Settings, text: str | None) -> tuple[str, ...]:
    """The purposes that --purposes names; none if it was not given. Raises InputError, also where it names
    none: a script whose variable is empty would else bind, or exempt, far more than it says."""
    if text is None:
        return ()
    known = known_purposes(settings)
    purposes = read_purposes(text, known)
    if not purposes:
        raise InputError("names no purpose", where="--purposes", allowed=", ".join(sorted(known)))
    return purposes


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


def write(settings: Settings, change: Callable[[ListWriter], Awaitable[Written]]) -> Written:
    """Change the lists: what became of it. Raises SqlError; then nothing is changed."""
    with open_lists(settings) as engine:
        return with_writer(settings, engine, change)


def tell(written: Written, headline: str) -> None:
    """Say what became of a change."""
    click.echo(headline)
    for word in written.words:
        name = "entry" if isinstance(word, Entry) else "exemption"
        click.echo(one_line(f"  {name} {word.id}: {word_line(word)}"))
    tell_reach(written.reach, written.why)


def tell_reach(reach: Reach, why: str) -> None:
    """Say on standard error how far a change has come, where that is not everywhere."""
    if hint := _REACHED[reach]:
        click.echo(one_line(f"callguard: {hint}{f' ({why})' if why else ''}"), err=True)
