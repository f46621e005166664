"""`callguard check`: what would become of a call, and why."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from callguard.attempts.sql import attempts_of
from callguard.cli import EXIT_REFUSE, one_line, pass_settings
from callguard.cli.explain import allowed_from_text, explanation, explanation_table, read_instant
from callguard.config import Settings
from callguard.config.purposes import call_project, call_purpose
from callguard.config.rulebook import load_rules
from callguard.database import migrate, open_engine
from callguard.errors import SqlError
from callguard.journal.rows import match_row
from callguard.lists.model import LONGEST_PROJECT, check_text
from callguard.lists.store import ListStore
from callguard.numbers import NumberReader
from callguard.screening.forecast import allowed_from
from callguard.screening.model import Attempt, CallFacts, Hits, Match, Reason, Screened, Verdict
from callguard.screening.rules import Rules
from callguard.screening.screen import needs_lists, screen
from callguard.screening.times import callee_zones

_LONGEST = 80
"""Characters of what was dialled, as text; --json has all."""


@click.command()
@click.argument("number")
@click.option("--project", help="The client company that the call is for. Default: defaults.project.")
@click.option("--purpose", help="Why the call is made. Default: the project's.")
@click.option("--agent", default="", help="Who would call.")
@click.option("--subject", default="", help="The debt, ticket or order that the call would be about.")
@click.option("--at", "at_text", metavar="TIME", help="The instant of the call. Default: now.")
@click.option("--explain", is_flag=True, help="Every step of the check, with the source of its rule.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs; with the explanation.")
@pass_settings
def check(
    settings: Settings,
    *,
    number: str,
    project: str | None,
    purpose: str | None,
    agent: str,
    subject: str,
    at_text: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Say whether NUMBER may be called, and why, without a call.

    NUMBER is written as an agent dials it, or with + and the country code. TIME is ISO 8601 with its zone.
    Lists and earlier attempts are asked in SQL, where their truth is, and as they are now, whatever TIME is;
    nothing is recorded. Exit code 0: allow; 3: refuse; 4: the lists cannot be asked.

    \b
    Example:
      callguard check 081234567890
      callguard check +6281234567890 --project bank --json
      callguard check 081234567890 --at 2026-11-23T20:00+07:00 --explain
    """
    at = datetime.now(UTC) if at_text is None else read_instant(at_text, "--at")
    rules = load_rules(settings)
    project = call_project(settings, project)
    if purpose is not None:
        check_text("--purpose", purpose, longest=LONGEST_PROJECT, required=True)
    facts = CallFacts(
        at=at,
        dialled=number,
        number=NumberReader(**settings.numbers.model_dump()).read(number),
        mode=None,
        project=project,
        purpose=call_purpose(settings, purpose, project),
        agent=agent,
        subject=subject,
    )
    check_text("--project", facts.project or "", longest=LONGEST_PROJECT)
    check_text("--agent", facts.agent)
    check_text("--subject", facts.subject)
    known = _ask(settings, facts, rules) if needs_lists(facts) and facts.number.e164 else _Known(None, ())
    screened = screen(facts, known.hits, rules, known.attempts)
    allowed = None
    if screened.verdict is Verdict.REFUSE:
        allowed = allowed_from(facts, known.hits, rules, known.attempts)
    if as_json:
        told = _as_json(facts, known.hits, screened)
        told["allowed_from"] = allowed and allowed.isoformat()
        told["explanation"] = explanation(screened.steps, rules)
        click.echo(json.dumps(told))
    else:
        lines = _as_text(facts, known.hits, screened, rules)
        if screened.verdict is Verdict.REFUSE and facts.number.e164:
            zones = callee_zones(facts.number, rules.binding(facts.number.e164, facts.project, facts.purpose))
            lines.append(f"  allowed   {allowed_from_text(allowed, zones)}")
        click.echo("\n".join(lines))
        if explain:
            click.echo(f"\n{explanation_table(screened.steps, rules)}", nl=False)
    if screened.verdict is Verdict.REFUSE:
        click.get_current_context().exit(EXIT_REFUSE)


@dataclass(frozen=True, slots=True)
class _Known:
    """What SQL holds about a number."""

    hits: Hits | None
    """None for one that is no matter of lists."""
    attempts: tuple[Attempt, ...]


def _ask(settings: Settings, facts: CallFacts, rules: Rules) -> _Known:
    """What SQL holds about a subscriber's number. Raises SqlError.

    Redis is not asked: a guard trusts it only as far as it agrees with SQL.
    """
    e164 = facts.number.e164
    assert e164 is not None  # noqa: S101 - a subscriber's
    counted = rules.binding(e164, facts.project, facts.purpose).counted
    engine = open_engine(settings.sql, settings.state)

    def read() -> _Known:
        hits = ListStore(engine).lookup(e164)
        return _Known(hits, attempts_of(engine, e164, facts.at - counted, facts.at) if counted else ())

    try:
        try:
            return read()
        except SqlError:
            migrate(engine)  # a new database has no tables yet
            return read()
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
        "subject": facts.subject,
        "agent": facts.agent,
        "lists_position": hits.position if hits else None,
        "lists_origin": hits.origin if hits else None,
    }


def _as_text(facts: CallFacts, hits: Hits | None, screened: Screened, rules: Rules) -> list[str]:
    colour = "red" if screened.verdict is Verdict.REFUSE else "green"
    verdict = click.style(str(screened.verdict), fg=colour, bold=True)
    dialled = one_line(facts.dialled)
    dialled = dialled if len(dialled) <= _LONGEST else f"{dialled[: _LONGEST - 1]}…"
    lines = [f"{dialled}: {verdict}, {screened.reason}"]
    lines.append(f"  number    {facts.number.e164 or _without_e164(facts)}")
    lines += [f"  {_label(match):<9} {_told(match)}" for match in screened.matches]
    taken = rules.purpose(facts.purpose)
    said = "" if taken == facts.purpose else f" ({facts.purpose[:_LONGEST]!a} is no purpose)"
    lines.append(
        f"  call      {taken}{said}, {f'for {facts.project}' if facts.project else 'for no project'}"
    )
    asked = f"at position {hits.position}, in {hits.origin.upper()}" if hits else "not asked"
    lines.append(f"  lists     {asked}")
    lines.append(f"  rules     {screened.rules}")
    return lines


def _without_e164(facts: CallFacts) -> str:
    return f"{facts.number.kind}: {facts.number.why}" if facts.number.why else str(facts.number.kind)


def _label(match: Match) -> str:
    if match.reason in {Reason.STALE_REGISTRY, Reason.NOT_COVERED}:
        return "doubt"
    return {"rule": "rule", "exemption": "exempt"}.get(match.kind, "listed")


def _told(match: Match) -> str:
    """What spoke about the number, in a line."""
    if match.kind == "rule":
        return one_line(f"{match.id} of preset {match.category}: {match.detail}")
    if match.kind == "registry":
        said = "" if match.reason is Reason.REGISTRY else f"{match.reason}, "
        return one_line(f"registry {match.id}: {said}{match.category}, {match.detail}")
    binds = f"project {match.project}" if match.project else "whole company"
    told = f", {match.detail}" if match.detail else ""
    why = f", {_WHY_NOT[match.reason]}" if match.kind == "entry" and match.reason in _WHY_NOT else ""
    return one_line(f"{match.kind} {match.id}: {match.category}, {binds}{told}{why}")


_WHY_NOT = {
    Reason.EXEMPT: "which an exemption covers",
    Reason.PURPOSE_EXEMPT: "which does not bind this purpose",
}
"""Why an entry that speaks about the number does not refuse the call."""
