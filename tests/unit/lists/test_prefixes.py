"""Numbers are told apart by what they begin with, whatever their length."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from callguard.lists.prefixes import Prefixes

digits = st.from_regex(r"[1-9][0-9]{0,14}", fullmatch=True)


@given(st.lists(digits, min_size=1, max_size=6), st.lists(digits, unique=True))
def test_a_number_begins_with_a_prefix_if_its_digits_do(prefixes: list[str], texts: list[str]) -> None:
    numbers = np.array(sorted(int(text) for text in texts), dtype=np.uint64)
    expected = [str(number).startswith(tuple(prefixes)) for number in numbers]
    assert Prefixes(prefixes).of(numbers).tolist() == expected
    assert Prefixes(prefixes).count(numbers) == sum(expected)
