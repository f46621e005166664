"""A call that is refused for what passes is recorded with the minute at which it will be allowed."""

from datetime import timedelta

import pytest

from callguard.control import claims
from callguard.screening.model import Attempt, Reason, Verdict
from tests.rig.switchboard import ALLOWED, LISTED, MemoryAttempts, a_guard, now

NUMBER = f"+62{ALLOWED[1:]}"
TWO_A_DAY = """
[rule.attempts]
kind = "attempts"
purposes = "all"
most = 2
hours = 24
source = "test"
"""


def two_attempts() -> MemoryAttempts:
    attempts = MemoryAttempts()
    for hours in (3, 5):
        made = Attempt(now() - timedelta(hours=hours), "bank", "marketing", "", None)
        attempts.promised[f"{hours} hours ago"] = (NUMBER, made)
    return attempts


async def test_a_call_over_its_attempts_is_recorded_with_when_the_oldest_counts_no_more() -> None:
    attempts = two_attempts()
    oldest = attempts.promised["5 hours ago"][1].at
    async with a_guard(over=TWO_A_DAY, attempts=attempts) as guard:
        decision = guard.journal.decisions[await guard.dial("agent")]
    assert decision.reason is Reason.ATTEMPTS
    allowed_from = decision.screened.allowed_from
    assert allowed_from is not None
    assert timedelta() <= allowed_from - (oldest + timedelta(days=1)) < timedelta(minutes=1)


@pytest.mark.parametrize("dialled", [ALLOWED, LISTED])
async def test_an_allowed_call_and_one_that_a_list_refuses_wait_for_nothing(dialled: str) -> None:
    async with a_guard(over=TWO_A_DAY) as guard:
        decision = guard.journal.decisions[await guard.dial("agent", dialled)]
    assert decision.screened.allowed_from is None


async def test_a_forecast_that_fails_changes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(claims, "passes_at", broken)
    async with a_guard(over=TWO_A_DAY, attempts=two_attempts()) as guard:
        decision = guard.journal.decisions[await guard.dial("agent")]
    assert (decision.verdict, decision.reason) == (Verdict.REFUSE, Reason.ATTEMPTS)
    assert decision.screened.allowed_from is None
