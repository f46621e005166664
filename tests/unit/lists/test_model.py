"""What a new entry may hold, and which version of the lists covers which."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from callguard.errors import InputError
from callguard.lists.model import LONGEST_TEXT, Mark, NewEntry

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
