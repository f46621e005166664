"""The fast reading of clean numbers: it never differs from NumberReader's."""

from functools import cache

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.errors import InputError
from callguard.lists.cleannumbers import CleanNumbers
from callguard.numbers import NumberReader

REGIONS = ["ID", "US", "CA", "GB", "SG", "AU", "IT", "BR", "AR", "MX", "DE", "FR", "RU", "GA", "CI", "HU"]
SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {"area_code": "21"},
    {"international": ["001", "007"]},
    {"international": ["0", "8", "20"]},
    {"internal": ["XXXX", "XXXXXXXX"], "emergency": ["112"]},
    {"emergency": ["02112345678"]},
    {"emergency": ["110"], "area_code": "218350"},
)
PREFIXES = ["", "0", "1", "00", "+", "+0", "8", "9", "001", "011", "+1", "+39", "+62", "+44", "+65"]


@cache
def readers(region: str, which: int) -> tuple[NumberReader, CleanNumbers]:
    arguments = SETTINGS[which]
    return NumberReader(region=region, **arguments), CleanNumbers(region=region, **arguments)  # type: ignore[arg-type]


@st.composite
def written(draw: st.DrawFn, region: str) -> str:
    """Digits that look like a number of the region, often enough: an example's beginning and length."""
    kind = draw(
        st.sampled_from([phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE])
    )
    example = phonenumbers.example_number_for_type(region, kind)
    national = phonenumbers.national_significant_number(example) if example else "21234567"
    kept = national[: draw(st.integers(0, len(national)))]
    size = draw(st.sampled_from([len(national), len(national), *range(5, 15)]))
    rest = max(0, size - len(kept))
    digits = kept + draw(st.text("0123456789", min_size=rest, max_size=rest))
    code = str(phonenumbers.country_code_for_region(region))
    prefix = draw(st.sampled_from([*PREFIXES, code, f"+{code}", f"+{code}0", f"00{code}"]))
    at = draw(st.integers(0, len(digits)))
    return prefix + digits[:at] + draw(st.sampled_from(["", "", "-", " ", ".", ") "])) + digits[at:]


def read(reader: NumberReader, text: str) -> str:
    try:
        return reader.read_e164(text)
    except InputError as error:
        return str(error)


@given(st.data())
def test_whatever_is_taken_for_clean_is_read_as_the_reader_reads_it(data: st.DataObject) -> None:
    region = data.draw(st.sampled_from(REGIONS))
    reader, clean = readers(region, data.draw(st.integers(0, len(SETTINGS) - 1)))
    for text in data.draw(st.lists(written(region), min_size=1, max_size=20)):
        found = clean.e164(text)
        assert found is None or found == read(reader, text)


@given(st.text("+0123456789 -().*#;:=x,\u0660\u200b\n", max_size=30))
def test_hostile_text_is_read_as_the_reader_reads_it(text: str) -> None:
    for region in ("ID", "US"):
        reader, clean = readers(region, 0)
        found = clean.e164(text)
        assert found is None or found == read(reader, text)


@pytest.mark.parametrize(
    ("region", "text", "e164"),
    [
        ("ID", "081234567890", "+6281234567890"),
        ("ID", "+6281234567890", "+6281234567890"),
        ("ID", "6281234567890", "+6281234567890"),
        ("ID", "0812-3456-7890", "+6281234567890"),
        ("US", "2015550123", "+12015550123"),
        ("US", "12015550123", "+12015550123"),
        ("US", "(201) 555-0123", "+12015550123"),
        ("US", "+6281234567890", "+6281234567890"),
    ],
)
def test_the_usual_forms_are_clean_or_an_import_would_take_minutes(region: str, text: str, e164: str) -> None:
    assert readers(region, 0)[1].e164(text) == e164


@pytest.mark.parametrize(
    "text",
    ["", "+", "112", "+390612345678", "+5215512345678", "0081234567890", "+62\u0660812345", "8" * 200],
)
def test_whatever_leaves_a_doubt_is_left_to_the_reader(text: str) -> None:
    assert readers("ID", 0)[1].e164(text) is None


@pytest.mark.parametrize(
    ("region", "which", "text"),
    [
        ("DE", 0, "83012244"),  # may be local to any area
        ("DE", 1, "49301234567"),  # may be local to the PBX's area
        ("US", 3, "2015550123"),  # begins with the PBX's own international prefix
        ("ID", 3, "081234567890"),
        ("ID", 4, "02112345"),  # as long as an extension
        ("ID", 5, "081234567890"),  # emergency numbers so long that they could be it
    ],
)
def test_what_the_settings_bring_in_doubt_is_left_to_the_reader(region: str, which: int, text: str) -> None:
    assert readers(region, which)[1].e164(text) is None
