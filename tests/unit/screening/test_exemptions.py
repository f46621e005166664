"""Exemptions: what no rule can make them do, and which of several rules and exemptions counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callguard.numbers import Number, NumberKind
from callguard.screening.model import (
    CallFacts,
    Entry,
    Exemption,
    ExemptionKind,
    FailurePolicy,
    Finding,
    Hits,
    ListsUnavailable,
    Reason,
    Verdict,
)
from callguard.screening.rules import AnyLine, CategoryLine, ExemptionLine, Preset, Purposes, Rules, Source
from callguard.screening.screen import screen
from callguard.screening.times import plus_months
from tests.rig.rules import rules

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
NUMBER = "+628111234567"
CALL = CallFacts(NOW, NUMBER, Number(NumberKind.SUBSCRIBER, NUMBER), None)
OPT_OUT = Entry(1, NUMBER, "customer-request", None, "asked", "phone", "sari", NOW - timedelta(days=90), None)
GIVEN = NOW - timedelta(days=30)


def exemption(kind: ExemptionKind, id_: int = 1, **changes: Any) -> Exemption:
    made = Exemption(id_, NUMBER, kind, None, (), "a form", "", "crm", "sari", GIVEN, GIVEN, None)
    return replace(made, **changes)


def hits(*exemptions: Exemption, entries: tuple[Entry, ...] = (OPT_OUT,)) -> Hits:
    return Hits(entries, 7, "redis", (), exemptions)


def lines(kind: ExemptionKind, *of_kind: tuple[str, int | None, bool, bool]) -> Rules:
    """Opt-outs and entries of a registry bind; of the exemption's lines: key, months, over what."""
    common: dict[str, Any] = {"preset": "p", "purposes": Purposes(), "source": Source("made up")}
    every: list[AnyLine] = [
        CategoryLine(key="opt-out", category="customer-request", **common),
        CategoryLine(key="registry", category="national-registry", **common),
        *(
            ExemptionLine(
                key=key, kind=kind, months=months, over_registry=registry, over_opt_out=opt_out, **common
            )
            for key, months, registry, opt_out in of_kind
        ),
    ]
    return Rules([Preset("p", "P", tuple(every))], document="")


@pytest.mark.parametrize("kind", [ExemptionKind.PURCHASE, ExemptionKind.INQUIRY])
def test_a_relationship_never_beats_an_opt_out_whatever_a_rule_says(kind: ExemptionKind) -> None:
    permissive = lines(kind, ("relationship", None, True, True))
    assert screen(CALL, hits(exemption(kind)), permissive).reason is Reason.OPT_OUT
    consent = lines(ExemptionKind.CONSENT, ("consent", None, True, True))
    assert screen(CALL, hits(exemption(ExemptionKind.CONSENT)), consent).reason is Reason.EXEMPT


def test_of_two_rules_about_a_kind_of_exemption_what_both_allow_counts() -> None:
    consent = ExemptionKind.CONSENT
    registered = replace(OPT_OUT, category="national-registry")
    for first, second, allowed in [
        ((None, True, True), (None, True, True), True),
        ((None, True, True), (None, True, False), False),
        ((None, True, False), (None, True, True), False),
        ((3, True, True), (None, True, True), True),
        ((3, True, True), (1, True, True), False),
        ((1, True, True), (3, True, True), False),
    ]:
        both = lines(consent, ("one", *first), ("other", *second))
        old = exemption(consent, starts_at=NOW - timedelta(days=40))
        assert (screen(CALL, hits(old), both).verdict is Verdict.ALLOW) == allowed
    never = lines(consent, ("one", None, True, True), ("other", None, False, True))
    assert screen(CALL, hits(exemption(consent), entries=(registered,)), never).reason is Reason.REGISTRY


def test_an_override_that_lasts_is_taken_before_one_for_a_single_call() -> None:
    once, lasting = (
        exemption(ExemptionKind.OVERRIDE, 1, once=True),
        exemption(ExemptionKind.OVERRIDE, 2, expires_at=NOW + timedelta(minutes=1)),
    )
    screened = screen(CALL, hits(once, lasting), rules())
    assert (screened.reason, screened.matches[0].id) == (Reason.OVERRIDE, "2")
    assert screen(CALL, hits(once), rules()).matches[0].id == "1"


def test_an_override_that_no_call_needs_is_in_no_record() -> None:
    screened = screen(CALL, hits(exemption(ExemptionKind.OVERRIDE), entries=()), rules())
    assert (screened.reason, screened.matches) == (Reason.NOT_LISTED, ())


def test_an_exemption_of_another_number_covers_nothing() -> None:
    other = exemption(ExemptionKind.CONSENT, number="+628111234568")
    screened = screen(CALL, hits(other), rules())
    assert screened.reason is Reason.OPT_OUT
    assert "consent 1: of another number" in [step.detail for step in screened.steps]


def test_an_exemption_beside_what_it_covers_is_in_the_record_once() -> None:
    twice = hits(exemption(ExemptionKind.CONSENT), entries=(OPT_OUT, replace(OPT_OUT, id=2)))
    screened = screen(CALL, twice, rules())
    assert [(match.kind, match.id) for match in screened.matches] == [
        ("exemption", "1"),
        ("entry", "1"),
        ("entry", "2"),
    ]
    assert {match.reason for match in screened.matches} == {Reason.EXEMPT}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"project": "bank"}, "of project bank"),
        ({"purposes": ("survey",)}, "for survey only"),
        ({"starts_at": NOW + timedelta(minutes=1)}, "not before 2026-11-23 05:01 UTC"),
        ({"expires_at": NOW}, "expired 2026-11-23 05:00 UTC"),
    ],
)
def test_why_an_exemption_does_not_cover_a_call_is_a_step(changes: dict[str, Any], told: str) -> None:
    screened = screen(CALL, hits(exemption(ExemptionKind.CONSENT, **changes)), rules())
    assert screened.verdict is Verdict.REFUSE
    assert f"consent 1: {told}" in [step.detail for step in screened.steps]


def test_hours_hold_where_the_failure_policy_lets_a_call_go_on_without_the_lists() -> None:
    hours = 'rule.day.kind = "hours"\nrule.day.purposes = "all"\nrule.day.source = "own"\n'
    lenient = FailurePolicy(Verdict.ALLOW)
    gone = ListsUnavailable("no answer")
    week = hours + 'rule.day.hours.sun = "00:00-24:00"\nrule.day.where = ["Asia/Jakarta"]'
    closed = rules(lenient, over=week)
    screened = screen(CALL, gone, closed)
    assert (screened.verdict, screened.reason) == (Verdict.REFUSE, Reason.OUTSIDE_HOURS)
    week = hours + 'rule.day.hours.mon = "00:00-24:00"\nrule.day.where = ["Asia/Jakarta"]'
    opened = rules(lenient, over=week)
    screened = screen(CALL, gone, opened)
    assert (screened.verdict, screened.reason) == (Verdict.ALLOW, Reason.GUARD_UNAVAILABLE)


def test_where_no_time_zone_is_known_neither_hours_nor_holidays_let_a_call_go() -> None:
    for over in (
        'rule.a.kind = "hours"\nrule.a.hours.mon-sun = "00:00-24:00"',
        'rule.a.kind = "holidays"\nrule.a.days = [2020-01-01]',
    ):
        unknown = rules(over=over + '\nrule.a.purposes = "all"\nrule.a.source = "own"')
        screened = screen(CALL, hits(entries=()), unknown)
        assert screened.verdict is Verdict.REFUSE
        assert screened.steps[-2].finding is Finding.REFUSED
        assert screened.steps[-2].detail == "no time zone is known"


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2024-01-31", 1, "2024-02-29"),
        ("2025-01-31", 1, "2025-02-28"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-08-31", 18, "2026-02-28"),
        ("2025-12-15", 1, "2026-01-15"),
        ("2025-11-30", 13, "2026-12-30"),
        ("9999-06-30", 1200, "9999-12-31"),
    ],
)
def test_months_end_on_the_same_day_or_the_last_of_a_shorter_month(start: str, months: int, end: str) -> None:
    assert plus_months(datetime.fromisoformat(start + "T05:00Z"), months) == datetime.fromisoformat(
        end + "T05:00Z"
    )
