"""A stream is cut where lines, rows and tags end, and nowhere else; nothing is lost."""

import csv
import io
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.lists.formats.cutting import LONGEST_LINE, Ends, TooLong, cut


@given(st.lists(st.text('1,\r\n"<>', max_size=12).map(str.encode), max_size=12), st.sampled_from(Ends))
def test_nothing_is_lost_or_changed(pieces: list[bytes], ends: Ends) -> None:
    assert b"".join(cut(iter(pieces), ends)) == b"".join(pieces)


@given(st.lists(st.text("12\r\n", max_size=12).map(str.encode), max_size=12))
def test_no_line_and_no_line_end_is_cut_in_two(pieces: list[bytes]) -> None:
    parts = list(cut(iter(pieces), Ends.LINE))
    for part, following in itertools.pairwise(parts):
        assert part.endswith((b"\r", b"\n"))
        assert not (part.endswith(b"\r") and following.startswith(b"\n"))


cells = st.text('1,\n"x', max_size=6)


@given(st.lists(st.lists(cells, min_size=2, max_size=3), max_size=20), st.integers(1, 30))
def test_a_quoted_row_over_several_lines_stays_whole(rows: list[list[str]], size: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    data = text.getvalue().encode()
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    parts = (io.StringIO(part.decode(), newline="") for part in cut(pieces, Ends.ROW))
    assert [row for part in parts for row in csv.reader(part)] == rows


@pytest.mark.parametrize(("start", "ends"), [(b"", Ends.LINE), (b'1,"', Ends.ROW), (b"<a>", Ends.TAG)])
def test_what_never_ends_is_refused_within_bounds(start: bytes, ends: Ends) -> None:
    filler = b"1" * 1000 if ends is not Ends.ROW else b"1\n" * 500
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        yield start
        while True:
            taken += len(filler)
            yield filler

    with pytest.raises(TooLong):
        list(cut(pieces(), ends))
    assert taken < 2 * LONGEST_LINE
