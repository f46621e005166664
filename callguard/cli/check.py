"""`callguard check`: what would become of a call, and why."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from callguard.cli import EXIT_REFUSE, one_line, pass_settings
from callguard.config import Settings
from callguard.config.purposes import call_project, call_purpose
from callguard.config.rulebook import load_rules
from callguard.database import migrate, open_engine
from callguard.errors import SqlError
from callguard.journal.rows import match_row
from callguard.lists.model import LONGEST_PROJECT, check_text
from callguard.lists.store import ListStore
from callguard.numbers import NumberReader
from callguard.screening.model import CallFacts, Hits, Match, Reason, Screened, Verdict
from callguard.screening.screen import needs_lists, screen


@click.command()
@click.argument("number")
@click.option("--project", help="The client company that the call is for. Default: defaults.project.")
@click.option("--purpose", help="Why the call is made. Default: the project's.")
@click.option("--agent", default="", help="Who would call.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@pass_settings
def check(
    settings: Settings,
    *,
    number: str,
    project: str | None,
    purpose: str | None,
    agent: str,
    as_json: bool,
) -> None:
    """Say whether NUMBER may be called, and why, without a call.

    NUMBER is written as an agent dials it, or with + and the country code. The lists are asked in SQL, where
    their truth is; nothing is recorded. Exit code 0: allow; 3: refuse; 4: the lists cannot be asked.

    \b
    Example:
      callguard check 081234567890
      callguard check +6281234567890 --project bank --json
    """
    rules = load_rules(settings)
    project = call_project(settings, project)
    if purpose is not None:
        check_text("--purpose", purpose, longest=LONGEST_PROJECT, required=True)
    facts = CallFacts(
        at=datetime.now(UTC),
        dialled=number,
        number=NumberReader(**settings.numbers.model_dump()).read(number),
        mode=None,
        project=project,
        purpose=call_purpose(settings, purpose, project),
        agent=agent,
    )
    check_text("--project", facts.project or "", longest=LONGEST_PROJECT)
    check_text("--agent", facts.agent)
    hits = _ask(settings, facts.number.e164) if needs_lists(facts) and facts.number.e164 else None
    screened = screen(facts, hits, rules)
    if as_json:
        click.echo(json.dumps(_as_json(facts, hits, screened)))
    else:
        click.echo("\n".join(_as_text(facts, hits, screened)))
    if screened.verdict is Verdict.REFUSE:
        click.get_current_context().exit(EXIT_REFUSE)


def _ask(settings: Settings, e164: str) -> Hits:
    """What SQL holds about a number. Raises SqlError.

    Redis is not asked: a guard trusts it only as far as it agrees with SQL.
    """
    engine = open_engine(settings.sql, settings.state)
    try:
        store = ListStore(engine)
        try:
            return store.lookup(e164)
        except SqlError:
            migrate(engine)  # a new database has no tables yet
            return store.lookup(e164)
    finally:
        engine.dispose()


def _as_json(facts: CallFacts, hits: Hits | None, screened: Screened) -> dict[str, Any]:
    """The outside contract: the keys that `log --json` has, too."""
    return {
        "at": facts.at.isoformat(),
        "dialled": facts.dialled,
        "number": facts.number.e164,
        "number_kind": str(facts.number.kind),
        "number_why": facts.number.why,
        "verdict": str(screened.verdict),
        "reason": str(screened.reason),
        "matches": [match_row(match) for match in screened.matches],
        "rules": screened.rules,
        "project": facts.project,
        "purpose": facts.purpose,
        "agent": facts.agent,
        "lists_position": hits.position if hits else None,
        "lists_origin": hits.origin if hits else None,
    }


def _as_text(facts: CallFacts, hits: Hits | None, screened: Screened) -> list[str]:
    colour = "red" if screened.verdict is Verdict.REFUSE else "green"
    verdict = click.style(str(screened.verdict), fg=colour, bold=True)
    lines = [f"{one_line(facts.dialled)}: {verdict}, {screened.reason}"]
    lines.append(f"  number    {facts.number.e164 or _without_e164(facts)}")
    lines += [f"  {_label(match):<9} {_told(match)}" for match in screened.matches]
    lines.append(
        f"  call      {facts.purpose}, {f'for {facts.project}' if facts.project else 'for no project'}"
    )
    asked = f"at position {hits.position}, in {hits.origin.upper()}" if hits else "not asked"
    lines.append(f"  lists     {asked}")
    lines.append(f"  rules     {screened.rules}")
    return lines


def _without_e164(facts: CallFacts) -> str:
    return f"{facts.number.kind}: {facts.number.why}" if facts.number.why else str(facts.number.kind)


def _label(match: Match) -> str:
    return "doubt" if match.reason in {Reason.STALE_REGISTRY, Reason.NOT_COVERED} else "listed"


def _told(match: Match) -> str:
    """What spoke about the number, in a line."""
    if match.kind == "registry":
        said = "" if match.reason is Reason.REGISTRY else f"{match.reason}, "
        return one_line(f"registry {match.id}: {said}{match.category}, {match.detail}")
    binds = f"project {match.project}" if match.project else "whole company"
    told = f", {match.detail}" if match.detail else ""
    return one_line(f"{match.kind} {match.id}: {match.category}, {binds}{told}")
