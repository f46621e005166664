"""What is written into Redis's fields is read back the same; anything else is refused, never misread."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.lists.codec import (
    Head,
    Undecodable,
    decode_catalogue,
    decode_head,
    decode_words,
    encode_catalogue,
    encode_head,
    encode_words,
    number_field,
    tag_of,
)
from callguard.lists.model import Catalogue, Mark, RegistryList, Word
from callguard.screening.model import Entry, Exemption, ExemptionKind
from callguard.screening.patterns import Shape

NUMBER = "+6281234567890"
BIG = 2**63 - 1

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
instants = st.datetimes(timezones=st.just(UTC))
purposes = st.sampled_from([(), ("marketing",), ("marketing", "survey")])
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
    purposes=purposes,
)
exemptions = st.builds(
    Exemption,
    id=st.integers(1, BIG),
    number=st.just(NUMBER),
    kind=st.sampled_from(list(ExemptionKind)),
    project=st.none() | text,
    purposes=purposes,
    evidence=text,
    reference=text,
    source=text,
    added_by=text,
    added_at=instants,
    starts_at=instants,
    expires_at=st.none() | instants,
    once=st.booleans(),
)
words = st.one_of(entries, exemptions)
registry_lists = st.builds(
    RegistryList,
    id=st.integers(1, BIG),
    name=text,
    jurisdiction=text,
    kind=text,
    calling_code=st.sampled_from(["1", "62", "886"]),
    coverage=st.lists(st.from_regex("[1-9][0-9]{0,5}", fullmatch=True), max_size=3).map(tuple),
    allowed_age_days=st.none() | st.integers(0, 10_000),
    generation=st.integers(0, BIG),
    token=st.from_regex("[0-9a-f]{8}", fullmatch=True),
    version=st.integers(0, 10_000),
    content=st.integers(0, BIG),
    block_size=st.sampled_from([0, 10_000, 65_536, 1_000_000]),
    data_date=st.none() | st.dates(),
    numbers=st.integers(0, 10**15),
    blocks=st.integers(0, 10**9),
)
shapes = st.one_of(
    st.builds(Shape, prefix=st.integers(2, 14), wild=st.just(0)),
    st.builds(Shape, prefix=st.just(4), wild=st.integers(1, 11)),
)
catalogues = st.builds(
    Catalogue,
    registries=st.lists(registry_lists, max_size=3).map(tuple),
    shapes=st.sets(shapes, max_size=3).map(lambda some: tuple(sorted(some))),
)
TOKEN = "1f00c0de"
US = RegistryList(7, "us", "US", "marketing", "1", ("1212",), 31, 40, TOKEN, 2, 39, 10_000, None, 5, 1)


@given(st.lists(words, min_size=1, max_size=4).map(tuple))
def test_entries_are_read_back_as_written(written: tuple[Word, ...]) -> None:
    assert decode_words(NUMBER, encode_words(written)) == written


@given(marks, catalogues)
def test_a_head_is_read_back_as_written(mark: Mark, catalogue: Catalogue) -> None:
    assert decode_head(encode_head(mark, catalogue)) == Head(mark, tag_of(catalogue))


@given(catalogues)
def test_a_catalogue_is_read_back_as_written(catalogue: Catalogue) -> None:
    assert decode_catalogue(encode_catalogue(catalogue)) == catalogue


@given(catalogues, catalogues)
def test_only_equal_catalogues_have_the_same_tag(one: Catalogue, other: Catalogue) -> None:
    assert (tag_of(one) == tag_of(other)) == (one == other)


def test_whatever_a_list_changes_in_changes_the_tag() -> None:
    changed = [
        replace(US, name="ca"),
        replace(US, generation=41),
        replace(US, token="1f00c0df"),
        replace(US, coverage=()),
        replace(US, allowed_age_days=None),
        replace(US, blocks=2),
        replace(US, data_date=datetime(2026, 11, 1, tzinfo=UTC).date()),
    ]
    assert len({tag_of(Catalogue((registry,))) for registry in [US, *changed]}) == 1 + len(changed)


def test_a_catalogue_that_was_changed_after_it_was_written_is_refused() -> None:
    raw = encode_catalogue(Catalogue((US,), (Shape(4, 0),)))
    assert decode_catalogue(raw).registries == (US,)
    for was, now in (
        (b'"1212"', b'"1213"'),
        (b",40,", b",41,"),
        (b"1f00c0de", b"1f00c0df"),
        (b'"4*"', b'"5*"'),
    ):
        assert was in raw
        with pytest.raises(Undecodable):
            decode_catalogue(raw.replace(was, now))


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(text, inner, max_size=2),
    max_leaves=20,
)


@given(st.binary(max_size=60) | json_like.map(lambda value: repr(value).replace("None", "null").encode()))
def test_whatever_else_lies_in_a_field_is_refused(raw: bytes) -> None:
    with pytest.raises(Undecodable):
        decode_words(NUMBER, raw)
    with pytest.raises(Undecodable):
        decode_head(raw)
    with pytest.raises(Undecodable):
        decode_catalogue(raw)


@given(st.lists(words, min_size=1, max_size=2), st.data())
def test_a_field_that_was_cut_is_refused(written: list[Word], data: st.DataObject) -> None:
    raw = encode_words(written)
    with pytest.raises(Undecodable):
        decode_words(NUMBER, raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize(
    "row",
    [
        b'["1","c",null,"r","s","b",0,null,""]',
        b'[true,"c",null,"r","s","b",0,null,""]',
        b'[1,null,null,"r","s","b",0,null,""]',
        b'[1,"c",null,"r","s","b",null,null,""]',
        b'[1,"c",null,"r","s","b",0,"never",""]',
        b'[1,"c",null,"r","s","b",9223372036854775807,null,""]',
        b'[1,"c",null,"r","s","b",0,null,null]',
        b'[1,"c",null,"r","s","b",0,null]',
        b'[1,"c",null,"r","s","b",0,null,"",0]',
    ],
)
def test_an_entry_with_one_wrong_value_is_refused(row: bytes) -> None:
    assert decode_words(NUMBER, b'[[1,"c",null,"r","s","b",0,null,""]]')
    with pytest.raises(Undecodable):
        decode_words(NUMBER, b"[" + row + b"]")


@pytest.mark.parametrize(
    "row",
    [
        b'[1,"kind",null,"e","s","b",0,null,"",0,"",false]',
        b'[1,"consent",null,"e","s","b",0,null,"",null,"",false]',
        b'[1,"consent",null,"e","s","b",0,null,"",0,null,false]',
        b'[1,"consent",null,"e","s","b",0,null,"",0,"",0]',
        b'[1,"consent",null,"e","s","b",0,null,"",9223372036854775807,"",false]',
        b'[1,"consent",null,"e","s","b",0,null,"",0,""]',
        b'[1,"consent",null,"e","s","b",0,null,"",0,"",false,0]',
    ],
)
def test_an_exemption_with_one_wrong_value_is_refused(row: bytes) -> None:
    assert decode_words(NUMBER, b'[[1,"consent",null,"e","s","b",0,null,"",0,"",false]]')
    with pytest.raises(Undecodable):
        decode_words(NUMBER, b"[" + row + b"]")


def test_no_entries_is_not_a_field() -> None:
    with pytest.raises(Undecodable):
        decode_words(NUMBER, b"[]")


def test_a_head_of_another_layout_is_refused() -> None:
    assert decode_head(b'[3,"a",2,3,"tag"]') == Head(Mark("a", 2, 3), "tag")
    for other in (b'[1,"a",2,3]', b'[1,"a",2,3,"tag"]', b'[2,"a",2,3,"tag"]', b'[3,"a",2,3]'):
        with pytest.raises(Undecodable, match="layout"):
            decode_head(other)


def test_a_field_is_compact_and_named_by_digits() -> None:
    entry = Entry(1, NUMBER, "customer-request", None, "", "", "tl", datetime(2026, 1, 1, tzinfo=UTC), None)
    assert number_field(NUMBER) == "n:6281234567890"
    assert len(encode_words([entry])) < 70
