"""The verdict on a call: what each rule refuses, what wins, and what holds whatever the lists say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.numbers import Number, NumberKind
from callguard.screening.model import (
    CallFacts,
    Category,
    Decision,
    Entry,
    FailurePolicy,
    Hits,
    ListsUnavailable,
    Mode,
    Reason,
    RegistryHit,
    Screened,
    Verdict,
)
from callguard.screening.rules import Rules
from callguard.screening.screen import needs_lists, screen, without_journal
from tests.rig.rules import rules

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NUMBER = "+6281234567890"
STRICT = rules()
LENIENT = rules(FailurePolicy(Verdict.ALLOW))
NO_ANSWER = ListsUnavailable("no answer")


def call(kind: NumberKind = NumberKind.SUBSCRIBER, **changes: object) -> CallFacts:
    number = Number(kind, NUMBER if kind is NumberKind.SUBSCRIBER else None)
    facts = CallFacts(NOW, "081234567890", number, Mode.BRIDGE, project="bank")
    return replace(facts, **changes)  # type: ignore[arg-type]


def entry(
    identity: int = 1,
    category: str = Category.CUSTOMER_REQUEST,
    *,
    number: str = NUMBER,
    project: str | None = None,
    expires_at: datetime | None = None,
) -> Entry:
    return Entry(identity, number, category, project, "asked by phone", "phone", "sari", NOW, expires_at)


def hits(*entries: Entry) -> Hits:
    return Hits(entries, 7, "redis")


def verdict(facts: CallFacts, *entries: Entry) -> Verdict:
    return screen(facts, hits(*entries), STRICT).verdict


# --- numbers that are no matter of lists --------------------------------------------------------------------


@pytest.mark.parametrize("lists", [None, hits(), hits(entry()), NO_ANSWER])
@pytest.mark.parametrize("policy", [STRICT, LENIENT])
def test_an_emergency_call_is_always_allowed(lists: Hits | ListsUnavailable | None, policy: Rules) -> None:
    screened = screen(call(NumberKind.EMERGENCY), lists, policy)
    assert (screened.verdict, screened.reason) == (Verdict.ALLOW, Reason.EMERGENCY)


@pytest.mark.parametrize("lists", [None, hits(), NO_ANSWER])
@pytest.mark.parametrize("policy", [STRICT, LENIENT])
def test_an_unreadable_number_is_always_refused(lists: Hits | ListsUnavailable | None, policy: Rules) -> None:
    screened = screen(call(NumberKind.UNREADABLE), lists, policy)
    assert (screened.verdict, screened.reason) == (Verdict.REFUSE, Reason.UNREADABLE_NUMBER)


def test_an_internal_number_is_allowed_without_the_lists() -> None:
    screened = screen(call(NumberKind.INTERNAL), None, STRICT)
    assert (screened.verdict, screened.reason) == (Verdict.ALLOW, Reason.NOT_LISTED)


def test_only_a_subscribers_number_needs_the_lists() -> None:
    assert [kind for kind in NumberKind if needs_lists(call(kind))] == [NumberKind.SUBSCRIBER]


# --- entries ------------------------------------------------------------------------------------------------


def test_a_number_without_entries_is_allowed() -> None:
    screened = screen(call(), hits(), STRICT)
    assert screened == Screened(Verdict.ALLOW, Reason.NOT_LISTED, (), STRICT.version, screened.steps)


@pytest.mark.parametrize(
    ("category", "reason"),
    [
        ("customer-request", Reason.OPT_OUT),
        ("national-registry", Reason.REGISTRY),
        ("inactive-customer", Reason.INACTIVE_CUSTOMER),
        ("invalid-contact", Reason.INVALID_CONTACT),
        ("after-transaction", Reason.AFTER_TRANSACTION),
        ("a-word-of-the-users", Reason.CATEGORY),
        ("", Reason.CATEGORY),
    ],
)
def test_the_reason_names_the_category_of_the_entry(category: str, reason: Reason) -> None:
    screened = screen(call(), hits(entry(12, category)), STRICT)
    assert (screened.verdict, screened.reason) == (Verdict.REFUSE, reason)
    match = screened.matches[0]
    assert (match.reason, match.kind, match.id, match.category) == (reason, "entry", "12", category)
    assert (match.detail, match.project, match.version) == ("asked by phone", None, 7)


def test_the_persons_own_wish_is_named_before_every_other_reason() -> None:
    categories = ["own-word", "after-transaction", "national-registry", "customer-request"]
    entries = [entry(number, category) for number, category in enumerate(categories)]
    screened = screen(call(), hits(*entries), STRICT)
    assert screened.reason is Reason.OPT_OUT
    assert [match.category for match in screened.matches] == categories[::-1]


def test_the_oldest_of_several_entries_with_one_reason_is_named_first() -> None:
    screened = screen(call(), hits(entry(10), entry(9)), STRICT)
    assert [match.id for match in screened.matches] == ["9", "10"]


def test_a_project_is_bound_by_its_own_entries_and_by_the_companys() -> None:
    assert verdict(call(project="bank"), entry(project="bank")) is Verdict.REFUSE
    assert verdict(call(project="bank"), entry(project=None)) is Verdict.REFUSE
    assert verdict(call(project="bank"), entry(project="insurance")) is Verdict.ALLOW


def test_a_call_of_no_project_is_bound_by_the_companys_entries_alone() -> None:
    assert verdict(call(project=None), entry(project=None)) is Verdict.REFUSE
    assert verdict(call(project=None), entry(project="bank")) is Verdict.ALLOW


def test_an_entry_about_another_number_is_no_match() -> None:
    assert verdict(call(), entry(number="+6281234567891")) is Verdict.ALLOW


def test_an_entry_binds_until_the_very_microsecond_of_its_expiry() -> None:
    assert verdict(call(), entry(expires_at=NOW + MICROSECOND)) is Verdict.REFUSE
    assert verdict(call(), entry(expires_at=NOW)) is Verdict.ALLOW
    assert verdict(call(), entry(expires_at=NOW - MICROSECOND)) is Verdict.ALLOW


def test_an_entry_without_an_expiry_binds_for_ever() -> None:
    assert verdict(call(at=datetime.max.replace(tzinfo=UTC)), entry()) is Verdict.REFUSE


# --- the failure policy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lists", [NO_ANSWER, None])
def test_lists_that_cannot_be_asked_are_not_read_as_not_listed(lists: ListsUnavailable | None) -> None:
    screened = screen(call(), lists, STRICT)
    assert (screened.verdict, screened.reason) == (Verdict.REFUSE, Reason.GUARD_UNAVAILABLE)


def test_the_failure_policy_decides_by_the_purpose_of_the_call() -> None:
    policy = rules(FailurePolicy(Verdict.REFUSE, {"collection": Verdict.ALLOW}))
    assert screen(call(purpose="collection"), NO_ANSWER, policy).verdict is Verdict.ALLOW
    assert screen(call(purpose="marketing"), NO_ANSWER, policy).verdict is Verdict.REFUSE
    assert screen(call(purpose="Collection"), NO_ANSWER, policy).verdict is Verdict.REFUSE


def test_a_listed_number_is_refused_however_lenient_the_failure_policy() -> None:
    assert screen(call(), hits(entry()), LENIENT).verdict is Verdict.REFUSE


def decided(
    result: Verdict, reason: Reason, kind: NumberKind = NumberKind.SUBSCRIBER, purpose: str = "marketing"
) -> Decision:
    return Decision("d1", "1", call(kind, purpose=purpose), Screened(result, reason, (), "r"), 7, "redis")


def test_an_allowed_call_that_cannot_be_recorded_is_refused() -> None:
    refused = without_journal(decided(Verdict.ALLOW, Reason.NOT_LISTED), Verdict.REFUSE)
    assert (refused.verdict, refused.reason) == (Verdict.REFUSE, Reason.GUARD_UNAVAILABLE)
    assert (refused.id, refused.screened.rules) == ("d1", "r")


def test_an_allowed_call_that_cannot_be_recorded_goes_on_where_its_purpose_may() -> None:
    policy = rules(FailurePolicy(Verdict.REFUSE, {"collection": Verdict.ALLOW}))
    allowed = decided(Verdict.ALLOW, Reason.NOT_LISTED, purpose="collection")
    assert without_journal(allowed, policy.when_unsure("collection")) is allowed


def test_an_emergency_call_goes_on_without_a_record() -> None:
    emergency = decided(Verdict.ALLOW, Reason.EMERGENCY, NumberKind.EMERGENCY)
    assert without_journal(emergency, Verdict.REFUSE) is emergency


# --- what holds whatever the lists and the policy -----------------------------------------------------------

VERDICTS = st.sampled_from(Verdict)
PURPOSES = st.sampled_from(["marketing", "collection", "survey"])
POLICIES = st.builds(FailurePolicy, VERDICTS, st.dictionaries(PURPOSES, VERDICTS))
PROJECTS = st.sampled_from([None, "bank", "insurance"])
ENTRIES = st.lists(
    st.builds(
        entry,
        st.integers(1, 10**6),
        st.sampled_from([*Category, "own-word"]),
        number=st.sampled_from([NUMBER, "+6281234567891"]),
        project=PROJECTS,
        expires_at=st.none() | st.integers(-2, 2).map(lambda steps: NOW + steps * MICROSECOND),
    ),
    max_size=6,
    unique_by=lambda made: made.id,
)
CALLS = st.builds(call, st.sampled_from(NumberKind), project=PROJECTS, purpose=PURPOSES)


@given(facts=CALLS, entries=ENTRIES, more=ENTRIES, policy=POLICIES)
def test_a_further_entry_never_turns_a_refusal_into_an_allow(
    facts: CallFacts, entries: list[Entry], more: list[Entry], policy: FailurePolicy
) -> None:
    before = screen(facts, hits(*entries), rules(policy))
    after = screen(facts, hits(*entries, *more), rules(policy))
    assert before.verdict is Verdict.ALLOW or after.verdict is Verdict.REFUSE
    assert set(before.matches) <= set(after.matches)


@given(facts=CALLS, entries=ENTRIES, policy=POLICIES, data=st.data())
def test_the_order_of_entries_changes_nothing(
    facts: CallFacts, entries: list[Entry], policy: FailurePolicy, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(entries))
    assert screen(facts, hits(*shuffled), rules(policy)) == screen(facts, hits(*entries), rules(policy))


@given(facts=CALLS, entries=ENTRIES, policy=POLICIES)
def test_a_call_is_refused_for_its_entries_exactly_when_one_matches(
    facts: CallFacts, entries: list[Entry], policy: FailurePolicy
) -> None:
    screened = screen(facts, hits(*entries), rules(policy))
    if needs_lists(facts):
        binding = [match for match in screened.matches if match.reason is not Reason.PURPOSE_EXEMPT]
        assert (screened.verdict is Verdict.REFUSE) == bool(binding)
        assert not screened.matches or screened.reason is screened.matches[0].reason
    else:
        assert screened == screen(facts, None, rules(policy))


@given(facts=CALLS, policy=POLICIES)
def test_without_the_lists_a_subscriber_is_called_only_where_the_policy_allows(
    facts: CallFacts, policy: FailurePolicy
) -> None:
    screened = screen(facts, NO_ANSWER, rules(policy))
    if needs_lists(facts):
        assert screened.verdict is policy.verdict(facts.purpose)


@given(facts=CALLS, entries=ENTRIES, policy=POLICIES)
def test_the_loss_of_the_journal_never_allows_what_was_refused(
    facts: CallFacts, entries: list[Entry], policy: FailurePolicy
) -> None:
    made = Decision("d1", "1", facts, screen(facts, hits(*entries), rules(policy)), 7, "redis")
    unrecorded = without_journal(made, rules(policy).when_unsure(facts.purpose))
    assert made.verdict is Verdict.ALLOW or unrecorded == made
    assert unrecorded.screened.matches == made.screened.matches
    assert facts.number.kind is not NumberKind.EMERGENCY or unrecorded.verdict is Verdict.ALLOW


@given(one=POLICIES, other=POLICIES)
def test_the_version_of_the_rules_changes_exactly_with_the_policy(
    one: FailurePolicy, other: FailurePolicy
) -> None:
    assert (rules(one).version == rules(other).version) == (one == other)
    turned = FailurePolicy(one.default, dict(reversed(one.by_purpose.items())))
    assert rules(turned).version == rules(one).version


def test_what_no_rule_speaks_of_is_in_the_explanation_too() -> None:
    off = "".join(f'[rule.{key}]\noff = true\nsource = "test"\n' for key in ("opt-out", "registry"))
    listed = RegistryHit(
        "dnc", "marketing", "ID", 3, listed=True, covered=True, data_date=None, allowed_age_days=1
    )
    screened = screen(call(), Hits((entry(),), 7, "sql", (listed,)), rules(over=off))
    assert (screened.verdict, screened.reason) == (Verdict.ALLOW, Reason.NOT_LISTED)
    told = [step.detail for step in screened.steps if step.rule in ("entries", "registries")]
    assert told == ["entry 1: no rule speaks of customer-request", "dnc: no rule speaks of it"]
