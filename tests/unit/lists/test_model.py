"""What a new entry may hold, and which version of the lists covers which."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from callguard.errors import InputError
from callguard.lists.model import LONGEST_TEXT, Mark, NewEntry, NewExemption, read_purposes
from callguard.screening.model import ExemptionKind

GOOD = NewEntry("+6281234567890", "supervisor")


def test_an_entry_needs_a_number_and_who_adds_it_alone() -> None:
    assert GOOD.category == "customer-request"
    assert GOOD.project is None


@pytest.mark.parametrize(
    "number",
    [
        "",
        "6281234567890",
        "+",
        "+6",
        "+0812345678",
        "+62 812",
        "+6281234567890\n",
        "+62812345678901234",
        "+٦٢٨١٢٣",
    ],
)
def test_a_number_that_is_not_e164_is_refused(number: str) -> None:
    with pytest.raises(InputError, match="number"):
        replace(GOOD, number=number)


@pytest.mark.parametrize("category", ["", "Customer", "a b", "-a", "a-", "a--b", "9a", "a\n", "a" * 41, "é"])
def test_a_bad_category_is_refused_with_what_is_allowed(category: str) -> None:
    with pytest.raises(InputError, match="customer-request"):
        replace(GOOD, category=category)


@pytest.mark.parametrize("category", ["vip", "do-not-call-2026", "invalid-contact"])
def test_a_category_may_be_the_users_own_word(category: str) -> None:
    assert replace(GOOD, category=category).category == category


@pytest.mark.parametrize("field", ["reason", "source", "added_by", "project"])
@pytest.mark.parametrize("text", ["a\nb", "a\0b", "\x1b[2J", "\udcff", "a\u202eb", "x" * (LONGEST_TEXT + 1)])
def test_text_that_would_disturb_a_screen_or_a_file_is_refused(field: str, text: str) -> None:
    with pytest.raises(InputError, match=field.removeprefix("added_")):
        replace(GOOD, **{field: text})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["added_by", "project"])
def test_who_and_which_project_are_not_left_blank(field: str) -> None:
    with pytest.raises(InputError, match="empty"):
        replace(GOOD, **{field: " "})  # type: ignore[arg-type]


def test_an_expiry_without_its_zone_is_refused() -> None:
    with pytest.raises(InputError, match="expires"):
        replace(GOOD, expires_at=datetime(2027, 1, 1))  # noqa: DTZ001
    assert replace(GOOD, expires_at=datetime(2027, 1, 1, tzinfo=UTC)).expires_at


@pytest.mark.parametrize(
    ("held", "covers"),
    [
        (Mark("a", 5, 50), True),
        (Mark("a", 6, 60), True),
        (Mark("a", 4, 40), False),
        (Mark("a", 5, 51), False),  # the same position in a database restored from a backup
        (Mark("b", 9, 90), False),
    ],
)
def test_lists_cover_a_mark_of_their_database_that_is_not_after_their_own(held: Mark, covers: bool) -> None:
    assert held.covers(Mark("a", 5, 50)) is covers


NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
CONSENT = NewExemption(
    number="+6281234567890", kind=ExemptionKind.CONSENT, evidence="ticked", added_by="tl1", starts_at=NOW
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", "+6221*"),
        ("evidence", " "),
        ("evidence", "a\nb"),
        ("added_by", ""),
        ("starts_at", NOW.replace(tzinfo=None)),
        ("expires_at", NOW.replace(tzinfo=None)),
        ("expires_at", NOW),
        ("expires_at", NOW - timedelta(seconds=1)),
        ("once", True),
        ("purposes", ("survey", "marketing")),
        ("purposes", ("a b",)),
        ("reference", "x" * (LONGEST_TEXT + 1)),
    ],
)
def test_what_is_no_exemption_is_refused_with_the_field(field: str, value: object) -> None:
    with pytest.raises(InputError, match=field.removeprefix("added_").removesuffix("_at")):
        replace(CONSENT, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("once", "longest"), [(False, timedelta(hours=24)), (True, timedelta(days=30))])
def test_an_override_is_for_24_hours_at_most_and_one_for_one_call_for_30_days(
    once: bool, longest: timedelta
) -> None:
    override = replace(CONSENT, kind=ExemptionKind.OVERRIDE, once=once, expires_at=NOW + longest)
    for expires_at in (None, NOW + longest + timedelta(seconds=1)):
        with pytest.raises(InputError, match="expires"):
            replace(override, expires_at=expires_at)


def test_a_callback_has_an_end() -> None:
    with pytest.raises(InputError, match="expires"):
        replace(CONSENT, kind=ExemptionKind.CALLBACK, expires_at=None)


def test_nothing_is_given_in_the_future_but_an_override() -> None:
    later = NOW + timedelta(minutes=6)
    with pytest.raises(InputError, match="starts"):
        replace(CONSENT, starts_at=later).check_given(NOW)
    replace(CONSENT, starts_at=NOW + timedelta(minutes=4)).check_given(NOW)  # clocks differ
    override = replace(
        CONSENT, kind=ExemptionKind.OVERRIDE, starts_at=later, expires_at=later + timedelta(hours=1)
    )
    override.check_given(NOW)


def test_purposes_are_read_sorted_and_each_once_and_unknown_ones_are_named() -> None:
    known = {"marketing", "survey", "Own.word"}
    assert read_purposes("survey, marketing survey", known) == ("marketing", "survey")
    assert read_purposes("Own.word", known) == ("Own.word",)
    assert read_purposes(" ", known) == ()
    with pytest.raises(InputError, match="'markting' is no purpose"):
        read_purposes("survey,markting", known)
