"""Files of every layout give the numbers that they hold; what is no number is rejected by its line."""

import hashlib
import os
from datetime import date
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callguard.errors import InputError
from callguard.lists.formats import source, written
from callguard.lists.formats.builtin import FORMATS
from callguard.lists.formats.layout import Action, Field, Kind, Layout
from callguard.lists.formats.reading import open_numbers
from callguard.numbers import NumberReader
from tests.unit.lists.formats.reading import read, read_bytes


@pytest.mark.parametrize(
    ("layout", "region", "content", "numbers"),
    [
        ("us-text", "US", b"201,5551234\n2025551234\n", [12015551234, 12025551234]),
        ("canada-csv", "CA", b"416,1234567\n905,0000001", [14161234567, 19050000001]),
        ("tps-fixed", "GB", b"01234 567890\r\n0207 9460000\r\n", [441234567890, 442079460000]),
        ("tps-fixed", "GB", b"01234567890 \r\n02079460000 \r\n", [441234567890, 442079460000]),
        ("vicidial", "US", b"2015551234\n2025551234\n", [12015551234, 12025551234]),
        (
            "lines",
            "ID",
            b"081234567890\n+6281234567891\n62 812-3456-7892\n",
            list(range(6281234567890, 6281234567893)),
        ),
        ("e164-lines", "ID", b"6281234567890\n+6281234567891\n", [6281234567890, 6281234567891]),
        ("csv", "US", b'"201-555-1234","a, b"\n2025551234,x\n', [12015551234, 12025551234]),
    ],
)
def test_built_in_layouts_read_what_their_registries_publish(
    tmp_path: Path, layout: str, region: str, content: bytes, numbers: list[int]
) -> None:
    found = read_bytes(tmp_path, content, layout, region)
    assert (found.added, found.removed, found.rejected) == (numbers, [], [])


def test_every_built_in_layout_says_what_it_is_and_where_that_is_described() -> None:
    for name, layout in FORMATS.items():
        assert layout.name == name
        assert layout.description
        assert layout.source


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("phone", "not a number"),
        ("+442079460000", "a number of GB, not of US"),
        ("201XXXXXXX", "a pattern, not a number: patterns belong on the internal list"),
        ("2015551*", "a pattern, not a number: patterns belong on the internal list"),
        ("911", "an emergency number"),
        ("2.0155512E+10", "not a number"),
        ("-", "no digits"),
        ("2015551234e", "not a number"),
        ("2015551234\x00", "not a number"),
        ("2015551234/2025551234", "not a number"),
        ("2015551234 2025551234", "not a number as dialled in the region US"),
        ("12345678901234567890", "not a number as dialled in the region US"),
        ("1", "a short number that is neither an emergency number nor an extension"),
    ],
)
def test_a_line_that_is_no_number_of_the_list_is_rejected_with_its_reason(
    tmp_path: Path, text: str, why: str
) -> None:
    found = read_bytes(tmp_path, f"2015551234\n\n{text}\r\n2025551234".encode(), "lines")
    assert found.added == [12015551234, 12025551234]
    assert found.reasons == {3: why}


def test_of_one_to_twenty_digits_only_whole_numbers_are_read(tmp_path: Path) -> None:
    digits = "20155512345678901234"
    found = read_bytes(tmp_path, "\n".join(digits[:length] for length in range(1, 21)).encode(), "lines")
    assert found.added == [12015551234]
    assert sorted(found.reasons) == [length for length in range(1, 21) if length != 10]
    assert all(found.reasons.values())


@pytest.mark.parametrize("layout", ["us-text", "lines", "csv"])
def test_a_header_where_none_belongs_is_a_rejected_line(tmp_path: Path, layout: str) -> None:
    content = b"\xef\xbb\xbfArea Code,Phone Number\r\n2015551234\r\n"
    found = read_bytes(tmp_path, content, layout)
    assert (found.added, list(found.reasons)) == ([12015551234], [1])


@pytest.mark.parametrize(
    "text",
    [
        "'2015551234",
        '="2015551234"',
        "2015551234.0",
        "12015551234.00",
        " +1 (201) 555-1234 ",
        "1-201-555-1234",
    ],
)
def test_what_spreadsheets_put_around_a_number_is_taken_off(tmp_path: Path, text: str) -> None:
    assert read_bytes(tmp_path, text.encode(), "lines").added == [12015551234]


def test_numbers_of_countries_that_share_the_calling_code_are_kept(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, b"4161234567\n+18765551234\n", "lines").added == [14161234567, 18765551234]


lines = st.lists(
    st.text("0123456789+ -().", max_size=16)
    | st.sampled_from(["2015551234", "12015551234", "+12015551234", "081234567890", "6281234567890"]),
    max_size=30,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines, st.sampled_from(["US", "ID", "GB", "SG"]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_number_has_the_form_that_the_number_reader_gives_it(
    tmp_path: Path, texts: list[str], region: str, end: str
) -> None:
    reader = NumberReader(region=region)
    plus_code = f"+{phonenumbers.country_code_for_region(region)}"
    texts = [text for text in texts if not text.strip().endswith((".0", ".00"))]
    found = read_bytes(tmp_path, end.join(["first line", *texts]).encode(), "lines", region)
    read_alone = [reader.read(text).e164 or "" for text in texts]
    assert [f"+{number}" for number in found.added] == [
        number for number in read_alone if number.startswith(plus_code)
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_kind_are_line_ends(tmp_path: Path, end: str) -> None:
    found = read_bytes(tmp_path, end.join(["201,5551234", "x", "202,5551234", ""]).encode(), "us-text")
    assert found.added == [12015551234, 12025551234]
    assert list(found.reasons) == [2]


def test_mixed_line_ends_do_not_shift_the_line_numbers(tmp_path: Path) -> None:
    found = read_bytes(tmp_path, b"2015551234\r\n2025551234\rx\n\r\n2035551234", "lines")
    assert found.added == [12015551234, 12025551234, 12035551234]
    assert list(found.reasons) == [3]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf2015551234,Jos\xc3\xa9\n",
        "2015551234,José\n".encode("utf-16"),
        "\ufeff2015551234,José\n".encode("utf-16-be"),
        b"2015551234,Jos\xe9\n",
        b"2015551234,\x00\x01\n",
    ],
)
def test_marks_and_bytes_of_other_encodings_do_no_harm(tmp_path: Path, content: bytes) -> None:
    assert read_bytes(tmp_path, content, "csv").added == [12015551234]


def test_utf_16_without_its_mark_is_refused_unless_the_mapping_says_so(tmp_path: Path) -> None:
    content = "2015551234\n".encode("utf-16-le")
    with pytest.raises(InputError, match="UTF-16 without its mark"):
        read_bytes(tmp_path, content, "lines")
    assert read_bytes(tmp_path, content, Layout("own", Kind.LINES, encoding="utf-16-le")).added == [
        12015551234
    ]


def test_a_digit_in_the_place_of_a_carriage_return_counts(tmp_path: Path) -> None:
    found = read_bytes(tmp_path, b"2015551234\r\n20155512345\n2025551234\r\n", "lines")
    assert found.added == [12015551234, 12025551234]
    assert list(found.reasons) == [2]


def test_rejected_text_is_short_and_fit_for_a_screen(tmp_path: Path) -> None:
    found = read_bytes(tmp_path, b"\x1b[31m<script>" + b"x" * 200 + b"\n=2015551234\n", "lines")
    texts = [one.text for one in found.rejected]
    assert texts == ["\ufffd[31m<script>" + "x" * 67, "=2015551234"]
    assert {one.file for one in found.rejected} == {"list.txt"}


def test_parts_keep_order_numbers_and_lines_across_their_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PIECE", 1000)
    texts = [f"201,{number:07}" if number % 50 else f"bad {number}" for number in range(20_000)]
    content = "\n".join(texts).encode()
    found = read_bytes(tmp_path, content, "us-text")
    assert found.added == [12_010_000_000 + number for number in range(20_000) if number % 50]
    assert [(one.line, one.text) for one in found.rejected] == [
        (number + 1, f"bad {number}") for number in range(0, 20_000, 50)
    ]
    assert (found.lines, found.done, found.size) == (20_000, len(content), len(content))
    assert found.digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="empty"):
        read_bytes(tmp_path, content, "lines")


def test_a_line_without_end_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="65536 bytes") as refused:
        read_bytes(tmp_path, b"2015551234\n" + b"1" * 70_000 + b"\n2025551234\n", "lines")
    assert str(tmp_path / "list.txt") in str(refused.value.where)


def test_a_file_that_is_mostly_unreadable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "MOST_REJECTED", 10)
    with pytest.raises(InputError, match="10 lines here cannot be read") as refused:
        read_bytes(tmp_path, b"x\n" * 50, "lines")
    assert refused.value.where == f"{tmp_path / 'list.txt'}:11"


def test_a_list_of_one_country_does_not_take_another_countrys_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="layout us-text has numbers of US, the list those of ID"):
        read_bytes(tmp_path, b"201,5551234\n", "us-text", "ID")


def test_a_reader_that_gives_up_early_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PIECE", 1000)
    path = tmp_path / "list.txt"
    path.write_bytes(b"1,2\n" * 100_000)
    with open_numbers(path, FORMATS["csv"], region="US") as file:
        next(iter(file))
    assert file.digest == ""


def test_a_file_that_is_written_to_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PIECE", 1000)
    path = tmp_path / "list.txt"
    path.write_bytes(b"2015551234\n" * 10_000)
    with open_numbers(path, FORMATS["lines"], region="US") as file:
        parts = iter(file)
        next(parts)
        with path.open("ab") as download:
            download.write(b"2025551234\n")
        with pytest.raises(InputError, match="changed while it was read") as refused:
            list(parts)
    assert refused.value.where == str(path)


def test_a_file_whose_name_is_taken_by_another_meanwhile_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PIECE", 1000)
    path, new = tmp_path / "list.txt", tmp_path / "new"
    path.write_bytes(b"2015551234\n" * 10_000)
    new.write_bytes(b"2025551234\n")
    with open_numbers(path, FORMATS["lines"], region="US") as file:
        parts = iter(file)
        next(parts)
        new.replace(path)
        assert sum(parsed.lines for parsed in parts) > 1000


def test_a_files_name_that_is_no_text_is_fit_for_a_screen(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/liste-\xe9t\xe9.txt"))
    path.write_bytes(b"bad\n2015551234\n")
    (rejected,) = read(path, "lines").rejected
    assert rejected.file == "liste-\ufffdt\ufffd.txt"


# --- columns ----------------------------------------------------------------------------------------------

CHANGES = Layout(
    "changes",
    Kind.DELIMITED,
    number=("area", "phone"),
    delimiter=";",
    header=True,
    action=Action("op", ("a", "add"), ("d",)),
)


def test_a_change_file_tells_additions_from_removals_and_its_last_line_wins(tmp_path: Path) -> None:
    content = (
        b"\n"
        b"op;Area;note;PHONE\nA;201;;5551234\nd;201;;5550000\n"
        b'add;202;"x\n;y";5551234\nD;201;;5551234\n?;201;;5551111\n'
    )
    found = read_bytes(tmp_path, content, CHANGES)
    assert (found.added, found.removed) == ([12025551234], [12015550000, 12015551234])
    assert found.reasons == {8: "'?' is neither to add nor to remove"}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("A;201", "2 columns, and none at 4"),
        ("A;;x;2015551234", "a column of the number is empty"),
        ("A;201;x;", "a column of the number is empty"),
    ],
)
def test_a_row_that_lacks_a_column_is_rejected(tmp_path: Path, row: str, why: str) -> None:
    assert read_bytes(tmp_path, f"op;area;x;phone\n{row}\n".encode(), CHANGES).reasons == {2: why}


def test_a_header_that_lacks_a_column_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'area'") as refused:
        read_bytes(tmp_path, b"op;code;phone\nA;201;5551234\n", CHANGES)
    assert refused.value.where == f"{tmp_path / 'list.txt'}:1"
    assert refused.value.allowed == "of the header's: op, code, phone"


def test_a_number_in_the_place_of_the_header_is_not_lost(tmp_path: Path) -> None:
    layout = Layout("own", Kind.DELIMITED, header=True)
    with pytest.raises(InputError, match="a number where the header should be"):
        read_bytes(tmp_path, b"2015551234,x\n2025551234,y\n", layout)
    assert read_bytes(tmp_path, b"phone,x\n2025551234,y\n", layout).added == [12025551234]


@pytest.mark.parametrize("kind", [Kind.LINES, Kind.DELIMITED])
def test_a_file_of_blank_lines_holds_nothing(tmp_path: Path, kind: Kind) -> None:
    assert read_bytes(tmp_path, b"\n \n", Layout("own", kind, header=True, number=(1,))).added == []


def test_a_header_alone_is_a_file_without_changes(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, b"op;area;phone\n", CHANGES).added == []


def test_more_columns_than_the_registry_publishes_are_rejected(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, b"201,5551234,D\n", "us-text").reasons == {1: "3 columns, not 2"}


def test_a_line_longer_than_the_fixed_layout_is_rejected(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, b"01234567890 1\n", "tps-fixed", "GB").reasons == {
        1: "longer than the layout's 12 characters"
    }


def test_fixed_columns_with_an_action_are_read_by_their_characters(tmp_path: Path) -> None:
    layout = Layout(
        "own",
        Kind.FIXED,
        number=(Field(3, 3), Field(6, 7)),
        action=Action(Field(1, 1), ("+",), ("-",)),
    )
    found = read_bytes(tmp_path, b"+ 2015551234 Jos\xe9\n- 2025551234\n", layout)
    assert (found.added, found.removed) == ([12015551234], [12025551234])


@pytest.mark.parametrize("count", [1, 10_000])
def test_a_quote_without_end_is_refused_not_swallowed(tmp_path: Path, count: int) -> None:
    content = b'2015551234,"x\n' + b"2025551234,y\n" * count
    with pytest.raises(InputError, match="quote"):
        read_bytes(tmp_path, content, "csv")


@pytest.mark.parametrize(
    ("layout", "rows"),
    [
        ("csv", b'2015550002,"b\n2015550003,c\n2015550004,"d\n'),
        ("csv", b'2015550002,"b\n2015550003,c\n2015550004,d"\n'),
        ("csv", b'2015550002,"b\r2015550003,c\r2015550004,d"\n'),
        ("csv", b'"2015550002\n2015550003",c\n'),
        ("csv", b'2015550002,"b"x"\n2015550003,"\n'),
        ("us-text", b'201,"5550002\n201,5550003\n201,5550004"\n'),
        (CHANGES, b'op;area;phone\nA;201;5550002;"x\nA;201;5550003;x\nA;201;5550004;x"\n'),
    ],
)
def test_a_stray_quote_hides_no_numbers(tmp_path: Path, layout: Layout | str, rows: bytes) -> None:
    with pytest.raises(InputError, match="quote") as refused:
        read_bytes(tmp_path, rows, layout)
    assert str(refused.value.where).startswith(f"{tmp_path / 'list.txt'}:")


def test_a_note_of_several_lines_hides_nothing_and_a_quote_within_a_word_is_none(tmp_path: Path) -> None:
    content = b'2015550001,"asked\r\nby ""phone"""\n2015550002,5" pipe\n2015550003,5" pipe\n'
    assert read_bytes(tmp_path, content, "csv").added == [12015550001, 12015550002, 12015550003]


# --- dates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("us-2026-11-01.txt", date(2026, 11, 1)),
        ("20261101_full", date(2026, 11, 1)),
        ("full.txt", None),
        ("2026-13-01.txt", None),
        ("01112026.txt", None),
        ("120261101.txt", None),
        ("2026-11-01 to 2026-11-08.txt", None),
    ],
)
def test_the_data_date_is_the_one_in_the_name_or_none(tmp_path: Path, name: str, found: date | None) -> None:
    path = tmp_path / name
    path.write_bytes(b"2015551234\n")
    assert read(path, "lines").data_date == found
