"""Which rules bind many numbers, and which time zones they can be in, by what they begin with.

What numbers begin with divides them into ranges, if each is filled up with zeros to the longest length: so
many numbers are told apart by one search. Only what can change a verdict makes a place of its own.
"""

import threading
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray
from phonenumbers import PhoneNumberType
from phonenumbers.tzdata import TIMEZONE_DATA

from callguard.lists.packing import Numbers
from callguard.numbering import find, zones_of
from callguard.screening.patterns import LONGEST_NUMBER
from callguard.screening.rules import Binding, Rules

Indices = NDArray[np.int64]
Zones = tuple[str, ...]

_POWERS = np.array([10**power for power in range(LONGEST_NUMBER + 1)], np.uint64)
_OF_AN_AREA, _OF_A_COUNTRY = PhoneNumberType.FIXED_LINE, PhoneNumberType.UNKNOWN
"""What a number may turn out to be, as far as its zones are concerned."""

Place = tuple[Hashable, Zones, Zones]
"""What binds its numbers, as a key; the time zones of those that are of an area, and of those that are not.
Both are empty where no rule asks for them."""


class Places:
    """The places of numbers, for calls of one project and purpose. Any number of threads may ask at once."""

    def __init__(self, rules: Rules, *, project: str | None, purpose: str) -> None:
        self._rules, self._project, self._purpose = rules, project, purpose
        self._lock = threading.Lock()
        self._places: list[Place] = []
        self._index: dict[Place, int] = {}
        prefixes = {prefix for preset in rules.presets for prefix in preset.prefixes}
        if any(_asks_for_zones(self._binding(prefix)) for prefix in ("", *prefixes)):
            prefixes |= {prefix for preset in rules.presets for prefix in preset.zones_of_prefixes}
            prefixes |= set(TIMEZONE_DATA)
        self._longest = max(map(len, prefixes), default=0)
        starts = {0}
        for prefix in prefixes:
            more = 10 ** (LONGEST_NUMBER - len(prefix))
            starts |= {int(prefix) * more, (int(prefix) + 1) * more}
        places: list[tuple[int, int]] = []
        for start in sorted(starts):
            place = self._place_of(f"{start:0{LONGEST_NUMBER}}")
            # Of neighbours that are alike the first is enough.
            if not places or places[-1][1] != place:
                places.append((start, place))
        self._starts = np.array([start for start, _ in places], np.uint64)
        self._of_starts = np.array([place for _, place in places], np.int64)

    def of(self, numbers: Numbers) -> Indices:
        """The index of each number's place."""
        if len(self._starts) == 1:
            return np.full(len(numbers), self._of_starts[0], np.int64)
        digits = np.searchsorted(_POWERS, numbers, side="right")
        filled = numbers * _POWERS[LONGEST_NUMBER - digits]
        found: Indices = self._of_starts[np.searchsorted(self._starts, filled, side="right") - 1]
        # A number that is shorter than a prefix does not begin with it, whatever it is filled up with.
        for at in np.flatnonzero(digits < self._longest).tolist():
            found[at] = self._place_of(str(numbers[at]))
        return found

    @property
    def count(self) -> int:
        """More than the greatest index so far."""
        return len(self._places)

    def zones(self, index: int) -> tuple[Zones, Zones]:
        """The time zones that numbers of a place can be in: those of an area, and the others."""
        _, of_area, of_country = self._places[index]
        return of_area, of_country

    def _place_of(self, digits: str) -> int:
        binding = self._binding(digits)
        of_area: Zones = ()
        of_country: Zones = ()
        if _asks_for_zones(binding):
            of_area = of_country = binding.zones_of(f"+{digits}")
            if not of_area and digits[0] != "0":
                of_area = zones_of(f"+{digits}", _OF_AN_AREA)
                of_country = zones_of(f"+{digits}", _OF_A_COUNTRY)
            of_area, of_country = of_area or binding.zones, of_country or binding.zones
        place = (_effect(binding), of_area, of_country)
        with self._lock:
            if place not in self._index:
                self._index[place] = len(self._places)
                self._places.append(place)
            return self._index[place]

    def _binding(self, digits: str) -> Binding:
        return self._rules.binding(f"+{digits}", self._project, self._purpose)


def is_of_area(e164: str) -> bool:
    """Tell whether a number (E.164) has the time zones of its area, rather than its country's. Slow: some ten
    thousand a second."""
    found = find(e164[1:])
    return found is not None and zones_of(e164, found.type) == zones_of(e164, _OF_AN_AREA)


def _asks_for_zones(binding: Binding) -> bool:
    return not (all(line.where for line in binding.hours) and all(line.where for line in binding.holidays))


def _effect(binding: Binding) -> Hashable:
    """All of a binding that can change a verdict or its reason: presets may differ in words alone."""
    return (
        binding.purpose,
        frozenset(binding.categories.items()),
        frozenset(binding.registries.items()),
        frozenset(binding.exemptions.items()),
        binding.freshness,
        binding.coverage,
        binding.hours,
        binding.holidays,
        binding.attempts,
        binding.override,
    )
