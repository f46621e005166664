"""`callguard cache`: bring Redis back to what SQL says, or see where it differs."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from typing import TypeVar

import click
import sqlalchemy as sa

from callguard.cli import EXIT_DIFFERENT, in_bulk, one_line, pass_settings
from callguard.cli.lists import open_lists
from callguard.config import Settings
from callguard.errors import CacheError, CacheEvicts
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.store import ListStore
from callguard.lists.sync import Progress, Synchroniser
from callguard.lists.threads import SqlThreads
from callguard.lists.verification import Verifier

T = TypeVar("T")

_TRIES = 3
_SHORTEST_TIMEOUT = 5.0
"""Seconds for one command: nobody waits for a call here."""
_SHORTEST_SQL_TIMEOUT = 60.0
"""Seconds for one question, for the same reason: counting a million entries takes a while."""


@dataclass(frozen=True, slots=True)
class _Lists:
    store: ListStore
    cache: ListCache
    threads: SqlThreads


@click.group()
def cache() -> None:
    """The copy of all lists in Redis, which calls are checked against: bring it back, compare it with SQL.

    Neither command stops a guard: while Redis cannot be trusted, calls are checked in SQL.

    \b
    Example:
      callguard cache verify
      callguard cache rebuild
    """


@cache.command()
@pass_settings
@in_bulk
def rebuild(settings: Settings) -> None:
    """Build the lists in Redis anew from SQL, beside those in use, and put them in their place.

    A guard does this by itself when the lists in Redis are missing, or are not those of its database. Calls
    go on meanwhile.

    \b
    Example:
      callguard cache rebuild
    """

    async def run(lists: _Lists) -> None:
        start = time.monotonic()
        await lists.cache.check_policy()
        sync = Synchroniser(lists.store, lists.cache, lists.threads)
        fields = 0

        def count(done: int, in_all: int) -> None:
            nonlocal fields
            fields = done
            show(done, in_all)

        with _bar("loading") as show:
            for _ in range(_TRIES):
                if await sync.rebuild(count):
                    break
            else:
                raise CacheError(
                    "somebody else changed the lists in Redis during each attempt",
                    remedy="try again when no other rebuild runs and fewer numbers are added",
                )
        mark = await sync.catch_up()
        if mark is None:
            raise CacheError("the lists in Redis were taken away right after the rebuild")
        seconds = time.monotonic() - start
        click.echo(
            f"{fields:,} fields loaded in {seconds:.1f} s: Redis has the lists of position {mark.position}"
        )

    _run(settings, run)


@cache.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@pass_settings
@in_bulk
def verify(settings: Settings, *, as_json: bool) -> None:
    """Compare every field of the lists in Redis with SQL, and show every difference. Nothing is changed.

    Exit code 0: they are equal; 1: they differ (`callguard cache rebuild` mends that); 4: Redis or SQL
    cannot be reached.

    \b
    Example:
      callguard cache verify
      callguard cache verify --json
    """

    async def run(lists: _Lists) -> int:
        start = time.monotonic()
        with _bar("comparing") as show:
            found = await Verifier(lists.store, lists.cache, lists.threads).verify(show)
        seconds = time.monotonic() - start
        if as_json:
            told = {"equal": found.equal, "seconds": round(seconds, 3), **asdict(found)}
            click.echo(json.dumps(told, indent=2))
            return 0 if found.equal else EXIT_DIFFERENT
        for difference in found.differences:
            click.echo(one_line(f"{difference.kind:<9} {difference.field}: {difference.what}"))
        if found.found > len(found.differences):
            click.echo(f"and {found.found - len(found.differences):,} more")
        if found.leftovers:
            click.echo(
                f"{found.leftovers:,} fields are of former generations: harmless, a guard removes them"
            )
        verdict = "equal to SQL" if found.equal else f"{found.found:,} differences from SQL"
        click.echo(f"{found.fields:,} fields compared in {seconds:.1f} s: {verdict}")
        return 0 if found.equal else EXIT_DIFFERENT

    click.get_current_context().exit(_run(settings, run))


def _run(settings: Settings, work: Callable[[_Lists], Awaitable[T]]) -> T:
    async def run(engine: sa.Engine) -> T:
        try:
            async with _opened(settings, engine) as lists:
                return await work(lists)
        except CacheError as error:
            if settings.redis.url or isinstance(error, CacheEvicts):
                raise
            remedy = "callguard's private Redis runs only while a guard does: is `callguard guard` running?"
            raise CacheError(error.what, remedy=remedy) from error

    with open_lists(settings) as engine:
        return asyncio.run(run(engine))


@asynccontextmanager
async def _opened(settings: Settings, engine: sa.Engine) -> AsyncIterator[_Lists]:
    threads = SqlThreads(timeout=max(settings.sql.timeout, _SHORTEST_SQL_TIMEOUT), count=1)
    try:
        timeout = max(settings.redis.timeout, _SHORTEST_TIMEOUT)
        client = connect(settings.redis, settings.state)
        cache = ListCache(client, key=settings.redis.key, timeout=timeout)
        try:
            yield _Lists(ListStore(engine), cache, threads)
        finally:
            await cache.close()
    finally:
        threads.close()


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    """A progress bar on a terminal, and nothing elsewhere."""
    from rich import progress  # noqa: PLC0415 - slow to import
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, in_all: int) -> None:
            bar.update(task, completed=done, total=in_all)

        yield show
