"""The lines of rows of several lines, each read as a row of its own."""

import csv
import io
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from callguard.scrub.lines import lines_alone
from callguard.scrub.rows import Rows, split


def readings(data: bytes) -> list[tuple[list[list[bytes]], list[int]]]:
    """For each way to read the lines: their cells, and their rows."""
    rows = split(np.frombuffer(data, np.uint8), ord(","), at_end=True)
    return [(cells(lines), of_line.tolist()) for lines, of_line in lines_alone(rows, ",")]


def cells(lines: Rows) -> list[list[bytes]]:
    whole = lines.data.tobytes()
    bounds = zip(lines.starts[:-1].tolist(), lines.ends.tolist(), strict=True)
    return [[cell.strip() for cell in whole[start:end].split(b",")] for start, end in bounds]


def test_a_row_of_one_line_has_no_lines_alone() -> None:
    assert readings(b'1,"a, b",0812\n2,b"c"\n3,"a\n') == []


def test_the_lines_of_a_row_are_read_with_every_delimiter_and_without_marks() -> None:
    data = b'1,a\n2,"b, c\r\n3,"",=""0812""\r4,d",e\n5,"f\n6",g\n'
    assert readings(data) == [
        (
            [[b"2", b"b", b"c"], [b"3", b"", b"0812"], [b"4", b"d", b"e"], [b"5", b"f"], [b"6", b"g"]],
            [1, 1, 1, 2, 2],
        )
    ]


def test_they_are_read_without_the_delimiters_between_marks_too() -> None:
    assert readings(b'1,"a\n2,b","c, d",0812') == [
        ([[b"1", b"a"], [b"2", b"b", b"c", b"d", b"0812"]], [0, 0]),
        ([[b"1", b"a"], [b"2", b"b", b"c  d", b"0812"]], [0, 0]),
    ]


TEXTS = st.text(st.sampled_from('ab,"\n\r='), max_size=6)


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=4), min_size=1, max_size=8))
def test_every_line_of_a_row_of_several_is_there_with_its_row(table: list[list[str]]) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    expected = [
        row
        for row, texts in enumerate(table)
        if (breaks := len(re.findall("\r\n|\r|\n", ",".join(texts))))
        for _ in range(breaks + 1)
    ]
    found = readings(written.getvalue().encode())
    assert bool(found) == bool(expected)
    for lines, of_line in found:
        assert of_line == expected
        assert len(lines) == len(expected)
