"""Screening: call facts, what the lists say, and the rules become a verdict.

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
    RegistryHit,
    Rules,
    Screened,
    Shortcoming,
    Verdict,
)
from callguard.screening.patterns import matches

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
    Reason.STALE_REGISTRY,
    Reason.NOT_COVERED,
)
"""Which reason is named when several refuse the call: the person's own wish comes first."""


def rules_version(rules: Rules) -> str:
    """Name the rules in force: a digest of everything that can change a verdict besides the lists.

    Rules that are equal have the same name, in whatever order they were written.
    """
    failure = rules.failure
    by_purpose = sorted((name, verdict.value) for name, verdict in failure.by_purpose.items())
    told = f"{failure.default.value} {by_purpose!r} {rules.stale_registry.value} {rules.not_covered.value}"
    return hashlib.sha256(f"4 {told}".encode()).hexdigest()[:12]


def needs_lists(facts: CallFacts) -> bool:
    """Tell whether the lists have to be asked at all: only a subscriber can be on one."""
    return facts.number.kind is NumberKind.SUBSCRIBER


def screen(facts: CallFacts, lists: Hits | ListsUnavailable | None, rules: Rules) -> Screened:
    """Decide about one call.

    `lists` is what the lists say; None only where needs_lists is False. Lists that could not be asked are
    never read as "not listed": the failure policy decides.
    """
    version = rules_version(rules)
    if facts.number.kind is NumberKind.EMERGENCY:
        return Screened(Verdict.ALLOW, Reason.EMERGENCY, (), version)
    if facts.number.kind is NumberKind.UNREADABLE:
        return Screened(Verdict.REFUSE, Reason.UNREADABLE_NUMBER, (), version)
    if facts.number.kind is NumberKind.INTERNAL:
        return Screened(Verdict.ALLOW, Reason.NOT_LISTED, (), version)
    if not isinstance(lists, Hits):
        return Screened(rules.failure.verdict(facts.purpose), Reason.GUARD_UNAVAILABLE, (), version)
    binding = sorted((entry for entry in lists.entries if _binds(entry, facts)), key=lambda entry: entry.id)
    registries = sorted(lists.registries, key=lambda hit: hit.list)
    spoken = [_match(entry, lists.position) for entry in binding]
    covering = {hit.jurisdiction for hit in registries if hit.covered}
    for hit in registries:
        spoken += _matches_of_registry(hit, facts, elsewhere=_is_elsewhere(hit, covering))
    warnings = _warnings(rules)
    spoken.sort(key=lambda match: (match.reason in warnings, _PRECEDENCE.index(match.reason)))
    if spoken and spoken[0].reason not in warnings:
        return Screened(Verdict.REFUSE, spoken[0].reason, tuple(spoken), version)
    return Screened(Verdict.ALLOW, Reason.NOT_LISTED, tuple(spoken), version)


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
    if facts.number.e164 is None or not matches(entry.number, facts.number.e164):
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


def _is_elsewhere(hit: RegistryHit, covering: set[str]) -> bool:
    """Tell whether a number is the matter of another jurisdiction's list than the hit's: of another country
    with the same calling code, or, for a list such as US-FL, of the whole country. `covering` are the
    jurisdictions of the lists that cover the number."""
    country = hit.jurisdiction[:2]
    return any(other[:2] != country or other == country != hit.jurisdiction for other in covering)


def _matches_of_registry(hit: RegistryHit, facts: CallFacts, *, elsewhere: bool) -> list[Match]:
    """What a registry list has to say: that the number is listed, else what its silence is not worth.

    `elsewhere`: the number is another list's matter. Then it does not matter that this one does not cover it:
    a Canadian number need not be covered by the list of the US, nor one in New York by that of Florida.
    """
    reasons = []
    if hit.listed:
        reasons.append(Reason.REGISTRY)
    elif not hit.covered and not elsewhere:
        reasons.append(Reason.NOT_COVERED)
    if hit.is_stale(facts.at) and hit.covered:
        reasons.append(Reason.STALE_REGISTRY)
    data = f"data of {hit.data_date}" if hit.data_date else "data of an unknown day"
    return [
        Match(
            reason=reason,
            kind="registry",
            id=hit.list,
            category=hit.kind,
            project=None,
            detail=f"{hit.jurisdiction}, {data}",
            version=hit.version,
        )
        for reason in reasons
    ]


def _warnings(rules: Rules) -> set[Reason]:
    """The reasons that do not refuse a call under these rules."""
    shortcomings = {
        Reason.STALE_REGISTRY: rules.stale_registry,
        Reason.NOT_COVERED: rules.not_covered,
    }
    return {reason for reason, does in shortcomings.items() if does is Shortcoming.WARN}
