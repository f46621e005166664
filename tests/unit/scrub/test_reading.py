"""Numbers of leads are read as NumberReader.read_e164 reads them, whatever is written."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.config import NumberSettings
from callguard.errors import ConfigurationError, InputError
from callguard.lists.spreadsheet import as_meant
from callguard.numbers import NumberReader
from callguard.scrub.reading import BAD_CODE, NO_CODE, LeadReader, read_codes
from callguard.scrub.rows import Bytes, Positions

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
_AROUND = [
    *([("", "")] * 5),
    *[("'", ""), ("' ", " "), ("''", ""), ('="', '"'), ('=""', '""'), (' ="', '"'), ('="', '" '), ('="', "")],
    *[("'=\"", '"'), ("", ".0"), ("", ".00"), ("", ".000"), ("", ".0 "), ("", ".0\u00a0"), ('="', '.0"')],
    *[("'", ".00"), ('="', ' .0"'), (" " * 26, ""), ("", " " * 26), ('=""', '.00 ""'), ('=""', '"')],
]
WRITTEN = st.builds(
    lambda start, digits, end, around: around[0] + start + digits + end + around[1],
    st.sampled_from(_STARTS),
    st.one_of(st.text("0123456789", max_size=16), st.text("0123456789 -.()+", max_size=26)),
    st.sampled_from(["", "", "", " ", "x", "55501230", "234567890", "7654321", "5550123"]),
    st.sampled_from(_AROUND),
)
CODES = st.sampled_from(
    ["62", "1", "39", "44", "52", "7", "1201", "62812", "+62", "62.0", "'1", '="62"', "", "0", "ID"]
)


def fields(texts: list[str]) -> tuple[Bytes, Positions, Positions]:
    encoded = [text.encode() for text in texts]
    return of_bytes(encoded)


def of_bytes(encoded: list[bytes]) -> tuple[Bytes, Positions, Positions]:
    data = np.frombuffer(b",".join([*encoded, b""]), np.uint8)
    ends = np.cumsum([len(text) + 1 for text in encoded]) - 1
    return data, ends - [len(text) for text in encoded], ends


def read(reader: LeadReader, texts: list[bytes]) -> tuple[list[int], list[bool]]:
    numbers, blank = reader.read(*of_bytes(texts))
    return numbers.tolist(), blank.tolist()


def expected(reader: NumberReader, cell: str, code: str = "") -> int:
    text = as_meant(cell.replace('""', '"'))
    code = as_meant(code, fewest_digits=1)
    if code and "+" not in text:
        if not text or not re.fullmatch(r"\+?[1-9][0-9]{0,3}", code):
            return 0
        text = f"+{code.removeprefix('+')}{text}"
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
    for text, is_blank in zip(texts, blank, strict=True):
        assert is_blank or text.strip(" \t")
        assert not is_blank or not as_meant(text) or not as_meant(text.replace('""', '"'))


@pytest.mark.parametrize("which", range(len(SETTINGS)))
@given(rows=st.lists(st.tuples(WRITTEN, CODES), min_size=1, max_size=30))
def test_a_number_with_a_calling_code_is_read_as_if_it_were_written_before_it(
    which: int, rows: list[tuple[str, str]]
) -> None:
    fast, slow = READERS[which]
    codes = read_codes(*fields([code for _, code in rows]))
    numbers, _ = fast.read(*fields([text for text, _ in rows]), codes)
    assert numbers.tolist() == [expected(slow, text, code) for text, code in rows]


@pytest.mark.parametrize("region", ["ID", "US", "SG"])
def test_national_numbers_of_one_file_may_be_of_several_countries(region: str) -> None:
    rows = [
        ("62", "81234567890", 6281234567890),
        ("62", "081234567890", 6281234567890),
        ("1", "2015550123", 12015550123),
        ("1", "(201) 555-0123", 12015550123),
        ("39", "0236618300", 390236618300),
        ("44", "07911123456", 447911123456),
        ("1", "+6281234567890", 6281234567890),
        ("x", "81234567890", 0),
        ("062", "81234567890", 0),
    ]
    codes = read_codes(*fields([code for code, _, _ in rows]))
    reader = LeadReader(NumberSettings(region=region))
    numbers, _ = reader.read(*fields([text for _, text, _ in rows]), codes)
    assert numbers.tolist() == [number for _, _, number in rows]


def test_the_cells_of_calling_codes_are_read_one_by_one() -> None:
    cells = [
        "62",
        " +1 ",
        "",
        "  ",
        "62\0",
        "62.0",
        "'62",
        '=""62""',
        "0062",
        "12345",
        "+",
        "6" * 40,
        " " * 40,
    ]
    assert read_codes(*fields(cells)).tolist() == [
        *(62, 1, NO_CODE, NO_CODE, BAD_CODE, 62, 62, 62, BAD_CODE, BAD_CODE, BAD_CODE, BAD_CODE, NO_CODE)
    ]


@pytest.mark.parametrize(
    "cell",
    ["6281234567890.0", "6281234567890.00", "'6281234567890", '="6281234567890"', '=""081234567890""',
     "+6281234567890.0", " 081234567890 ", '="6281234567890.0"', "'081234567890.0 "],
)  # fmt: skip
def test_what_a_spreadsheet_put_around_a_number_does_not_count(cell: str) -> None:
    assert read(READERS[0][0], [cell.encode()]) == ([6281234567890], [False])


@pytest.mark.parametrize("cell", ["", " ", "'", '=""', '=""""', " " * 60, "\t"])
def test_a_cell_without_anything_in_it_is_blank(cell: str) -> None:
    assert read(READERS[0][0], [cell.encode()]) == ([0], [True])


def test_a_number_behind_many_blanks_is_a_number() -> None:
    assert read(READERS[0][0], [b" " * 60 + b"081234567890"]) == ([6281234567890], [False])


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
