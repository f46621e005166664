"""Patterns: which numbers they stand for, and how they are found by their shapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.screening.patterns import (
    LONGEST_NUMBER,
    SHORTEST_PREFIX,
    Shape,
    matches,
    patterns_for,
    shape_from,
    shape_of,
    shape_text,
)

DIGITS = st.text("0123456789", max_size=LONGEST_NUMBER)
NUMBERS = st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True)
PATTERNS = st.from_regex(r"\+[1-9][0-9]{0,15}(\*|X{1,14})", fullmatch=True).filter(
    lambda text: shape_of(text) is not None
)


def test_a_star_stands_for_any_digits_or_none() -> None:
    assert matches("+6221*", "+6221")
    assert matches("+6221*", "+62215550123")
    assert not matches("+6221*", "+62225550123")
    assert not matches("+6221*", "+622")


def test_each_x_stands_for_one_digit() -> None:
    assert matches("+1201XXXXXXX", "+12015550123")
    assert not matches("+1201XXXXXXX", "+1201555012")
    assert not matches("+1201XXXXXXX", "+120155501234")
    assert not matches("+1201XXXXXXX", "+12025550123")


def test_a_plain_number_stands_for_itself() -> None:
    assert matches("+12015550123", "+12015550123")
    assert not matches("+12015550123", "+12015550124")


@pytest.mark.parametrize(
    "text",
    [
        *("", "+", "*", "X", "+*", "+X", "+1*", "+1X", "+0*", "+62", "+6281234567890", "6221*", "+6221x"),
        *(
            "+6221**",
            "+6221*X",
            "+6221X*",
            "+62X1",
            "+6221*\n",
            " +6221*",
            "+\u0666221*",
            "+6221X" + "X" * 12,
        ),
        *("+123456789012345*", "+123456789012345X", "+62" + "X" * 14, "+6221" + "X" * 13),
    ],
)
def test_other_text_is_no_pattern(text: str) -> None:
    assert shape_of(text) is None


@given(PATTERNS)
def test_a_shape_is_written_and_read_again(pattern: str) -> None:
    shape = shape_of(pattern)
    assert shape is not None
    assert shape_from(shape_text(shape)) == shape
    assert shape.prefix >= SHORTEST_PREFIX


@given(st.text(max_size=8))
def test_a_shape_is_read_from_nothing_but_what_was_written(text: str) -> None:
    try:
        shape = shape_from(text)
    except ValueError:
        return
    assert shape_text(shape) == text


@given(NUMBERS, st.lists(PATTERNS, max_size=20))
def test_the_patterns_of_a_number_are_those_that_it_matches(number: str, patterns: list[str]) -> None:
    shapes = {shape for pattern in patterns if (shape := shape_of(pattern))}
    assert len(set(patterns_for(number, shapes))) <= len(shapes)
    for pattern in patterns:
        assert matches(pattern, number) == (pattern in set(patterns_for(number, shapes)))


@given(NUMBERS, st.integers(SHORTEST_PREFIX, LONGEST_NUMBER), st.integers(0, LONGEST_NUMBER))
def test_what_a_shape_makes_of_a_number_is_a_pattern_that_it_matches(
    number: str, prefix: int, wild: int
) -> None:
    pattern = Shape(prefix, wild).pattern_for(number)
    if pattern is not None and shape_of(pattern) is not None:
        assert matches(pattern, number)
        assert shape_of(pattern) == Shape(prefix, wild)


@given(NUMBERS, DIGITS)
def test_a_star_matches_exactly_what_begins_so(number: str, prefix: str) -> None:
    pattern = f"+{prefix}*"
    if shape_of(pattern) is not None:
        assert matches(pattern, number) == number.startswith(f"+{prefix}")
