"""A number that the rule takes for clean has exactly the form that NumberReader gives it, in every region."""

from functools import lru_cache

import numpy as np
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.errors import ConfigurationError
from callguard.lists.formats.clean import LONGEST, SHORTEST, CleanRule, Form
from callguard.numbers import NumberReader

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
LIKELY = [
    "US",
    "CA",
    "GB",
    "ID",
    "AU",
    "SG",
    "IN",
    "DE",
    "IT",
    "FR",
    "MX",
    "AR",
    "BR",
    "JP",
    "RU",
    "GA",
    "FI",
]


@lru_cache(maxsize=32)
def parts(region: str, area_code: str) -> tuple[CleanRule, NumberReader]:
    rule = CleanRule(region, area_code=bool(area_code))
    return rule, NumberReader(region=region, area_code=area_code)


def clean(rule: CleanRule, digits: str, *, plus: bool) -> str | None:
    found = int(rule.read(np.array([int(digits)], np.uint64), len(digits), plus=plus)[0])
    return f"+{found}" if found else None


@st.composite
def written(draw: st.DrawFn, regions: list[str]) -> tuple[str, str, bool]:
    """A region, and digits as people there write numbers: also with a trunk prefix or the country code."""
    region = draw(st.sampled_from(regions))
    code = str(phonenumbers.country_code_for_region(region))
    before = draw(st.sampled_from(["", "0", "1", code, code + "0", "0" + code, "00" + code]))
    kinds = [phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE]
    example = phonenumbers.example_number_for_type(region, draw(st.sampled_from(kinds)))
    national = phonenumbers.national_significant_number(example) if example else ""
    kept = national[: draw(st.integers(0, len(national)))]
    length = draw(st.integers(SHORTEST, LONGEST))
    rest = draw(st.text("0123456789", min_size=length, max_size=length))
    whole = before + kept + rest
    size = draw(st.sampled_from([length, len(before + national) or length]))
    return region, whole[: max(1, min(size, LONGEST))], draw(st.booleans())


def agree(region: str, digits: str, plus: bool, area_code: str = "") -> None:
    rule, reader = parts(region, area_code)
    found = clean(rule, digits, plus=plus)
    if found is not None:
        assert reader.read(("+" if plus else "") + digits).e164 == found


@settings(max_examples=1500, deadline=None)
@given(written(LIKELY))
def test_what_is_clean_is_read_as_the_number_reader_reads_it(number: tuple[str, str, bool]) -> None:
    agree(*number)


@settings(max_examples=150, deadline=None)
@given(written(REGIONS))
def test_what_is_clean_is_read_as_the_number_reader_reads_it_in_every_region(
    number: tuple[str, str, bool],
) -> None:
    agree(*number)


@settings(max_examples=500, deadline=None)
@given(written(["ID"]))
def test_with_an_area_code_only_marked_numbers_are_clean(number: tuple[str, str, bool]) -> None:
    region, digits, plus = number
    agree(region, digits, plus, area_code="21")
    if not plus and not digits.startswith("0"):
        assert clean(parts("ID", "21")[0], digits, plus=False) is None


@pytest.mark.parametrize(
    ("region", "digits", "plus", "e164"),
    [
        ("US", "2015551234", False, "+12015551234"),
        ("US", "12015551234", False, "+12015551234"),
        ("US", "12015551234", True, "+12015551234"),
        ("CA", "4161234567", False, "+14161234567"),
        ("GB", "07700900123", False, "+447700900123"),
        ("GB", "02079460000", False, "+442079460000"),
        ("ID", "081234567890", False, "+6281234567890"),
        ("ID", "6281234567890", False, "+6281234567890"),
        ("ID", "6281234567890", True, "+6281234567890"),
        ("SG", "81234567", False, "+6581234567"),
    ],
)
def test_registries_own_ways_to_write_are_clean(region: str, digits: str, plus: bool, e164: str) -> None:
    assert clean(CleanRule(region), digits, plus=plus) == e164


@pytest.mark.parametrize(
    ("region", "digits", "plus"),
    [
        ("US", "0123456789", False),
        ("US", "1123456789", False),
        ("US", "447700900123", True),
        ("GB", "00442079460000", False),
        ("ID", "00181234567", False),
        ("IT", "236618300", True),
        ("BY", "888072044", False),  # the trunk prefix is 8
        ("FI", "9901285128", False),  # 990 is an international prefix
        ("IL", "014120868", False),
        ("US", "201555", False),
        ("US", "2015551234567890", False),
    ],
)
def test_what_the_first_digits_do_not_tell_is_left_to_the_reader(
    region: str, digits: str, plus: bool
) -> None:
    assert clean(CleanRule(region), digits, plus=plus) is None


def test_numbers_keep_their_order_and_their_gaps() -> None:
    digits = np.array([2015551234, 1, 9_999_999_999, 12, 2015551234], np.uint64)
    found = CleanRule("US").read(digits, 10, plus=False)
    assert found.tolist() == [12015551234, 0, 19_999_999_999, 0, 12015551234]


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        CleanRule("XX")


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(LIKELY), st.lists(st.tuples(st.integers(SHORTEST, LONGEST), st.booleans()), min_size=1)
)
def test_numbers_of_several_forms_at_once_are_read_as_those_of_one_form(
    region: str, written_as: list[tuple[int, bool]]
) -> None:
    rule, _ = parts(region, "")
    code = str(phonenumbers.country_code_for_region(region))
    forms = [Form(*form) for form in written_as]
    texts = [(code + "2125550123456789")[: form.digits] for form in forms]
    texts += ["0812345678901234"[: form.digits] for form in forms]
    which = np.array([*range(len(forms))] * 2)
    found = rule.read_several(np.array([int(text) for text in texts], np.uint64), forms, which).tolist()
    for number, text, index in zip(found, texts, which.tolist(), strict=True):
        alone = clean(rule, text, plus=forms[index].plus)
        assert number == 0 or alone == f"+{number}"
        if alone and (forms[index].plus or not text.startswith(code)):
            assert alone == f"+{number}"
