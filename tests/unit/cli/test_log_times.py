"""The times that --since and --until take."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.cli.log import read_time
from callguard.errors import InputError

NOW = datetime(2026, 11, 21, 15, 30).astimezone()


def read(text: str, *, to_its_end: bool = False) -> datetime:
    return read_time(text, NOW, where="--since", to_its_end=to_its_end)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-21", datetime(2026, 11, 21).astimezone()),
        ("today", datetime(2026, 11, 21).astimezone()),
        ("yesterday", datetime(2026, 11, 20).astimezone()),
        ("2026-11-21T14:30", datetime(2026, 11, 21, 14, 30).astimezone()),
        ("2026-11-21 14:30:05.25", datetime(2026, 11, 21, 14, 30, 5, 250_000).astimezone()),
        ("2026-11-21T14:30+07:00", datetime(2026, 11, 21, 7, 30, tzinfo=UTC)),
        ("2026-11-21T14:30Z", datetime(2026, 11, 21, 14, 30, tzinfo=UTC)),
        ("90m", NOW - timedelta(minutes=90)),
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
    ],
)
def test_a_time_is_local_unless_it_names_its_zone(text: str, meant: datetime) -> None:
    assert read(text) == meant


def test_until_a_day_is_until_its_end_and_until_a_time_is_until_then() -> None:
    assert read("2026-11-21", to_its_end=True) == datetime(2026, 11, 22).astimezone()
    assert read("yesterday", to_its_end=True) == datetime(2026, 11, 21).astimezone()
    assert read("2026-11-21T14:30", to_its_end=True) == datetime(2026, 11, 21, 14, 30).astimezone()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-13-01",
        "21/11/2026",
        "20261121",
        "2026-W47-6",
        "20261121T1430",
        "2026-W47-6T14:30",
        "999999w",
        "-1h",
        "9" * 10_000,
        "0001-01-01T00:00+14:00x",
        "\n",
    ],
)
def test_a_time_that_cannot_be_read_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(InputError) as refused:
        read(text)
    assert refused.value.where == "--since"
    assert "24h" in str(refused.value.allowed)
    assert len(str(refused.value)) < 300


@given(st.text(max_size=30) | st.text("0123456789-T:+.Zmhdw ", max_size=30))
def test_any_text_is_an_instant_or_refused(text: str) -> None:
    with suppress(InputError):
        assert read(text).tzinfo is not None
