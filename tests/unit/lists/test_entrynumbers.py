"""Numbers and patterns of entries as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.config import NumberSettings
from callguard.errors import InputError
from callguard.lists.entrynumbers import EntryNumbers
from callguard.numbers import NumberReader
from callguard.screening.patterns import matches, shape_of

BY_REGION = {region: EntryNumbers(NumberSettings(region=region)) for region in ("ID", "US", "GB")}


@pytest.mark.parametrize(
    ("region", "written", "pattern"),
    [
        ("ID", "+6221*", "+6221*"),
        ("ID", "+62 21 *", "+6221*"),
        ("ID", "021*", "+6221*"),
        ("ID", "0812*", "+62812*"),
        ("ID", "62812*", "+62812*"),
        ("ID", "021-XXX-XXXX", "+6221XXXXXXX"),
        ("ID", "0812345678XX", "+62812345678XX"),
        ("ID", "+1201XXXXXXX", "+1201XXXXXXX"),
        ("US", "201XXXXXXX", "+1201XXXXXXX"),
        ("US", "1201XXXXXXX", "+1201XXXXXXX"),
        ("US", "(201) XXX-XXXX", "+1201XXXXXXX"),
        ("US", "201*", "+1201*"),
        ("US", "+6221*", "+6221*"),
        ("GB", "020*", "+4420*"),
        ("GB", "07700900XXX", "+447700900XXX"),
    ],
)
def test_a_pattern_has_one_form_however_it_is_written(region: str, written: str, pattern: str) -> None:
    assert BY_REGION[region].read(written) == pattern


@pytest.mark.parametrize(
    "text",
    [
        *("*", "X", "+*", "+X", "+1*", "+0*", "0*", "00*", "9*", "+62", "+6221**", "+6221*1", "+12X1XXXXXXX"),
        *(
            "+62\n21*",
            "+6221*\u200b",
            "201xxxxxxx",
            "201X",
            "+1201XXXXXXXXXXXXX",
            "+120155501234567X",
            "+6221%",
        ),
        *("+62" + "X" * 200, "6" * 200 + "*", "=+6221*", "+\u0666221*", "*" * 200, "112*"),
    ],
)
def test_what_is_no_pattern_is_refused_with_an_example_of_one(text: str) -> None:
    with pytest.raises(InputError) as error:
        BY_REGION["US"].read(text)
    assert "+62" in str(error.value)
    assert "\n" not in str(error.value)


@given(st.sampled_from(["ID", "US", "GB"]), st.text("0123456789", min_size=7, max_size=13), st.integers(1, 7))
def test_a_pattern_in_the_national_form_holds_the_numbers_dialled_so(
    region: str, dialled: str, open_digits: int
) -> None:
    kept = dialled[: len(dialled) - open_digits]
    try:
        pattern = BY_REGION[region].read(kept + "X" * open_digits)
        number = NumberReader(region=region).read_e164(dialled)
    except InputError:
        return
    if number.endswith(dialled[-open_digits:]):
        assert matches(pattern, number)


@given(st.text("+0123456789*X -", max_size=20))
def test_what_is_read_is_a_number_or_a_pattern_and_is_read_again_as_itself(text: str) -> None:
    reader = BY_REGION["US"]
    try:
        found = reader.read(text)
    except InputError:
        return
    assert shape_of(found) is not None or found[1:].isdecimal()
    assert reader.read(found) == found


def test_a_file_of_another_region_is_read_in_that_region_without_the_pbxs_own_area_code() -> None:
    numbers = EntryNumbers(NumberSettings(region="ID", area_code="21"), region="US")
    assert numbers.read("2015550123") == "+12015550123"
    assert (
        EntryNumbers(NumberSettings(region="ID", area_code="21"), region="ID").read("5551234")
        == "+62215551234"
    )


@pytest.mark.parametrize(
    ("written", "number"),
    [
        # With the zero as a digit it would be a number of Indonesia, too: another person's.
        ("6281255550202.0", "+6281255550202"),
        ("+6281255550202.00", "+6281255550202"),
        ("'081255550202", "+6281255550202"),
        ('="081255550202"', "+6281255550202"),
        ("'+6221*", "+6221*"),
    ],
)
def test_what_a_spreadsheet_put_around_a_number_does_not_count(written: str, number: str) -> None:
    assert BY_REGION["ID"].read(written) == number
