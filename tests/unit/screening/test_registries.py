"""What registry lists and patterns do to a verdict."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.numbers import Number, NumberKind
from callguard.screening.model import (
    CallFacts,
    Entry,
    FailurePolicy,
    Hits,
    Mode,
    Reason,
    RegistryHit,
    Verdict,
)
from callguard.screening.rules import Rules, Shortcoming
from callguard.screening.screen import screen
from tests.rig.rules import rules

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
NUMBER = "+12015550123"
CALL = CallFacts(NOW, "2015550123", Number(NumberKind.SUBSCRIBER, NUMBER), Mode.BRIDGE)
QUIET = RegistryHit(
    "us", "national", "US", 3, listed=False, covered=True, data_date=NOW.date(), allowed_age_days=31
)
WARNING = rules()
REFUSING = rules(stale_registry=Shortcoming.REFUSE, not_covered=Shortcoming.REFUSE)


def entry(number: str, identity: int = 1) -> Entry:
    return Entry(identity, number, "customer-request", None, "asked", "phone", "sari", NOW, None)


def hits(*registries: RegistryHit, entries: tuple[Entry, ...] = ()) -> Hits:
    return Hits(entries, 7, "redis", registries)


def test_a_number_that_a_registry_lists_is_refused_with_the_lists_name_and_version() -> None:
    screened = screen(CALL, hits(replace(QUIET, listed=True)), WARNING)
    assert (screened.verdict, screened.reason) == (Verdict.REFUSE, Reason.REGISTRY)
    (match,) = screened.matches
    assert (match.kind, match.id, match.version) == ("registry", "us", 3)
    assert match.detail == "US, data of 2026-03-01"


def test_a_number_that_another_countrys_list_covers_need_not_be_covered_by_this_ones() -> None:
    us = replace(QUIET, covered=False, data_date=None)
    canada = replace(QUIET, list="canada", jurisdiction="CA")
    assert screen(CALL, hits(us, canada), REFUSING).matches == ()
    assert screen(CALL, hits(us), REFUSING).reason is Reason.NOT_COVERED
    assert screen(CALL, hits(us, replace(canada, covered=False)), REFUSING).reason is Reason.NOT_COVERED
    assert screen(CALL, hits(us, replace(QUIET, list="other")), REFUSING).reason is Reason.NOT_COVERED
    assert screen(CALL, hits(replace(us, listed=True), canada), WARNING).reason is Reason.REGISTRY


def test_a_states_list_casts_no_doubt_on_the_rest_of_a_country_whose_own_list_covers_it() -> None:
    florida = replace(QUIET, list="florida", jurisdiction="US-FL", covered=False)
    assert screen(CALL, hits(florida, QUIET), REFUSING).matches == ()
    assert screen(CALL, hits(florida), REFUSING).reason is Reason.NOT_COVERED
    texas = replace(florida, list="texas", jurisdiction="US-TX", covered=True)
    assert screen(CALL, hits(florida, texas), REFUSING).reason is Reason.NOT_COVERED
    assert screen(CALL, hits(replace(QUIET, covered=False), texas), REFUSING).reason is Reason.NOT_COVERED


def test_a_registry_that_is_fresh_and_silent_says_nothing() -> None:
    screened = screen(CALL, hits(QUIET), REFUSING)
    assert (screened.verdict, screened.reason, screened.matches) == (Verdict.ALLOW, Reason.NOT_LISTED, ())


@pytest.mark.parametrize(
    ("hit", "reason"),
    [
        (replace(QUIET, covered=False), Reason.NOT_COVERED),
        (replace(QUIET, data_date=date(2026, 1, 28)), Reason.STALE_REGISTRY),
        (replace(QUIET, data_date=None), Reason.STALE_REGISTRY),
    ],
)
def test_a_silence_that_is_worth_nothing_warns_or_refuses_as_the_rules_say(
    hit: RegistryHit, reason: Reason
) -> None:
    warned = screen(CALL, hits(hit), WARNING)
    assert (warned.verdict, warned.reason) == (Verdict.ALLOW, Reason.NOT_LISTED)
    assert [match.reason for match in warned.matches] == [reason]
    refused = screen(CALL, hits(hit), REFUSING)
    assert (refused.verdict, refused.reason) == (Verdict.REFUSE, reason)


def test_data_may_be_as_old_as_allowed_and_not_a_day_older() -> None:
    allowed = NOW.date() - timedelta(days=31)
    assert not replace(QUIET, data_date=allowed).is_stale(NOW)
    assert replace(QUIET, data_date=allowed - timedelta(days=1)).is_stale(NOW)
    assert not replace(QUIET, data_date=date(2003, 1, 1), allowed_age_days=None).is_stale(NOW)


def test_a_listed_number_is_refused_however_old_the_list() -> None:
    old = replace(QUIET, listed=True, data_date=date(2003, 1, 1))
    screened = screen(CALL, hits(old), WARNING)
    assert (screened.verdict, screened.reason) == (Verdict.REFUSE, Reason.REGISTRY)
    assert [match.reason for match in screened.matches] == [Reason.REGISTRY, Reason.STALE_REGISTRY]


def test_the_persons_own_wish_is_named_before_the_registry() -> None:
    screened = screen(CALL, hits(replace(QUIET, listed=True), entries=(entry(NUMBER),)), WARNING)
    assert [match.reason for match in screened.matches] == [Reason.OPT_OUT, Reason.REGISTRY]


@pytest.mark.parametrize(
    ("pattern", "verdict"),
    [
        ("+1201*", Verdict.REFUSE),
        ("+1201XXXXXXX", Verdict.REFUSE),
        ("+1201XXXXXX", Verdict.ALLOW),
        ("+1202*", Verdict.ALLOW),
    ],
)
def test_a_pattern_binds_the_numbers_that_it_stands_for(pattern: str, verdict: Verdict) -> None:
    screened = screen(CALL, hits(entries=(entry(pattern),)), WARNING)
    assert screened.verdict is verdict


HITS = st.builds(
    RegistryHit,
    list=st.sampled_from(["us", "us-fl", "company"]),
    kind=st.just("national"),
    jurisdiction=st.just("US"),
    version=st.integers(0, 9),
    listed=st.booleans(),
    covered=st.booleans(),
    data_date=st.none() | st.dates(date(2025, 1, 1), date(2026, 12, 31)),
    allowed_age_days=st.none() | st.integers(1, 90),
)
SHORTCOMINGS = st.sampled_from(Shortcoming)
RULES = st.builds(rules, st.just(FailurePolicy()), SHORTCOMINGS, SHORTCOMINGS)


@given(st.lists(HITS, max_size=5), st.lists(HITS, max_size=5), RULES)
def test_a_further_list_never_turns_a_refusal_into_an_allow(
    before: list[RegistryHit], more: list[RegistryHit], rules: Rules
) -> None:
    without, also = screen(CALL, hits(*before), rules), screen(CALL, hits(*before, *more), rules)
    assert without.verdict is Verdict.ALLOW or also.verdict is Verdict.REFUSE


@given(st.lists(HITS, max_size=5), RULES)
def test_a_listed_number_is_always_refused_and_the_deciding_match_comes_first(
    found: list[RegistryHit], rules: Rules
) -> None:
    screened = screen(CALL, hits(*found), rules)
    if any(hit.listed for hit in found):
        assert (screened.verdict, screened.reason) == (Verdict.REFUSE, Reason.REGISTRY)
    if screened.verdict is Verdict.REFUSE:
        assert screened.matches[0].reason is screened.reason


def test_rules_about_lists_have_versions_of_their_own() -> None:
    every = [rules(FailurePolicy(), stale, missing) for stale in Shortcoming for missing in Shortcoming]
    assert len({one.version for one in every}) == 4
