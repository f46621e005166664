"""The days that people give."""

from datetime import date

import pytest

from callguard.cli.days import read_day
from callguard.errors import InputError


def test_a_day_is_year_month_and_day() -> None:
    assert read_day("2026-11-01", where="--date") == date(2026, 11, 1)


@pytest.mark.parametrize(
    "text",
    [
        *("20261101", "2026-W44-7", "2026W447", "2026-11-1", "01/11/2026", "2026-11-31", "2026-11-01T00:00"),
        *("", "2026-11-01\n", "\u0662026-11-01", "9" * 10_000),
    ],
)
def test_any_other_form_is_refused_with_the_one_that_is_allowed(text: str) -> None:
    with pytest.raises(InputError) as refused:
        read_day(text, where="--date")
    assert refused.value.where == "--date"
    assert "YYYY-MM-DD" in str(refused.value)
    assert len(str(refused.value)) < 200
