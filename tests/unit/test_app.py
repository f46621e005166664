"""How a guard reads the calls that arrive, and what it tells Asterisk to do with them, by its settings."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from callguard.app import call_policy, facts_reader, list_figures, screening_clock
from callguard.asterisk.prompts import Prompts
from callguard.config import Settings, advice
from callguard.control.model import Arrival, HangupReason
from callguard.control.states import CallPolicy
from callguard.lists.model import RegistryList
from callguard.numbers import NumberKind
from callguard.screening.model import CallFacts, Decision, Mode, Reason, Screened, Verdict

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ARRIVAL = Arrival("1795296370.167", Mode.BRIDGE, "081234567890", "agent1", "101", "id", "", "", "", "")


def settings(**sections: object) -> Settings:
    return Settings.model_validate({"state": Path("/nowhere"), **sections})


def read(arrival: Arrival = ARRIVAL, **sections: object) -> CallFacts:
    return facts_reader(settings(**sections))(arrival, AT)


def policy(**sections: object) -> CallPolicy:
    made = settings(**sections)
    return call_policy(made, Prompts(made.prompts, "http://127.0.0.1:8089"))


def decided(facts: CallFacts, verdict: Verdict, reason: Reason) -> Decision:
    return Decision("01m8001892", "0001234", facts, Screened(verdict, reason, (), "r"), 1, "redis")


# --- what is read of an arrival -----------------------------------------------------------------------------


def test_a_call_is_read_with_the_numbers_the_pbx_and_the_guard_of_the_settings() -> None:
    facts = read(asterisk={"name": "jakarta", "app": "guard-2"})
    assert facts.number.e164 == "+6281234567890"
    assert (facts.pbx, facts.guard, facts.channel) == ("jakarta", "guard-2", "1795296370.167")
    assert (facts.at, facts.dialled, facts.mode) == (AT, "081234567890", Mode.BRIDGE)
    assert (facts.caller_number, facts.language) == ("101", "id")


def test_the_outside_line_the_region_and_the_area_code_are_those_of_the_settings() -> None:
    numbers = {"region": "ID", "outside_line": "9", "area_code": "21"}
    assert read(replace(ARRIVAL, dialled="9081234567890"), numbers=numbers).number.e164 == "+6281234567890"
    assert read(replace(ARRIVAL, dialled="97654321"), numbers=numbers).number.e164 == "+62217654321"
    us = read(replace(ARRIVAL, dialled="2125550123"), numbers={"region": "US"})
    assert us.number.e164 == "+12125550123"


def test_what_the_channel_says_wins_over_the_settings() -> None:
    said = replace(ARRIVAL, project="bank", purpose="collection", agent="sari", subject="debt 7")
    facts = read(said, defaults={"project": "house", "purpose": "survey"})
    assert (facts.project, facts.purpose, facts.agent, facts.subject) == (
        "bank",
        "collection",
        "sari",
        "debt 7",
    )


def test_a_channel_that_says_nothing_is_taken_for_what_the_settings_say() -> None:
    facts = read(defaults={"project": "house", "purpose": "survey"})
    assert (facts.project, facts.purpose, facts.agent) == ("house", "survey", "agent1")


def test_a_call_of_a_project_has_the_projects_purpose_unless_it_says_its_own() -> None:
    projects, defaults = {"bank": {"purpose": "collection"}}, {"project": "bank"}
    for arrival, purpose in (
        (ARRIVAL, "collection"),
        (replace(ARRIVAL, project="shop"), "marketing"),
        (replace(ARRIVAL, purpose="Service"), "service"),
    ):
        assert read(arrival, projects=projects, defaults=defaults).purpose == purpose


def test_without_settings_a_call_has_no_project_and_the_strictest_purpose() -> None:
    facts = read()
    assert (facts.project, facts.purpose) == (None, "marketing")


def test_emergency_and_internal_numbers_are_told_from_subscribers() -> None:
    numbers = {"emergency": ["1999"], "internal": ["2XX"], "outside_line": "9"}
    for dialled, kind, digits in (
        ("112", NumberKind.EMERGENCY, "112"),
        ("9112", NumberKind.EMERGENCY, "112"),
        ("1999", NumberKind.EMERGENCY, "1999"),
        ("201", NumberKind.INTERNAL, "201"),
    ):
        number = read(replace(ARRIVAL, dialled=dialled), numbers=numbers).number
        assert (number.kind, number.digits) == (kind, digits)


@given(text=st.text(max_size=200))
def test_any_arrival_can_be_read_and_told_to_the_dialplan(text: str) -> None:
    said = Arrival("1", Mode.SCREEN, text, text, text, text, text, text, text, text)
    facts = READER(said, AT)
    told = POLICY.variables(decided(facts, Verdict.REFUSE, Reason.OPT_OUT))
    assert told["CALLGUARD_VERDICT"] == "refuse"
    assert all(value.isprintable() and value.isascii() for value in told.values())
    for trunk in POLICY.trunks:
        if facts.number.kind is not NumberKind.UNREADABLE:
            assert POLICY.endpoint(trunk, facts).isprintable()


READER = facts_reader(settings())
POLICY = policy()


# --- what Asterisk is told ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number_format", "endpoint"),
    [
        ("e164-plus", "PJSIP/+6281234567890@carrier"),
        ("e164", "PJSIP/6281234567890@carrier"),
        ("national", "PJSIP/081234567890@carrier"),
    ],
)
def test_each_trunk_gets_the_number_in_its_format(number_format: str, endpoint: str) -> None:
    trunks = [{"name": "carrier", "endpoint": "PJSIP/{number}@carrier", "number_format": number_format}]
    made = policy(trunks=trunks)
    assert made.endpoint(made.trunks[0], read()) == endpoint


def test_trunks_are_tried_in_the_order_of_the_settings_each_with_its_own_way() -> None:
    made = policy(
        trunks=[
            {
                "name": "one",
                "endpoint": "PJSIP/{number}@one",
                "ring_seconds": 20,
                "caller_id": "+62215550100",
            },
            {"name": "two", "endpoint": "SIP/two/{number}", "number_format": "e164"},
        ]
    )
    assert [trunk.name for trunk in made.trunks] == ["one", "two"]
    assert (made.trunks[0].ring_seconds, made.trunks[0].caller_id) == (20, "+62215550100")
    assert [made.endpoint(trunk, read()) for trunk in made.trunks] == [
        "PJSIP/+6281234567890@one",
        "SIP/two/6281234567890",
    ]


@pytest.mark.parametrize("number_format", ["e164-plus", "e164", "national"])
def test_an_emergency_number_is_dialled_as_it_is_whatever_the_format(number_format: str) -> None:
    made = policy(trunks=[{"name": "carrier", "number_format": number_format}])
    facts = read(replace(ARRIVAL, dialled="9112"), numbers={"outside_line": "9"})
    assert made.endpoint(made.trunks[0], facts) == "PJSIP/112@trunk"
    allowed = made.variables(decided(facts, Verdict.ALLOW, Reason.EMERGENCY))
    assert allowed["CALLGUARD_NUMBER"] == "112"


def test_the_dialplan_is_told_of_an_allow_by_the_variables_of_the_contract() -> None:
    made = policy(trunks=[{"name": "carrier", "number_format": "national"}])
    assert made.variables(decided(read(), Verdict.ALLOW, Reason.NOT_LISTED)) == {
        "CALLGUARD_VERDICT": "allow",
        "CALLGUARD_REASON": "not-listed",
        "CALLGUARD_NUMBER": "081234567890",
        "CALLGUARD_DECISION": "01m8001892",
    }


def test_a_refusal_is_named_in_the_cdr_too() -> None:
    told = policy().variables(decided(read(), Verdict.REFUSE, Reason.OPT_OUT))
    assert (told["CALLGUARD_VERDICT"], told["CALLGUARD_REASON"]) == ("refuse", "opt-out")
    assert told["CDR(userfield)"] == "callguard:refuse:opt-out:0001234"


@pytest.mark.parametrize(
    ("reason", "hangup", "cause"),
    [
        (Reason.OPT_OUT, HangupReason.REJECTED, "21"),
        (Reason.ATTEMPTS, HangupReason.NO_ANSWER, "19"),
        (Reason.HOLIDAY, HangupReason.NORMAL, "16"),
    ],
)
def test_a_reason_has_the_code_of_the_settings_in_callguard_and_in_the_dialplan(
    reason: Reason, hangup: HangupReason, cause: str
) -> None:
    made = policy(refusals={"by_reason": {"attempts": 480, "holiday": 603}})
    assert made.refusal(reason) is hangup
    assert made.variables(decided(read(), Verdict.REFUSE, reason))["CALLGUARD_CAUSE"] == cause


def test_every_refusal_has_the_default_code_where_the_settings_say_no_other() -> None:
    assert {policy().refusal(reason) for reason in Reason} == {HangupReason.REJECTED}
    declined = policy(refusals={"default": 603, "by_reason": {"opt-out": 403}})
    assert declined.refusal(Reason.REGISTRY) is HangupReason.NORMAL
    assert declined.refusal(Reason.OPT_OUT) is HangupReason.REJECTED


def test_an_unreadable_number_is_never_passed_on() -> None:
    facts = read(replace(ARRIVAL, dialled="0812;rm -rf"))
    assert facts.number.kind is NumberKind.UNREADABLE
    told = policy().variables(decided(facts, Verdict.REFUSE, Reason.UNREADABLE_NUMBER))
    assert told["CALLGUARD_NUMBER"] == ""


def test_prompts_are_played_as_the_settings_say() -> None:
    made = policy(prompts={"answer_before_prompt": True, "seconds": 7})
    assert (made.answer_before_prompt, made.prompt_seconds) == (True, 7)
    refused = decided(read(replace(ARRIVAL, language="en")), Verdict.REFUSE, Reason.OPT_OUT)
    assert made.media(refused)[0] == "sound:http://127.0.0.1:8089/sounds/en/listed.wav"
    assert made.media(refused)[-1] == "sound:http://127.0.0.1:8089/sounds/en/digit-4.wav"
    assert policy().answer_before_prompt is False


# --- what metrics tell of a registry list -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "generation", "day", "fresh"),
    [
        (31, 1, date(2026, 10, 21), True),
        (31, 1, date(2026, 10, 20), False),
        (31, 1, None, False),
        (None, 1, None, True),
        (None, 0, None, False),
    ],
)
def test_a_list_that_is_too_old_undated_or_never_imported_is_not_fresh(
    allowed: int | None, generation: int, day: date | None, fresh: bool
) -> None:
    registry = RegistryList(
        1, "us", "US", "dnc", "1", (), allowed, generation=generation, data_date=day, numbers=7
    )
    told = list_figures(registry, AT)
    assert (told.numbers, told.allowed_age_days, told.fresh) == (7, allowed, fresh)
    assert told.age_days == (None if day is None else (AT.date() - day).days)


# --- the time that calls are screened at --------------------------------------------------------------------


def test_calls_are_screened_at_the_real_time_unless_a_trial_says_another() -> None:
    before = datetime.now(UTC)
    assert before <= screening_clock("", AT)() <= datetime.now(UTC)


def test_in_a_trial_the_time_goes_on_from_the_guards_start() -> None:
    started_at = datetime.now(UTC)
    clock = screening_clock("2026-11-23T19:59:00+07:00", started_at)
    began = datetime(2026, 11, 23, 12, 59, tzinfo=UTC)
    now = clock()
    assert now.tzinfo is UTC
    assert began <= now <= began + (datetime.now(UTC) - started_at)
    assert now <= clock()


@pytest.mark.parametrize("clock", ["19:59", "2026-11-23T19:59:00", "9999-01-01T00:00:00Z", "soon"])
def test_a_trials_time_that_is_no_instant_is_refused_at_start(clock: str) -> None:
    with pytest.raises(ValidationError, match=r"zone|time|year"):
        settings(rules={"clock": clock})


def test_a_trials_time_is_told_as_unwise() -> None:
    assert "rules.clock" in advice(settings(rules={"clock": "2026-11-23T19:59:00+07:00"}))[0]
    assert advice(settings()) == []
