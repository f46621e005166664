"""`callguard rules`: the rules in force as tables, or what binds one number."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from callguard.cli import pass_settings
from callguard.cli.explain import read_instant
from callguard.cli.rulestext import number_text, presets_text
from callguard.cli.rulesview import for_number, of_presets
from callguard.config import Settings
from callguard.config.purposes import call_project, call_purpose
from callguard.config.rulebook import load_rules
from callguard.database import migrate, open_engine
from callguard.errors import InputError, SqlError
from callguard.journal.versions import StoredRules, find_version
from callguard.lists.model import LONGEST_PROJECT, check_text
from callguard.numbers import NumberReader
from callguard.screening.model import CallFacts
from callguard.screening.rules import Preset, Rules


@click.command()
@click.argument("presets", nargs=-1, metavar="[PRESET]...")
@click.option("--for", "number", metavar="NUMBER", help="What binds calls to this number.")
@click.option("--project", help="With --for: the client company. Default: defaults.project.")
@click.option("--purpose", help="With --for: why the call is made. Default: the project's.")
@click.option("--at", "at_text", metavar="TIME", help="With --for: the instant of the call. Default: now.")
@click.option("--version", "version", metavar="VERSION", help="The rules of this version, from the journal.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@pass_settings
def rules(
    settings: Settings,
    *,
    presets: tuple[str, ...],
    number: str | None,
    project: str | None,
    purpose: str | None,
    at_text: str | None,
    version: str | None,
    as_json: bool,
) -> None:
    """Show the rules: who may be called for what, when, how often, and where each rule is from.

    Without --for: every preset that is in use, or the PRESETs named. Lists, entries and earlier attempts are
    not looked at: `callguard check` does that. A VERSION is what `callguard check` and the journal name.

    \b
    Example:
      callguard rules ID
      callguard rules --for 081234567890 --purpose collection
      callguard rules --version 1f0c9d2ab34e --json
    """
    stored = None if version is None else _stored(settings, version)
    told = stored.rules if stored else load_rules(settings)
    name = version or told.version
    if number is None:
        only_for = {"--project": project, "--purpose": purpose, "--at": at_text}
        if given := [option for option, value in only_for.items() if value is not None]:
            raise InputError("says something of one number", where=given[0], allowed="together with --for")
        chosen = _chosen(told, presets)
        since = stored.first_at if stored else None
        if as_json:
            click.echo(json.dumps(of_presets(told, chosen, name, since)))
        else:
            click.echo(presets_text(told, chosen, name, since), nl=False)
        return
    if presets:
        raise InputError("are told by the number", where="PRESET", allowed="either PRESETs or --for")
    facts = _facts(settings, number, project, purpose, at_text)
    view = for_number(told, facts, name)
    if as_json:
        click.echo(json.dumps(view))
    else:
        click.echo(number_text(view), nl=False)


def _stored(settings: Settings, version: str) -> StoredRules:
    check_text("--version", version, required=True)
    engine = open_engine(settings.sql, settings.state)
    try:
        try:
            stored = find_version(engine, version)
        except SqlError:
            migrate(engine)  # a new database has no tables yet
            stored = find_version(engine, version)
    finally:
        engine.dispose()
    if stored is None:
        raise InputError(
            f"no guard has stored a version {version[:40]!a}",
            where="--version",
            allowed="a version that the journal names: callguard log --json",
        )
    return stored


def _chosen(told: Rules, wanted: Sequence[str]) -> list[Preset]:
    known = {preset.id: preset for preset in told.presets}
    for name in wanted:
        if name not in known:
            raise InputError(f"no preset {name[:40]!a} is in use", where="PRESET", allowed=", ".join(known))
    return [known[name] for name in wanted or known]


def _facts(
    settings: Settings, number: str, project: str | None, purpose: str | None, at_text: str | None
) -> CallFacts:
    at = datetime.now(UTC) if at_text is None else read_instant(at_text, "--at")
    read = NumberReader(**settings.numbers.model_dump()).read(number)
    if read.e164 is None:
        raise InputError(
            f"{number[:40]!a} is not a subscriber's number{f': {read.why}' if read.why else ''}",
            where="--for",
            allowed="a number as it is dialled, or with + and the country code",
        )
    project = call_project(settings, project)
    check_text("--project", project or "", longest=LONGEST_PROJECT)
    if purpose is not None:
        check_text("--purpose", purpose, longest=LONGEST_PROJECT, required=True)
    said = call_purpose(settings, purpose, project)
    return CallFacts(at=at, dialled=number, number=read, mode=None, project=project, purpose=said)
