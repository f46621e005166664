"""Decisions and outcomes as rows of the journal's tables, and back. Pure.

Text that comes from a call is bounded here once more: an index of PostgreSQL refuses a key of more than
2704 bytes, and a decision must not be lost for a long name.
"""

import json
from collections.abc import Mapping
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
_FINDINGS = {finding.value[0]: finding for finding in Finding}


BAD_ROW = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a row raises that was not made here."""


def decision_row(decision: Decision) -> Row:
    """The row of table `decisions` that holds this decision."""
    facts, allowed_from = decision.facts, decision.screened.allowed_from
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
        "steps": json.dumps(_steps_text(decision), separators=(",", ":")),
        "allowed_from": None if allowed_from is None else microseconds(allowed_from),
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
            steps=_steps_of(row),
            allowed_from=None if row["allowed_from"] is None else from_microseconds(row["allowed_from"]),
        ),
        lists_position=row["lists_position"],
        lists_origin=row["lists_origin"],
    )


def complete(row: Row) -> Row:
    """A row of `decisions` with the columns that an earlier version did not write, which a spool may hold.
    Raises TypeError for what is no row."""
    return {"steps": "[]", "allowed_from": None} | row


def match_row(match: Match) -> Row:
    """A match as it stands in `matches`, in the journal and in the JSON of `check` and `log`."""
    return {
        key: storable(value) if isinstance(value, str) else value for key, value in match._asdict().items()
    }


def step_row(step: Step) -> dict[str, str]:
    """A step as it stands in `explanation`, in the JSON of `check` and `log`."""
    return {
        "rule": step.rule,
        "preset": step.preset,
        "finding": step.finding.value,
        "detail": storable(step.detail),
    }


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


def _steps_text(decision: Decision) -> list[str]:
    """The steps as they stand in `steps`, such as `hours US-FL p Mon 10:00 America/New_York`: rule, preset
    (- for none), the finding's first letter, detail. No rule's key and no preset's id has a space.

    The number and the purpose before them and the verdict after them are what the row tells, and so left out.
    Where they are something else, an empty text comes first, and all steps after it.
    """
    facts, screened = decision.facts, decision.screened
    steps = screened.steps
    first = _first_steps(facts.number.e164, facts.purpose)
    last = _last_step(screened.verdict, screened.reason)
    if len(steps) > 3 and steps[:2] == first and steps[-1] == last:
        return [_step_text(step) for step in steps[2:-1]]
    return ["", *map(_step_text, steps)] if steps else []


def _step_text(step: Step) -> str:
    return f"{step.rule} {step.preset or '-'} {step.finding.value[0]} {storable(step.detail[:MAX_TEXT])}"


def _steps_of(row: Mapping[str, Any]) -> tuple[Step, ...]:
    texts = json.loads(row["steps"])
    if not texts:
        return ()  # of a version that kept none
    if texts[0] == "":
        return tuple(map(_step_of, texts[1:]))
    last = _last_step(Verdict(row["verdict"]), Reason(row["reason"]))
    return (*_first_steps(row["number"], row["purpose"]), *map(_step_of, texts), last)


def _step_of(text: str) -> Step:
    rule, preset, finding, detail = text.split(" ", 3)
    return Step(rule, "" if preset == "-" else preset, _FINDINGS[finding], detail)


def _first_steps(number: str | None, purpose: str) -> tuple[Step, Step]:
    return (
        Step("number", "", Finding.PASSED, number or ""),
        Step("purpose", "", Finding.PASSED, purpose),
    )


def _last_step(verdict: Verdict, reason: Reason) -> Step:
    finding = Finding.ALLOWED if verdict is Verdict.ALLOW else Finding.REFUSED
    return Step("verdict", "", finding, reason.value)


def _bounded(text: str) -> str:
    return storable(text[:MAX_TEXT])
