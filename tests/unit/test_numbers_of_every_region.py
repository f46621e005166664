"""One subscriber has one form: every region of the world, every way to dial its numbers."""

from functools import lru_cache

import phonenumbers
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

from callguard.numbering import find
from callguard.numbers import NumberReader, format_for_trunk

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)

TYPES = (
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.VOIP,
    PhoneNumberType.UAN,
)


@lru_cache(maxsize=1024)
def reader(region: str, outside_line: str = "") -> NumberReader:
    return NumberReader(region=region, outside_line=outside_line)


def examples(region: str) -> list[phonenumbers.PhoneNumber]:
    numbers = (phonenumbers.example_number_for_type(region, kind) for kind in TYPES)
    return [number for number in numbers if number is not None]


def international_prefix(region: str) -> str | None:
    """The digits before a country code, where the plan has one answer."""
    plan = PhoneMetadata.metadata_for_region(region, None)
    assert plan is not None
    prefix = (plan.preferred_international_prefix or plan.international_prefix or "").replace("~", "")
    return prefix if prefix.isdecimal() else None


def forms(number: phonenumbers.PhoneNumber, region: str) -> list[str]:
    """The ways to dial a number from its own region that its plan makes unmistakable."""
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    written = [
        e164,
        phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
        phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
        format_for_trunk(e164, "national", region),
    ]
    if prefix := international_prefix(region):
        written.append(prefix + e164[1:])
    return written


def loose_forms(number: phonenumbers.PhoneNumber, region: str) -> list[str]:
    """The ways that the plan may leave open: without a plus, without or with a trunk prefix."""
    plan = PhoneMetadata.metadata_for_region(region, None)
    assert plan is not None
    national = phonenumbers.national_significant_number(number)
    return [f"{number.country_code}{national}", national, f"{plan.national_prefix or ''}{national}"]


@pytest.mark.parametrize("region", REGIONS)
def test_every_way_to_dial_an_example_number_at_home_gives_one_form(region: str) -> None:
    for number in examples(region):
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        assert reader(region).read(phonenumbers.format_number(number, PhoneNumberFormat.RFC3966)).e164 == e164
        assert reader(region).read(f"sip:{e164}@carrier.example;user=phone").e164 == e164
        for outside_line in ("", "9", "0"):
            for form in forms(number, region):
                assert reader(region, outside_line).read(outside_line + form).e164 == e164, form
            for form in loose_forms(number, region):
                assert reader(region, outside_line).read(outside_line + form).e164 in (e164, None), form


@pytest.mark.parametrize("region", REGIONS)
def test_an_example_number_dialled_from_abroad_is_the_same_subscriber(region: str) -> None:
    for number in examples(region):
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        for home, prefix in (("US", "011"), ("GB", "00"), ("JP", "010"), ("RU", "810")):
            assert reader(home).read(prefix + e164[1:]).e164 == e164
        for prefix in ("00", "001", "007", "008", "009", "01017"):
            alone = NumberReader(international=(prefix,))
            assert alone.read(prefix + e164[1:]).e164 == e164
            assert reader("ID").read(prefix + e164[1:]).e164 in (e164, None)


@st.composite
def subscribers(draw: st.DrawFn) -> tuple[str, phonenumbers.PhoneNumber]:
    """A number in a known range of a region: an example number with some of its digits changed."""
    region = draw(st.sampled_from(REGIONS))
    candidates = examples(region)
    assume(candidates)
    national = phonenumbers.national_significant_number(draw(st.sampled_from(candidates)))
    kept = draw(st.integers(0, 4))
    tail = draw(st.text("0123456789", min_size=len(national) - kept, max_size=len(national) - kept))
    number = find(f"{phonenumbers.country_code_for_region(region)}{national[:kept]}{tail}")
    assume(number is not None and number.known)
    assert number is not None
    return region, phonenumbers.parse(number.e164)


@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much], deadline=None)
@given(subscribers(), st.sampled_from(["", "9", "0"]))
def test_every_way_to_dial_a_known_subscriber_gives_one_form(
    subscriber: tuple[str, phonenumbers.PhoneNumber], outside_line: str
) -> None:
    region, number = subscriber
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    for form in forms(number, region):
        assert reader(region, outside_line).read(outside_line + form).e164 == e164, form
    for form in loose_forms(number, region):
        assert reader(region, outside_line).read(outside_line + form).e164 in (e164, None), form


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(REGIONS), st.text("0123456789", min_size=1, max_size=20), st.sampled_from(["", "+"]))
def test_reading_what_was_read_changes_nothing(region: str, digits: str, plus: str) -> None:
    once = reader(region).read(plus + digits).e164
    if once is not None:
        assert reader(region).read(once).e164 == once
        assert reader("ID").read_e164(once) == once
        assert len(once) <= 16
