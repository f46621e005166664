"""What is not a list is refused when it is created, not when a call comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.errors import InputError
from callguard.lists.registryrules import (
    check_name,
    coverage,
    new_registry,
    region_of,
    registry_change,
)
from callguard.numbering import own_prefixes


@pytest.mark.parametrize("name", ["us", "us-national", "2026", "a" * 40])
def test_a_word_is_a_name(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", "US", "us_national", "-us", "us-", "us--x", "us\n", "a" * 41, "../us", "üs", "\u0661"]
)
def test_anything_else_is_not_a_name(name: str) -> None:
    with pytest.raises(InputError, match="not a name"):
        check_name(name)


def test_the_internal_lists_name_is_theirs() -> None:
    with pytest.raises(InputError, match="internal lists"):
        check_name("internal")


@pytest.mark.parametrize(("text", "region"), [("US", "US"), ("US-FL", "US"), ("GB", "GB"), ("ID-JK", "ID")])
def test_a_jurisdiction_has_the_numbers_of_its_country(text: str, region: str) -> None:
    assert region_of(text) == region


@pytest.mark.parametrize("text", ["", "us", "XX", "US-", "US-FLORIDA", "USA", "US\n", "001"])
def test_a_jurisdiction_without_a_numbering_plan_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a jurisdiction"):
        region_of(text)


@pytest.mark.parametrize(
    ("text", "region", "prefixes"),
    [
        ("", "US", ()),
        ("212", "US", ("1212",)),
        ("1646, 1212 ,212", "US", ("1212", "1646")),
        ("+1212", "US", ("1212",)),
        ("21,022", "ID", ("6221", "6222")),
        ("+6221", "ID", ("6221",)),
        ("0621", "ID", ("62621",)),
        ("1", "US", ("1",)),
    ],
)
def test_coverage_is_kept_with_the_calling_code(text: str, region: str, prefixes: tuple[str, ...]) -> None:
    assert coverage(text, region) == prefixes


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("6221", "ID"),
        ("+1212", "ID"),
        ("2x2", "US"),
        ("212,,646", "US"),
        ("9" * 16, "US"),
        ("\uff12\uff11", "ID"),
    ],
)
def test_a_prefix_that_may_mean_two_things_or_nothing_is_refused(text: str, region: str) -> None:
    with pytest.raises(InputError, match="covers"):
        coverage(text, region)


def test_thousands_of_prefixes_are_refused() -> None:
    with pytest.raises(InputError, match="covers"):
        coverage(",".join(["212"] * 2001), "US")


@given(st.text(max_size=20))
def test_no_text_makes_coverage_fail_otherwise(text: str) -> None:
    try:
        prefixes = coverage(text, "ID")
    except InputError:
        return
    assert all(prefix.startswith("62") and prefix.isdecimal() for prefix in prefixes)


def test_a_list_has_the_calling_code_of_its_country() -> None:
    new = new_registry(
        name="ny", jurisdiction="US-NY", kind="state", covers="212", allowed_age_days=31, layout="{}"
    )
    assert (new.calling_code, new.coverage) == ("1", ("1212",))


@pytest.mark.parametrize(
    ("region", "own", "others"),
    [
        ("US", "+12125550101", "+14165550101"),
        ("US", "+18085550101", "+17875550101"),
        ("CA", "+14165550101", "+12125550101"),
        ("PR", "+17875550101", "+12125550101"),
        ("RU", "+79161234567", "+77011234567"),
        ("KZ", "+77011234567", "+79161234567"),
        ("NO", "+4740612345", "+4779123456"),
    ],
)
def test_a_list_covers_only_its_own_region_of_a_shared_calling_code(
    region: str, own: str, others: str
) -> None:
    new = new_registry(
        name="x", jurisdiction=region, kind="state", covers="", allowed_age_days=None, layout="{}"
    )
    assert own.startswith(new.coverage, 1)
    assert not others.startswith(new.coverage, 1)
    assert all(prefix.startswith(new.calling_code) for prefix in new.coverage)


@pytest.mark.parametrize("region", ["ID", "GB", "GG"])
def test_where_prefixes_tell_no_regions_apart_a_list_covers_its_calling_code(region: str) -> None:
    assert own_prefixes(region) == ()


@pytest.mark.parametrize(("kind", "age"), [("no words", 31), ("state", -1), ("state", 100_000), ("<b>", 31)])
def test_a_wrong_kind_or_age_is_refused(kind: str, age: int) -> None:
    with pytest.raises(InputError, match=r"kind|allowed-age-days"):
        new_registry(name="ny", jurisdiction="US", kind=kind, covers="", allowed_age_days=age, layout="{}")


def test_only_what_is_named_is_changed() -> None:
    nothing = {"kind": None, "covers": None, "allowed_age_days": None}
    for said, change in (
        ({}, {}),
        ({"kind": "wireless"}, {"kind": "wireless"}),
        ({"covers": "646,212"}, {"coverage": ("1212", "1646")}),
        ({"allowed_age_days": "none"}, {"allowed_age_days": None}),
        ({"allowed_age_days": "0"}, {"allowed_age_days": 0}),
    ):
        assert registry_change(jurisdiction="US-NY", **(nothing | said)) == change


@pytest.mark.parametrize("jurisdiction", ["US", "US-NY", "ID"])
def test_all_is_what_a_new_list_covers_by_default(jurisdiction: str) -> None:
    new = new_registry(
        name="x", jurisdiction=jurisdiction, kind="x", covers="", allowed_age_days=None, layout="{}"
    )
    change = registry_change(jurisdiction=jurisdiction, kind=None, covers="all", allowed_age_days=None)
    assert change == {"coverage": new.coverage}


@pytest.mark.parametrize(
    ("what", "value"),
    [
        *(("kind", wrong) for wrong in ("", "Two Words", "a\nb")),
        *(("covers", wrong) for wrong in ("", " ", "x", "none")),
        *(("allowed_age_days", wrong) for wrong in ("", "-1", "3661", "1e3", "\u0661", "9" * 5000)),
    ],
)
def test_a_change_to_what_no_list_may_be_is_refused(what: str, value: str) -> None:
    nothing = {"kind": None, "covers": None, "allowed_age_days": None}
    with pytest.raises(InputError) as raised:
        registry_change(jurisdiction="US", **(nothing | {what: value}))
    assert raised.value.where == what.replace("_", "-")
