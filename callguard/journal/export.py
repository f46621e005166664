"""Decisions as people and programs take them away: one JSON object or one line of CSV each. Pure."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from callguard.journal.reader import Logged
from callguard.journal.rows import match_row, step_row

COLUMNS = (
    "id", "reference", "at", "agent", "caller_number", "dialled", "number", "number_kind", "number_why",
    "project", "purpose", "subject", "verdict", "reason", "matches", "rules", "lists_position",
    "lists_origin", "mode", "language", "pbx", "guard", "channel", "outcome", "ringing_at", "answered_at",
    "ended_at", "ring_seconds", "duration_seconds", "cause", "trunk", "allowed_from",
)  # fmt: skip
"""The columns of CSV, in their order: the keys of JSON but `explanation`. Part of the outside contract: only
ever added to."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")  # noqa: RUF001
"""What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), and the apostrophe itself."""


def as_json(logged: Logged) -> dict[str, Any]:
    """A decision as an object of JSON: times in UTC as ISO 8601, durations in seconds, null for unknown."""
    decision, outcome = logged.decision, logged.outcome
    facts = decision.facts
    ringing = outcome.ringing_at if outcome else None
    answered = outcome.answered_at if outcome else None
    ended = outcome.ended_at if outcome else None
    return {
        "id": decision.id,
        "reference": decision.reference,
        "at": _iso(facts.at),
        "agent": facts.agent,
        "caller_number": facts.caller_number,
        "dialled": facts.dialled,
        "number": facts.number.e164,
        "number_kind": facts.number.kind.value,
        "number_why": facts.number.why,
        "project": facts.project,
        "purpose": facts.purpose,
        "subject": facts.subject,
        "verdict": decision.verdict.value,
        "reason": decision.reason.value,
        "matches": [match_row(match) for match in decision.screened.matches],
        "rules": decision.screened.rules,
        "lists_position": decision.lists_position,
        "lists_origin": decision.lists_origin,
        "mode": facts.mode.value if facts.mode else None,
        "language": facts.language,
        "pbx": facts.pbx,
        "guard": facts.guard,
        "channel": facts.channel,
        "outcome": outcome.result.value if outcome else None,
        "ringing_at": _iso(ringing),
        "answered_at": _iso(answered),
        "ended_at": _iso(ended),
        "ring_seconds": _seconds(ringing, answered or ended),
        "duration_seconds": _seconds(answered, ended),
        "cause": outcome.cause if outcome else None,
        "trunk": outcome.trunk if outcome else None,
        "allowed_from": _iso(decision.screened.allowed_from),
        "explanation": [step_row(step) for step in decision.screened.steps],
    }


def json_lines(decisions: Iterable[Logged]) -> Iterator[str]:
    """One line of ASCII a decision, with its line end."""
    for logged in decisions:
        yield json.dumps(as_json(logged)) + "\n"


def csv_lines(decisions: Iterable[Logged]) -> Iterator[str]:
    """CSV as in RFC 4180, for a spreadsheet: a byte order mark, a header, a record a decision.

    The mark makes Excel read UTF-8. `matches` is JSON. A cell that a spreadsheet could take for a formula has
    an apostrophe in front (so has each number, for it begins with +), and so has one that begins with an
    apostrophe: whoever takes one leading apostrophe off every cell has the text as it was.
    """
    yield "\N{ZERO WIDTH NO-BREAK SPACE}" + _csv_line(COLUMNS)
    for logged in decisions:
        values = as_json(logged)
        values["matches"] = json.dumps(values["matches"], ensure_ascii=False)
        yield _csv_line("" if values[name] is None else str(values[name]) for name in COLUMNS)


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    # Everything is in quotes: a list separator of another country's spreadsheet is then less likely to split.
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow([_plain(cell) for cell in cells])
    return line.getvalue()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="microseconds")


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return round(max(end - start, timedelta()).total_seconds(), 3)
