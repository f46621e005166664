"""How a decision comes about and becomes durable. Every way through here ends in a decision to act on: lists
or a journal that fail, hang or are broken leave the call to the failure policy, and none waiting.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from callguard.control.claims import Claims
from callguard.control.model import Arrival
from callguard.control.ports import Attempts, Journal, Lists, Observer
from callguard.errors import CallguardError, SqlError
from callguard.numbers import Number, NumberKind
from callguard.screening.identity import Identities
from callguard.screening.model import CallFacts, Decision, Hits, ListsUnavailable, Verdict
from callguard.screening.rules import Rules
from callguard.screening.screen import needs_lists, without_journal

LISTS_SECONDS = 5.0
SPOOL_SECONDS = 5.0
"""Lists and journal bound their own waits; these are for the day when they do not, or when a disk hangs."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("callguard.control")


class Decider:
    """Decides about the calls of one guard, and records what it decided."""

    def __init__(
        self,
        *,
        guard: str,
        pbx: str,
        lists: Lists,
        attempts: Attempts,
        journal: Journal,
        observer: Observer,
        rules: Rules,
        facts: Callable[[Arrival, datetime], CallFacts],
    ) -> None:
        self._guard = guard
        self._pbx = pbx
        self._lists = lists
        self._attempts = attempts
        self._claims = Claims(lists, attempts)
        self._journal = journal
        self._observer = observer
        self._rules = rules
        self._read_facts = facts
        self._identities = Identities()

    def use(self, rules: Rules, facts: Callable[[Arrival, datetime], CallFacts]) -> None:
        """Read and decide the calls that come from now on by these. What is being decided is not touched."""
        self._rules = rules
        self._read_facts = facts

    def new_id(self, at: datetime) -> str:
        """The id of a decision yet to be made about a call that arrived at that instant."""
        return self._identities.decision_id(at)

    def read(self, arrival: Arrival, at: datetime) -> CallFacts:
        """What is known of a call. One that a defect keeps from being read is unreadable, and so refused."""
        try:
            return self._read_facts(arrival, at)
        except Exception:
            _log.exception("a call cannot be read", channel=arrival.channel)
            return CallFacts(
                at=at,
                dialled=arrival.dialled,
                number=Number(NumberKind.UNREADABLE, None, "it could not be read"),
                mode=arrival.mode,
                project=arrival.project or None,
                pbx=self._pbx,
                guard=self._guard,
                channel=arrival.channel,
            )

    async def decide(self, decision_id: str, facts: CallFacts, trouble: str = "") -> Decision:
        """Ask the lists and decide. `trouble` says why the facts may be incomplete: then the lists cannot be
        read for this call, and the failure policy decides."""
        rules = self._rules
        lists = ListsUnavailable(trouble) if trouble else await self._ask_lists(facts)
        screened = await self._claims.screened(decision_id, facts, lists, rules)
        hits = lists if isinstance(lists, Hits) else None
        return Decision(
            id=decision_id,
            reference=self._identities.reference(),
            facts=facts,
            screened=screened,
            lists_position=hits.position if hits else None,
            lists_origin=hits.origin if hits else None,
        )

    async def _ask_lists(self, facts: CallFacts) -> Hits | ListsUnavailable | None:
        if not needs_lists(facts) or facts.number.e164 is None:
            return None
        try:
            async with asyncio.timeout(LISTS_SECONDS):
                return await self._lists.lookup(facts.number.e164)
        except (CallguardError, TimeoutError) as error:
            why = str(error) or "no answer in time"
        except Exception as error:  # a defect must neither let a call through nor leave it waiting
            _log.exception("asking the lists failed", number=facts.number.e164)
            why = type(error).__name__
        _log.error("the lists cannot be asked: the failure policy decides", problem=why)
        return ListsUnavailable(why)

    async def release(self, decision: Decision) -> None:
        """Give back the attempt of an allowed call that is not placed after all. Its override stays used up:
        the journal has the decision that it was used for."""
        if decision.facts.number.e164 is not None:
            await self._attempts.release(decision.facts.number.e164, decision.id)

    async def record(self, decision: Decision) -> Decision:
        """Make a decision durable, in the journal or else in the spool; return the one to act on."""
        try:
            await self._journal.record(decision)
        except SqlError as error:
            why = str(error)
        except Exception as error:  # as above: whatever it is, it is not recorded
            _log.exception("recording failed", decision=decision.id)
            why = type(error).__name__
        else:
            return decision
        _log.error("the journal cannot be written", decision=decision.id, problem=why)
        decision = without_journal(decision, self._rules.when_unsure(decision.facts.purpose))
        try:
            async with asyncio.timeout(SPOOL_SECONDS):
                await asyncio.to_thread(self._journal.spool, decision)
        except TimeoutError:
            why = f"the spool was not written within {SPOOL_SECONDS:g} s"
        except OSError as error:
            why = str(error)
        except Exception as error:
            _log.exception("spooling failed", decision=decision.id)
            why = type(error).__name__
        else:
            return decision
        # No record, no call, whatever the policy; only an emergency call still goes.
        decision = without_journal(decision, Verdict.REFUSE)
        self._observer.unrecorded(decision, why)
        return decision
