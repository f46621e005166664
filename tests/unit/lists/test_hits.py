"""Which fields speak of a number, and what the registry lists say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.lists import blocks
from callguard.lists.hits import Questions, registry_hit
from callguard.lists.model import Catalogue, RegistryList
from callguard.screening.patterns import Shape

TOKEN = "1f00c0de"
US = RegistryList(7, "us", "US", "marketing", "1", ("1212",), 31, 40, TOKEN, 2, 39, 10_000, None, 5, 1)
INDONESIAN = replace(US, id=8, name="id", calling_code="62", coverage=(), generation=50, block_size=65_536)
EMPTY = replace(US, id=9, name="new", generation=0, token="", version=0, content=0, block_size=0)
NEW_YORK, JAKARTA = "+12125550123", "+62215550123"


def test_the_fields_of_a_number_are_its_own_its_patterns_and_its_blocks() -> None:
    shapes = (Shape(4, 0), Shape(4, 7), Shape(4, 9))
    questions = Questions(Catalogue((US, INDONESIAN, EMPTY), shapes))
    assert questions.fields(NEW_YORK) == [
        "n:12125550123",
        "n:1212*",
        "n:1212XXXXXXX",
        "b:40-1f00c0de:1212555",
    ]
    assert questions.contents(NEW_YORK) == [(39, 1212555)]
    assert questions.fields("+6281234567890") == [
        "n:6281234567890",
        "n:6281*",
        "n:6281XXXXXXXXX",
        f"b:50-1f00c0de:{6281234567890 // 65_536}",
    ]


def test_only_lists_of_the_country_speak_and_a_new_one_covers_nothing() -> None:
    questions = Questions(Catalogue((US, INDONESIAN, EMPTY)))
    block = blocks.encode([123], 10_000)
    said = {hit.list: (hit.listed, hit.covered, hit.version) for hit in questions.hits(NEW_YORK, [block])}
    assert said == {"us": (True, True, 2), "new": (False, False, 0)}
    assert [hit.list for hit in questions.hits(JAKARTA, [None])] == ["id"]


def test_a_damaged_block_is_never_not_listed() -> None:
    for block in (b"", b"\0", b"\7" + bytes(1250), b"\1\0"):
        with pytest.raises(blocks.BadBlock):
            Questions(Catalogue((US,))).hits(NEW_YORK, [block])


@given(
    st.lists(st.sampled_from([US, INDONESIAN, EMPTY, replace(US, coverage=())]), max_size=5),
    st.sampled_from([NEW_YORK, JAKARTA, "+13105550123", "+442055501234"]),
    st.sets(st.integers(0, 9_999), min_size=1),
)
def test_hits_are_what_each_list_says_by_itself(
    lists: list[RegistryList], number: str, offsets: set[int]
) -> None:
    concerned = [registry for registry in lists if registry.concerns(number)]
    asked = [registry for registry in concerned if registry.generation]
    found = [blocks.encode(sorted(offsets), registry.block_size) for registry in asked]
    expected = tuple(
        registry_hit(
            number,
            registry,
            listed=bool(registry.generation) and int(number) % registry.block_size in offsets,
        )
        for registry in concerned
    )
    assert Questions(Catalogue(tuple(lists))).hits(number, found) == expected
