"""The numbers in a column of a lead file, as NumberReader.read_e164 reads them.

Most are plainly clean (lists/formats/clean.py) and read by numpy, many at a time; each other goes to
NumberReader itself.
"""

import threading

import numpy as np
import phonenumbers

from callguard.config import NumberSettings
from callguard.errors import InputError
from callguard.lists.formats.clean import LONGEST, SHORTEST, CleanRule
from callguard.lists.packing import Numbers
from callguard.numbers import NumberReader
from callguard.scrub.layout import cell_text
from callguard.scrub.rows import Bytes, Flags, Positions

UNREADABLE = 0
"""In place of a number's digits."""

_WIDEST = 24
"""Bytes of a number that may be clean."""
_SEPARATOR, _BLANK, _PLUS, _OTHER = 10, 11, 12, 13
_KIND = np.full(256, _OTHER, np.uint8)
_KIND[list(b"0123456789")] = range(10)
_KIND[list(b"-.()")] = _SEPARATOR
_KIND[list(b" \t")] = _BLANK
_KIND[ord("+")] = _PLUS


class Stopped(Exception):
    """The reader was told to stop."""


class LeadReader:
    """Reads the numbers of leads: as written in one region, without an outside-line digit.

    The settings' area code and so on count in the settings' own region alone. May be used by several threads.
    Raises ConfigurationError for what is not a region.
    """

    def __init__(self, settings: NumberSettings, region: str | None = None) -> None:
        if region is not None and region != settings.region:
            settings = NumberSettings.model_validate({"region": region})
        self.region = settings.region
        self._reader = NumberReader(**settings.model_dump())
        self._rule = CleanRule(settings.region, area_code=bool(settings.area_code))
        self._abroad: dict[int, CleanRule | None] = {self._rule.calling_code: self._rule}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._extensions = {len(pattern) for pattern in settings.internal}
        self._prefixes = settings.international
        # Nothing that is read as an emergency number ends otherwise, whatever comes before its digits.
        self._emergency_ends = {(len(number[-3:]), int(number[-3:])) for number in settings.emergency}

    def stop(self) -> None:
        """Have every `read` end soon, with Stopped: NumberReader may take seconds for one call's numbers."""
        self._stopped.set()

    def read_one(self, text: str) -> int:
        """The E.164 digits of one number; UNREADABLE for what is not a subscriber's."""
        try:
            return int(self._reader.read_e164(text))
        except InputError:
            return UNREADABLE

    def read(self, data: Bytes, starts: Positions, ends: Positions) -> tuple[Numbers, Flags]:
        """The E.164 digits of the number in each field, UNREADABLE where there is none, and which of the
        fields are blank."""
        digits, counts, plus, plain, blank = _digits(data, starts, ends)
        numbers = np.zeros(len(starts), np.uint64)
        for length in range(SHORTEST, LONGEST + 1):
            alike = plain & (counts == length)
            if not alike.any():
                continue
            coded = np.flatnonzero(alike & plus)
            numbers[coded] = self._coded(digits[coded], length)
            bare = np.flatnonzero(alike & ~plus)
            numbers[bare] = self._bare(digits[bare], length)
        for length, end in self._emergency_ends:
            numbers[numbers % np.uint64(10**length) == end] = UNREADABLE
        for row in np.flatnonzero((numbers == UNREADABLE) & ~blank).tolist():
            if self._stopped.is_set():
                raise Stopped
            numbers[row] = self.read_one(cell_text(data[starts[row] : ends[row]].tobytes()))
        return numbers, blank

    def _bare(self, digits: Numbers, length: int) -> Numbers:
        if length in self._extensions:
            return np.zeros_like(digits)
        numbers = self._rule.read(digits, length, plus=False)
        for prefix in self._prefixes:
            if len(prefix) < length:
                numbers[digits // np.uint64(10 ** (length - len(prefix))) == int(prefix)] = UNREADABLE
        return numbers

    def _coded(self, digits: Numbers, length: int) -> Numbers:
        """A number with a plus sign is read alike in every region, by the plan of its own country."""
        numbers = self._rule.read(digits, length, plus=True)
        for size in (1, 2, 3):
            rest = np.flatnonzero(numbers == UNREADABLE)
            codes = digits[rest] // np.uint64(10 ** (length - size))
            for code in np.unique(codes).tolist():
                if code != self._rule.calling_code and (rule := self._rule_of(code)):
                    of_code = rest[codes == code]
                    numbers[of_code] = rule.read(digits[of_code], length, plus=True)
        return numbers

    def _rule_of(self, code: int) -> CleanRule | None:
        with self._lock:
            if code not in self._abroad:
                region = phonenumbers.region_code_for_country_code(code)
                known = region in phonenumbers.SUPPORTED_REGIONS
                self._abroad[code] = CleanRule(region) if known else None
            return self._abroad[code]


def _digits(
    data: Bytes, starts: Positions, ends: Positions
) -> tuple[Numbers, Positions, Flags, Flags, Flags]:
    """Of each field: its digits as an integer, how many they are, whether a plus sign is before them, whether
    there is nothing else but separators, and whether it is blank."""
    lengths = ends - starts
    values = np.zeros(len(starts), np.uint64)
    counts = np.zeros(len(starts), np.int64)
    plus = np.zeros(len(starts), np.bool_)
    plain = lengths <= _WIDEST
    blank = np.ones(len(starts), np.bool_)
    last = len(data) - 1
    for at in range(min(int(lengths.max(initial=0)), _WIDEST + 1)):
        kinds = _KIND[data[np.minimum(starts + at, last)]]
        kinds[lengths <= at] = _BLANK
        blank &= kinds == _BLANK
        is_digit = kinds < _SEPARATOR
        if is_digit.all():
            values *= np.uint64(10)
            values += kinds
        else:
            values = np.where(is_digit, values * np.uint64(10) + kinds, values)
            is_plus = kinds == _PLUS
            plain &= ~(is_plus & (plus | (counts > 0))) & (kinds != _OTHER)
            plus |= is_plus
        counts += is_digit
    return values, counts, plus, plain & (counts <= LONGEST), blank
