"""Screening: call facts, what the lists say, and the failure policy become a verdict.

Pure. The order of the rules is the order of the check in the README; the first that speaks decides, and
everything that spoke is kept in `matches`.
"""

import hashlib
from dataclasses import replace

from callguard.numbers import NumberKind
from callguard.screening.model import (
    CallFacts,
    Category,
    Decision,
    Entry,
    FailurePolicy,
    Hits,
    ListsUnavailable,
    Match,
    Reason,
    Screened,
    Verdict,
)

_REASON_OF_CATEGORY = {
    Category.CUSTOMER_REQUEST: Reason.OPT_OUT,
    Category.NATIONAL_REGISTRY: Reason.REGISTRY,
    Category.INACTIVE_CUSTOMER: Reason.INACTIVE_CUSTOMER,
    Category.INVALID_CONTACT: Reason.INVALID_CONTACT,
    Category.AFTER_TRANSACTION: Reason.AFTER_TRANSACTION,
}

_PRECEDENCE = (
    Reason.OPT_OUT,
    Reason.REGISTRY,
    Reason.INACTIVE_CUSTOMER,
    Reason.INVALID_CONTACT,
    Reason.AFTER_TRANSACTION,
    Reason.CATEGORY,
)
"""Which reason is named when several entries refuse the call: the person's own wish comes first."""


def rules_version(policy: FailurePolicy) -> str:
    """Name the rules in force: a digest of everything that can change a verdict besides the lists.

    Two policies that are equal have the same name, in whatever order they were written.
    """
    told = f"{policy.default.value} {sorted((name, v.value) for name, v in policy.by_purpose.items())!r}"
    return hashlib.sha256(f"1 {told}".encode()).hexdigest()[:12]


def needs_lists(facts: CallFacts) -> bool:
    """Tell whether the lists have to be asked at all: only a subscriber can be on one."""
    return facts.number.kind is NumberKind.SUBSCRIBER


def screen(facts: CallFacts, lists: Hits | ListsUnavailable | None, policy: FailurePolicy) -> Screened:
    """Decide about one call.

    `lists` is what the lists say; None only where needs_lists is False. Lists that could not be asked are
    never read as "not listed": the failure policy decides.
    """
    rules = rules_version(policy)
    if facts.number.kind is NumberKind.EMERGENCY:
        return Screened(Verdict.ALLOW, Reason.EMERGENCY, (), rules)
    if facts.number.kind is NumberKind.UNREADABLE:
        return Screened(Verdict.REFUSE, Reason.UNREADABLE_NUMBER, (), rules)
    if facts.number.kind is NumberKind.INTERNAL:
        return Screened(Verdict.ALLOW, Reason.NOT_LISTED, (), rules)
    if not isinstance(lists, Hits):
        return Screened(policy.verdict(facts.purpose), Reason.GUARD_UNAVAILABLE, (), rules)
    binding = sorted((entry for entry in lists.entries if _binds(entry, facts)), key=lambda entry: entry.id)
    matches = tuple(
        sorted(
            (_match(entry, lists.position) for entry in binding),
            key=lambda match: _PRECEDENCE.index(match.reason),
        )
    )
    if matches:
        return Screened(Verdict.REFUSE, matches[0].reason, matches, rules)
    return Screened(Verdict.ALLOW, Reason.NOT_LISTED, (), rules)


def without_journal(decision: Decision, policy: FailurePolicy) -> Decision:
    """What becomes of a decision that could not be written to the journal.

    An emergency call is never held up. A refusal stays what it is. An allowed call is refused, unless the
    failure policy allows calls of its purpose.
    """
    if decision.verdict is Verdict.REFUSE or decision.reason is Reason.EMERGENCY:
        return decision
    if policy.verdict(decision.facts.purpose) is Verdict.ALLOW:
        return decision
    refused = replace(decision.screened, verdict=Verdict.REFUSE, reason=Reason.GUARD_UNAVAILABLE)
    return replace(decision, screened=refused)


def _binds(entry: Entry, facts: CallFacts) -> bool:
    if entry.number != facts.number.e164:
        return False
    if entry.project is not None and entry.project != facts.project:
        return False
    return entry.expires_at is None or facts.at < entry.expires_at


def _match(entry: Entry, position: int) -> Match:
    return Match(
        reason=_REASON_OF_CATEGORY.get(entry.category, Reason.CATEGORY),  # type: ignore[call-overload]
        kind="entry",
        id=str(entry.id),
        category=entry.category,
        project=entry.project,
        detail=entry.reason,
        version=position,
    )
