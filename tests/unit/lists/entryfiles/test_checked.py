"""A row becomes entries, or is refused with its reason."""

from datetime import UTC, date, datetime, timedelta

import pytest

from callguard.config import NumberSettings
from callguard.database import microseconds
from callguard.errors import InputError
from callguard.lists.entryfiles.checked import Checker, Defaults, Row
from callguard.lists.entryfiles.columns import OWN, with_header, without_header
from callguard.lists.entryfiles.instants import days_after
from callguard.lists.entryfiles.records import Record
from callguard.lists.entrynumbers import EntryNumbers

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NUMBERS = EntryNumbers(NumberSettings(region="US"))


def check(
    header: str, row: str, *, numbers: EntryNumbers = NUMBERS, **defaults: str
) -> tuple[list[Row], str]:
    columns = with_header(header.split(","), {})
    checker = Checker(
        columns,
        numbers,
        Defaults("importer", **defaults),
        now=NOW,
        days_from=date(2026, 11, 20),
        width=len(header.split(",")),
    )
    return checker.rows(Record(2, row.split(",")))


def test_a_row_says_what_it_says_and_the_defaults_say_the_rest() -> None:
    rows, why = check(
        "number,project,reason",
        "2015550123, bank ,",
        project="shop",
        reason="asked",
        source="crm",
        category="vip",
    )
    assert why == ""
    assert rows == [Row("+12015550123", "vip", "bank", "asked", "crm", "importer", None, None)]


def test_a_row_that_names_no_project_binds_that_of_the_defaults_or_the_whole_company() -> None:
    assert check("number,project", "2015550123,", project="shop")[0][0].project == "shop"
    assert check("number,project", "2015550123,")[0][0].project is None


def test_each_number_of_a_row_is_an_entry_and_a_bad_one_does_not_hide_the_others() -> None:
    rows, why = check("DNC_Home,DNC_Cell,DNC_Work", "317-153-4777,,3179816233")
    assert ([row.number for row in rows], why) == (["+13171534777", "+13179816233"], "")
    rows, why = check("DNC_Home,DNC_Cell", "nonsense,3179816233")
    assert [row.number for row in rows] == ["+13179816233"]
    assert "nonsense" in why
    assert check("DNC_Home,DNC_Cell", ",") == ([], "no number")


@pytest.mark.parametrize(
    ("region", "cell", "number"),
    [
        ("US", '="2015550123"', "+12015550123"),
        ("US", "'2015550123", "+12015550123"),
        # Without the decimal, one digit more would be a number of Indonesia, too: another person's.
        ("ID", "6281255550202.0", "+6281255550202"),
        ("ID", "+6281255550202.00", "+6281255550202"),
        ("ID", "'6221*", "+6221*"),
    ],
)
def test_what_a_spreadsheet_put_around_a_number_makes_no_other_number(
    region: str, cell: str, number: str
) -> None:
    rows, why = check("number", cell, numbers=EntryNumbers(NumberSettings(region=region)))
    assert ([row.number for row in rows], why) == ([number], "")


def test_an_expiry_is_exact_and_an_empty_one_is_none() -> None:
    (row,), _ = check("number,expires_at", "2015550123,2027-05-20T01:44:07Z")
    assert row.expires_at == microseconds(datetime(2027, 5, 20, 1, 44, 7, tzinfo=UTC))
    assert check("number,expires_at", "2015550123,")[0][0].expires_at is None
    (row,), _ = check("phone,contact group id,days to expiry", "2015550123,7,30")
    assert (row.project, row.expires_at) == ("7", days_after("30", date(2026, 11, 20)))


@pytest.mark.parametrize(
    ("header", "row", "told"),
    [
        ("number,expires_at", "2015550123,31/12/2027", "not a time that can be read"),
        ("number,expires_at", "2015550123,2026-11-21T12:00Z", "expired at"),
        ("number,days_to_expiry", "2015550123,soon", "not a number of days"),
        ("number,reason", "2015550123", "1 columns, where the header has 2"),
        ("number,reason", "2015550123,asked, twice", "3 columns, where the header has 2"),
        ("number,removed_at", "2015550123,2026-01-01T00:00Z", "removed"),
        ("number,added_at", "2015550123,2026-11-21T12:06Z", "future"),
        ("number,added_at", "2015550123,yesterday", "not a time"),
        ("number,category", "2015550123,Do Not Call", "not a category"),
        ("number,reason", "2015550123,a\x1b[2J", "cannot be printed"),
        ("number,reason", "2015550123,gr\udcfcn", "reason: bytes that are not UTF-8"),
        ("number,reason", "2015550123," + "x" * 501, "501 characters"),
        ("number,project", "2015550123," + "x" * 101, "101 characters"),
        ("number", "", "no digits"),
        ("number", "2.01555E+09", "not a number"),
        ("number", "911", "not the number of a subscriber"),
        ("number", "+1*", "not a pattern"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_reason(header: str, row: str, told: str) -> None:
    rows, why = check(header, row)
    assert rows == []
    assert told in why
    assert why.isprintable()


@pytest.mark.parametrize("blank", ["\u00a0", "\t", "\n", "\r\n", "\u2028", "  \u3000 ", " \n\n"])
@pytest.mark.parametrize("header", ["reason", "source", "added_by"])
def test_white_space_of_any_kind_in_free_text_is_one_plain_space(header: str, blank: str) -> None:
    ((row,), why) = check(f"number,{header}", f"2015550123,asked{blank}the  agent")
    assert why == ""
    assert "asked the  agent" in (row.reason, row.source, row.added_by)


@pytest.mark.parametrize("header", ["number", "category", "project", "expires_at"])
def test_white_space_in_what_is_no_free_text_refuses_the_row(header: str) -> None:
    cells = {"number": "2015550123", "category": "vip", "project": "bank", "expires_at": "2099-01-01"}
    cells[header] = cells[header].replace(cells[header][1:4], f"\n{cells[header][1:4]}")
    rows, why = check(",".join(cells), ",".join(cells.values()))
    assert rows == []
    assert why


def test_bytes_that_are_no_text_do_no_harm_where_nothing_is_read_from_them() -> None:
    assert check("number,name", "2015550123,gr\udcfcn")[1] == ""


def test_our_own_export_is_kept_to_the_letter() -> None:
    kept = ["+12015550123", "vip", " bank ", " asked ", "", "tl ", "2020-01-01T00:00:00.000001+00:00", "", ""]
    added_at = microseconds(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=1))
    expected = Row("+12015550123", "vip", " bank ", " asked ", "", "tl ", added_at, None)
    for header, cells, purposes in (
        (OWN, [*kept, "marketing survey"], "marketing survey"),
        (OWN[:9], kept, ""),  # an export of before there were purposes
    ):
        checker = Checker(
            with_header(header, {}), NUMBERS, Defaults("x"), now=NOW, days_from=NOW.date(), width=len(header)
        )
        ((row,), why) = checker.rows(Record(2, cells))
        assert why == ""
        assert row == expected._replace(purposes=purposes)


def test_purposes_are_words_that_are_known() -> None:
    assert check("number,purposes", "2015550123,survey marketing")[0][0].purposes == ("marketing survey")
    assert "'markting' is no purpose" in check("number,purposes", "2015550123,markting")[1]


def test_a_row_without_a_header_may_be_shorter_and_not_longer() -> None:
    checker = Checker(
        without_header(3, "livevox", {}), NUMBERS, Defaults("x"), now=NOW, days_from=NOW.date(), width=None
    )
    assert checker.rows(Record(1, ["2015550123"]))[1] == ""
    assert checker.rows(Record(1, ["2015550123", "7"]))[0][0].project == "7"


@pytest.mark.parametrize("wrong", [{"project": ""}, {"category": "Do Not Call"}, {"reason": "a\nb"}])
def test_defaults_that_cannot_be_stored_are_refused_before_anything_is_read(wrong: dict[str, str]) -> None:
    with pytest.raises(InputError):
        Defaults("importer", **wrong)
