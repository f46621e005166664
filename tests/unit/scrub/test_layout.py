"""A file's layout is taken from it only where it leaves no doubt."""

import re

import pytest

from callguard.errors import InputError
from callguard.scrub.layout import Layout, find_layout, read_delimiter


def layout(text: str, *, at_end: bool = True, **said: object) -> Layout:
    """Numbers here are ten digits."""
    return find_layout(
        text.encode(),
        at_end=at_end,
        is_number=lambda cell, code: re.fullmatch("[0-9]{10}", code + cell) is not None,
        **said,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "heading",
    ["phone", "Phone Number", "phone_number", "mobileNo", "No. HP", "nomor_telepon", "Telp", "WA", "MSISDN"],
)
def test_a_heading_in_english_or_indonesian_is_understood(heading: str) -> None:
    assert layout(f"id,{heading},account\n1,0812345678,9912345678\n") == Layout(",", True, (1,), (heading,))


def test_without_headings_the_content_tells() -> None:
    assert layout("One,0812345678\nDesk,0812345679\n") == Layout(",", False, (1,), ("2",))


def test_a_heading_counts_only_where_the_content_agrees() -> None:
    table = "phone_type,mobile_number\n" + "62,0812345678\n" * 3
    assert layout(table).columns == (1,)


def test_the_headings_of_vicidial_name_the_column_of_calling_codes() -> None:
    found = layout("list_id,Phone Code,phone_number,alt_phone\n0812345678,62,12345678,\n")
    assert found == Layout(",", True, (2,), ("phone_number",), 1, "Phone Code")
    assert layout("phone_code,phone\n62,0812345678\n").code is None
    assert layout("phone_code,phone_number\n", header=False, columns=["2"]).code is None


def test_a_number_is_found_by_the_calling_code_of_its_own_row() -> None:
    table = "id,code,a,b\n" + "7,62,12345678,\n8,1,123456789,\n"
    assert layout(table, code_column="CODE").columns == (2,)
    assert layout(table, code_column="2", columns=["4"]) == Layout(",", True, (3,), ("b",), 1, "code")
    without = table.partition("\n")[2]
    assert layout(without, code_column="2", columns=["3"]) == Layout(",", False, (2,), ("3",), 1, "2")
    with pytest.raises(InputError, match="no column holds numbers"):
        layout(table)


def test_a_wrong_column_of_calling_codes_is_named() -> None:
    table = "code,phone\n62,0812345678\n"
    for wrong in ("fax", "0", "phone", "2"):
        with pytest.raises(InputError) as raised:
            layout(table, columns=["phone"], code_column=wrong)
        assert raised.value.where == "--code-column"


def test_one_number_a_line_is_a_file_of_one_column() -> None:
    assert layout("0812345678\n0812345679\n") == Layout(",", False, (0,), ("1",))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    table = f'name{delimiter}phone\n"a,b;c|d"{delimiter}0812345678\n'
    assert layout(table) == Layout(delimiter, True, (1,), ("phone",))


def test_columns_of_which_any_may_be_meant_are_named() -> None:
    with pytest.raises(InputError, match=r"several columns hold numbers: 1 \('phone1'\), 2 \('phone2'\)"):
        layout("phone1,phone2\n0812345678,0812345679\n")
    with pytest.raises(InputError, match="several columns hold numbers: 1, 2"):
        layout("0812345678,0812345679\n")
    with pytest.raises(InputError, match="no column holds numbers"):
        layout("name\nOne\n")


def test_a_second_number_that_few_leads_have_is_not_passed_over() -> None:
    table = "name,phone,alt_phone,phone_type\nOne,0812345678,0812345679,home\n"
    table += "Desk,0812345670,none,work\n" * 20
    with pytest.raises(InputError, match=r"several columns hold numbers: 2 \('phone'\), 3 \('alt_phone'\)"):
        layout(table)
    with pytest.raises(InputError, match=r"several columns hold numbers: 2 \('id'\), 3 \('alt_phone'\)"):
        layout(table.replace("phone", "id", 1))


def test_a_column_of_telephones_that_is_empty_so_far_is_checked_for_what_may_come() -> None:
    table = "phone_code,phone_number,alt_phone,fax_name\n" + "62,12345678,,\n" * 600
    found = Layout(",", True, (1, 2), ("phone_number", "alt_phone"), 0, "phone_code")
    assert layout(table) == found
    short = "".join(table.splitlines(keepends=True)[:20])
    assert layout(short, at_end=False) == found
    assert layout(short).columns == (1,)
    assert layout(table, columns=["phone_number"]).columns == (1,)
    assert layout("phone,mobile\n" + "0812345678,\n" * 600, header=False).columns == (0,)


def test_columns_are_named_by_heading_or_place() -> None:
    table = "id,Home Phone,work\n1,0812345678,0812345679\n"
    assert layout(table, columns=["home phone", "3", "2"]).columns == (1, 2)
    assert layout(table, columns=["2"]).header
    assert not layout("1,0812345678\n", columns=["2"]).header
    for wrong in ("fax", "0", "99999999999999999999"):
        with pytest.raises(InputError) as raised:
            layout(table, columns=[wrong])
        assert raised.value.where == "--column"
    with pytest.raises(InputError, match="several columns"):
        layout("phone,phone\n1,2\n", columns=["phone"])


def test_a_place_beyond_the_widest_of_the_first_rows_is_refused() -> None:
    table = "0812345678\n0812345678,x,0812345679\n"
    assert layout(table, columns=["3"]).columns == (2,)
    for said in ({"columns": ["4"]}, {"columns": ["1"], "code_column": "99"}):
        with pytest.raises(InputError, match=r"there is no column .*allowed: 1 to 3, or a heading"):
            layout(table, **said)


def test_what_is_said_of_the_header_is_believed() -> None:
    assert not layout("phone\n0812345678\n", header=False).header
    assert layout("0812345678\n0812345679\n", header=True).header


def test_empty_lines_before_the_header_are_passed_over() -> None:
    assert layout("\n\nname,phone\nOne,0812345678\n").names == ("phone",)


def test_an_empty_file_has_some_layout() -> None:
    assert layout("").header is False


@pytest.mark.parametrize(("text", "delimiter"), [("tab", "\t"), ("\\t", "\t"), (";", ";"), ("PIPE", "|")])
def test_a_delimiter_may_be_given_as_a_word(text: str, delimiter: str) -> None:
    assert read_delimiter(text) == delimiter


@pytest.mark.parametrize("text", ["", ",,", "a", "1", '"', "\n", "\0", "é", "+", " "])
def test_what_would_split_numbers_or_text_is_no_delimiter(text: str) -> None:
    with pytest.raises(InputError):
        read_delimiter(text)
