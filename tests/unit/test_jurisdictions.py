"""The shipped presets: that each figure is the one of its source, and says where it is from.

The figures here are written out by hand, from the sources that the presets name: a change of one is a change
of the law, or a mistake.
"""

import tomllib
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

import phonenumbers
import pytest
from phonenumbers import geocoder

from callguard.config import Settings
from callguard.config.rulebook import SHIPPED, load_rules, rules_of
from callguard.screening.model import ExemptionKind, Purpose
from callguard.screening.rules import (
    AttemptsLine,
    Binding,
    HolidaysLine,
    HoursLine,
    Line,
    Per,
    Rules,
    Shortcoming,
)
from callguard.screening.times import national_holidays
from callguard.screening.week import days_text

SETTINGS = Settings(state=Path("/nowhere"))
RULES = load_rules(SETTINGS)
FILES = sorted(SHIPPED.glob("*.toml"))

OFFERS = {"marketing", "survey", "market-research", "loyalty", "follow-up"}
"""The purposes that are solicitation, in the strict reading."""

NUMBERS = {
    "ID": "+622112345678",
    "US": "+17135551234",
    "US-FL": "+13055551234",
    "US-OK": "+14055551234",
    "US-AL": "+12055551234",
    "US-LA": "+15045551234",
    "GB": "+442012345678",
    "CA": "+14165551234",
    "SG": "+6561234567",
    "AU": "+61212345678",
    "IN": "+911123456789",
    "EU": "+4930123456",
}

MEMBERS = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE"
"""Of the European Union."""

T = TypeVar("T", bound=Line)


def binding(preset: str, purpose: str = "marketing", rules: Rules = RULES) -> Binding:
    found = rules.binding(NUMBERS[preset], None, purpose)
    assert found.presets[-1] == preset
    return found


def only(lines: Iterable[T]) -> T:
    (found,) = lines
    return found


def hours(preset: str, purpose: str = "marketing") -> str:
    return "; ".join(days_text(line.week) for line in binding(preset, purpose).hours)


def registry_days(preset: str) -> list[tuple[int | None, Shortcoming]]:
    return [(line.days, line.does) for line in binding(preset).freshness if line.days is not None]


# --- all of them --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_preset_says_first_that_it_is_no_legal_advice(file: Path) -> None:
    comment = file.read_text("utf-8").split("\n\n")[0]
    assert comment.startswith("# ")
    assert "Not legal advice" in comment.replace("\n# ", " ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_line_has_a_source_and_the_day_it_was_looked_up(file: Path) -> None:
    document = tomllib.loads(file.read_text("utf-8"))
    assert document["id"] == file.stem
    for key, line in document["rule"].items():
        assert len(line["source"]) > 8, key
        assert date(2026, 11, 1) <= line["as_of"] <= date(2030, 1, 1), key


def test_every_shipped_file_is_right_down_to_the_holidays_of_its_countries() -> None:
    documents = [tomllib.loads(file.read_text("utf-8")) for file in FILES]
    documents.sort(key=lambda document: (document["id"] != "base", document["id"]))
    assert len(rules_of(documents, SETTINGS).presets) == len(FILES) == 13


@pytest.mark.parametrize("preset", NUMBERS)
def test_every_country_with_hours_has_zones_for_numbers_that_tell_none(preset: str) -> None:
    assert binding(preset).zones


@pytest.mark.parametrize("purpose", ["emergency", "security"])
@pytest.mark.parametrize("preset", NUMBERS)
def test_a_warning_of_danger_is_bound_by_no_hours_no_attempts_and_no_registry(
    preset: str, purpose: str
) -> None:
    found = binding(preset, purpose)
    assert (found.hours, found.holidays, found.attempts) == ((), (), ())
    assert all(purpose not in line.purposes for line in found.registries.values())
    assert purpose not in found.categories["customer-request"].purposes


@pytest.mark.parametrize("purpose", sorted({*Purpose} - {"emergency", "security"}))
@pytest.mark.parametrize("preset", NUMBERS)
def test_a_persons_own_opt_out_binds_every_other_purpose_everywhere(preset: str, purpose: str) -> None:
    assert purpose in binding(preset, purpose).categories["customer-request"].purposes


@pytest.mark.parametrize("preset", NUMBERS)
def test_no_relationship_beats_an_opt_out_anywhere(preset: str) -> None:
    beating = {kind for kind, line in binding(preset).exemptions.items() if line.over_opt_out}
    assert beating == {ExemptionKind.CONSENT}


@pytest.mark.parametrize("preset", NUMBERS)
def test_a_purpose_of_ones_own_is_bound_as_marketing_is(preset: str) -> None:
    settings = Settings.model_validate({"state": "/nowhere", "rules": {"purposes": ["donation"]}})
    rules = load_rules(settings)
    own, marketing = binding(preset, "donation", rules), binding(preset, "marketing", rules)
    for kind in ("hours", "holidays", "attempts", "freshness", "coverage", "override"):
        assert getattr(own, kind) == getattr(marketing, kind), kind
    for lines in ("categories", "registries"):
        for line in getattr(own, lines).values():
            assert ("donation" in line.purposes) == ("marketing" in line.purposes), line


# --- each of them -------------------------------------------------------------------------------------------


def test_indonesia_collects_from_monday_to_saturday_eight_to_eight_and_not_on_holidays() -> None:
    assert hours("ID", "collection") == "mon-sat 08:00-20:00"
    holidays = only(binding("ID", "collection").holidays)
    assert (holidays.country, holidays.subdivision) == ("ID", None)
    assert only(binding("ID", "collection").hours).source.verified


def test_indonesia_offers_from_monday_to_saturday_eight_to_six_which_is_not_verified() -> None:
    for purpose in ("marketing", "loyalty", "follow-up"):
        assert hours("ID", purpose) == "mon-sat 08:00-18:00"
    assert not only(binding("ID").hours).source.verified
    assert not binding("ID").holidays
    for purpose in ("service", "survey", "payment-reminder", "callback"):
        assert not hours("ID", purpose)


def test_indonesias_numbers_that_tell_no_zone_may_be_in_any_of_three() -> None:
    assert binding("ID").zones == ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura")


def test_american_registry_data_may_be_31_days_old() -> None:
    assert registry_days("US") == [(31, Shortcoming.REFUSE)]


def test_an_american_relationship_lasts_18_months_after_a_purchase_and_3_after_an_inquiry() -> None:
    exemptions = binding("US").exemptions
    months = {kind: line.months for kind, line in exemptions.items() if line.months}
    assert months == {ExemptionKind.PURCHASE: 18, ExemptionKind.INQUIRY: 3}
    assert exemptions[ExemptionKind.PURCHASE].over_registry
    assert exemptions[ExemptionKind.INQUIRY].over_registry


def test_americans_are_called_from_eight_to_nine() -> None:
    for purpose in (*OFFERS, "collection"):
        assert hours("US", purpose) == "mon-sun 08:00-21:00"
    assert not hours("US", "service")


def test_an_american_debtor_is_called_seven_times_in_seven_days_for_a_debt() -> None:
    line = only(binding("US", "collection").attempts)
    assert (line.most, line.period, line.per) == (7, timedelta(days=7), frozenset({Per.SUBJECT}))
    assert not line.answered_only
    assert not binding("US").attempts


@pytest.mark.parametrize("preset", ["US-FL", "US-OK"])
def test_florida_and_oklahoma_allow_three_calls_in_24_hours_on_a_subject(preset: str) -> None:
    for purpose in OFFERS:
        line = only(binding(preset, purpose).attempts)
        assert (line.most, line.period, line.per) == (3, timedelta(hours=24), frozenset({Per.SUBJECT}))
    assert isinstance(only(binding(preset, "collection").attempts), AttemptsLine)
    assert only(binding(preset, "collection").attempts).preset == "US"


def test_florida_is_called_until_eight_oklahoma_as_the_rest() -> None:
    assert hours("US-FL") == "mon-sun 08:00-20:00"
    assert hours("US-OK") == "mon-sun 08:00-21:00"


@pytest.mark.parametrize(("preset", "state"), [("US-AL", "AL"), ("US-LA", "LA")])
def test_alabama_and_louisiana_are_not_called_on_sundays_and_holidays(preset: str, state: str) -> None:
    assert hours(preset) == "mon-sat 08:00-21:00"
    holidays = only(binding(preset).holidays)
    assert (holidays.country, holidays.subdivision) == ("US", state)
    assert date(2026, 12, 25) in national_holidays("US", state, 2026)


@pytest.mark.parametrize("preset", ["US-FL", "US-OK", "US-AL", "US-LA"])
def test_a_state_has_federal_law_where_it_has_none_of_its_own(preset: str) -> None:
    found = binding(preset)
    assert found.presets == ("base", "US", preset)
    assert registry_days(preset) == [(31, Shortcoming.REFUSE)]
    assert found.exemptions[ExemptionKind.PURCHASE].months == 18


@pytest.mark.parametrize(
    ("preset", "state"),
    [("US-FL", "Florida"), ("US-OK", "Oklahoma"), ("US-AL", "Alabama"), ("US-LA", "Louisiana")],
)
def test_a_states_area_codes_are_exactly_those_that_the_numbering_plan_gives_it(
    preset: str, state: str
) -> None:
    short = preset[-2:]
    american = next(one for one in RULES.presets if one.id == "US").prefixes
    told = {
        prefix: geocoder.description_for_number(
            phonenumbers.PhoneNumber(1, int(f"{prefix[1:]}2345678")), "en"
        )
        for prefix in american
    }
    wanted = {prefix for prefix, name in told.items() if name == state or name.endswith(f", {short}")}
    assert set(next(one for one in RULES.presets if one.id == preset).prefixes) == wanted


def test_puerto_rico_is_american_canada_and_jamaica_are_not() -> None:
    assert RULES.binding("+17875551234", None, "marketing").presets == ("base", "US")
    assert RULES.binding(NUMBERS["CA"], None, "marketing").presets == ("base", "CA")
    assert RULES.binding("+18765551234", None, "marketing").presets == ("base",)


def test_the_british_list_may_be_28_days_old_and_only_agreement_overrides_it() -> None:
    assert registry_days("GB") == [(28, Shortcoming.REFUSE)]
    over = {kind for kind, line in binding("GB").exemptions.items() if line.over_registry}
    assert over == {ExemptionKind.CONSENT}


def test_canadians_are_called_later_on_workdays_than_on_weekends() -> None:
    assert hours("CA") == "mon-fri 09:00-21:30; sat-sun 10:00-18:00"
    assert registry_days("CA") == [(31, Shortcoming.REFUSE)]


def test_canadian_surveys_and_collections_are_no_telemarketing() -> None:
    registry = binding("CA").registries[None]
    entries = binding("CA").categories["national-registry"]
    for purpose in ("survey", "market-research", "collection"):
        assert purpose not in registry.purposes
        assert purpose not in entries.purposes
        assert not hours("CA", purpose)
    assert "marketing" in registry.purposes


def test_a_check_in_singapore_lasts_21_days_and_in_australia_30() -> None:
    assert registry_days("SG") == [(21, Shortcoming.REFUSE)]
    assert registry_days("AU") == [(30, Shortcoming.REFUSE)]


def test_indians_are_called_from_nine_to_nine_which_is_not_verified() -> None:
    assert hours("IN") == "mon-sun 09:00-21:00"
    assert not only(binding("IN").hours).source.verified


def test_the_european_preset_is_for_all_27_members_and_for_nobody_else() -> None:
    members = MEMBERS.split()
    assert len(members) == 27
    for region in members:
        example = phonenumbers.example_number(region)
        assert example is not None
        e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        assert RULES.binding(e164, None, "marketing").presets == ("base", "EU"), region
    for outside in ("+41441234567", "+4721234567", NUMBERS["GB"], "+3542345678"):
        assert "EU" not in RULES.binding(outside, None, "marketing").presets


def test_an_objection_in_europe_is_absolute_no_supervisor_overrides_it_for_marketing() -> None:
    for purpose in OFFERS:
        found = binding("EU", purpose)
        assert found.override is None
        assert "GDPR" in found.categories["customer-request"].source.text
    assert binding("EU", "service").override is not None
    assert binding("US").override is not None


# --- what every number has ----------------------------------------------------------------------------------


def test_registries_bind_solicitation_and_not_service_or_collection() -> None:
    base = RULES.binding("+5511912345678", None, "marketing")
    bound = {purpose.value for purpose in Purpose if purpose in base.registries[None].purposes}
    assert bound == OFFERS | {"callback"}
    assert base.categories["national-registry"].purposes == base.registries[None].purposes


def test_without_a_country_of_its_own_nothing_is_said_of_hours_and_attempts() -> None:
    for purpose in Purpose:
        found = RULES.binding("+5511912345678", None, purpose)
        assert (found.hours, found.holidays, found.attempts) == ((), (), ())


def test_lines_of_hours_and_holidays_look_where_the_callee_is() -> None:
    for preset in RULES.presets:
        for line in preset.lines:
            if isinstance(line, HoursLine | HolidaysLine):
                assert (line.zones.value, line.where) == ("all", ())
