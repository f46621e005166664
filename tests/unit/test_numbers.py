"""Dialled digits to E.164: what is read, what is never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.errors import ConfigurationError, InputError
from callguard.numbers import Number, NumberKind, NumberReader, format_for_trunk

INDONESIA = NumberReader()
JAKARTA = NumberReader(area_code="21", outside_line="9")


def read(dialled: str, reader: NumberReader = INDONESIA) -> str | None:
    return reader.read(dialled).e164


@pytest.mark.parametrize(
    "dialled",
    [
        "081234567890",
        "0812-3456-7890",
        "(0812) 3456.7890",
        "81234567890",
        "6281234567890",
        "+6281234567890",
        "+62 812-3456-7890",
        "+62 (0)812 3456 7890",
        " +6281234567890\n",
        "\u202a+62\u00a0812\u20113456\u20117890\u202c",
        "٠٨١٢٣٤٥٦٧٨٩٠",
        "tel:+62-812-3456-7890",
        "tel:0812-3456-7890;phone-context=+62",
        "tel:81234567890;phone-context=%2B62",
        "TEL:081234567890;ext=12",
        "sip:+6281234567890@carrier.example;user=phone",
        "<sips:%2B6281234567890:secret@carrier.example:5061;transport=tls>",
        "sip:081234567890;phone-context=carrier.example@10.0.0.1",
    ],
)
def test_every_way_to_write_a_mobile_number_is_one_subscriber(dialled: str) -> None:
    assert read(dialled) == "+6281234567890"


@pytest.mark.parametrize("prefix", ["00", "001", "007", "008", "009", "01017"])
def test_every_international_prefix_of_indonesia_is_read(prefix: str) -> None:
    assert read(prefix + "442079460000") == "+442079460000"


def test_a_number_that_two_international_prefixes_can_begin_is_refused_as_ambiguous() -> None:
    number = INDONESIA.read("001 65 6221 1234")
    assert number.kind is NumberKind.UNREADABLE
    assert "+6562211234" in number.why
    assert "+16562211234" in number.why


def test_the_prefixes_in_use_settle_what_is_ambiguous() -> None:
    assert read("001 65 6221 1234", NumberReader(international=("001",))) == "+6562211234"
    assert read("0065 6221 1234", NumberReader(international=("001",))) is None


@pytest.mark.parametrize(
    ("region", "dialled", "e164"),
    [
        ("US", "011 44 20 7946 0000", "+442079460000"),
        ("US", "1 650 253 0000", "+16502530000"),
        ("US", "650 253 0000", "+16502530000"),
        ("IT", "02 1234 5678", "+390212345678"),
        ("ID", "+39 02 1234 5678", "+390212345678"),
        ("ID", "00 39 02 1234 5678", "+390212345678"),
        ("AR", "011 15 2345 6789", "+5491123456789"),
        ("AR", "0 11 15 2345-6789", "+5491123456789"),
        ("ID", "+54 9 11 2345 6789", "+5491123456789"),
        ("ID", "+54 11 15 2345 6789", "+5491123456789"),
        ("ID", "+54 11 2345 6789", "+541123456789"),
        ("MX", "55 1234 5678", "+525512345678"),
        ("MX", "044 55 1234 5678", "+525512345678"),
        ("MX", "045 55 1234 5678", "+525512345678"),
        ("MX", "01 55 1234 5678", "+525512345678"),
        ("ID", "+52 1 55 1234 5678", "+525512345678"),
        ("GA", "07 59 30 08", "+24107593008"),
        ("ID", "+241 7 59 30 08", "+24107593008"),
        ("RU", "8 495 123 45 67", "+74951234567"),
        ("RU", "8 10 62 812 3456 7890", "+6281234567890"),
    ],
)
def test_the_peculiar_forms_of_a_country_collapse_to_one(region: str, dialled: str, e164: str) -> None:
    assert read(dialled, NumberReader(region=region)) == e164


def test_an_italian_landline_without_its_zero_is_refused_not_taken_for_another_number() -> None:
    assert read("+39 2 1234 5678") is None


def test_a_local_number_gets_the_area_code_of_the_pbx() -> None:
    assert read("5550123", JAKARTA) == "+62215550123"
    assert read("5550123", NumberReader(area_code="021")) == "+62215550123"


def test_a_local_number_without_a_known_area_is_refused() -> None:
    assert INDONESIA.read("5550123").kind is NumberKind.UNREADABLE
    assert "area code" in INDONESIA.read("31555012").why


def test_the_outside_line_digit_is_taken_off() -> None:
    assert read("9081234567890", JAKARTA) == "+6281234567890"
    assert read("9 5550123", JAKARTA) == "+62215550123"
    assert read("9+6281234567890", JAKARTA) == "+6281234567890"
    assert read("9001442079460000", JAKARTA) == "+442079460000"


def test_an_outside_line_digit_that_is_not_configured_is_never_taken_off() -> None:
    assert read("9081234567890") is None
    assert read("9+6281234567890") is None


def test_a_number_that_begins_with_the_outside_line_digit_is_read_whole_if_nothing_else_fits() -> None:
    american = NumberReader(region="US", area_code="212", outside_line="9")
    assert read("919 555 0123", american) == "+19195550123"
    assert read("9 555 0123", american) == "+12125550123"
    assert read("9 1 919 555 0123", american) == "+19195550123"


def test_where_both_readings_fit_the_outside_line_digit_is_taken_off() -> None:
    assert read("95550123", JAKARTA) == "+62215550123"
    assert read("0081234567890", NumberReader(outside_line="0")) == "+6281234567890"


def test_a_number_that_may_be_local_behind_the_outside_line_is_not_read_whole_instead() -> None:
    assert read("9611555677", NumberReader(outside_line="9")) is None


def test_a_number_is_read_whole_only_if_it_is_sure() -> None:
    swedish = NumberReader(region="SE", outside_line="9")
    assert read("90058094", swedish) is None
    assert read("90058094", NumberReader(region="SE")) == "+4690058094"


def test_the_longest_of_several_outside_lines_is_taken_off() -> None:
    reader = NumberReader(outside_line="9, 96")
    assert read("960811123456", reader) == "+62811123456"
    assert read("90811123456", reader) == "+62811123456"
    assert read("962811123456", reader) == "+622811123456"


def test_a_written_number_has_no_outside_line_digit() -> None:
    assert NumberReader(outside_line="0").read_e164("081234567890") == "+6281234567890"
    with pytest.raises(InputError):
        JAKARTA.read_e164("9081234567890")


def test_a_written_number_reads_as_the_dialled_one() -> None:
    assert JAKARTA.read_e164("62812-3456-7890") == read("9 0812 3456 7890", JAKARTA)


@pytest.mark.parametrize("text", ["110", "101", "14045", "", "desk", "\x00\ud800" + "9" * 10_000])
def test_what_is_not_a_subscriber_cannot_be_written_into_a_list(text: str) -> None:
    with pytest.raises(InputError) as caught:
        NumberReader(internal=("1XX",)).read_e164(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("number", ["110", "112", "113", "118", "119", "1-1-0"])
def test_an_emergency_number_is_known_with_and_without_an_outside_line(number: str) -> None:
    digits = number.replace("-", "")
    assert JAKARTA.read(number) == Number(NumberKind.EMERGENCY, None, digits=digits)
    assert JAKARTA.read("9" + number) == Number(NumberKind.EMERGENCY, None, digits=digits)


def test_an_emergency_number_that_begins_with_the_outside_line_digit_is_dialled_whole() -> None:
    american = NumberReader(region="US", outside_line="9")
    assert american.read("911") == Number(NumberKind.EMERGENCY, None, digits="911")
    assert american.read("9911") == Number(NumberKind.EMERGENCY, None, digits="911")


def test_a_configured_emergency_number_is_known_however_it_is_dialled() -> None:
    reader = NumberReader(emergency=("115", "0215550199"))
    assert reader.read("115").kind is NumberKind.EMERGENCY
    assert reader.read("+62 21 5550199") == Number(NumberKind.EMERGENCY, None, digits="0215550199")


@pytest.mark.parametrize("dialled", ["*110", "110#", "#110", "1101", "+110", "0110"])
def test_what_only_contains_an_emergency_number_is_none(dialled: str) -> None:
    assert INDONESIA.read(dialled).kind is NumberKind.UNREADABLE


def test_an_emergency_number_stays_one_under_an_internal_pattern() -> None:
    assert NumberReader(internal=("1XX",)).read("110").kind is NumberKind.EMERGENCY


def test_internal_extensions_and_service_codes_are_known_as_such() -> None:
    reader = NumberReader(internal=("2XX", "*9X"), outside_line="9")
    assert reader.read("201") == Number(NumberKind.INTERNAL, None, digits="201")
    assert reader.read("*98").kind is NumberKind.INTERNAL
    assert reader.read("9201").kind is NumberKind.UNREADABLE
    assert reader.read("2011").kind is NumberKind.UNREADABLE


@pytest.mark.parametrize("dialled", ["14045", "123", "71400", "*98", "7"])
def test_a_short_number_that_is_nothing_known_is_refused(dialled: str) -> None:
    assert JAKARTA.read(dialled).kind is NumberKind.UNREADABLE


def test_a_number_of_a_range_newer_than_the_plan_is_read_in_one_form() -> None:
    for dialled in ("+62 841 2345 6789", "0841 2345 6789", "6284123456789", "0016284123456789"):
        assert read(dialled) == "+6284123456789"


def test_own_country_code_or_area_code_is_settled_by_the_missing_trunk_prefix() -> None:
    assert read("62811123456") == "+62811123456"
    assert read("0628 11123456") == "+6262811123456"
    assert read("62841123456") is None  # a range that nobody knows, or the area 628


@pytest.mark.parametrize(
    "dialled",
    [
        "",
        "anonymous",
        "sip:desk@carrier.example",
        "sip:0812345678%0d%0a90@carrier.example",
        "tel:0812345678;phone-context=+62x",
        "021 5550123/4",
        "0812345678,,1",
        "0812\n345678",
        "0812\x00345678",
        "0812345678w9",
        "*67081234567890",
        "++6281234567890",
        "+006281234567890",
        "+62+81234567890",
        "010170215550123",
        "0101784040153",
        "+43 00 6692 1641",
        "+62 001803 12345678901",
        "+999123456789",
        "+62 812",
        "0" * 30,
        "9" * 33,
        "081234567890" + " " * 200,
        "+62812345678901234567890",
        "\ud800",
        "²²²²²²²²²²",
        "1" * 10_000,
    ],
)
def test_anything_else_is_unreadable_with_a_reason(dialled: str) -> None:
    number = INDONESIA.read(dialled)
    assert number.kind is NumberKind.UNREADABLE
    assert number.why
    assert number.why.isprintable()


@given(st.one_of(st.text(max_size=200), st.text("0123456789+*#-;:@%()<>sip tel=x\n\x00", max_size=130)))
def test_reading_never_raises_and_is_always_of_one_kind(text: str) -> None:
    number = JAKARTA.read(text)
    assert (number.e164 is not None) == (number.kind is NumberKind.SUBSCRIBER)
    assert bool(number.why) == (number.kind is NumberKind.UNREADABLE)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"region": "XX"}, "region"),
        ({"region": "id"}, "region"),
        ({"region": "001"}, "region"),
        ({"area_code": "2a"}, "area_code"),
        ({"outside_line": "9;8"}, "outside_line"),
        ({"outside_line": "(.*)+"}, "outside_line"),
        ({"emergency": ("1",)}, "emergency"),
        ({"emergency": ("*1",)}, "emergency"),
        ({"internal": ("[0-9]*",)}, "internal"),
        ({"internal": ("",)}, "internal"),
        ({"international": ("00|",)}, "international"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(settings: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        NumberReader(**settings)
    assert caught.value.where == f"numbers.{key}"
    assert caught.value.allowed


def test_an_internal_pattern_that_would_let_subscribers_through_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        NumberReader(internal=("0XXXXXXXXXXX",))


@pytest.mark.parametrize(
    ("e164", "number_format", "region", "dialled"),
    [
        ("+6281234567890", "e164-plus", "ID", "+6281234567890"),
        ("+6281234567890", "e164", "ID", "6281234567890"),
        ("+6281234567890", "national", "ID", "081234567890"),
        ("+62215550123", "national", "ID", "0215550123"),
        ("+16502530000", "national", "ID", "0016502530000"),
        ("+6281234567890", "national", "US", "0116281234567890"),
        ("+6281234567890", "national", "RU", "8106281234567890"),
        ("+16502530000", "national", "US", "6502530000"),
        ("+5491123456789", "national", "AR", "0111523456789"),
        ("+390212345678", "national", "IT", "0212345678"),
    ],
)
def test_a_number_is_dialled_in_the_format_of_the_trunk(
    e164: str, number_format: str, region: str, dialled: str
) -> None:
    assert format_for_trunk(e164, number_format, region) == dialled


@pytest.mark.parametrize(
    ("e164", "number_format"),
    [("081234", "e164"), ("+62;x", "e164"), ("+00000", "national"), ("+62812", "x")],
)
def test_what_cannot_be_formatted_is_an_error(e164: str, number_format: str) -> None:
    with pytest.raises(ValueError, match="not "):
        format_for_trunk(e164, number_format, "ID")
