"""Decisions and outcomes for tests."""

import itertools
from datetime import UTC, datetime, timedelta

from callguard.control.model import Outcome, Result
from callguard.numbers import Number, NumberKind
from callguard.screening.identity import decision_id
from callguard.screening.model import CallFacts, Decision, Match, Mode, Reason, Screened, Verdict

START = datetime(2026, 11, 21, 8, 30, 0, 123456, tzinfo=UTC)

_REASONS = {Verdict.ALLOW: Reason.NOT_LISTED, Verdict.REFUSE: Reason.OPT_OUT}
_bits = itertools.count()


def a_decision(
    verdict: Verdict = Verdict.ALLOW,
    *,
    at: datetime = START,
    number: str | None = "+6281234567890",
    agent: str = "agent1",
    project: str | None = "bank",
    reason: Reason | None = None,
    reference: str = "0001234",
    text: str = "",
    pbx: str = "pbx",
    guard: str = "callguard",
    matches: tuple[Match, ...] = (),
) -> Decision:
    """A decision with an id of its own. `text` is put wherever a call's own text goes."""
    kind = NumberKind.UNREADABLE if number is None else NumberKind.SUBSCRIBER
    return Decision(
        id=decision_id(at, next(_bits)),
        reference=reference,
        facts=CallFacts(
            at=at,
            dialled=text or "081234567890",
            number=Number(kind, number, text, text),
            mode=Mode.BRIDGE,
            project=text or project,
            purpose=text or "marketing",
            agent=text or agent,
            caller_number=text or "1001",
            subject=text,
            language=text or "id",
            pbx=pbx,
            guard=guard,
            channel=text or "1763713800.42",
        ),
        screened=Screened(
            verdict,
            reason or (Reason.NOT_LISTED if verdict is Verdict.ALLOW else Reason.OPT_OUT),
            matches,
            "r1",
        ),
        lists_position=7,
        lists_origin="redis",
    )


def a_match(detail: str = "asked by phone") -> Match:
    return Match(Reason.OPT_OUT, "entry", "12", "customer-request", None, detail, 7)


def an_outcome(decision: Decision, result: Result = Result.ANSWERED) -> Outcome:
    """Rang after two seconds, answered after five, ended after a minute."""
    at = decision.facts.at
    answered = result is Result.ANSWERED
    return Outcome(
        decision_id=decision.id,
        result=result,
        ended_at=at + timedelta(seconds=60),
        ringing_at=at + timedelta(seconds=2),
        answered_at=at + timedelta(seconds=5) if answered else None,
        cause=16,
        trunk="trunk",
    )
