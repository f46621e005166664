"""Rows that wait to be written: all of them, in the order of their numbers."""

import tempfile
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.errors import InputError
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
        starts_at=st.none() | st.integers(0, 2**62),
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


@pytest.mark.parametrize("length", [1, 1000])  # it fails when it is read, or as soon as it is written
def test_a_full_folder_of_temporary_files_is_named(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> BinaryIO:
        return Path("/dev/full").open("r+b", buffering=64)

    def spool_one() -> None:
        with Spool() as spool:
            spool.add(Row("+62811", "vip", None, "a" * length, "", "tl", None, None))
            list(spool.batches())

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(InputError, match="No space left on device") as raised:
        spool_one()
    assert raised.value.where == tempfile.gettempdir()
    assert "TMPDIR" in str(raised.value)


def test_a_folder_of_temporary_files_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with pytest.raises(InputError, match="/nonexistent: a temporary file cannot be written: No such file"):
        Spool()
