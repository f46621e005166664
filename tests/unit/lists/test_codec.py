"""What is written into Redis's fields is read back the same; anything else is refused, never misread."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.lists.codec import (
    Undecodable,
    decode_entries,
    decode_head,
    encode_entries,
    encode_head,
    number_field,
)
from callguard.lists.model import Mark
from callguard.screening.model import Entry

NUMBER = "+6281234567890"
BIG = 2**63 - 1

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
instants = st.datetimes(timezones=st.just(UTC))
marks = st.builds(Mark, text, st.integers(0, BIG), st.integers(0, BIG))
entries = st.builds(
    Entry,
    id=st.integers(1, BIG),
    number=st.just(NUMBER),
    category=text,
    project=st.none() | text,
    reason=text,
    source=text,
    added_by=text,
    added_at=instants,
    expires_at=st.none() | instants,
)


@given(st.lists(entries, min_size=1, max_size=4).map(tuple))
def test_entries_are_read_back_as_written(written: tuple[Entry, ...]) -> None:
    assert decode_entries(NUMBER, encode_entries(written)) == written


@given(marks)
def test_a_head_is_read_back_as_written(mark: Mark) -> None:
    assert decode_head(encode_head(mark)) == mark


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(text, inner, max_size=2),
    max_leaves=20,
)


@given(st.binary(max_size=60) | json_like.map(lambda value: repr(value).replace("None", "null").encode()))
def test_whatever_else_lies_in_a_field_is_refused(raw: bytes) -> None:
    with pytest.raises(Undecodable):
        decode_entries(NUMBER, raw)
    with pytest.raises(Undecodable):
        decode_head(raw)


@given(st.lists(entries, min_size=1, max_size=2), st.data())
def test_a_field_that_was_cut_is_refused(written: list[Entry], data: st.DataObject) -> None:
    raw = encode_entries(written)
    with pytest.raises(Undecodable):
        decode_entries(NUMBER, raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize(
    "row",
    [
        b'["1","c",null,"r","s","b",0,null]',
        b'[true,"c",null,"r","s","b",0,null]',
        b'[1,null,null,"r","s","b",0,null]',
        b'[1,"c",null,"r","s","b",null,null]',
        b'[1,"c",null,"r","s","b",0,"never"]',
        b'[1,"c",null,"r","s","b",9223372036854775807,null]',
        b'[1,"c",null,"r","s","b",0]',
        b'[1,"c",null,"r","s","b",0,null,0]',
    ],
)
def test_an_entry_with_one_wrong_value_is_refused(row: bytes) -> None:
    assert decode_entries(NUMBER, b'[[1,"c",null,"r","s","b",0,null]]')
    with pytest.raises(Undecodable):
        decode_entries(NUMBER, b"[" + row + b"]")


def test_no_entries_is_not_a_field() -> None:
    with pytest.raises(Undecodable):
        decode_entries(NUMBER, b"[]")


def test_a_head_of_another_layout_is_refused() -> None:
    assert decode_head(b'[1,"a",2,3]') == Mark("a", 2, 3)
    with pytest.raises(Undecodable, match="layout"):
        decode_head(b'[2,"a",2,3]')


def test_a_field_is_compact_and_named_by_digits() -> None:
    entry = Entry(1, NUMBER, "customer-request", None, "", "", "tl", datetime(2026, 1, 1, tzinfo=UTC), None)
    assert number_field(NUMBER) == "n:6281234567890"
    assert len(encode_entries([entry])) < 70
