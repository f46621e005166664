"""When an entry expires: a date that cannot be read is refused, never taken for "never"."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.cli.lists import expiry
from callguard.errors import InputError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def jakarta(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The computer's time zone."""
    monkeypatch.setenv("TZ", "WIB-7")
    time.tzset()
    yield
    monkeypatch.delenv("TZ")
    os.environ.pop("TZ", None)
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", NOW + timedelta(days=30)),
        ("12h", NOW + timedelta(hours=12)),
        ("2w", NOW + timedelta(days=14)),
        (" 2026-03-02T08:00+07:00 ", datetime(2026, 3, 2, 1, 0, tzinfo=UTC)),
        ("2026-03-02T08:00:00Z", datetime(2026, 3, 2, 8, 0, tzinfo=UTC)),
    ],
)
def test_a_span_and_a_time_with_its_zone_are_exact(text: str, expected: datetime) -> None:
    assert expiry(text, NOW) == expected


@pytest.mark.usefixtures("jakarta")
def test_a_date_means_its_end_where_the_computer_is() -> None:
    assert expiry("2026-03-31", NOW) == datetime(2026, 3, 31, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "never", "0", "30", "d", "0d", "-1d", "1.5d", "30 d", "30D", "1y", "9999999d", "999999w",
        "2026-02-30", "31/12/2026", "2026-3-9", "9999-12-31", "2026-12-31T10:00", "2026-12-31 10:00:00",
        "2026-W40", "\u0663\u0660d", "2026-12-31\0",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(InputError, match="30d"):
        expiry(text, NOW)


@pytest.mark.parametrize("text", ["2026-03-01T12:00Z", "2020-01-01", "2026-03-01T18:59+07:00"])
def test_what_is_past_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="past"):
        expiry(text, NOW)


@given(st.text(max_size=30) | st.from_regex(r"\d{1,8}[hdw]|\d{4}-\d\d-\d\d(T\d\d:\d\d(Z|[+-]\d\d:\d\d)?)?"))
def test_any_text_gives_a_time_to_come_or_an_error(text: str) -> None:
    with suppress(InputError):
        assert expiry(text, NOW) > NOW
