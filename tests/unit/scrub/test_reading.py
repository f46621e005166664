"""Numbers of leads are read as NumberReader.read_e164 reads them, whatever is written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.config import NumberSettings
from callguard.errors import ConfigurationError, InputError
from callguard.numbers import NumberReader
from callguard.scrub.reading import LeadReader

SETTINGS = [
    {"region": "ID"},
    {"region": "ID", "area_code": "21"},
    {"region": "ID", "emergency": ("081234567890", "0217654321"), "internal": ("1XX", "8XXXXXXX")},
    {"region": "ID", "international": ("00", "017")},
    {"region": "US"},
    {"region": "US", "outside_line": "9", "emergency": ("2015550123",), "internal": ("XXXXXXX",)},
    {"region": "IT"},
    {"region": "MX"},
    {"region": "GB"},
    {"region": "SG"},
]
READERS = [(LeadReader(NumberSettings(**s)), NumberReader(**s)) for s in SETTINGS]  # type: ignore[arg-type]

_STARTS = [
    *("", "0", "+", "+62", "62", "0812", "+62812", "62812", "021", "+6221", "8", "9", "1", "+1201", "201"),
    *("+1 (201) ", "00", "001", "017", "+39", "+390", "02", "+44", "07", "+52", "+521", "44", "(021) "),
    *("a", "(+62) ", "++", "1.2E+", "'", "tel:+62", "=", "\u00a0", "\u200b0812", "\uff10"),
]
WRITTEN = st.builds(
    lambda start, digits, end: start + digits + end,
    st.sampled_from(_STARTS),
    st.one_of(st.text("0123456789", max_size=16), st.text("0123456789 -.()+", max_size=26)),
    st.sampled_from(["", "", "", " ", "x", "55501230", "234567890", "7654321", "5550123"]),
)


def read(reader: LeadReader, texts: list[bytes]) -> tuple[list[int], list[bool]]:
    data = np.frombuffer(b",".join([*texts, b""]), np.uint8)
    ends = np.cumsum([len(text) + 1 for text in texts]) - 1
    starts = ends - [len(text) for text in texts]
    numbers, blank = reader.read(data, starts, ends)
    return numbers.tolist(), blank.tolist()


def expected(reader: NumberReader, text: str) -> int:
    try:
        return int(reader.read_e164(text))
    except InputError:
        return 0


@pytest.mark.parametrize("which", range(len(SETTINGS)))
@given(texts=st.lists(WRITTEN, min_size=1, max_size=30))
def test_every_text_is_read_as_by_the_reader_of_single_numbers(which: int, texts: list[str]) -> None:
    fast, slow = READERS[which]
    numbers, blank = read(fast, [text.encode() for text in texts])
    assert numbers == [expected(slow, text) for text in texts]
    assert blank == [not text.strip(" \t") for text in texts]


def test_no_emergency_number_of_the_settings_is_taken_for_a_lead() -> None:
    reader = READERS[2][0]
    assert read(reader, [b"081234567890", b"+6281234567890", b"62 812 3456 7890", b"081234567891"])[0] == [
        0, 0, 0, 6281234567891,
    ]  # fmt: skip


def test_latin_1_is_read_too() -> None:
    assert read(READERS[0][0], [b"0812\xa03456\xa07890", b"0812\xe93456"])[0] == [6281234567890, 0]


def test_a_region_of_its_own_leaves_the_settings_of_another_out() -> None:
    settings = NumberSettings(region="ID", area_code="21", internal=("XXXXXXXX",))
    assert read(LeadReader(settings, "SG"), [b"81234567"])[0] == [6581234567]
    assert read(LeadReader(settings, "ID"), [b"81234567"])[0] == [0]


def test_what_is_no_region_is_named() -> None:
    with pytest.raises((ConfigurationError, ValueError), match="ZZ"):
        LeadReader(NumberSettings(), "ZZ")
