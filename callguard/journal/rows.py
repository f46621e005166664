"""Decisions and outcomes as rows of the journal's tables, and back. Pure.

Text that comes from a call is bounded here once more: an index of PostgreSQL refuses a key of more than
2704 bytes, and a decision must not be lost for a long name.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from callguard.control.model import Outcome, Result
from callguard.database import from_microseconds, microseconds, storable
from callguard.numbers import Number, NumberKind
from callguard.screening.model import (
    CallFacts,
    Decision,
    Finding,
    Match,
    Mode,
    Reason,
    Screened,
    Step,
    Verdict,
)

MAX_TEXT = 500
"""Characters of a text from a call that are kept; each takes at most 4 bytes."""

Row = dict[str, Any]
"""Column name -> value as the database and JSON hold it: text, integers and None. Instants are microseconds
since 1970 in UTC."""

_Q850_CAUSES = range(128)


BAD_ROW = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a row raises that was not made here."""


def decision_row(decision: Decision) -> Row:
    """The row of table `decisions` that holds this decision."""
    facts = decision.facts
    return {
        "id": decision.id,
        "reference": decision.reference,
        "at": microseconds(facts.at),
        "agent": _bounded(facts.agent),
        "caller_number": _bounded(facts.caller_number),
        "dialled": _bounded(facts.dialled),
        "number": facts.number.e164,
        "number_kind": facts.number.kind.value,
        "number_why": _bounded(facts.number.why),
        "number_digits": _bounded(facts.number.digits),
        "project": None if facts.project is None else _bounded(facts.project),
        "purpose": _bounded(facts.purpose),
        "subject": _bounded(facts.subject),
        "verdict": decision.verdict.value,
        "reason": decision.reason.value,
        "matches": json.dumps([match_row(match) for match in decision.screened.matches]),
        "rules": decision.screened.rules,
        "lists_position": decision.lists_position,
        "lists_origin": decision.lists_origin,
        "mode": None if facts.mode is None else facts.mode.value,
        "pbx": _bounded(facts.pbx),
        "guard": _bounded(facts.guard),
        "channel": _bounded(facts.channel),
        "language": _bounded(facts.language),
        "steps": json.dumps([step_row(step) for step in decision.screened.steps]),
        "allowed_from": None,
    }


def decision_of(row: Mapping[str, Any]) -> Decision:
    """The decision that a row holds. Raises what BAD_ROW names for a row that holds none."""
    return Decision(
        id=row["id"],
        reference=row["reference"],
        facts=CallFacts(
            at=from_microseconds(row["at"]),
            dialled=row["dialled"],
            number=Number(
                NumberKind(row["number_kind"]), row["number"], row["number_why"], row["number_digits"]
            ),
            mode=None if row["mode"] is None else Mode(row["mode"]),
            project=row["project"],
            purpose=row["purpose"],
            agent=row["agent"],
            caller_number=row["caller_number"],
            subject=row["subject"],
            language=row["language"],
            pbx=row["pbx"],
            guard=row["guard"],
            channel=row["channel"],
        ),
        screened=Screened(
            verdict=Verdict(row["verdict"]),
            reason=Reason(row["reason"]),
            matches=tuple(_match_of(match) for match in json.loads(row["matches"])),
            rules=row["rules"],
            steps=tuple(_step_of(step) for step in json.loads(row["steps"])),
        ),
        lists_position=row["lists_position"],
        lists_origin=row["lists_origin"],
    )


def match_row(match: Match) -> Row:
    """A match as it stands in `matches`, in the journal and in the JSON of `check` and `log`."""
    return {key: storable(value) if isinstance(value, str) else value for key, value in asdict(match).items()}


def step_row(step: Step) -> list[str]:
    """A step as it stands in `steps`: rule, preset, finding, detail."""
    return [step.rule, step.preset, step.finding.value, storable(step.detail[:MAX_TEXT])]


def outcome_row(outcome: Outcome) -> Row:
    """The row of table `outcomes` that holds this outcome."""
    return {
        "decision_id": outcome.decision_id,
        "result": outcome.result.value,
        "ended_at": microseconds(outcome.ended_at),
        "ringing_at": None if outcome.ringing_at is None else microseconds(outcome.ringing_at),
        "answered_at": None if outcome.answered_at is None else microseconds(outcome.answered_at),
        "cause": outcome.cause if outcome.cause in _Q850_CAUSES else None,
        "trunk": None if outcome.trunk is None else _bounded(outcome.trunk),
    }


def outcome_of(row: Mapping[str, Any]) -> Outcome:
    """The outcome that a row holds. Raises what BAD_ROW names for a row that holds none."""
    return Outcome(
        decision_id=row["decision_id"],
        result=Result(row["result"]),
        ended_at=from_microseconds(row["ended_at"]),
        ringing_at=None if row["ringing_at"] is None else from_microseconds(row["ringing_at"]),
        answered_at=None if row["answered_at"] is None else from_microseconds(row["answered_at"]),
        cause=row["cause"],
        trunk=row["trunk"],
    )


def _match_of(match: Mapping[str, Any]) -> Match:
    return Match(**{**match, "reason": Reason(match["reason"])})


def _step_of(row: Sequence[str]) -> Step:
    rule, preset, finding, detail = row
    return Step(rule, preset, Finding(finding), detail)


def _bounded(text: str) -> str:
    return storable(text[:MAX_TEXT])
