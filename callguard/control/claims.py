"""What a call uses up by being placed: one of the attempts that a rule allows, and an override for one call.

Two calls at once must not both have the last of them. So a call that screening allows claims what it needs,
and where another was faster it is screened again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from callguard.control.ports import Attempts, Lists
from callguard.errors import CallguardError
from callguard.screening.forecast import passes_at
from callguard.screening.model import (
    Attempt,
    AttemptsUnavailable,
    CallFacts,
    Exemption,
    Hits,
    ListsUnavailable,
    Reason,
    Screened,
    Verdict,
)
from callguard.screening.rules import Rules
from callguard.screening.screen import screen

CLAIM_SECONDS = 5.0
"""Lists and attempts bound their own waits; this is for the day when they do not, and for a number that very
many calls want at once."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.control")


class Claims:
    """Screens the calls of one guard, and claims what those use up that are to be placed."""

    def __init__(self, lists: Lists, attempts: Attempts) -> None:
        self._lists = lists
        self._attempts = attempts

    async def screened(
        self, decision_id: str, facts: CallFacts, lists: Hits | ListsUnavailable | None, rules: Rules
    ) -> Screened:
        """Screen one call. If it is allowed, everything that it needs is its own.

        `lists` as for screen. Attempts that cannot be counted, or claimed, leave the call to the failure
        policy. A call that no rule on attempts concerns waits for nothing.
        """
        number = facts.number.e164
        if lists is None or number is None:
            return screen(facts, lists, rules)
        claim = _Claim(self._lists, decision_id, facts, lists, rules)
        binding = rules.binding(number, facts.project, facts.purpose)
        if binding.counted is None:
            return await claim.screened(())
        if not binding.attempts and screen(facts, lists, rules).verdict is Verdict.REFUSE:
            return await claim.screened(())
        attempt = Attempt(facts.at, facts.project, facts.purpose, facts.subject, None)
        try:
            async with asyncio.timeout(CLAIM_SECONDS):
                while True:
                    seen = await self._attempts.of(number, decision_id, facts.at, binding.counted)
                    screened = await claim.screened(seen.attempts)
                    # One that nothing limits may still matter to a later call, of another purpose.
                    if screened.verdict is Verdict.REFUSE or await self._attempts.reserve(
                        number, seen, decision_id, attempt
                    ):
                        return screened
        except (CallguardError, TimeoutError) as error:
            why = str(error) or "not in time"
        except Exception as error:  # a defect must neither let a call through nor leave it waiting
            _log.exception("counting attempts failed", number=number)
            why = type(error).__name__
        _log.error("attempts cannot be counted: the failure policy decides", problem=why)
        return await claim.screened(AttemptsUnavailable(f"attempts cannot be counted: {why}"))


class _Claim:
    """The screening of one call, with the override that it holds."""

    def __init__(
        self,
        lists: Lists,
        decision_id: str,
        facts: CallFacts,
        found: Hits | ListsUnavailable,
        rules: Rules,
    ) -> None:
        self._lists = lists
        self._decision_id = decision_id
        self._facts = facts
        self._found = found
        self._rules = rules
        self._held: int | None = None
        """The override that was used up for this call."""

    async def screened(self, attempts: Sequence[Attempt] | AttemptsUnavailable) -> Screened:
        """The result of screening; an override for one call that it rests on has been used up for it."""
        while True:
            screened = screen(self._facts, self._found, self._rules, attempts)
            override = self._needed(screened)
            if override is None or override.id == self._held:
                return self._with_forecast(screened, attempts)
            if await self._use(override):
                self._held = override.id
                return screened
            assert isinstance(self._found, Hits)  # noqa: S101 - the override is of them
            rest = tuple(one for one in self._found.exemptions if one.id != override.id)
            self._found = replace(self._found, exemptions=rest)

    def _with_forecast(
        self, screened: Screened, attempts: Sequence[Attempt] | AttemptsUnavailable
    ) -> Screened:
        try:
            at = passes_at(screened, self._facts, self._found, self._rules, attempts)
        except Exception:  # the call is refused all the same
            _log.exception("when a call will be allowed cannot be told", decision=self._decision_id)
            return screened
        return screened if at is None else replace(screened, allowed_from=at)

    def _needed(self, screened: Screened) -> Exemption | None:
        """The override for one call alone that the call is allowed by."""
        if screened.reason is not Reason.OVERRIDE or not isinstance(self._found, Hits):
            return None
        by = screened.matches[0].id
        return next((one for one in self._found.exemptions if one.once and str(one.id) == by), None)

    async def _use(self, override: Exemption) -> bool:
        try:
            async with asyncio.timeout(CLAIM_SECONDS):
                return await self._lists.use_override(override, self._decision_id)
        except (CallguardError, TimeoutError) as error:
            why = str(error) or "not in time"
        except Exception as error:  # as above
            _log.exception("using an override failed", override=override.id)
            why = type(error).__name__
        _log.error("an override cannot be used", override=override.id, problem=why)
        return False
