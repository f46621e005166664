"""A file as records: what leaves a doubt refuses it, with file and line."""

import codecs
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.errors import InputError
from callguard.lists.entryfiles.records import LONGEST_LINE, open_entries


def read(path: Path, content: bytes, delimiter: str | None = None) -> list[tuple[int, list[str], str]]:
    path.write_bytes(content)
    with open_entries(path, delimiter=delimiter) as file:
        return [(record.line, list(record.cells), record.why) for record in file.records()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dnc.csv"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_line_ends_and_marks_of_every_system_are_read(path: Path, end: str, mark: bytes) -> None:
    content = mark + end.join(["phone_number", "2015550123", "", "201XXXXXXX"]).encode()
    assert [cells for _, cells, _ in read(path, content)] == [
        ["phone_number"],
        ["2015550123"],
        ["201XXXXXXX"],
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_first_line_or_given(path: Path, delimiter: str) -> None:
    content = f'number{delimiter}reason\n+62811{delimiter}"a, b; c"\n'.encode()
    assert read(path, content)[1] == (2, ["+62811", "a, b; c"], "")
    assert read(path, content, delimiter)[1] == (2, ["+62811", "a, b; c"], "")


def test_utf16_of_a_spreadsheet_is_read(path: Path) -> None:
    assert read(path, "number\treason\r\n+62811\tgr\u00fcn\r\n".encode("utf-16"))[1][1] == [
        "+62811",
        "gr\u00fcn",
    ]


def test_bytes_that_are_no_utf8_are_kept_as_such_and_do_no_harm_elsewhere(path: Path) -> None:
    assert read(path, b"number,name\n+62811,gr\xfcn\n")[1][1] == ["+62811", "gr\udcfcn"]


def test_the_apostrophe_of_a_spreadsheet_is_taken_off_and_every_other_one_is_left(path: Path) -> None:
    cells = read(path, b"n\n'+62811\n''quoted'\n's-Hertogenbosch\n'=1+1\n")
    assert [row[0] for _, row, _ in cells] == ["n", "+62811", "'quoted'", "'s-Hertogenbosch", "=1+1"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'number\n+62811\n"+62812\n+62813\n', "line 3"),
        (b'number,note\n+62811,"x"y\n', "line 2"),
        (b"number\n" + b"1" * (LONGEST_LINE + 1), "line 2"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"PK\x03\x04", "spreadsheet"),
        ("number,note\n+62811,\n".encode("utf-16-le"), "UTF-16 without its mark"),
        (b"\xd0\xcf\x11\xe0" + bytes(512), "no text"),
    ],
)
def test_what_could_hide_rows_refuses_the_whole_file(path: Path, content: bytes, told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        read(path, content)
    assert "dnc.csv" in str(error.value)


def test_a_record_over_several_lines_is_given_with_its_lines(path: Path) -> None:
    path.write_bytes(b'number,note\n+62811,"one\r\n+62812,""two""",\'+1,"a, b"\n+62813,"three, four"\n')
    with open_entries(path) as file:
        records = [(record.line, record.cells, record.lines) for record in file.records()]
    assert records[1:] == [
        (
            2,
            ["+62811", 'one\r\n+62812,"two"', "+1", "a, b"],
            [["+62811", "one"], ["+62812", '"two"', "'+1", "a, b"]],
        ),
        (4, ["+62813", "three, four"], []),
    ]


def test_a_file_that_is_written_to_while_it_is_read_is_refused(path: Path) -> None:
    path.write_text("number\n+62811\n+6281")

    def read_too_early() -> None:
        with open_entries(path) as file:
            assert len(list(file.records())) == 3
            with path.open("a") as export:
                export.write("2\n")

    with pytest.raises(InputError, match=r"dnc\.csv: it was changed while it was read"):
        read_too_early()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.csv"), open_entries(tmp_path / "missing.csv"):
        pass


def test_json_lines_are_read_by_the_keys_of_the_first(path: Path) -> None:
    content = b'{"number": "+62811", "reason": null}\n\n{"reason": "a", "number": "+62812"}\n{}\n'
    assert read(path, content) == [
        (1, ["number", "reason"], ""),
        (1, ["+62811", ""], ""),
        (3, ["+62812", "a"], ""),
        (4, ["", ""], ""),
    ]


@pytest.mark.parametrize(
    "line",
    ['{"number": 62811}', '{"number": ["+62811"]}', "[1]", "{", '{"other": "x"}', "1" * 5000, "[" * 999],
)
def test_json_that_is_no_entry_is_refused_by_itself(path: Path, line: str) -> None:
    records = read(path, f'{{"number": "+62811"}}\n{line}\n{{"number": "+62812"}}\n'.encode())
    assert [bool(why) for _, _, why in records] == [False, False, True, False]


@given(
    content=st.binary(max_size=300)
    | st.text(max_size=100).map(lambda text: ('{"' + text).encode("utf-8", "replace"))
)
def test_any_file_is_records_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    try:
        for line, _, _ in read(tmp_path_factory.getbasetemp() / "any.csv", content):
            assert line >= 1
    except InputError:
        return


@given(st.lists(st.dictionaries(st.just("number"), st.text(max_size=20), min_size=1), min_size=1))
def test_json_lines_keep_every_text_exactly(
    tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, str]]
) -> None:
    content = "".join(json.dumps(one) + "\n" for one in objects).encode()
    records = read(tmp_path_factory.getbasetemp() / "any.jsonl", content)
    assert [cells[0] for _, cells, _ in records[1:]] == [one["number"] for one in objects]
