"""When a refused call will be allowed: at the first minute at which screening allows it, and not before."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.numbers import Number, NumberKind, NumberReader
from callguard.screening.forecast import TRIES, allowed_from, passes_at
from callguard.screening.model import (
    Attempt,
    AttemptsUnavailable,
    CallFacts,
    Entry,
    Exemption,
    ExemptionKind,
    Hits,
    ListsUnavailable,
    Mode,
    Reason,
    Verdict,
)
from callguard.screening.rules import Rules
from callguard.screening.screen import screen
from tests.rig.rules import rules

JAKARTA = "+6281234567890"
NEW_YORK = "+12125550123"
NOTHING = Hits((), 7, "sql")
MINUTE = timedelta(minutes=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def call(at: str, number: str = JAKARTA, purpose: str = "marketing") -> CallFacts:
    return CallFacts(utc(at), number, NumberReader().read(number), Mode.BRIDGE, purpose=purpose)


def opt_out(expires: str | None = None) -> Entry:
    at = utc("2026-01-01T00:00Z")
    return Entry(
        1, JAKARTA, "customer-request", None, "asked", "phone", "tl1", at, utc(expires) if expires else None
    )


def exemption(kind: ExemptionKind, starts: str, expires: str | None = None) -> Exemption:
    at = utc("2026-01-01T00:00Z")
    return Exemption(
        2,
        JAKARTA,
        kind,
        None,
        (),
        "form",
        "",
        "web",
        "tl1",
        at,
        utc(starts),
        utc(expires) if expires else None,
    )


def attempt(at: datetime) -> Attempt:
    return Attempt(at, None, "marketing", "", None)


def hours(told: str, *, where: str = "", zones: str = "all") -> Rules:
    place = f'where = ["{where}"]' if where else ""
    return rules(
        over=f"""
        [rule.hours]
        kind = "hours"
        purposes = "all"
        hours = {told}
        zones = "{zones}"
        {place}
        source = "test"
        """
    )


def test_a_call_that_is_allowed_is_allowed_from_its_own_instant() -> None:
    facts = call("2026-11-23T10:00:30+07:00")
    assert allowed_from(facts, NOTHING, rules()) == facts.at


@pytest.mark.parametrize(
    ("at", "allowed"),
    [
        ("2026-11-23T19:59:59+07:00", "2026-11-23T19:59:59+07:00"),
        ("2026-11-23T20:00+07:00", "2026-11-24T08:00+07:00"),
        ("2026-11-24T07:59:59.999999+07:00", "2026-11-24T08:00+07:00"),
        ("2026-11-28T20:00+07:00", "2026-11-30T08:00+07:00"),  # no calls on Sundays
        ("2026-12-24T20:00+07:00", "2026-12-26T08:00+07:00"),  # Christmas is a holiday of Indonesia
    ],
)
def test_collection_in_indonesia_waits_for_the_morning_of_a_working_day(at: str, allowed: str) -> None:
    facts = call(at, purpose="collection")
    assert allowed_from(facts, NOTHING, rules(presets=("ID",))) == utc(allowed)


def test_a_holiday_ends_at_midnight_where_the_callee_is() -> None:
    holiday = rules(
        over="""
        [rule.holidays]
        kind = "holidays"
        purposes = "all"
        days = [2026-11-23]
        source = "test"
        """
    )
    facts = call("2026-11-23T12:00+07:00", "+62811234567")
    # In Jakarta it is a holiday for an hour longer than in Makassar.
    assert allowed_from(facts, NOTHING, holiday) == utc("2026-11-24T00:00+07:00")


def test_every_zone_of_the_number_must_be_open() -> None:
    facts = call("2026-11-23T22:00+07:00", "+62811234567")
    assert set(facts.number.zones) == {"Asia/Jakarta", "Asia/Makassar"}
    # 8:00 in Jakarta is 9:00 in Makassar.
    assert allowed_from(facts, NOTHING, hours('{ mon-sun = "08:00-20:00" }')) == utc("2026-11-24T08:00+07:00")
    any_of_them = hours('{ mon-sun = "08:00-20:00" }', zones="any")
    assert allowed_from(facts, NOTHING, any_of_them) == utc("2026-11-24T07:00+07:00")


@pytest.mark.parametrize(
    ("told", "at", "allowed"),
    [
        # The clock goes from 2:00 to 3:00 on 2026-03-08, and back from 2:00 to 1:00 on 2026-11-01.
        ('{ sun = "02:30-04:00" }', "2026-03-08T00:00-05:00", "2026-03-08T03:00-04:00"),
        ('{ sun = "08:00-09:00" }', "2026-03-08T00:00-05:00", "2026-03-08T08:00-04:00"),
        ('{ sun = "08:00-09:00" }', "2026-11-01T00:00-04:00", "2026-11-01T08:00-05:00"),
        ('{ sun = "01:10-01:20" }', "2026-11-01T01:20-04:00", "2026-11-01T01:10-05:00"),
        ('{ sun = ["00:00-01:30", "23:00-24:00"] }', "2026-11-01T01:30-04:00", "2026-11-01T01:00-05:00"),
    ],
)
def test_hours_follow_the_clock_that_is_put_forward_and_back(told: str, at: str, allowed: str) -> None:
    facts = call(at, NEW_YORK)
    assert allowed_from(facts, NOTHING, hours(told)) == utc(allowed)


def test_an_opt_out_without_an_end_is_never_allowed() -> None:
    assert allowed_from(call("2026-11-23T10:00+07:00"), Hits((opt_out(),), 7, "sql"), rules()) is None


def test_an_entry_that_ends_lets_calls_go_from_the_next_whole_minute() -> None:
    hits = Hits((opt_out("2026-11-23T10:00:30+07:00"),), 7, "sql")
    facts = call("2026-11-23T09:00+07:00")
    assert allowed_from(facts, hits, rules()) == utc("2026-11-23T10:01+07:00")
    evening = Hits((opt_out("2026-11-23T21:00+07:00"),), 7, "sql")
    assert allowed_from(facts, evening, rules(presets=("ID",))) == utc("2026-11-24T08:00+07:00")


def test_a_consent_that_ends_before_the_hours_begin_is_no_promise() -> None:
    consent = exemption(ExemptionKind.CONSENT, "2026-06-01T00:00Z", "2026-11-24T07:00+07:00")
    hits = Hits((opt_out(),), 7, "sql", exemptions=(consent,))
    facts = call("2026-11-23T21:00+07:00")
    assert screen(facts, hits, rules(presets=("ID",))).reason is Reason.OUTSIDE_HOURS
    assert allowed_from(facts, hits, rules(presets=("ID",))) is None
    longer = replace(consent, expires_at=utc("2026-11-24T08:01+07:00"))
    lasting = replace(hits, exemptions=(longer,))
    assert allowed_from(facts, lasting, rules(presets=("ID",))) == utc("2026-11-24T08:00+07:00")


def test_an_exemption_that_is_yet_to_begin_is_waited_for() -> None:
    override = exemption(ExemptionKind.OVERRIDE, "2026-11-23T22:15+07:00", "2026-11-23T23:00+07:00")
    hits = Hits((opt_out(),), 7, "sql", exemptions=(override,))
    facts = call("2026-11-23T21:00+07:00")
    assert allowed_from(facts, hits, rules(presets=("ID",))) == utc("2026-11-23T22:15+07:00")


ATTEMPTS = """
[rule.attempts]
kind = "attempts"
purposes = "all"
most = 2
hours = 24
source = "test"
"""


def test_attempts_are_waited_for_until_enough_have_left_their_period() -> None:
    facts = call("2026-11-23T12:00+07:00")
    made = [attempt(facts.at - timedelta(hours=ago)) for ago in (1, 5, 20)]
    limited = rules(over=ATTEMPTS)
    assert allowed_from(facts, NOTHING, limited, made) == facts.at + timedelta(hours=19)
    assert allowed_from(facts, NOTHING, limited, made[:1]) == facts.at
    assert allowed_from(facts, NOTHING, limited, AttemptsUnavailable("no answer")) is None


def test_what_cannot_be_asked_or_read_is_never_promised() -> None:
    facts = call("2026-11-23T21:00+07:00")
    assert allowed_from(facts, ListsUnavailable("no answer"), rules()) is None
    unreadable = replace(facts, number=Number(NumberKind.UNREADABLE, None, "too short"))
    assert allowed_from(unreadable, None, rules()) is None


def test_nothing_is_promised_beyond_the_horizon() -> None:
    weekly, facts = hours('{ sun = "10:00-11:00" }'), call("2026-11-23T12:00+07:00")
    assert allowed_from(facts, NOTHING, weekly) == utc("2026-11-29T10:00+07:00")
    assert allowed_from(facts, NOTHING, weekly, horizon=timedelta(days=5)) is None
    assert allowed_from(facts, NOTHING, weekly, tries=1) is None


def test_a_decision_keeps_when_what_refused_it_passes_and_nothing_else() -> None:
    late, limited = rules(presets=("ID",)), rules(over=ATTEMPTS)
    facts = call("2026-11-23T21:00+07:00")
    made = [attempt(facts.at - MINUTE)] * 2

    def kept(hits: Hits, told: Rules, attempts: list[Attempt]) -> datetime | None:
        return passes_at(screen(facts, hits, told, attempts), facts, hits, told, attempts)

    assert kept(NOTHING, late, []) == utc("2026-11-24T08:00+07:00")
    assert kept(NOTHING, limited, made) == made[0].at + timedelta(days=1)
    assert kept(NOTHING, limited, []) is None
    assert kept(Hits((opt_out("2026-11-24T00:00Z"),), 7, "sql"), late, []) is None


def test_hours_that_never_agree_cost_a_call_no_more_than_some_tries() -> None:
    never = rules(
        over="""
        [rule.one]
        kind = "hours"
        purposes = "all"
        hours = { mon = "08:00-09:00" }
        source = "test"
        [rule.two]
        kind = "hours"
        purposes = "all"
        hours = { tue = "08:00-09:00" }
        source = "test"
        """
    )
    facts = call("2026-11-23T21:00+07:00")
    assert allowed_from(facts, NOTHING, never) is None
    assert allowed_from(facts, NOTHING, never, tries=TRIES) is None


# --- properties ---------------------------------------------------------------------------------------------

DAY = 24 * 60
LOOKED_AT = timedelta(days=2)
PLACES = ("Asia/Jakarta", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu")
CHANGES = ("2026-03-07T18:00Z", "2026-03-28T20:00Z", "2026-04-04T10:00Z", "2026-10-31T20:00Z")
"""Instants within two days of a change of some of these clocks, and an ordinary one."""

starts = st.builds(
    lambda text, minutes, seconds: utc(text) + timedelta(minutes=minutes, seconds=seconds),
    st.sampled_from([*CHANGES, "2026-11-23T00:00Z"]),
    st.integers(-DAY, DAY),
    st.sampled_from([0, 0, 30]),
)


@st.composite
def windows(draw: st.DrawFn) -> str:
    begin, end = sorted(draw(st.lists(st.integers(0, DAY), min_size=2, max_size=2, unique=True)))
    return f'"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"'


@st.composite
def some_rules(draw: st.DrawFn, near: date) -> Rules:
    week = ", ".join(f"{days} = {draw(windows())}" for days in ("mon-wed", '"thu,fri"', "sat", "sun"))
    where = draw(st.lists(st.sampled_from(PLACES), max_size=2, unique=True))
    holidays = [near + timedelta(days=day) for day in draw(st.lists(st.integers(-1, 2), max_size=1))]
    return rules(
        over=f"""
        [rule.hours]
        kind = "hours"
        purposes = "all"
        hours = {{ {week} }}
        where = {where}
        zones = "{draw(st.sampled_from(["all", "any"]))}"
        source = "test"
        [rule.holidays]
        kind = "holidays"
        purposes = "all"
        days = [{", ".join(map(str, holidays or [date(2000, 1, 1)]))}]
        where = {where[:1]}
        source = "test"
        {ATTEMPTS}
        """
    )


@settings(max_examples=60)
@given(data=st.data(), at=starts, number=st.sampled_from([JAKARTA, NEW_YORK, "+62811234567"]))
def test_it_is_the_first_minute_at_which_screening_allows_the_call(
    data: st.DataObject, at: datetime, number: str
) -> None:
    told = data.draw(some_rules(at.date()))
    soon = st.integers(-60, 2 * DAY).map(lambda minutes: at + timedelta(minutes=minutes, seconds=7))
    facts = CallFacts(at, number, NumberReader().read(number), Mode.BRIDGE)
    added = at - timedelta(days=30)
    entry = Entry(1, number, "customer-request", None, "", "", "", added, data.draw(soon | st.just(at)))
    begins, lasts = data.draw(soon), timedelta(minutes=data.draw(st.integers(1, DAY)))
    kind = data.draw(st.sampled_from([ExemptionKind.CONSENT, ExemptionKind.OVERRIDE]))
    given_ = Exemption(2, number, kind, None, (), "e", "", "", "", added, begins, begins + lasts)
    hits = Hits((entry,), 7, "sql", exemptions=data.draw(st.sampled_from([(), (given_,)])))
    made = [attempt(one - timedelta(days=1)) for one in data.draw(st.lists(soon, max_size=4))]

    found = allowed_from(facts, hits, told, made)
    if screen(facts, hits, told, made).verdict is Verdict.ALLOW:
        assert found == at
        return
    minute = at.replace(second=0, microsecond=0)
    minutes = [minute + count * MINUTE for count in range(1 if minute < at else 0, 2 * DAY)]
    allowed = (
        one for one in minutes if screen(replace(facts, at=one), hits, told, made).verdict is Verdict.ALLOW
    )
    first = next(allowed, None)
    if first is not None:
        assert found == first
    else:
        assert found is None or found > minutes[-1]
