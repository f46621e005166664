"""`callguard list`: registry lists, made, rolled back and given up. Import is in listimport.py, set in
listset.py; listshow.py shows them."""

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from callguard.cli import one_line, pass_settings
from callguard.cli.lists import open_lists, tell_reach, who_asks
from callguard.config import Settings
from callguard.errors import InputError, SqlError
from callguard.lists.importlock import import_lock
from callguard.lists.livecopy import LiveCopy
from callguard.lists.registries import Generation, Registry, RegistryStore
from callguard.lists.registryrules import RESERVED, new_registry
from callguard.lists.rollback import roll_back

_ELSEWHERE = {
    "history": ("callguard.cli.listshow", "history"),
    "import": ("callguard.cli.listimport", "import_"),
    "set": ("callguard.cli.listset", "set_"),
    "show": ("callguard.cli.listshow", "show"),
}
"""The commands of other modules, each with its module and what it is called there."""


class ListCommands(click.Group):
    """The group, of which some are loaded when used (numpy, for `import`, is slow to load), and with which
    the internal lists are imported and exported under their name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            module, called = _ELSEWHERE[cmd_name]
            found = getattr(importlib.import_module(module), called)
            assert isinstance(found, click.Command)  # noqa: S101
            return found
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in {"import", "export"} and args[1:2] == [RESERVED]:
            internal = importlib.import_module("callguard.cli.internal")
            return f"{args[0]} {RESERVED}", getattr(internal, f"{args[0]}_internal"), args[2:]
        return super().resolve_command(ctx, args)


@click.group("list", cls=ListCommands)
def list_() -> None:
    """Registry lists: create them, import their files, look at them, go back.

    `callguard list import internal` and `export internal` are for the internal lists.

    \b
    Example:
      callguard list create us-national --jurisdiction US \\
        --format us-text --allowed-age-days 31
      callguard list import us-national 2026-11-01.zip
    """


@list_.command()
@click.argument("name")
@click.option("--jurisdiction", required=True, help="Whose numbers it lists: ISO 3166, such as US or US-FL.")
@click.option("--format", "format_name", metavar="FORMAT", help="How its files are: see `list formats`.")
@click.option("--mapping", metavar="FILE", type=click.Path(path_type=Path), help="The same, as TOML.")
@click.option("--kind", default="do-not-call", show_default=True, help="What it is for, in a word.")
@click.option("--allowed-age-days", type=int, metavar="N", help="How old its data may be. Default: any age.")
@click.option(
    "--covers",
    default="",
    metavar="PREFIXES",
    help="The area codes it speaks of, with commas between them. Default: its whole country; where that"
    " shares its calling code, the area codes known as its own.",
)
@click.option("--by", metavar="WHO", help="Who creates it. Default: the user of this command.")
@pass_settings
def create(
    settings: Settings,
    *,
    name: str,
    jurisdiction: str,
    format_name: str | None,
    mapping: Path | None,
    kind: str,
    allowed_age_days: int | None,
    covers: str,
    by: str | None,
) -> None:
    """Create the list NAME, with nothing imported into it yet.

    From then on a number of its country is `not-covered` until a file was imported.

    \b
    Example:
      callguard list create us-national --jurisdiction US \\
        --format us-text --allowed-age-days 31
      callguard list create ny --jurisdiction US-NY --mapping ny.toml \\
        --covers 212,646,917
    """
    new = new_registry(
        name=name,
        jurisdiction=jurisdiction,
        kind=kind,
        covers=covers,
        allowed_age_days=allowed_age_days,
        layout=layout_json(format_name, mapping),
    )
    who = who_asks(by)
    with opened(settings) as store:
        store.create(new, by=who)
        with LiveCopy(settings, store.engine) as live:
            tell_reach(*live.switch())
    click.echo(f"{name}: created")


@list_.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--by", metavar="WHO", help="Who does it. Default: the user of this command.")
@click.option("--json", "as_json", is_flag=True, help="What became of it, as one JSON object.")
@pass_settings
def rollback(settings: Settings, *, name: str, yes: bool, by: str | None, as_json: bool) -> None:
    """Put the generation of the list NAME that was in force before back in force.

    It becomes a generation of its own; a second rollback undoes the first.

    \b
    Example:
      callguard list rollback us-national
    """
    who = who_asks(by)
    with opened(settings) as store:
        registry = named(store, name)
        with import_lock(store.engine, registry.id, name, who=who), LiveCopy(settings, store.engine) as live:
            # What was in force before the lock was ours may not be any more.
            registry = named(store, name)
            for before in store.history(registry.id):
                if before.state == "ready" and before.id != registry.generation:
                    ask(f"{name}: go back to {_told(before)}?", yes=yes)
            back = roll_back(store, registry, live, who=who)
            reach, why = live.switch()
    if as_json:
        summary = {
            "name": name,
            "version": back.version,
            "numbers": back.numbers,
            "added": back.added,
            "removed": back.removed,
            "unchanged": back.numbers - back.added,
            "data_date": back.data_date.isoformat() if back.data_date else None,
            "file": back.file,
            "reach": str(reach),
        }
        click.echo(json.dumps(summary))
    else:
        click.echo(f"{name}: {_told(back)}, in force")
    tell_reach(reach, why)


@list_.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--by", metavar="WHO", help="Who does it. Default: the user of this command.")
@click.option("--json", "as_json", is_flag=True, help="What became of it, as one JSON object.")
@pass_settings
def drop(settings: Settings, *, name: str, yes: bool, by: str | None, as_json: bool) -> None:
    """Give the list NAME up: calls are no longer checked against it.

    `callguard list history NAME` still shows its imports.

    \b
    Example:
      callguard list drop ny
    """
    who = who_asks(by)
    with opened(settings) as store:
        registry = named(store, name)
        with import_lock(store.engine, registry.id, name, who=who), LiveCopy(settings, store.engine) as live:
            ask(f"{name}: drop it, so that its numbers may be called?", yes=yes)
            store.drop(registry.id, by=who)
            reach, why = live.switch()
            if as_json:
                gone = {"name": name, "list": registry.id, "dropped_by": who, "reach": str(reach)}
                click.echo(json.dumps(gone))
            else:
                click.echo(f"{name}: dropped")
            tell_reach(reach, why)
            try:
                while contents := store.doomed(registry.id):
                    store.delete_blocks(contents[0])
                live.sweep()
            except SqlError as error:
                tell_left_behind(error)


@list_.command()
@click.argument("name")
def export(name: str) -> None:
    """Only the internal lists can be exported: `callguard list export internal --help`.

    \b
    Example:
      callguard list export internal -o entries.csv
    """
    raise InputError(f"{name} is a registry list", where="name", allowed=RESERVED)


@list_.command()
def formats() -> None:
    """Show the formats of files that are known.

    For any other file, write a mapping, a TOML file, and give it to `list create --mapping`.

    \b
    A mapping of lines such as 7;201;5551234:
      kind = "delimited"
      delimiter = ";"
      number = [2, 3]

    All its keys are in config/mapping-example.toml.

    \b
    Example:
      callguard list formats
    """
    from callguard.lists.formats.builtin import FORMATS  # noqa: PLC0415 - slow to import

    for name, layout in sorted(FORMATS.items()):
        click.echo(f"{name:<12} {layout.description}")
        click.echo(f"{'':<12} source: {layout.source}")


@contextmanager
def opened(settings: Settings) -> Iterator[RegistryStore]:
    """The registry lists of the settings' database, its tables brought up to date. Raises SqlError."""
    with open_lists(settings) as engine:
        yield RegistryStore(engine)


def named(store: RegistryStore, name: str) -> Registry:
    """The list of that name. Raises InputError if there is none."""
    found = store.find(name)
    if found is None:
        raise no_list(store, name)
    return found


def no_list(store: RegistryStore, name: str) -> InputError:
    """The error that there is no list of that name."""
    known = ", ".join(one.name for one in store.all()[:20]) or "none yet: callguard list create"
    return InputError(f"there is no registry list {name[:40]!r}", where="name", allowed=known)


def ask(question: str, *, yes: bool) -> None:
    """Ask on the terminal, unless told yes. Raises click.Abort for a no, InputError without a terminal."""
    if not yes:
        check_terminal()
        click.confirm(question, err=True, abort=True)


def check_terminal() -> None:
    """Raises InputError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise InputError(
            "there is no terminal to ask on", where="--yes", allowed="--yes, to do it without a question"
        )


def tell_left_behind(error: SqlError) -> None:
    """Say that what was asked for is done, and that the next import has to clean."""
    click.echo(one_line(f"warning: what is no longer needed could not be removed: {error}"), err=True)


def _told(generation: Generation) -> str:
    return f"{generation.numbers:,} numbers, data of {generation.data_date or 'no known day'}"


def layout_json(format_name: str | None, mapping: Path | None) -> str:
    """The JSON of a built-in layout, or of a mapping. Raises InputError unless it is one of the two."""
    from callguard.lists.formats.builtin import FORMATS  # noqa: PLC0415 - slow to import
    from callguard.lists.formats.mapping import load_layout  # noqa: PLC0415

    if (format_name is None) == (mapping is None):
        raise InputError(
            "how its files are must be said once", where="format", allowed="--format or --mapping"
        )
    if mapping is not None:
        return load_layout(mapping).to_json()
    layout = FORMATS.get(format_name or "")
    if layout is None:
        raise InputError("not a format", where="format", allowed=", ".join(FORMATS))
    return layout.to_json()
