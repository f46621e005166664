"""Screening: call facts, what the lists say, earlier attempts and the rules become a verdict.

Pure. The order is that of the check in the README: the first that speaks decides, everything that spoke is
kept in `matches`, and every step in `steps`, which is the explanation.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter

from callguard.numbers import NumberKind
from callguard.screening.counting import counted
from callguard.screening.exemptions import in_force, why_not
from callguard.screening.matches import data_text, of_entry, of_exemption, of_registry
from callguard.screening.model import (
    Attempt,
    AttemptsUnavailable,
    CallFacts,
    Category,
    Decision,
    Entry,
    Exemption,
    ExemptionKind,
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
from callguard.screening.rules import Line, Rules, Shortcoming
from callguard.screening.times import callee_zones, clocks_text, holiday_name, local_times, within_hours

__all__ = ["counted", "in_force", "needs_lists", "screen", "without_journal"]

_REASON_OF_CATEGORY: dict[str, Reason] = {
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

_PLACE = {reason: place for place, reason in enumerate(ORDER)}

_RANK = {
    Finding.ALLOWED: 0,
    Finding.REFUSED: 1,
    Finding.UNKNOWN: 1,
    Finding.EXEMPTED: 2,
    Finding.NOT_BOUND: 3,
    Finding.WARNED: 4,
}
"""Which finding decides, of those that spoke: the lowest rank."""

_BEATS_OPT_OUT = frozenset({ExemptionKind.CONSENT, ExemptionKind.CALLBACK})
"""A purchase or an inquiry never does, whatever a rule says: an opt-out ends a relationship
(telemarketing.donotcall.gov, questions and answers)."""


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
    never read as "not listed": the failure policy decides, and where it lets a call go on, hours and attempts
    still hold. `attempts` are the earlier ones to the number, of Binding.counted at least, in any order.

    Every step but the last, which is the verdict, is something that was looked at. The call is refused where
    one of them REFUSED or is UNKNOWN and none ALLOWED.
    """
    number = facts.number
    if number.kind is NumberKind.EMERGENCY:
        step = Step("number", "", Finding.ALLOWED, "an emergency number")
        return _at_once(Verdict.ALLOW, Reason.EMERGENCY, step, rules)
    if number.kind is NumberKind.INTERNAL:
        step = Step("number", "", Finding.PASSED, "an extension or service code of the PBX")
        return _at_once(Verdict.ALLOW, Reason.NOT_LISTED, step, rules)
    if number.kind is NumberKind.UNREADABLE or number.e164 is None:
        step = Step("number", "", Finding.REFUSED, number.why)
        return _at_once(Verdict.REFUSE, Reason.UNREADABLE_NUMBER, step, rules)
    check = _Check(facts, number.e164, lists if isinstance(lists, Hits) else None, rules)
    check.number_and_purpose()
    if isinstance(lists, Hits):
        check.override()
        check.entries()
        check.registries()
    elif check.unasked("not asked" if lists is None else lists.why) is Verdict.REFUSE:
        return check.result()
    check.hours()
    check.attempts(attempts)
    return check.result()


def without_journal(decision: Decision, policy: Verdict) -> Decision:
    """What becomes of a decision that could not be written to the journal. `policy` is what the failure
    policy says of the call (Rules.when_unsure).

    An emergency call is never held up. A refusal stays what it is. An allowed call is refused, unless the
    policy says otherwise.
    """
    if decision.verdict is Verdict.REFUSE or decision.reason is Reason.EMERGENCY or policy is Verdict.ALLOW:
        return decision
    screened = decision.screened
    unrecorded = Step("journal", "", Finding.UNKNOWN, "the decision could not be recorded")
    refused = replace(
        screened,
        verdict=Verdict.REFUSE,
        reason=Reason.GUARD_UNAVAILABLE,
        steps=(*screened.steps[:-1], unrecorded, _verdict(Verdict.REFUSE, Reason.GUARD_UNAVAILABLE)),
    )
    return replace(decision, screened=refused)


class _Check:
    """One check on its way: gathers steps and matches."""

    def __init__(self, facts: CallFacts, e164: str, hits: Hits | None, rules: Rules) -> None:
        self._facts = facts
        self._e164 = e164
        self._hits = hits or Hits((), 0, "")
        self._rules = rules
        self._binding = rules.binding(e164, facts.project, facts.purpose)
        self._steps: list[Step] = []
        self._found: list[tuple[Finding, Match]] = []
        self._otherwise = Reason.NOT_LISTED
        # Those for one call last, so that they are not used up beside one that lasts.
        exemptions = sorted(self._hits.exemptions, key=attrgetter("once", "id"))
        judged = [(one, why_not(one, facts, self._binding)) for one in exemptions]
        self._exemptions = [one for one, why in judged if why is None]
        self._not_covering = [(one, why) for one, why in judged if why is not None]
        lines = self._binding.exemptions
        over = [(one, lines[one.kind]) for one in self._exemptions if one.kind in lines]
        self._over_registry = next((one for one, line in over if line.over_registry), None)
        self._over_opt_out = [one for one, line in over if line.over_opt_out and one.kind in _BEATS_OPT_OUT]
        self._zones = callee_zones(facts.number, self._binding)
        self._covering_matches: dict[int, Match] = {}
        self._times: dict[tuple[str, ...], tuple[list[datetime], str]] = {}

    # --- the steps, in order ------------------------------------------------------------------------------

    def number_and_purpose(self) -> None:
        said, screened = self._facts.purpose, self._binding.purpose
        self._step("number", "", Finding.PASSED, self._e164)
        told = screened if said == screened else f"{screened}, for {said!a} is no purpose"
        self._step("purpose", "", Finding.PASSED, told)
        self._step("presets", "", Finding.PASSED, self._binding.presets_text)

    def unasked(self, why: str) -> Verdict:
        """The lists could not be asked: what the failure policy says of the call."""
        policy = self._rules.failure.verdict(self._binding.purpose)
        finding = Finding.UNKNOWN if policy is Verdict.REFUSE else Finding.WARNED
        self._step("lists", "", finding, f"{why}: the failure policy says {policy}")
        self._otherwise = Reason.GUARD_UNAVAILABLE
        return policy

    def override(self) -> None:
        line = self._binding.override
        for exemption in self._exemptions:
            if exemption.kind is ExemptionKind.OVERRIDE and line is not None:
                self._spoke(line, Finding.ALLOWED, of_exemption(Reason.OVERRIDE, exemption))
                break
        for exemption, why in self._not_covering:
            self._step("exemptions", "", Finding.PASSED, f"{exemption.kind} {exemption.id}: {why}")

    def entries(self) -> None:
        entries = sorted(self._hits.entries, key=attrgetter("id", "number", "category"))
        concerning = [entry for entry in entries if _concerns(entry, self._e164, self._facts)]
        for entry in concerning:
            self._entry(entry)
        if not concerning:
            self._step("entries", "", Finding.PASSED, "none")

    def registries(self) -> None:
        """Every registry list of the number's country: what it says, then what that is worth."""
        hits = sorted(self._hits.registries, key=attrgetter("list"))
        doubtful: list[RegistryHit] = []
        binding = self._binding
        for hit in hits:
            line = binding.registry(hit.list)
            if line is None:
                self._step("registries", "", Finding.PASSED, f"{hit.list}: no rule speaks of it")
                continue
            bound = binding.purpose in line.purposes
            if bound:
                doubtful.append(hit)
            if hit.listed:
                self._listed(line, Reason.REGISTRY, bound, partial(of_registry, hit=hit))
            else:
                told = f"not on {hit.list}, generation {hit.version}, {data_text(hit)}"
                self._step(line.key, line.preset, Finding.PASSED, told)
        self._stale([hit for hit in doubtful if hit.covered])
        covering = {hit.jurisdiction for hit in hits if hit.covered}
        for hit in doubtful:
            if not hit.covered and not hit.listed and not _is_elsewhere(hit, covering):
                for coverage in self._binding.coverage:
                    self._doubt(coverage, coverage.does, Reason.NOT_COVERED, hit)

    def hours(self) -> None:
        for line in self._binding.hours:
            times, told = self._local_times(line.where)
            finding = Finding.PASSED if within_hours(line, times) else Finding.REFUSED
            self._rule(line, finding, Reason.OUTSIDE_HOURS, told)
        for day in self._binding.holidays:
            times, told = self._local_times(day.where)
            # On an unknown clock it may be any day, as it may be any hour.
            name = holiday_name(day, times) if times else told
            finding = Finding.PASSED if name is None else Finding.REFUSED
            self._rule(day, finding, Reason.HOLIDAY, name or "no holiday")

    def attempts(self, attempts: Sequence[Attempt] | AttemptsUnavailable) -> None:
        for line in self._binding.attempts:
            if isinstance(attempts, AttemptsUnavailable):
                policy = self._rules.failure.verdict(self._binding.purpose)
                finding = Finding.UNKNOWN if policy is Verdict.REFUSE else Finding.WARNED
                told = f"{attempts.why}: the failure policy says {policy}"
                self._rule(line, finding, Reason.GUARD_UNAVAILABLE, told)
                continue
            count = len(counted(line, self._facts, self._rules, attempts))
            finding = Finding.REFUSED if count >= line.most else Finding.PASSED
            self._rule(line, finding, Reason.ATTEMPTS, f"{count} of {line.most} made")

    def result(self) -> Screened:
        found = self._found
        found.sort(key=lambda one: (_RANK[one[0]], _PLACE[one[1].reason]))
        if found and found[0][0] is Finding.ALLOWED and (len(found) == 1 or _RANK[found[1][0]] > 1):
            del found[0]  # an override that the call does not need: it is not used up
        verdict, reason = Verdict.ALLOW, self._otherwise
        if found and found[0][0] is not Finding.WARNED:
            reason = found[0][1].reason
            verdict = Verdict.REFUSE if _RANK[found[0][0]] == 1 else Verdict.ALLOW
        elif self._otherwise is Reason.GUARD_UNAVAILABLE:
            verdict = self._rules.failure.verdict(self._binding.purpose)
        self._steps.append(_verdict(verdict, reason))
        spoke = tuple(match for _, match in found)
        return Screened(verdict, reason, spoke, self._rules.version, tuple(self._steps))

    # --- what one of them comes to ------------------------------------------------------------------------

    def _entry(self, entry: Entry) -> None:
        line = self._binding.category(entry.category)
        if line is None:
            told = f"entry {entry.id}: no rule speaks of {entry.category}"
            self._step("entries", "", Finding.PASSED, told)
            return
        if entry.purposes:
            # A word that is no purpose any more is screened as the strictest, on both sides.
            bound = self._binding.purpose in map(self._rules.purpose, entry.purposes)
        else:
            bound = self._binding.purpose in line.purposes
        reason = _REASON_OF_CATEGORY.get(entry.category, Reason.CATEGORY)
        match = partial(of_entry, entry=entry, position=self._hits.position)
        self._listed(line, reason, bound, match, given_after=entry.added_at)

    def _listed(
        self,
        line: Line,
        reason: Reason,
        bound: bool,
        match: Callable[[Reason], Match],
        *,
        given_after: datetime | None = None,
    ) -> None:
        """A list speaks about the number. `given_after`: for an opt-out, when it was made."""
        if not bound:
            self._spoke(line, Finding.NOT_BOUND, match(Reason.PURPOSE_EXEMPT))
        elif exemption := self._covering(reason, given_after):
            self._exempted(line, match(Reason.EXEMPT), exemption)
        else:
            self._spoke(line, Finding.REFUSED, match(reason))

    def _covering(self, reason: Reason, given_after: datetime | None = None) -> Exemption | None:
        """The exemption that lets the call go in spite of this, the earliest recorded one if there are
        several. One of a single project covers that project's calls against what binds the whole company,
        too: it is what the person said of them."""
        if reason is Reason.REGISTRY:
            return self._over_registry
        if reason is Reason.OPT_OUT and given_after is not None:
            for exemption in self._over_opt_out:
                if exemption.starts_at > given_after:
                    return exemption
        return None

    def _exempted(self, line: Line, over: Match, exemption: Exemption) -> None:
        """What would speak against the call is kept beside what covers it."""
        match = self._covering_matches.get(exemption.id)
        if match is None:
            match = self._covering_matches[exemption.id] = of_exemption(Reason.EXEMPT, exemption)
            self._found.append((Finding.EXEMPTED, match))
        told = f"{over.kind} {over.id}, but {match.category} {match.id}: {match.detail}"
        self._step(line.key, line.preset, Finding.EXEMPTED, told)
        self._found.append((Finding.EXEMPTED, over))

    def _stale(self, hits: Sequence[RegistryHit]) -> None:
        today = self._facts.at.astimezone(UTC).date()
        for line in self._binding.freshness:
            fresh: list[str] = []
            for hit in hits:
                if hit.is_stale_on(today, line.days):
                    self._doubt(line, line.does, Reason.STALE_REGISTRY, hit)
                else:
                    fresh.append(hit.list)
            if fresh:
                self._step(line.key, line.preset, Finding.PASSED, ", ".join(fresh))

    def _doubt(self, line: Line, does: Shortcoming, reason: Reason, hit: RegistryHit) -> None:
        """A registry list's silence is worth nothing. What would cover the call, were the number on the list,
        covers this."""
        if does is Shortcoming.WARN:
            self._spoke(line, Finding.WARNED, of_registry(reason, hit))
        elif exemption := self._covering(Reason.REGISTRY):
            self._exempted(line, of_registry(Reason.EXEMPT, hit), exemption)
        else:
            self._spoke(line, Finding.REFUSED, of_registry(reason, hit))

    def _rule(self, line: Line, finding: Finding, reason: Reason, detail: str) -> None:
        self._steps.append(Step(line.key, line.preset, finding, detail))
        if finding is not Finding.PASSED:
            self._found.append((finding, Match(reason, "rule", line.key, line.preset, None, detail, 0)))

    def _spoke(self, line: Line, finding: Finding, match: Match) -> None:
        self._steps.append(Step(line.key, line.preset, finding, f"{match.kind} {match.id}: {match.detail}"))
        self._found.append((finding, match))

    def _step(self, rule: str, preset: str, finding: Finding, detail: str) -> None:
        self._steps.append(Step(rule, preset, finding, detail))

    def _local_times(self, where: tuple[str, ...]) -> tuple[list[datetime], str]:
        """The instant by the callee's clocks, and in words."""
        zones = where or self._zones
        if zones not in self._times:
            times = local_times(self._facts.at, zones)
            self._times[zones] = times, clocks_text(times)
        return self._times[zones]


def _at_once(verdict: Verdict, reason: Reason, step: Step, rules: Rules) -> Screened:
    return Screened(verdict, reason, (), rules.version, (step, _verdict(verdict, reason)))


def _verdict(verdict: Verdict, reason: Reason) -> Step:
    finding = Finding.ALLOWED if verdict is Verdict.ALLOW else Finding.REFUSED
    return Step("verdict", "", finding, reason.value)


def _concerns(entry: Entry, e164: str, facts: CallFacts) -> bool:
    """Tell whether an entry is about this number and project, and in force. It is from when it is there: the
    clock of who added it may be ahead of ours."""
    if entry.number != e164 and not matches(entry.number, e164):
        return False
    if entry.project is not None and entry.project != facts.project:
        return False
    return entry.expires_at is None or facts.at < entry.expires_at


def _is_elsewhere(hit: RegistryHit, covering: set[str]) -> bool:
    """Tell whether a number is the matter of another jurisdiction's list than the hit's: of another country
    with the same calling code, or, for a list such as US-FL, of the whole country. `covering` are the
    jurisdictions of the lists that cover the number."""
    country = hit.jurisdiction[:2]
    return any(other[:2] != country or other == country != hit.jurisdiction for other in covering)
