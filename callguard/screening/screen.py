"""Screening: call facts, what the lists say, earlier attempts and the rules become a verdict.

Pure. The order is that of the check in the README: the first that speaks decides, everything that spoke is
kept in `matches`, and every step in `steps`, which is the explanation.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from callguard.numbers import NumberKind
from callguard.screening.model import (
    Attempt,
    AttemptsUnavailable,
    CallFacts,
    Category,
    Decision,
    Entry,
    Exemption,
    ExemptionKind,
    FailurePolicy,
    Finding,
    Hits,
    ListsUnavailable,
    Match,
    Reason,
    RegistryHit,
    Screened,
    Step,
    Verdict,
)
from callguard.screening.patterns import matches
from callguard.screening.rules import AttemptsLine, Binding, Line, Per, Rules, Shortcoming
from callguard.screening.times import holiday_name, local_times, plus_months, within_hours

_REASON_OF_CATEGORY = {
    Category.CUSTOMER_REQUEST: Reason.OPT_OUT,
    Category.NATIONAL_REGISTRY: Reason.REGISTRY,
    Category.INACTIVE_CUSTOMER: Reason.INACTIVE_CUSTOMER,
    Category.INVALID_CONTACT: Reason.INVALID_CONTACT,
    Category.AFTER_TRANSACTION: Reason.AFTER_TRANSACTION,
}

ORDER = (
    Reason.OVERRIDE,
    Reason.OPT_OUT,
    Reason.REGISTRY,
    Reason.INACTIVE_CUSTOMER,
    Reason.INVALID_CONTACT,
    Reason.AFTER_TRANSACTION,
    Reason.CATEGORY,
    Reason.STALE_REGISTRY,
    Reason.NOT_COVERED,
    Reason.OUTSIDE_HOURS,
    Reason.HOLIDAY,
    Reason.ATTEMPTS,
    Reason.GUARD_UNAVAILABLE,
    Reason.EXEMPT,
    Reason.PURPOSE_EXEMPT,
)
"""Which reason is named when several apply: the person's own wish comes first."""

_SPEAKS = frozenset({Finding.REFUSED, Finding.UNKNOWN})


def needs_lists(facts: CallFacts) -> bool:
    """Tell whether the lists have to be asked at all: only a subscriber can be on one."""
    return facts.number.kind is NumberKind.SUBSCRIBER


def screen(
    facts: CallFacts,
    lists: Hits | ListsUnavailable | None,
    rules: Rules,
    attempts: Sequence[Attempt] | AttemptsUnavailable = (),
) -> Screened:
    """Decide about one call.

    `lists` is what the lists say; None only where needs_lists is False. Lists that could not be asked are
    never read as "not listed": the failure policy decides. `attempts` are the earlier ones to the number, of
    Binding.counted at least, in any order.
    """
    version = rules.version
    number = facts.number
    if number.kind is NumberKind.EMERGENCY:
        step = Step("number", "", Finding.ALLOWED, "an emergency number")
        return Screened(Verdict.ALLOW, Reason.EMERGENCY, (), version, (step,))
    if number.kind is NumberKind.UNREADABLE or number.kind is NumberKind.INTERNAL or number.e164 is None:
        if number.kind is NumberKind.INTERNAL:
            step = Step("number", "", Finding.ALLOWED, "an extension or service code of the PBX")
            return Screened(Verdict.ALLOW, Reason.NOT_LISTED, (), version, (step,))
        step = Step("number", "", Finding.REFUSED, number.why)
        return Screened(Verdict.REFUSE, Reason.UNREADABLE_NUMBER, (), version, (step,))
    if not isinstance(lists, Hits):
        verdict = rules.failure.verdict(rules.purpose(facts.purpose))
        why = lists.why if lists is not None else "not asked"
        step = Step("lists", "", Finding.UNKNOWN, f"{why}: the failure policy says {verdict}")
        return Screened(verdict, Reason.GUARD_UNAVAILABLE, (), version, (step,))
    check = _Check(facts, number.e164, lists, rules)
    check.number_and_purpose()
    check.override()
    check.entries()
    check.registries()
    check.shortcomings()
    check.hours()
    check.attempts(attempts)
    return check.result(version)


def without_journal(decision: Decision, policy: FailurePolicy) -> Decision:
    """What becomes of a decision that could not be written to the journal.

    An emergency call is never held up. A refusal stays what it is. An allowed call is refused, unless the
    failure policy allows calls of its purpose.
    """
    if decision.verdict is Verdict.REFUSE or decision.reason is Reason.EMERGENCY:
        return decision
    if policy.verdict(decision.facts.purpose) is Verdict.ALLOW:
        return decision
    step = Step("journal", "", Finding.UNKNOWN, "the decision could not be recorded")
    refused = replace(
        decision.screened,
        verdict=Verdict.REFUSE,
        reason=Reason.GUARD_UNAVAILABLE,
        steps=(*decision.screened.steps, step),
    )
    return replace(decision, screened=refused)


def in_force(exemption: Exemption, facts: CallFacts, binding: Binding) -> bool:
    """Tell whether an exemption covers a call of this project and purpose at this instant."""
    line = binding.exemptions.get(exemption.kind)
    if exemption.kind is ExemptionKind.OVERRIDE:
        if binding.override is None:
            return False
    elif line is None or (
        line.months is not None and facts.at >= plus_months(exemption.starts_at, line.months)
    ):
        return False
    if exemption.project is not None and exemption.project != facts.project:
        return False
    if exemption.purposes and binding.purpose not in exemption.purposes:
        return False
    if facts.at < exemption.starts_at:
        return False
    return exemption.expires_at is None or facts.at < exemption.expires_at


class _Check:
    """One check on its way: gathers steps and matches."""

    def __init__(self, facts: CallFacts, e164: str, hits: Hits, rules: Rules) -> None:
        self._facts = facts
        self._e164 = e164
        self._hits = hits
        self._rules = rules
        self._binding = rules.binding(e164, facts.project, facts.purpose)
        self._steps: list[Step] = []
        self._found: list[tuple[Finding, Match]] = []
        self._exemptions = [
            exemption for exemption in hits.exemptions if in_force(exemption, facts, self._binding)
        ]
        self._zones = self._binding.zones_of(e164) or facts.number.zones or self._binding.zones

    # --- the steps, in order ------------------------------------------------------------------------------

    def number_and_purpose(self) -> None:
        said, screened = self._facts.purpose, self._binding.purpose
        self._step("number", "", Finding.PASSED, self._e164)
        told = screened if said == screened else f"{screened}, for {said!a} is no purpose"
        self._step("purpose", "", Finding.PASSED, told)
        self._step("presets", "", Finding.PASSED, " ".join(self._binding.presets))

    def override(self) -> None:
        for exemption in self._exemptions:
            if exemption.kind is ExemptionKind.OVERRIDE and self._binding.override is not None:
                self._spoke(
                    self._binding.override, Finding.ALLOWED, _of_exemption(Reason.OVERRIDE, exemption)
                )

    def entries(self) -> None:
        for entry in sorted(self._hits.entries, key=lambda entry: entry.id):
            if _concerns(entry, self._e164, self._facts):
                self._entry(entry)

    def registries(self) -> None:
        hits = self._hits.registries
        if not hits:
            return
        lines = self._binding.registries
        for hit in sorted(hits, key=lambda hit: hit.list):
            line = lines.get(hit.list) or lines.get(None)
            if line is None:
                continue
            if not hit.listed:
                self._step(
                    line.key, line.preset, Finding.PASSED, f"not on {hit.list}, generation {hit.version}"
                )
                continue
            match = _of_registry(Reason.REGISTRY, hit)
            self._listed(line, line.purposes.__contains__(self._binding.purpose), match, given_after=None)

    def shortcomings(self) -> None:
        covering = {hit.jurisdiction for hit in self._hits.registries if hit.covered}
        for hit in sorted(self._hits.registries, key=lambda hit: hit.list):
            line = self._binding.registries.get(hit.list) or self._binding.registries.get(None)
            if line is None or self._binding.purpose not in line.purposes:
                continue
            if hit.covered:
                self._stale(hit)
            elif not hit.listed and not _is_elsewhere(hit, covering):
                for coverage in self._binding.coverage:
                    self._doubt(coverage, coverage.does, _of_registry(Reason.NOT_COVERED, hit))

    def hours(self) -> None:
        at = self._facts.at
        for line in self._binding.hours:
            times = local_times(at, line.where or self._zones)
            told = _clocks(times)
            finding = Finding.PASSED if within_hours(line, times) else Finding.REFUSED
            self._rule(line, finding, Reason.OUTSIDE_HOURS, told)
        for day in self._binding.holidays:
            times = local_times(at, day.where or self._zones)
            name = holiday_name(day, times)
            finding = Finding.PASSED if name is None else Finding.REFUSED
            self._rule(day, finding, Reason.HOLIDAY, name or "no holiday")

    def attempts(self, attempts: Sequence[Attempt] | AttemptsUnavailable) -> None:
        for line in self._binding.attempts:
            if isinstance(attempts, AttemptsUnavailable):
                verdict = self._rules.failure.verdict(self._binding.purpose)
                finding = Finding.UNKNOWN if verdict is Verdict.REFUSE else Finding.WARNED
                self._rule(line, finding, Reason.GUARD_UNAVAILABLE, attempts.why)
                continue
            count = len(counted(line, self._facts, self._binding.purpose, attempts))
            finding = Finding.REFUSED if count >= line.most else Finding.PASSED
            self._rule(line, finding, Reason.ATTEMPTS, f"{count} of {line.most} made")

    def result(self, version: str) -> Screened:
        found = sorted(self._found, key=lambda one: (_weight(one[0]), ORDER.index(one[1].reason)))
        against = [match for finding, match in found if finding in _SPEAKS]
        override = [match for finding, match in found if finding is Finding.ALLOWED]
        verdict, reason = Verdict.ALLOW, Reason.NOT_LISTED
        if against and override:
            # It comes first in the record, and is used up only by a call that needs it.
            found.sort(key=lambda one: one[0] is not Finding.ALLOWED)
            reason = Reason.OVERRIDE
        elif against:
            verdict, reason = Verdict.REFUSE, against[0].reason
        else:
            found = [one for one in found if one[0] is not Finding.ALLOWED]
            for finding, weaker in (
                (Finding.EXEMPTED, Reason.EXEMPT),
                (Finding.NOT_BOUND, Reason.PURPOSE_EXEMPT),
            ):
                if any(one[0] is finding for one in found):
                    reason = weaker
                    break
        finding = Finding.ALLOWED if verdict is Verdict.ALLOW else Finding.REFUSED
        self._step("verdict", "", finding, str(reason))
        return Screened(verdict, reason, tuple(match for _, match in found), version, tuple(self._steps))

    # --- what one of them comes to ------------------------------------------------------------------------

    def _entry(self, entry: Entry) -> None:
        categories = self._binding.categories
        line = categories.get(entry.category) or categories.get("*")
        if line is None:
            return
        purpose = self._binding.purpose
        bound = purpose in (entry.purposes or line.purposes)
        reason: Reason = _REASON_OF_CATEGORY.get(entry.category, Reason.CATEGORY)  # type: ignore[call-overload]
        match = _of_entry(reason, entry, self._hits.position)
        self._listed(line, bound, match, given_after=entry.added_at if reason is Reason.OPT_OUT else None)

    def _listed(self, line: Line, bound: bool, match: Match, *, given_after: datetime | None) -> None:
        """A list speaks about the number. `given_after`: for an opt-out, when it was made."""
        if not bound:
            self._spoke(line, Finding.NOT_BOUND, replace(match, reason=Reason.PURPOSE_EXEMPT))
            return
        exemption = self._covering(match.reason, given_after)
        if exemption is None:
            self._spoke(line, Finding.REFUSED, match)
            return
        self._spoke(line, Finding.EXEMPTED, _of_exemption(Reason.EXEMPT, exemption), over=match)

    def _covering(self, reason: Reason, given_after: datetime | None) -> Exemption | None:
        if reason not in (Reason.OPT_OUT, Reason.REGISTRY):
            return None
        for exemption in self._exemptions:
            line = self._binding.exemptions.get(exemption.kind)
            if line is None or exemption.kind is ExemptionKind.OVERRIDE:
                continue
            if reason is Reason.REGISTRY and line.over_registry:
                return exemption
            if given_after is not None and line.over_opt_out and exemption.starts_at > given_after:
                return exemption
        return None

    def _stale(self, hit: RegistryHit) -> None:
        for line in self._binding.freshness:
            if hit.is_stale(self._facts.at, line.days):
                self._doubt(line, line.does, _of_registry(Reason.STALE_REGISTRY, hit))
            else:
                self._step(line.key, line.preset, Finding.PASSED, f"{hit.list}: {_data(hit)}")

    def _doubt(self, line: Line, does: Shortcoming, match: Match) -> None:
        self._spoke(line, Finding.REFUSED if does is Shortcoming.REFUSE else Finding.WARNED, match)

    def _rule(self, line: Line, finding: Finding, reason: Reason, detail: str) -> None:
        if finding is Finding.PASSED:
            self._step(line.key, line.preset, finding, detail)
        else:
            self._spoke(line, finding, Match(reason, "rule", line.key, line.preset, None, detail, 0))

    def _spoke(self, line: Line, finding: Finding, match: Match, *, over: Match | None = None) -> None:
        about = f"{match.kind} {match.id}: {match.detail}"
        if over is not None:
            about = f"{over.kind} {over.id}, but {about}"
        self._step(line.key, line.preset, finding, about)
        self._found.append((finding, match))
        if over is not None:
            self._found.append((finding, over))

    def _step(self, rule: str, preset: str, finding: Finding, detail: str) -> None:
        self._steps.append(Step(rule, preset, finding, detail))


def counted(
    line: AttemptsLine, facts: CallFacts, purpose: str, attempts: Sequence[Attempt]
) -> list[datetime]:
    """The instants of the earlier attempts that count for a line, oldest first."""
    since = facts.at - line.period
    return sorted(
        attempt.at
        for attempt in attempts
        if attempt.at > since
        and attempt.purpose in line.purposes
        and (attempt.answered is not False or not line.answered_only)
        and (Per.PROJECT not in line.per or attempt.project == facts.project)
        and (Per.PURPOSE not in line.per or attempt.purpose == purpose)
        and (Per.SUBJECT not in line.per or attempt.subject == facts.subject)
    )


def _weight(finding: Finding) -> int:
    return 0 if finding in _SPEAKS else 1


def _concerns(entry: Entry, e164: str, facts: CallFacts) -> bool:
    if entry.number != e164 and not matches(entry.number, e164):
        return False
    if entry.project is not None and entry.project != facts.project:
        return False
    return entry.expires_at is None or facts.at < entry.expires_at


def _of_entry(reason: Reason, entry: Entry, position: int) -> Match:
    return Match(reason, "entry", str(entry.id), entry.category, entry.project, entry.reason, position)


def _of_exemption(reason: Reason, exemption: Exemption) -> Match:
    told = f"{exemption.evidence} ({exemption.reference})" if exemption.reference else exemption.evidence
    return Match(reason, "exemption", str(exemption.id), str(exemption.kind), exemption.project, told, 0)


def _of_registry(reason: Reason, hit: RegistryHit) -> Match:
    return Match(
        reason, "registry", hit.list, hit.kind, None, f"{hit.jurisdiction}, {_data(hit)}", hit.version
    )


def _data(hit: RegistryHit) -> str:
    return f"data of {hit.data_date}" if hit.data_date else "data of an unknown day"


def _clocks(times: Sequence[datetime]) -> str:
    if not times:
        return "no time zone is known"
    return ", ".join(f"{time:%a %H:%M} {time.tzinfo}" for time in times)


def _is_elsewhere(hit: RegistryHit, covering: set[str]) -> bool:
    """Tell whether a number is the matter of another jurisdiction's list than the hit's: of another country
    with the same calling code, or, for a list such as US-FL, of the whole country. `covering` are the
    jurisdictions of the lists that cover the number."""
    country = hit.jurisdiction[:2]
    return any(other[:2] != country or other == country != hit.jurisdiction for other in covering)
