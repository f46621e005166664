"""Of calls at once, one has the last attempt or the override for one call; the others are screened again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callguard.control import claims
from callguard.control import model as m
from callguard.errors import SqlError
from callguard.screening.model import (
    Attempt,
    Exemption,
    ExemptionKind,
    FailurePolicy,
    Finding,
    Hits,
    Mode,
    Reason,
    Verdict,
)
from callguard.screening.rules import Preset, Rules
from tests.rig.rules import rules
from tests.rig.switchboard import ALLOWED, EMERGENCY, LISTED, Guard, MemoryAttempts, a_guard, now

NUMBER = f"+62{ALLOWED[1:]}"
TWO_A_DAY = """
[rule.attempts]
kind = "attempts"
purposes = ["marketing"]
most = 2
hours = 24
source = "test"
"""
OF_COLLECTION = TWO_A_DAY.replace("marketing", "collection")


def earlier(hours: float, purpose: str = "marketing") -> tuple[str, Attempt]:
    return NUMBER, Attempt(now() - timedelta(hours=hours), "bank", purpose, "", None)


def attempts_of(*made: tuple[str, Attempt]) -> MemoryAttempts:
    attempts = MemoryAttempts()
    attempts.promised = {f"earlier {index}": one for index, one in enumerate(made)}
    return attempts


def decided(guard: Guard, identity: str) -> tuple[Verdict, Reason]:
    decision = guard.journal.decisions[identity]
    return decision.verdict, decision.reason


# --- attempts -----------------------------------------------------------------------------------------------


async def test_the_last_attempt_of_the_period_is_placed_and_the_next_is_refused() -> None:
    async with a_guard(over=TWO_A_DAY, attempts=attempts_of(earlier(1), earlier(25))) as guard:
        last = await guard.dial("first")
        assert decided(guard, last) == (Verdict.ALLOW, Reason.NOT_LISTED)
        over = await guard.dial("second")
        assert decided(guard, over) == (Verdict.REFUSE, Reason.ATTEMPTS)
        assert over not in guard.attempts.promised
        assert len(guard.line.given(m.CreateCallee)) == 1


async def test_attempts_of_a_word_that_is_no_purpose_count_as_marketing() -> None:
    made = attempts_of(earlier(1, "gibberish"), earlier(2, "gibberish"))
    async with a_guard(over=TWO_A_DAY, attempts=made) as guard:
        assert decided(guard, await guard.dial("agent")) == (Verdict.REFUSE, Reason.ATTEMPTS)


async def test_attempts_of_another_purpose_do_not_count() -> None:
    made = attempts_of(earlier(1, "collection"), earlier(2, "security"))
    async with a_guard(over=TWO_A_DAY, attempts=made) as guard:
        assert decided(guard, await guard.dial("agent")) == (Verdict.ALLOW, Reason.NOT_LISTED)


async def test_an_allowed_call_is_promised_with_what_later_ones_compare() -> None:
    async with a_guard(over=TWO_A_DAY) as guard:
        identity = await guard.dial("agent", mode=Mode.SCREEN)
        facts = guard.journal.decisions[identity].facts
        promised = (NUMBER, Attempt(facts.at, "bank", "marketing", "", None))
        assert guard.attempts.promised == {identity: promised}


async def test_a_call_that_is_overtaken_is_screened_again_and_finds_the_last_attempt_gone() -> None:
    attempts = attempts_of(earlier(1))
    attempts.before_reserve = [lambda: attempts.promised.update(other=earlier(0))]
    async with a_guard(over=TWO_A_DAY, attempts=attempts) as guard:
        identity = await guard.dial("agent")
        assert decided(guard, identity) == (Verdict.REFUSE, Reason.ATTEMPTS)
        assert identity not in attempts.promised


async def test_a_call_that_is_overtaken_but_has_attempts_left_is_placed() -> None:
    attempts = MemoryAttempts()
    attempts.before_reserve = [lambda: attempts.promised.update(other=earlier(0))]
    async with a_guard(over=TWO_A_DAY, attempts=attempts) as guard:
        identity = await guard.dial("agent")
        assert decided(guard, identity) == (Verdict.ALLOW, Reason.NOT_LISTED)
        assert attempts.asked == 2


@pytest.mark.parametrize("over", ["", OF_COLLECTION])
async def test_a_call_that_no_rule_on_attempts_concerns_asks_for_none(over: str) -> None:
    async with a_guard(over=over) as guard:
        await guard.dial("agent")
        assert guard.attempts.asked == 0
        assert guard.attempts.promised == {}


async def test_an_emergency_call_and_one_that_cannot_be_read_ask_for_no_attempts() -> None:
    async with a_guard(over=TWO_A_DAY, attempts=attempts_of(earlier(1), earlier(1))) as guard:
        assert decided(guard, await guard.dial("first", EMERGENCY)) == (Verdict.ALLOW, Reason.EMERGENCY)
        await guard.dial("second", "")
        assert guard.attempts.asked == 0


async def test_a_refused_call_promises_nothing_and_its_record_tells_the_true_count() -> None:
    listed = (f"+62{LISTED[1:]}", Attempt(now(), "bank", "marketing", "", None))
    async with a_guard(over=TWO_A_DAY, attempts=attempts_of(listed)) as guard:
        identity = await guard.dial("agent", LISTED)
        steps = {step.rule: step for step in guard.journal.decisions[identity].screened.steps}
        assert steps["attempts"].detail == "1 of 2 made"
        assert identity not in guard.attempts.promised


async def test_an_attempt_counts_for_another_projects_rule_and_is_promised_though_none_binds_it() -> None:
    limited = next(preset for preset in rules(over=TWO_A_DAY).presets if preset.id == "base")
    lines = tuple(line for line in limited.lines if line.key == "attempts")
    of_another = Preset("agency", "One client's own rule", lines, projects=frozenset({"agency"}))
    async with a_guard() as guard:
        guard.dispatcher.use(Rules((*rules().presets, of_another), document="agency"), guard.facts)
        identity = await guard.dial("agent")
        assert guard.journal.decisions[identity].facts.project == "bank"
        assert identity in guard.attempts.promised
        await guard.dial("another", LISTED)
        assert guard.attempts.asked == 1


@pytest.mark.parametrize("failing", [SqlError("away"), ZeroDivisionError("a defect")])
@pytest.mark.parametrize(("policy", "verdict"), [(Verdict.REFUSE, "refuse"), (Verdict.ALLOW, "allow")])
async def test_attempts_that_cannot_be_counted_leave_the_call_to_the_failure_policy(
    failing: Exception, policy: Verdict, verdict: str
) -> None:
    attempts = MemoryAttempts()
    attempts.failing = failing
    async with a_guard(over=TWO_A_DAY, attempts=attempts, failure=FailurePolicy(policy)) as guard:
        decision = guard.journal.decisions[await guard.dial("agent")]
        assert decision.verdict == verdict
        steps = {step.rule: step for step in decision.screened.steps}
        assert steps["attempts"].finding is (Finding.UNKNOWN if policy is Verdict.REFUSE else Finding.WARNED)


async def test_attempts_that_give_no_answer_hold_no_call_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "CLAIM_SECONDS", 0.01)
    attempts = MemoryAttempts()

    async def hang(*_: Any) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(attempts, "reserve", hang)
    async with a_guard(over=TWO_A_DAY, attempts=attempts) as guard:
        assert decided(guard, await guard.dial("agent")) == (Verdict.REFUSE, Reason.GUARD_UNAVAILABLE)


async def test_a_number_that_is_always_taken_by_others_ends_with_the_failure_policy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claims, "CLAIM_SECONDS", 0.01)
    attempts = MemoryAttempts()

    async def never(*_: Any) -> bool:
        return False

    monkeypatch.setattr(attempts, "reserve", never)
    async with a_guard(over=TWO_A_DAY, attempts=attempts) as guard:
        assert decided(guard, await guard.dial("agent")) == (Verdict.REFUSE, Reason.GUARD_UNAVAILABLE)


async def test_a_call_that_cannot_be_recorded_gives_its_attempt_back() -> None:
    async with a_guard(over=TWO_A_DAY) as guard:
        guard.journal.recording = SqlError("away")
        guard.board.arrive(guard.name, "agent")
        await guard.quiet()
        assert guard.journal.spooled[0].verdict is Verdict.REFUSE
        assert guard.attempts.promised == {}
        assert guard.attempts.released == [guard.journal.spooled[0].id]


async def test_a_call_that_is_placed_from_the_spool_keeps_its_attempt() -> None:
    async with a_guard(over=TWO_A_DAY, failure=FailurePolicy(Verdict.ALLOW)) as guard:
        guard.journal.recording = SqlError("away")
        guard.board.arrive(guard.name, "agent")
        await guard.quiet()
        assert list(guard.attempts.promised) == [guard.journal.spooled[0].id]


async def test_two_agents_at_once_do_not_both_have_the_last_attempt() -> None:
    async with a_guard(over=TWO_A_DAY, attempts=attempts_of(earlier(1))) as guard:
        for agent in range(10):
            guard.board.arrive(guard.name, f"agent{agent}")
        await guard.quiet()
        verdicts = [decision.verdict for decision in guard.journal.decisions.values()]
        assert sorted(verdicts) == [Verdict.ALLOW] + 9 * [Verdict.REFUSE]


# --- overrides ----------------------------------------------------------------------------------------------


def an_override(identity: int, *, once: bool, dialled: str = LISTED) -> Exemption:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return Exemption(
        identity, f"+62{dialled[1:]}", ExemptionKind.OVERRIDE, None, (), "the customer asked for it", "",
        "phone", "supervisor", begin, begin, datetime(2100, 1, 1, tzinfo=UTC), once=once,
    )  # fmt: skip


async def test_an_override_for_one_call_lets_one_go_and_is_used_up_for_it() -> None:
    async with a_guard() as guard:
        guard.lists.exemptions = (an_override(7, once=True),)
        first = await guard.dial("first", LISTED)
        second = await guard.dial("second", LISTED)
        assert decided(guard, first) == (Verdict.ALLOW, Reason.OVERRIDE)
        assert decided(guard, second) == (Verdict.REFUSE, Reason.OPT_OUT)
        assert guard.lists.used == [(7, first)]


async def test_a_call_that_needs_no_override_uses_none_up() -> None:
    async with a_guard() as guard:
        guard.lists.exemptions = (an_override(7, once=True, dialled=ALLOWED),)
        assert decided(guard, await guard.dial("agent", ALLOWED)) == (Verdict.ALLOW, Reason.NOT_LISTED)
        assert guard.lists.used == []


async def test_an_override_for_a_while_is_never_used_up() -> None:
    async with a_guard() as guard:
        guard.lists.exemptions = (an_override(7, once=False),)
        for channel in ("first", "second"):
            assert decided(guard, await guard.dial(channel, LISTED)) == (Verdict.ALLOW, Reason.OVERRIDE)
        assert guard.lists.used == []


async def test_where_one_override_is_gone_the_next_is_taken() -> None:
    async with a_guard() as guard:
        guard.lists.exemptions = (an_override(7, once=True), an_override(8, once=True))
        guard.lists.used = [(7, "another call")]
        identity = await guard.dial("agent", LISTED)
        assert decided(guard, identity) == (Verdict.ALLOW, Reason.OVERRIDE)
        assert guard.lists.used[1:] == [(8, identity)]


@pytest.mark.parametrize("using", [SqlError("away"), ZeroDivisionError("a defect")])
async def test_an_override_that_cannot_be_used_up_lets_no_call_go(using: Exception) -> None:
    async with a_guard(failure=FailurePolicy(Verdict.ALLOW)) as guard:
        guard.lists.exemptions = (an_override(7, once=True),)
        guard.lists.using = using
        assert decided(guard, await guard.dial("agent", LISTED)) == (Verdict.REFUSE, Reason.OPT_OUT)


async def test_an_override_goes_over_attempts_too_and_the_call_is_an_attempt_itself() -> None:
    async with a_guard(over=TWO_A_DAY, attempts=attempts_of(earlier(1), earlier(2))) as guard:
        guard.lists.exemptions = (an_override(7, once=True, dialled=ALLOWED),)
        guard.attempts.before_reserve = [lambda: guard.attempts.promised.update(other=earlier(0))]
        identity = await guard.dial("agent")
        assert decided(guard, identity) == (Verdict.ALLOW, Reason.OVERRIDE)
        assert guard.lists.used == [(7, identity)]
        assert identity in guard.attempts.promised


# --- new rules ----------------------------------------------------------------------------------------------


async def test_new_rules_bind_the_next_call_and_not_the_one_that_is_being_decided() -> None:
    async with a_guard() as guard:
        strict = rules(over=TWO_A_DAY.replace("most = 2", "most = 1"))
        guard.attempts.promised = {"earlier": earlier(1)}
        asked, answer = asyncio.Event(), asyncio.Event()

        async def wait() -> Hits:
            asked.set()
            await answer.wait()
            return Hits((), 1, "redis")

        guard.lists.lookup_instead = wait
        guard.board.arrive(guard.name, "first")
        await asked.wait()
        guard.dispatcher.use(strict, guard.facts)
        answer.set()
        await guard.quiet()
        guard.board.arrive(guard.name, "second")
        await guard.quiet()
        first, second = guard.journal.decisions.values()
        assert first.verdict is Verdict.ALLOW
        assert first.screened.rules != strict.version
        assert (second.verdict, second.reason) == (Verdict.REFUSE, Reason.ATTEMPTS)
        assert second.screened.rules == strict.version
