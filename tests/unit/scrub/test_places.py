"""Numbers of one place are bound by the same rules, and can be in the same time zones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from callguard.numbering import find, zones_of
from callguard.numbers import Number, NumberKind
from callguard.screening.rules import HoursLine
from callguard.screening.timeless import timeless
from callguard.screening.times import callee_zones
from callguard.scrub.places import Places, is_of_area
from tests.rig.rules import rules

RULES = rules(presets=("ID", "US", "US-FL"))
MARKETING = Places(RULES, project=None, purpose="marketing")
NUMBERS = st.one_of(
    st.from_regex(r"1(305|321|201|213|787|800|204)[2-9][0-9]{6}", fullmatch=True),
    st.from_regex(r"62(21|811|812|361|967)[0-9]{5,8}", fullmatch=True),
    st.from_regex(r"(44|65|675|688|690)[1-9][0-9]{4,9}", fullmatch=True),
).map(int)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_a_number_has_the_hours_and_zones_of_its_place(numbers: list[int]) -> None:
    for number, place in zip(numbers, MARKETING.of(np.array(numbers, np.uint64)).tolist(), strict=True):
        e164 = f"+{number}"
        binding = RULES.binding(e164, None, "marketing")
        found = find(str(number))
        zones = () if found is None else zones_of(e164, found.type)
        expected = callee_zones(Number(NumberKind.SUBSCRIBER, e164, zones=zones), binding)
        of_area, others = MARKETING.zones(place)
        if found is not None and binding.hours:
            assert (of_area if is_of_area(e164) else others) == expected


def test_where_no_rule_looks_at_the_clock_there_are_no_more_places_than_countries() -> None:
    assert Places(timeless(RULES), project=None, purpose="marketing").count < 5 < MARKETING.count


def test_rules_without_the_moment_have_the_same_version_and_no_hours() -> None:
    without = timeless(RULES)
    assert without.version == RULES.version
    for e164 in ("+13055550100", "+6281234567890"):
        binding = without.binding(e164, None, "marketing")
        assert (*binding.hours, *binding.holidays, *binding.attempts) == ()
        kept = [line for line in RULES.binding(e164, None, "marketing").lines if line in binding.lines]
        assert kept
        assert not any(isinstance(line, HoursLine) for line in kept)
