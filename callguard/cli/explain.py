"""The explanation of a verdict, as people and programs read it: every step, and where its rule is from."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from callguard.cli.tables import table
from callguard.errors import InputError
from callguard.journal.rows import step_row
from callguard.screening.model import Finding, Step
from callguard.screening.rules import AnyLine, Rules
from callguard.screening.times import local_times
from callguard.screening.wording import says

FIRST_YEAR, LAST_YEAR = 1970, 2099

_ALLOWED_INSTANT = (
    f"ISO 8601 with its zone, {FIRST_YEAR} to {LAST_YEAR}, such as "
    "2026-11-23T19:59+07:00 or 2026-11-23T12:59Z"
)
_MOST_CLOCKS = 4
"""Of a number that may be in more zones, UTC alone is told."""
_STYLES = {
    Finding.REFUSED.value: "bold red",
    Finding.UNKNOWN.value: "bold red",
    Finding.WARNED.value: "yellow",
    Finding.ALLOWED.value: "green",
}


def read_instant(text: str, where: str) -> datetime:
    """An instant (UTC) as a person writes it, with its zone. Raises InputError, which names `where`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text[:40]!a} is not a time", where=where, allowed=_ALLOWED_INSTANT) from None
    if at.tzinfo is None:
        raise InputError(f"{text[:40]!a} has no zone", where=where, allowed=_ALLOWED_INSTANT)
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise InputError(f"the year {at.year} is too far away", where=where, allowed=_ALLOWED_INSTANT)
    return at.astimezone(UTC)


def explanation(steps: Sequence[Step], rules: Rules | None) -> list[dict[str, Any]]:
    """The steps for JSON, in their order. `says`, `source`, `as_of` and `verified` are those of the step's
    rule; null for a step that no rule makes, and for every step where the rules are not known."""
    lines = {} if rules is None else _lines(rules)
    rows: list[dict[str, Any]] = []
    for step in steps:
        line = lines.get((step.preset, step.rule))
        source = None if line is None else line.source
        rows.append(
            {
                **step_row(step),
                "says": None if line is None else says(line),
                "source": None if source is None else source.text,
                "as_of": None if source is None or source.as_of is None else source.as_of.isoformat(),
                "verified": None if source is None else source.verified,
            }
        )
    return rows


def explanation_table(steps: Sequence[Step], rules: Rules | None) -> str:
    """The same as a table."""
    rows = [
        (
            str(index),
            step["rule"],
            step["preset"],
            step["finding"],
            step["detail"],
            step["says"] or "",
            source_text(step["source"], step["as_of"], step["verified"]),
        )
        for index, step in enumerate(explanation(steps, rules), 1)
    ]
    headings = ("", "looked at", "preset", "finding", "what was found", "the rule says", "source")
    return table(headings, rows, styles=_STYLES, narrow=("", "looked at", "preset", "finding"))


def source_text(text: str | None, as_of: str | None, verified: bool | None) -> str:
    """Where a rule is from, in a line."""
    told = f"{text or ''}, {as_of}" if as_of else text or ""
    return f"UNVERIFIED: {told}" if verified is False else told


def allowed_from_text(at: datetime | None, zones: Sequence[str]) -> str:
    """When a refused call will be allowed, by the callee's clocks and in UTC."""
    if at is None:
        return "not within a year, as things stand"
    told = [f"{time:%Y-%m-%d %H:%M} {time.tzinfo}" for time in local_times(at, zones)]
    if len(told) > _MOST_CLOCKS:
        told = []
    return "from " + ", ".join([*told, f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"])


def _lines(rules: Rules) -> dict[tuple[str, str], AnyLine]:
    return {(preset.id, line.key): line for preset in rules.presets for line in preset.lines}
