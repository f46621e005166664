"""What holds for screening whatever the rules, the lists, the exemptions and the call."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from callguard.numbers import Number, NumberKind
from callguard.screening.model import (
    Attempt,
    AttemptsUnavailable,
    CallFacts,
    Entry,
    Exemption,
    ExemptionKind,
    FailurePolicy,
    Finding,
    Hits,
    ListsUnavailable,
    Reason,
    RegistryHit,
    Screened,
    Verdict,
)
from callguard.screening.rules import (
    AnyLine,
    AttemptsLine,
    CategoryLine,
    CoverageLine,
    ExemptionLine,
    FreshnessLine,
    HolidaysLine,
    HoursLine,
    OverrideLine,
    Per,
    Preset,
    Purposes,
    RegistryLine,
    Rules,
    Shortcoming,
    Source,
    ZonePolicy,
)
from callguard.screening.screen import screen
from tests.rig.rules import rules

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
NUMBER = "+628111234567"
NUMBERS = st.sampled_from([NUMBER, "+12015550123"])
PURPOSE_WORDS = ["marketing", "survey", "collection", "security"]
WORDS = st.sampled_from([*PURPOSE_WORDS, "nonsense"])
PROJECTS = st.sampled_from([None, "bank", "insurance"])
ZONES = st.sampled_from([(), ("Asia/Jakarta",), ("Asia/Jakarta", "Asia/Jayapura"), ("America/New_York",)])
CATEGORIES = ["customer-request", "national-registry", "inactive-customer", "invalid-contact", "own-word"]
LISTS = ["us", "id", "own"]
INSTANTS = st.integers(-40, 40).map(lambda days: NOW + timedelta(days=days, hours=days % 5))
SOURCE = Source("made up")
T = TypeVar("T")

PURPOSES = st.builds(Purposes, st.frozensets(st.sampled_from(PURPOSE_WORDS)), st.booleans())
WEEKS = st.lists(
    st.sampled_from([(), ((480, 1200),), ((0, 720), (780, 1440)), ((0, 1440),)]), min_size=7, max_size=7
).map(tuple)
PERS = st.frozensets(st.sampled_from(Per))


def line(of: type[AnyLine], /, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[AnyLine]:
    common = {"preset": st.just("made-up"), "purposes": PURPOSES, "source": st.just(SOURCE)}
    keys = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"])
    off = st.sampled_from([False, False, False, True])
    return st.builds(of, key=keys, off=off, **common, **fields)


LINES = st.one_of(
    line(CategoryLine, category=st.sampled_from([*CATEGORIES, "*"])),
    line(RegistryLine, list=st.sampled_from([None, *LISTS])),
    line(FreshnessLine, does=st.sampled_from(Shortcoming), days=st.none() | st.integers(0, 40)),
    line(CoverageLine, does=st.sampled_from(Shortcoming)),
    line(HoursLine, week=WEEKS, zones=st.sampled_from(ZonePolicy), where=ZONES),
    line(
        HolidaysLine,
        country=st.none(),
        days=st.lists(st.dates(date(2026, 11, 20), date(2026, 11, 26)), max_size=3).map(tuple),
        zones=st.sampled_from(ZonePolicy),
        where=ZONES,
    ),
    line(
        AttemptsLine,
        most=st.integers(1, 3),
        period=st.integers(1, 400).map(lambda hours: timedelta(hours=hours)),
        per=PERS,
        answered_only=st.booleans(),
    ),
    line(
        ExemptionLine,
        kind=st.sampled_from(ExemptionKind),
        months=st.none() | st.integers(1, 3),
        over_registry=st.booleans(),
        over_opt_out=st.booleans(),
    ),
    line(OverrideLine),
)
PRESETS = st.builds(
    Preset,
    id=st.just("made-up"),
    title=st.just("Made up"),
    lines=st.lists(LINES, max_size=12).map(tuple),
    prefixes=st.sampled_from([(), ("62",), ("62", "62811"), ("1",)]),
    projects=st.sampled_from([frozenset(), frozenset({"bank"})]),
    zones=ZONES,
)
VERDICTS = st.sampled_from(Verdict)
POLICIES = st.builds(
    FailurePolicy, VERDICTS, st.dictionaries(st.sampled_from(PURPOSE_WORDS), VERDICTS, max_size=2)
)
RULES = st.builds(
    lambda presets, policy: Rules(presets, document=repr(presets), failure=policy),
    st.lists(PRESETS, max_size=4),
    POLICIES,
)
"""Rules of any shape. The shipped ones are among the cases of the table, and are mixed in here."""
SHIPPED = st.builds(
    lambda policy, presets: rules(policy, presets=presets), POLICIES, st.sampled_from([(), ("ID",), ("US",)])
)
ANY_RULES = RULES | SHIPPED

SOME_PURPOSES = st.lists(WORDS, max_size=2, unique=True).map(lambda words: tuple(sorted(words)))
ENTRY = st.builds(
    Entry,
    id=st.integers(1, 10**6),
    number=st.sampled_from([NUMBER, "+62811*", "+12015550123"]),
    category=st.sampled_from(CATEGORIES),
    project=PROJECTS,
    reason=st.just("told"),
    source=st.just("phone"),
    added_by=st.just("sari"),
    added_at=INSTANTS,
    expires_at=st.none() | INSTANTS,
    purposes=SOME_PURPOSES,
)
ENTRIES = st.lists(ENTRY, max_size=4, unique_by=lambda one: one.id)
OPT_OUT = st.builds(
    lambda entry, number: replace(entry, category="customer-request", number=number), ENTRY, NUMBERS
)
EXEMPTION = st.builds(
    Exemption,
    id=st.integers(1, 10**6),
    number=NUMBERS,
    kind=st.sampled_from(ExemptionKind),
    project=PROJECTS,
    purposes=SOME_PURPOSES,
    evidence=st.just("a form"),
    reference=st.just(""),
    source=st.just("crm"),
    added_by=st.just("sari"),
    added_at=INSTANTS,
    starts_at=INSTANTS,
    expires_at=st.none() | INSTANTS,
    once=st.booleans(),
)
EXEMPTIONS = st.lists(EXEMPTION, max_size=4, unique_by=lambda one: one.id)
REGISTRY = st.builds(
    RegistryHit,
    list=st.sampled_from(LISTS),
    kind=st.just("do-not-call"),
    jurisdiction=st.sampled_from(["US", "US-FL", "ID"]),
    version=st.integers(0, 3),
    listed=st.booleans(),
    covered=st.booleans(),
    data_date=st.none() | st.dates(date(2026, 10, 1), date(2026, 11, 23)),
    allowed_age_days=st.none() | st.integers(0, 40),
)
REGISTRIES = st.lists(REGISTRY, max_size=3, unique_by=lambda one: one.list)
HITS = st.builds(
    lambda entries, registries, exemptions: Hits(
        tuple(entries), 7, "redis", tuple(registries), tuple(exemptions)
    ),
    ENTRIES,
    REGISTRIES,
    EXEMPTIONS,
)
ATTEMPT = st.builds(
    Attempt,
    at=st.integers(-500, 2).map(lambda hours: NOW + timedelta(hours=hours)),
    project=PROJECTS,
    purpose=WORDS,
    subject=st.sampled_from(["", "K-17"]),
    answered=st.sampled_from([None, True, False]),
)
ATTEMPTS = st.lists(ATTEMPT, max_size=5)
FACTS = st.builds(
    lambda at, e164, zones, **rest: CallFacts(
        at, e164, Number(NumberKind.SUBSCRIBER, e164, zones=zones), None, **rest
    ),
    INSTANTS,
    NUMBERS,
    ZONES,
    project=PROJECTS,
    purpose=WORDS,
    subject=st.sampled_from(["", "K-17"]),
)


def implied(screened: Screened) -> Verdict:
    """The verdict by what the steps found, without the last one, which tells it."""
    findings = {step.finding for step in screened.steps[:-1]}
    if Finding.ALLOWED in findings or not findings & {Finding.REFUSED, Finding.UNKNOWN}:
        return Verdict.ALLOW
    return Verdict.REFUSE


@given(FACTS, HITS, OPT_OUT, ANY_RULES, ATTEMPTS)
def test_a_further_opt_out_never_turns_a_refusal_into_an_allow(
    facts: CallFacts, hits: Hits, opt_out: Entry, rules: Rules, attempts: list[Attempt]
) -> None:
    before = screen(facts, hits, rules, attempts)
    more = replace(hits, entries=(*hits.entries, replace(opt_out, id=10**7)))
    after = screen(facts, more, rules, attempts)
    assert before.verdict is Verdict.ALLOW or after.verdict is Verdict.REFUSE


@given(FACTS, HITS, EXEMPTION, ANY_RULES, ATTEMPTS)
def test_a_further_exemption_never_turns_an_allow_into_a_refusal(
    facts: CallFacts, hits: Hits, exemption: Exemption, rules: Rules, attempts: list[Attempt]
) -> None:
    before = screen(facts, hits, rules, attempts)
    more = replace(hits, exemptions=(*hits.exemptions, replace(exemption, id=10**7)))
    after = screen(facts, more, rules, attempts)
    assert before.verdict is Verdict.REFUSE or after.verdict is Verdict.ALLOW


@given(FACTS, HITS, ATTEMPT, ANY_RULES, ATTEMPTS)
def test_a_further_attempt_never_turns_a_refusal_into_an_allow(
    facts: CallFacts, hits: Hits, attempt: Attempt, rules: Rules, attempts: list[Attempt]
) -> None:
    before = screen(facts, hits, rules, attempts)
    after = screen(facts, hits, rules, [attempt, *attempts])
    assert before.verdict is Verdict.ALLOW or after.verdict is Verdict.REFUSE


@given(FACTS, HITS, st.sampled_from(["purchase", "inquiry"]), ANY_RULES)
def test_no_relationship_ever_beats_an_opt_out(facts: CallFacts, hits: Hits, kind: str, rules: Rules) -> None:
    with_it = screen(facts, hits, rules)
    kept = tuple(one for one in hits.exemptions if one.kind is not ExemptionKind(kind))
    without = screen(facts, replace(hits, exemptions=kept), rules)
    assert without.reason is not Reason.OPT_OUT or with_it.reason is Reason.OPT_OUT


@given(FACTS, HITS, ANY_RULES, ATTEMPTS, st.data())
def test_the_order_of_entries_lists_exemptions_and_attempts_changes_nothing(
    facts: CallFacts, hits: Hits, rules: Rules, attempts: list[Attempt], data: st.DataObject
) -> None:
    def shuffled(values: Sequence[T]) -> tuple[T, ...]:
        return tuple(data.draw(st.permutations(values)))

    other = replace(
        hits,
        entries=shuffled(hits.entries),
        registries=shuffled(hits.registries),
        exemptions=shuffled(hits.exemptions),
    )
    told = screen(facts, other, rules, data.draw(st.permutations(attempts)))
    assert told == screen(facts, hits, rules, attempts)


@given(FACTS, HITS, RULES, ATTEMPTS)
def test_with_every_rule_off_every_subscriber_is_called(
    facts: CallFacts, hits: Hits, rules: Rules, attempts: list[Attempt]
) -> None:
    presets = [
        replace(preset, lines=tuple(replace(one, off=True) for one in preset.lines))
        for preset in rules.presets
    ]
    screened = screen(facts, hits, Rules(presets, document="", failure=rules.failure), attempts)
    assert (screened.verdict, screened.reason) == (Verdict.ALLOW, Reason.NOT_LISTED)


@given(FACTS, HITS, RULES, st.sampled_from(NumberKind))
def test_numbers_that_no_list_can_hold_are_no_matter_of_rules(
    facts: CallFacts, hits: Hits, rules: Rules, kind: NumberKind
) -> None:
    if kind is NumberKind.SUBSCRIBER:
        return
    screened = screen(replace(facts, number=Number(kind, None)), hits, rules)
    assert (screened.verdict, screened.reason) == {
        NumberKind.EMERGENCY: (Verdict.ALLOW, Reason.EMERGENCY),
        NumberKind.INTERNAL: (Verdict.ALLOW, Reason.NOT_LISTED),
        NumberKind.UNREADABLE: (Verdict.REFUSE, Reason.UNREADABLE_NUMBER),
    }[kind]
    assert implied(screened) is screened.verdict


@given(
    FACTS,
    HITS | st.just(ListsUnavailable("no answer")),
    ANY_RULES,
    ATTEMPTS | st.just(AttemptsUnavailable("no answer")),
)
def test_the_explanation_is_the_decision(
    facts: CallFacts,
    lists: Hits | ListsUnavailable,
    rules: Rules,
    attempts: list[Attempt] | AttemptsUnavailable,
) -> None:
    screened = screen(facts, lists, rules, attempts)
    *looked_at, told = screened.steps
    assert implied(screened) is screened.verdict
    assert (told.rule, told.detail) == ("verdict", screened.reason)
    assert told.finding is (Finding.ALLOWED if screened.verdict is Verdict.ALLOW else Finding.REFUSED)
    findings = {step.finding for step in looked_at}
    if screened.verdict is Verdict.REFUSE:
        assert not screened.matches or screened.matches[0].reason is screened.reason
    elif screened.reason is Reason.OVERRIDE:
        assert findings & {Finding.REFUSED, Finding.UNKNOWN}
        assert screened.matches[0].kind == "exemption"
        assert sum(match.reason is Reason.OVERRIDE for match in screened.matches) == 1
    else:
        assert (screened.reason is Reason.EXEMPT) == (Finding.EXEMPTED in findings)
        if screened.reason in (Reason.EXEMPT, Reason.PURPOSE_EXEMPT):
            assert screened.matches[0].reason is screened.reason
        assert all(match.reason is not Reason.OVERRIDE for match in screened.matches)


@given(FACTS, ANY_RULES, ATTEMPTS)
def test_lists_that_cannot_be_asked_are_never_read_as_not_listed(
    facts: CallFacts, rules: Rules, attempts: list[Attempt]
) -> None:
    screened = screen(facts, ListsUnavailable("no answer"), rules, attempts)
    empty = screen(facts, Hits((), 7, "sql"), rules, attempts)
    assert screened.reason is not Reason.NOT_LISTED
    if rules.when_unsure(facts.purpose) is Verdict.REFUSE:
        assert (screened.verdict, screened.reason) == (Verdict.REFUSE, Reason.GUARD_UNAVAILABLE)
    else:
        assert screened.verdict is empty.verdict


@given(FACTS, HITS, ANY_RULES)
def test_attempts_that_cannot_be_counted_are_never_read_as_none(
    facts: CallFacts, hits: Hits, rules: Rules
) -> None:
    screened = screen(facts, hits, rules, AttemptsUnavailable("no answer"))
    none = screen(facts, hits, rules, [])
    binding = rules.binding(facts.number.e164 or "", facts.project, facts.purpose)
    if not binding.attempts:
        assert screened == none
    elif rules.when_unsure(facts.purpose) is Verdict.REFUSE:
        assert screened.verdict is Verdict.REFUSE or screened.reason is Reason.OVERRIDE
    else:
        assert screened.verdict is none.verdict
        assert any(match.reason is Reason.GUARD_UNAVAILABLE for match in screened.matches)


@given(FACTS, HITS, RULES, PRESETS, ATTEMPTS)
def test_a_further_line_that_forbids_never_loosens_what_is_forbidden(
    facts: CallFacts, hits: Hits, rules: Rules, preset: Preset, attempts: list[Attempt]
) -> None:
    """Lines of keys of their own, about anything but exemptions and overrides."""
    forbidding = tuple(
        replace(one, key=f"more-{index}")
        for index, one in enumerate(preset.lines)
        if not one.off and not isinstance(one, ExemptionLine | OverrideLine)
    )
    # A preset without zones of its own: those of the number's presets stay.
    more = [*rules.presets, replace(preset, lines=forbidding, zones=())]
    before = screen(facts, hits, rules, attempts)
    after = screen(facts, hits, Rules(more, document="", failure=rules.failure), attempts)
    assert before.verdict is Verdict.ALLOW or after.verdict is Verdict.REFUSE


@given(st.lists(PRESETS, max_size=3), POLICIES, POLICIES, st.text(max_size=3), st.text(max_size=3))
def test_equal_rules_have_equal_versions_and_others_others(
    presets: list[Preset], one: FailurePolicy, other: FailurePolicy, document: str, changed: str
) -> None:
    def version(policy: FailurePolicy, text: str) -> str:
        return Rules(presets, document=text, failure=policy).version

    assert (version(one, document) == version(other, changed)) == (one == other and document == changed)
