"""Rows and fields as positions: to the letter, and as CSV means them."""

import csv
import io
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callguard.scrub.rows import LONGEST_ROW, EndlessRow, Rows, split

COMMA = ord(",")


def rows_of(data: bytes, *, at_end: bool = True, delimiter: str = ",") -> Rows:
    return split(np.frombuffer(data, np.uint8), ord(delimiter), at_end=at_end)


def texts(rows: Rows) -> list[bytes]:
    """Each row with its line end."""
    whole = rows.data.tobytes()
    return [whole[a:b] for a, b in zip(rows.starts[:-1], rows.starts[1:], strict=True)]


def fields(rows: Rows, column: int) -> list[bytes]:
    whole = rows.data.tobytes()
    starts, ends = rows.field(column)
    return [whole[a:b] for a, b in zip(starts, ends, strict=True)]


CELLS = st.text(st.sampled_from('ab,"\n\r;é0'), max_size=6)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=8)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
ANY_BYTES = st.lists(
    st.sampled_from([b"a", b",", b'"', b'""', b'="', b'="1",', b"\n", b"\r", b"\r\n", b"\xff"]), max_size=40
)


@given(TABLES, LINE_ENDS, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_a_csv_writer_wrote_has_its_rows_and_fields(
    table: list[list[str]], line_end: str, quoting: int
) -> None:
    if quoting == csv.QUOTE_MINIMAL:
        # Python's writer leaves a line end bare that is not its own.
        table = [[re.sub("[\r\n]", "", cell) for cell in row] for row in table]
    written = io.StringIO()
    csv.writer(written, lineterminator=line_end, quoting=quoting).writerows(table)  # type: ignore[arg-type]
    rows = rows_of(written.getvalue().encode())
    assert len(rows) == len(table)
    assert not rows.broken.any()
    for column in range(5):
        read = [field.decode().replace('""', '"') for field in fields(rows, column)]
        assert read == [row[column] if column < len(row) else "" for row in table]


@given(ANY_BYTES.map(b"".join))
@example(b'"a\nb,c\n"d",e\n')
@example(b'a,"b"c\nd\n')
@example(b'a"b,c\nd"e\n')
def test_every_byte_is_in_one_row_and_no_quotation_mark_without_end_swallows_a_line(data: bytes) -> None:
    rows = rows_of(data)
    assert b"".join(texts(rows)) == data
    for text, broken in zip(texts(rows), rows.broken, strict=True):
        if broken:
            assert b"\n" not in text.rstrip(b"\r\n")
            assert b"\r" not in text.rstrip(b"\r\n")


@given(ANY_BYTES.map(b"".join), st.integers(0, 40))
def test_rows_are_the_same_wherever_the_data_were_cut(data: bytes, cut: int) -> None:
    whole = rows_of(data)
    first = rows_of(data[:cut], at_end=False)
    used = int(first.starts[-1])
    second = rows_of(data[used:])
    assert texts(first) + texts(second) == texts(whole)
    assert [*first.broken, *second.broken] == [*whole.broken]
    for column in range(3):
        assert fields(first, column) + fields(second, column) == fields(whole, column)


@given(TABLES)
def test_rows_with_care_are_those_without(table: list[list[str]]) -> None:
    """One stray mark makes the whole piece be read row by row: the other rows must not notice."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    plain = rows_of(written.getvalue().encode())
    careful = rows_of(written.getvalue().encode() + b'5" pipe,"x"y\n')
    assert texts(careful)[:-1] == texts(plain)
    assert [*careful.broken] == [*plain.broken, True]
    for column in range(4):
        assert fields(careful, column)[:-1] == fields(plain, column)


FORMULAS = st.sampled_from(
    ['="0812"', '="08,12"', '="0812', '=0812"', '=""', '="""', '"=""0812"""', '"a,b"', "x", '=x"1"', '="1"2']
)


@given(st.lists(st.lists(FORMULAS, min_size=1, max_size=4), min_size=1, max_size=6))
@example([['="0812', "x", '=0812"']])
def test_rows_with_formulas_are_read_as_with_care(table: list[list[str]]) -> None:
    data = "".join(",".join(row) + "\n" for row in table).encode()
    fast = rows_of(data)
    careful = rows_of(data + b'5" pipe,"x"y\n')
    assert texts(careful)[:-1] == texts(fast) == data.splitlines(keepends=True)
    for column in range(6):
        assert fields(careful, column)[:-1] == fields(fast, column)


def test_the_marks_of_a_formula_hold_no_delimiter() -> None:
    rows = rows_of(b'="0812",="a,b",c\n')
    assert [fields(rows, column) for column in range(4)] == [[b'="0812"'], [b'="a'], [b'b"'], [b"c"]]


def test_a_mark_without_end_breaks_its_line_and_no_other() -> None:
    rows = rows_of(b'1,"door\n2,two\n3,"x"\n4,"y\n')
    assert [*rows.broken] == [True, False, False, True]
    assert fields(rows, 1) == [b"", b"two", b"x", b""]


def test_a_mark_inside_a_plain_field_means_nothing() -> None:
    rows = rows_of(b'1,5" pipe\n2,6" pipe\n')
    assert not rows.broken.any()
    assert fields(rows, 0) == [b"1", b"2"]


def test_a_quoted_field_may_not_be_longer_than_a_row() -> None:
    long = b'1,"' + b"x\n" * (LONGEST_ROW // 2) + b'"\n2\n'
    rows = rows_of(long)
    assert rows.broken[0]
    assert len(rows) == LONGEST_ROW // 2 + 2
    again = rows_of(long[: LONGEST_ROW + 10], at_end=False)
    assert again.broken[0]


@pytest.mark.parametrize("at_end", [True, False])
def test_a_row_without_an_end_is_named(at_end: bool) -> None:
    with pytest.raises(EndlessRow, match="65,536 bytes") as raised:
        rows_of(b"1\n2\n" + b"x" * (LONGEST_ROW + 1), at_end=at_end)
    assert raised.value.row == 3


def test_an_empty_file_has_no_rows() -> None:
    assert len(rows_of(b"")) == 0
    assert len(rows_of(b"", at_end=False)) == 0
