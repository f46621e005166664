"""Rows that wait to be written: all of them, in the order of their numbers."""

from hypothesis import given
from hypothesis import strategies as st

from callguard.lists.bulk import Spool
from callguard.lists.entryfiles.checked import Row

NUMBERS = st.sampled_from(["+62811", "+62812", "+62812*", "+6281XXXX", "+999999999999999", "+12"])
ROWS = st.lists(
    st.builds(
        Row,
        number=NUMBERS,
        category=st.just("vip"),
        project=st.none() | st.text(max_size=5),
        reason=st.text(max_size=5),
        source=st.just(""),
        added_by=st.just("tl"),
        added_at=st.none() | st.integers(0, 2**62),
        expires_at=st.none() | st.integers(0, 2**62),
    )
)


@given(ROWS, st.integers(1, 5))
def test_every_row_comes_back_as_it_was_and_those_of_a_number_in_their_order(
    rows: list[Row], size: int
) -> None:
    with Spool() as spool:
        for row in rows:
            spool.add(row)
        batches = list(spool.batches(size))
        assert len(spool) == len(rows)
    back = [row for batch in batches for row in batch]
    assert back == sorted(rows, key=lambda row: int(row.number.strip("+*X")))
    assert all(batches)
    assert all(len(batch) <= 4 * size for batch in batches)


@given(st.integers(1, 7))
def test_rows_of_one_number_stay_together_unless_they_are_very_many(size: int) -> None:
    with Spool() as spool:
        for number in ["+62811", "+62812"] * size:
            spool.add(Row(number, "vip", None, "", "", "tl", None, None))
        assert [{row.number for row in batch} for batch in spool.batches(size)] == [{"+62811"}, {"+62812"}]
