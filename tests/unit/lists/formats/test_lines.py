"""Lines read by the million say what each line read alone would say, or are left."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.lists.formats import lines, uneven
from callguard.lists.formats.clean import CleanRule
from callguard.lists.formats.lines import read_lines
from callguard.lists.formats.shapes import Shape, shape_of
from callguard.numbers import NumberReader

RULE = CleanRule("US")
READER = NumberReader(region="US")


def shape(line: bytes) -> Shape | None:
    digits = line.removeprefix(b"+")
    return shape_of(line, plus=line.startswith(b"+")) if digits.replace(b" ", b"").isdigit() else None


def shape_before_a_carriage_return(line: bytes) -> Shape | None:
    text = line.removesuffix(b"\r")
    return shape_of(line, plus=text.startswith(b"+")) if shape(text) else None


def read(data: bytes) -> tuple[list[int], list[tuple[int, bytes]]]:
    found = read_lines(data, shape, RULE)
    return found.numbers.tolist(), list(found.left(data))


NUMBERS = st.sampled_from(["2015551234", "+12015551234", "201 5551234", "12015551234", "9998887777"])
OTHERS = st.text("0123456789+ ,x\r\xe9", max_size=14)


@settings(max_examples=400, deadline=None)
@given(st.lists(NUMBERS | OTHERS, min_size=1, max_size=60), st.booleans())
def test_each_line_gives_its_own_number_or_is_left_as_it_stands(texts: list[str], ended: bool) -> None:
    encoded = [text.encode("latin-1") for text in texts]
    data = b"\n".join(encoded) + (b"\n" if ended or not encoded[-1] else b"")
    numbers, left = read(data)
    assert len(numbers) == len(texts)
    unread = [(index, encoded[index]) for index, number in enumerate(numbers) if not number]
    assert left == [(index, line) for index, line in unread if line]
    for number, text in zip(numbers, texts, strict=True):
        if number:
            assert READER.read_e164(text) == f"+{number}"


def test_lines_of_one_length_are_all_read() -> None:
    count = 3 * lines._PIECE // 10 + 5
    wanted = 12_010_000_000 + np.arange(count) * 7919 % 10_000_000
    data = "".join(f"{number - 10_000_000_000}\n" for number in wanted.tolist()).encode()
    assert read_lines(data, shape, RULE).numbers.tolist() == wanted.tolist()


def test_lines_of_several_lengths_are_all_read() -> None:
    count = 3 * lines._PIECE // 10 + 5
    wanted = 12_010_000_000 + np.arange(count) * 7919 % 10_000_000
    texts = [
        (f"+{number}", f"{number}", f"201 {number % 10_000_000:07}")[index % 3]
        for index, number in enumerate(wanted.tolist())
    ]
    data = "\n".join([*texts, ""]).encode()
    assert len(data) > 2 * lines._PIECE
    assert read_lines(data, shape, RULE).numbers.tolist() == wanted.tolist()


def test_lines_of_several_lengths_that_end_in_carriage_returns_are_all_read() -> None:
    numbers = [f"{'+1' if index % 3 else ''}201555{index % 10_000:04}" for index in range(100_000)]
    found = read_lines("\r\n".join([*numbers, ""]).encode(), shape_before_a_carriage_return, RULE)
    assert found.numbers.tolist() == [int(f"1{number[-10:]}") for number in numbers]


def test_a_length_that_comes_late_and_seldom_is_read() -> None:
    texts = ["2015551234", "+12015551234"] * uneven._SAMPLE + ["201 5551234"]
    numbers, left = read("\n".join([*texts, ""]).encode())
    assert numbers == [12015551234] * len(texts)
    assert left == []


def test_lines_of_several_lengths_are_read_at_once_not_length_by_length() -> None:
    texts = [b"2015551234", b"+12015551234", b"12015551234"] * 10
    text = np.frombuffer(b"\n" * uneven.WINDOW + b"\n".join([*texts, b""]), np.uint8)
    ends = np.flatnonzero(text == ord("\n"))[uneven.WINDOW :]
    lengths = np.array([len(line) for line in texts])
    found = uneven.read_uneven(text, ends, lengths, shape, RULE).tolist()
    assert found == [12015551234, 12015551234, 0] * 10  # a bare calling code is for a closer look


def test_what_stands_in_the_place_of_a_carriage_return_is_not_passed_over() -> None:
    data = b"2015551234\r\n+12015551234\r\n2015551234x\n+1201555123456\n2015551234\r\n"
    found = read_lines(data, shape_before_a_carriage_return, RULE)
    assert found.numbers.tolist() == [12015551234, 12015551234, 0, 0, 12015551234]
    assert list(found.left(data)) == [(2, b"2015551234x"), (3, b"+1201555123456")]


@pytest.mark.parametrize("place", [0, 1, 99_999, 100_000])
def test_a_line_that_is_left_among_lines_of_several_lengths_is_told_by_its_place(place: int) -> None:
    texts = [b"2015551234", b"+12015551234"] * 50_000 + [b"2015551234"]
    texts[place] = b"none"
    assert len(b"\n".join(texts)) > 2 * lines._PIECE
    numbers, left = read(b"\n".join(texts) + b"\n")
    assert left == [(place, b"none")]
    assert numbers.count(12015551234) == 100_000


@given(st.integers(0, 255).filter(lambda byte: byte not in b"0123456789+ \n"), st.integers(0, 11))
def test_of_lines_of_several_lengths_one_that_has_not_its_lengths_shape_is_left(
    byte: int, place: int
) -> None:
    line = bytearray(b"+12015551234")
    line[place] = byte
    numbers, left = read(b"2015551234\n+12015551234\n" + bytes(line) + b"\n2015551234\n")
    assert numbers == [12015551234, 12015551234, 0, 12015551234]
    assert left == [(2, bytes(line))]


@pytest.mark.parametrize("place", [0, 1, 9, 10, 65_536, 140_000])
def test_one_line_that_differs_among_many_is_told_apart(place: int) -> None:
    texts = [b"2015551234"] * 140_001
    texts[place] = b"201555123x"
    numbers, left = read(b"\n".join(texts) + b"\n")
    assert left == [(place, b"201555123x")]
    assert numbers.count(12015551234) == 140_000


def test_two_lines_in_the_place_of_one_are_two() -> None:
    numbers, left = read(b"2015551234\n" * 3 + b"20155\n1234\n" + b"2015551234\n")
    assert numbers == [12015551234] * 3 + [0, 0] + [12015551234]
    assert left == [(3, b"20155"), (4, b"1234")]


def test_a_carriage_return_is_not_taken_for_a_digit_nor_a_digit_for_it() -> None:
    numbers, _ = read(b"2015551234 \n20155512345\n2015551234 \n")
    assert numbers == [12015551234, 0, 12015551234]


@given(st.integers(0, 255), st.integers(0, 9))
def test_only_digits_are_read_as_digits(byte: int, place: int) -> None:
    line = bytearray(b"2015551234")
    line[place] = byte
    numbers, _ = read(b"2015551234\n" + bytes(line) + b"\n")
    if byte not in b"0123456789":
        assert sum(number != 0 for number in numbers) <= (2 if byte in b" \n" else 1)
    elif place > 2:
        assert numbers[1] == 10_000_000_000 + int(line)
