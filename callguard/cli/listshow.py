"""`callguard list show` and `list history`: registry lists and their generations, also of those dropped."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from callguard.cli import one_line, pass_settings
from callguard.cli.list import named, no_list, opened
from callguard.cli.shown import local
from callguard.config import Settings
from callguard.errors import InputError
from callguard.lists.droppedlists import DroppedList, dropped_lists
from callguard.lists.freshness import Freshness, freshness
from callguard.lists.registries import Generation, Registry, RegistryStore

_SHOWN = 20
"""Prefixes that `list show` shows of a list; JSON has them all."""

_COLUMNS = ("name", "jurisdiction", "kind", "numbers", "data_date", "age", "version")
_DROPPED_COLUMNS = (*_COLUMNS[:5], "version", "created_at", "created_by", "dropped_at", "dropped_by")
_HISTORY_COLUMNS = ("version", "state", "mode", "file", "data_date", "who", "numbers", "added", "removed")


@click.command()
@click.argument("name", required=False)
@click.option("--dropped", is_flag=True, help="The lists that were dropped, instead of those in force.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
@pass_settings
def show(settings: Settings, *, name: str | None, dropped: bool, as_json: bool) -> None:
    """Show the registry lists, or the list NAME: how many numbers, and how old.

    With --dropped: which lists there were (of the name NAME), who dropped them when, and what they held last.
    `callguard list history NAME` has their imports.

    \b
    Example:
      callguard list show
      callguard list show us-national --json
      callguard list show --dropped
    """
    with opened(settings) as store:
        if dropped:
            rows = [_dropped_row(one, store) for one in _dropped(store, name)]
        else:
            lists = store.all() if name is None else (named(store, name),)
            rows = [_row(one, store.generation(one.generation) if one.generation else None) for one in lists]
    if as_json:
        click.echo(json.dumps(rows if name is None or dropped else rows[0]))
    elif not rows:
        none = "no registry lists: see `callguard list create --help`"
        click.echo("no list was dropped" if dropped else none)
    elif dropped:
        _print_table(_DROPPED_COLUMNS, rows)
    elif name is None:
        _print_table(_COLUMNS, rows)
    else:
        for key, value in rows[0].items():
            click.echo(one_line(f"{key.replace('_', ' '):<17} {_text(value)}"))


@click.command()
@click.argument("name")
@click.option("--dropped", is_flag=True, help="Of the lists of this name that were dropped.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
@pass_settings
def history(settings: Settings, *, name: str, dropped: bool, as_json: bool) -> None:
    """Show every import into the list NAME, newest first.

    Where no list has the name any more, those that had it are shown, the one dropped last at the end; where
    one has, --dropped shows the others.

    \b
    Example:
      callguard list history us-national
    """
    with opened(settings) as store:
        living = None if dropped else store.find(name)
        gone = () if living else dropped_lists(store.engine, name)
        if not (living or gone):
            raise _none_dropped(name) if dropped else no_list(store, name)
        known = [(living, "")] if living else [(one.registry, one.dropped_by) for one in gone]
        rows = [[_history_row(row, one, by) for row in store.history(one.id)] for one, by in known]
    if as_json:
        click.echo(json.dumps([row for of_list in rows for row in of_list]))
        return
    for (registry, by), of_list in zip(known, rows, strict=True):
        if registry.dropped_at is not None:
            created = f"created {local(registry.created_at)} by {registry.created_by}"
            click.echo(one_line(f"{name}: {created}, dropped {local(registry.dropped_at)} by {by}"))
        if of_list:
            _print_table(_HISTORY_COLUMNS, of_list)
        else:
            click.echo(f"{name}: nothing was imported{'' if registry.dropped_at else ' yet'}")


def _none_dropped(name: str) -> InputError:
    allowed = "a name that `callguard list show --dropped` shows"
    return InputError(f"no registry list {name[:40]!r} was dropped", where="name", allowed=allowed)


def _dropped(store: RegistryStore, name: str | None) -> tuple[DroppedList, ...]:
    found = dropped_lists(store.engine, name)
    if name is not None and not found:
        raise _none_dropped(name)
    return found


def _row(registry: Registry, generation: Generation | None) -> dict[str, Any]:
    age = _age(registry, generation)
    return {
        "name": registry.name,
        "jurisdiction": registry.jurisdiction,
        "kind": registry.kind,
        "format": json.loads(registry.layout).get("name"),
        "covers": _covers(registry),
        "numbers": generation.numbers if generation else 0,
        "version": generation.version if generation else 0,
        "data_date": generation.data_date.isoformat() if generation and generation.data_date else None,
        "age": str(age),
        "age_days": age.days,
        "allowed_age_days": registry.allowed_age_days,
        "freshness": str(age.state),
        "file": generation.file if generation else None,
        "imported_at": _instant(generation.ended_at) if generation else None,
        "imported_by": generation.who if generation else None,
        "block_size": generation.block_size if generation else None,
        "blocks": generation.blocks if generation else 0,
    }


def _age(registry: Registry, generation: Generation | None) -> Freshness:
    data_date = generation.data_date if generation else None
    imported = generation is not None
    return freshness(data_date, registry.allowed_age_days, datetime.now(UTC), imported=imported)


def _dropped_row(gone: DroppedList, store: RegistryStore) -> dict[str, Any]:
    """What the list was, with what it held last."""
    registry = gone.registry
    last = max(store.history(registry.id), key=lambda one: one.version, default=None)
    if last is not None and not last.version:
        last = None
    return {
        "list": registry.id,
        "name": registry.name,
        "jurisdiction": registry.jurisdiction,
        "kind": registry.kind,
        "format": json.loads(registry.layout).get("name"),
        "covers": _covers(registry),
        "allowed_age_days": registry.allowed_age_days,
        "created_at": _instant(registry.created_at),
        "created_by": registry.created_by,
        "dropped_at": _instant(registry.dropped_at),
        "dropped_by": gone.dropped_by,
        "numbers": last.numbers if last else 0,
        "version": last.version if last else 0,
        "data_date": last.data_date.isoformat() if last and last.data_date else None,
        "file": last.file if last else None,
    }


def _covers(registry: Registry) -> list[str] | str:
    return [f"+{prefix}" for prefix in registry.coverage] or f"+{registry.calling_code}"


def _history_row(one: Generation, registry: Registry, dropped_by: str) -> dict[str, Any]:
    return {
        "id": one.id,
        "version": one.version or None,
        "state": "in force" if one.id == registry.generation else one.state,
        "mode": one.mode,
        "file": one.file,
        "digest": one.digest,
        "data_date": one.data_date.isoformat() if one.data_date else None,
        "begun_at": _instant(one.begun_at),
        "ended_at": _instant(one.ended_at),
        "who": one.who,
        "numbers": one.numbers,
        "added": one.added,
        "removed": one.removed,
        "rejected": one.rejected,
        "list": registry.id,
        "dropped_at": _instant(registry.dropped_at),
        "dropped_by": dropped_by or None,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _text(value: object) -> str:
    if isinstance(value, list):
        more = f" and {len(value) - _SHOWN:,} more" if len(value) > _SHOWN else ""
        return ", ".join(map(str, value[:_SHOWN])) + more
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else str(value)


def _print_table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only tables pay for it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # for a file or a pager: a line a row
    table = Table(box=None, pad_edge=False)
    for column in columns:
        right = column in {"numbers", "added", "removed", "rejected", "version"}
        table.add_column(
            column.replace("_", " "), overflow="fold", no_wrap=right, justify="right" if right else "left"
        )
    for row in rows:
        table.add_row(*(Text(one_line(_text(row[column]))) for column in columns))
    console.print(table)
