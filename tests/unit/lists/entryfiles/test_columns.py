"""Which column of a file says what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.errors import InputError
from callguard.lists.entryfiles.columns import OWN, Columns, Role, is_header, with_header, without_header


def of(*header: str, **chosen: str) -> Columns:
    return with_header(header, {Role(role): [name] for role, name in chosen.items()})


def test_vicidials_header_is_known() -> None:
    assert is_header(["phone_number"], {})
    assert of("phone_number", "campaign_id") == Columns((0,), {Role.PROJECT: 1})


def test_livevoxs_header_is_known() -> None:
    found = of("Phone Number", "Contact Group Id", "Days To Expiry")
    assert found == Columns((0,), {Role.PROJECT: 1, Role.DAYS: 2})


def test_every_column_of_numbers_of_genesys_cloud_is_read_and_what_is_not_read_is_named() -> None:
    found = of("Last Name", "First Name", "DNC_Home", "DNC_Cell", "DNC_Work", "DNC_Email", "DNC_Expiration")
    assert found.numbers == (2, 3, 4)
    assert found.of == {Role.EXPIRES_AT: 6}
    assert found.unused == ("Last Name", "First Name", "DNC_Email")


def test_our_own_header_is_our_own_to_the_letter() -> None:
    assert of(*OWN).own
    assert of(*OWN[:9]).own, "an export of before there were purposes"
    assert not of(*OWN[:8]).own
    assert not of(*(name.upper() for name in OWN)).own
    assert set(of(*OWN).of) == set(OWN) - {Role.NUMBER}


def test_the_users_word_wins_over_the_header() -> None:
    found = of("phone", "Handset", "Valid until", number="handset", expires_at="3")
    assert found == Columns((1,), {Role.EXPIRES_AT: 2}, unused=("phone",))


def test_a_file_without_a_header_is_read_by_its_format() -> None:
    assert without_header(1, None, {}) == Columns((0,), {})
    assert without_header(2, "vicidial", {}) == Columns((0,), {Role.PROJECT: 1})
    assert without_header(1, "livevox", {}).of == {Role.PROJECT: 1, Role.DAYS: 2}
    assert without_header(3, None, {Role.NUMBER: ["3"]}).numbers == (2,)


@pytest.mark.parametrize(
    "header",
    [
        ["project", "reason"],
        ["number", "project", "campaign_id"],
        ["number", "expires_at", "expiration"],
        ["number", "expires_at", "days_to_expiry"],
    ],
)
def test_a_header_that_leaves_a_doubt_is_refused(header: list[str]) -> None:
    with pytest.raises(InputError, match=r"--column|one column"):
        of(*header)


@pytest.mark.parametrize(("width", "layout"), [(2, None), (3, "vicidial"), (4, "livevox")])
def test_columns_that_nobody_named_are_not_guessed(width: int, layout: str | None) -> None:
    with pytest.raises(InputError, match="--column"):
        without_header(width, layout, {})


@pytest.mark.parametrize("name", ["nothing", "0", "4", "-1", "\u0661", ""])
def test_a_column_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match="no column"):
        of("a", "b", "c", number=name)


@given(st.lists(st.text(max_size=100), max_size=10))
def test_any_first_row_is_a_header_or_is_not(cells: list[str]) -> None:
    if is_header(cells, {}):
        try:
            with_header(cells, {})
        except InputError:
            return


@pytest.mark.parametrize("cell", ["+6281234567890", "2015550123", "201XXXXXXX", "+6221*", "", "Bank"])
def test_a_number_is_no_header(cell: str) -> None:
    assert not is_header([cell], {})
