"""`callguard list set`: what a registry list is, changed."""

from pathlib import Path

import click

from callguard.cli import pass_settings
from callguard.cli.list import layout_json, named, opened
from callguard.cli.lists import tell_reach, who_asks
from callguard.config import Settings
from callguard.errors import InputError
from callguard.lists.importlock import import_lock
from callguard.lists.livecopy import LiveCopy
from callguard.lists.registryrules import registry_change


@click.command("set")
@click.argument("name")
@click.option("--allowed-age-days", metavar="N|none", help="How old its data may be; none: any age.")
@click.option("--covers", metavar="PREFIXES|all", help="The area codes it speaks of; all: its whole country.")
@click.option("--kind", metavar="WORD", help="What it is for.")
@click.option("--format", "format_name", metavar="FORMAT", help="How its files are: see `list formats`.")
@click.option("--mapping", metavar="FILE", type=click.Path(path_type=Path), help="The same, as TOML.")
@click.option("--by", metavar="WHO", help="Who changes it. Default: the user of this command.")
@pass_settings
def set_(
    settings: Settings,
    *,
    name: str,
    allowed_age_days: str | None,
    covers: str | None,
    kind: str | None,
    format_name: str | None,
    mapping: Path | None,
    by: str | None,
) -> None:
    """Change what the list NAME is. Its numbers stay, and what no option names.

    In force when the command returns; a new format counts from the next import on. Refused while an import
    into the list runs. The change log keeps what was before. The jurisdiction cannot be changed: create
    another list.

    \b
    Example:
      callguard list set us-national --allowed-age-days 14
      callguard list set ny --covers 212,332,646,917
    """
    who = who_asks(by)
    with opened(settings) as store:
        registry = named(store, name)
        # An import that runs has read what the list was, and would go on by it.
        with import_lock(store.engine, registry.id, name, who=who):
            change = registry_change(
                jurisdiction=registry.jurisdiction,
                kind=kind,
                covers=covers,
                allowed_age_days=allowed_age_days,
            )
            if format_name is not None or mapping is not None:
                change["layout"] = layout_json(format_name, mapping)
            if not change:
                raise InputError("nothing to change", where="list set", allowed="an option: see --help")
            changed = store.change(registry.id, change, by=who)
            with LiveCopy(settings, store.engine) as live:
                tell_reach(*live.switch())
    click.echo(f"{name}: {'changed' if changed else 'is so already'}")
