"""When an entry of a file expires: exactly, or not at all."""

from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.database import from_microseconds, microseconds
from callguard.errors import InputError
from callguard.lists.entryfiles.instants import days_after, instant, start_of


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2017-05-20T01:44Z", "2017-05-20T01:44:00+00:00"),
        ("2017-05-20t01:44z", "2017-05-20T01:44:00+00:00"),
        ("2017-05-20 01:44:05+07:00", "2017-05-19T18:44:05+00:00"),
        ("2017-05-20T01:44:05.000001-0330", "2017-05-20T05:14:05.000001+00:00"),
    ],
)
def test_an_instant_is_kept_exactly(text: str, iso: str) -> None:
    assert from_microseconds(instant(text)).isoformat() == iso


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_we_write_is_read_to_the_microsecond(at: datetime) -> None:
    assert instant(at.isoformat(timespec="microseconds")) == microseconds(at)


def test_a_day_means_its_end_in_this_computers_zone() -> None:
    assert from_microseconds(instant("2027-01-31")) == datetime(2027, 2, 1).astimezone(UTC)


def test_days_run_to_the_end_of_the_last_one() -> None:
    assert days_after("1", date(2026, 12, 31)) == instant("2027-01-01")
    assert days_after("36500", date(2026, 1, 1)) == instant(str(date(2026, 1, 1) + timedelta(days=36500)))


def test_a_list_exported_a_day_later_with_a_day_less_says_the_same() -> None:
    assert days_after("30", date(2026, 11, 1)) == days_after("29", date(2026, 11, 2))


@pytest.mark.parametrize(
    "text",
    [
        *("", "never", "0", "31/12/2027", "12/31/2027", "2027-02-30", "2027-13-01", "2027-01-31T17:00"),
        *("2027-01-31 17:00:00", "2027-01-31T25:00Z", "2027-01-31T17:00:61Z", "20270131T1700Z", "2027-W05-1"),
        *(
            "2027-01-31T17:00Z ",
            "2027-01-31T17:00Z\n",
            "\u0662027-01-31",
            "9999-12-31",
            "0001-01-01T00:00+09:00",
        ),
        *(
            "2027-01-31T17:00:00.1234567Z",
            "2027-01-31T17:00+99:00",
            "0001-01-01T00:00+09:00",
            "44926",
            "2027-1-31",
        ),
    ],
)
def test_a_bad_date_is_refused_and_never_means_no_expiry(text: str) -> None:
    for read in (instant, start_of):
        with pytest.raises(InputError, match="not a time that can be read"):
            read(text)


def test_the_first_day_of_the_calendar_begins_before_what_can_be_told() -> None:
    with pytest.raises(InputError, match="not a time that can be read"):
        start_of("0001-01-01")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "x", "36501", "99999", "100000", "\u0661", "1 "])
def test_a_bad_number_of_days_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a number of days"):
        days_after(text, date(2026, 1, 1))


@given(st.text(max_size=30))
def test_any_text_is_an_instant_or_an_input_error(text: str) -> None:
    for read in (instant, start_of, partial(days_after, start=date(2026, 1, 1))):
        try:
            assert isinstance(read(text), int)
        except InputError as error:
            told = str(error)
            assert told.isprintable()
