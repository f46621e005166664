"""The numbers in a column of a lead file, as NumberReader.read_e164 reads them.

Most are plainly clean (lists/formats/clean.py) and read by numpy, many at a time; most others are clean
enough for lists/cleannumbers.py, and each that is left goes to NumberReader itself. What a spreadsheet puts
around a number is taken off before. Where a file has a column of calling codes, a number without a plus sign
is read with +, its code, and what is written: NumberReader takes a trunk prefix out of it.
"""

import re
import threading
from collections.abc import Callable
from functools import partial

import numpy as np
import phonenumbers
from numpy.typing import NDArray

from callguard.config import NumberSettings
from callguard.errors import InputError
from callguard.lists.cleannumbers import CleanNumbers
from callguard.lists.formats.clean import SHORTEST, CleanRule
from callguard.lists.packing import Numbers
from callguard.lists.spreadsheet import as_meant
from callguard.numbers import NumberReader
from callguard.scrub.digits import LONGEST, find_digits
from callguard.scrub.layout import cell_text
from callguard.scrub.rows import Bytes, Flags, Positions

UNREADABLE = 0
"""In place of a number's digits."""

_POWERS = np.array([10**power for power in range(LONGEST + 1)], np.uint64)

Codes = NDArray[np.int64]

NO_CODE, BAD_CODE = 0, -1
"""In place of a calling code: where its cell is blank, and where it holds something else."""

_CODE = re.compile(r"\+?([1-9][0-9]{0,3})", re.ASCII)
"""Also with the digits that follow it in every number of a country, as 1242."""
_CODE_BYTES = 7
"""Of fields that are compared as one machine word, together with their length."""


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
        self._clean = CleanNumbers(**settings.model_dump())
        self._rule = CleanRule(settings.region, area_code=bool(settings.area_code))
        self._rules: dict[int, CleanRule | None] = {}
        if not settings.area_code:
            self._rules[self._rule.calling_code] = self._rule
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._extensions = {len(pattern) for pattern in settings.internal}
        self._prefixes = settings.international
        # Nothing that is read as an emergency number ends otherwise, whatever comes before its digits.
        self._emergency_ends = {(len(number[-3:]), int(number[-3:])) for number in settings.emergency}

    def stop(self) -> None:
        """Have every `read` end soon, with Stopped: NumberReader may take seconds for one call's numbers."""
        self._stopped.set()

    def read_one(self, cell: str, code: int = NO_CODE) -> int:
        """The E.164 digits of one number; UNREADABLE for what is not a subscriber's."""
        text = as_meant(cell)
        if code != NO_CODE and "+" not in text:
            if code == BAD_CODE or not text:
                return UNREADABLE
            text = f"+{code}{text}"
        if clean := self._clean.e164(text):
            return int(clean)
        try:
            return int(self._reader.read_e164(text))
        except InputError:
            return UNREADABLE

    def read(
        self, data: Bytes, starts: Positions, ends: Positions, codes: Codes | None = None
    ) -> tuple[Numbers, Flags]:
        """The E.164 digits of the number in each field, UNREADABLE where there is none, and which of the
        fields are blank. `codes` are the calling codes that the file has for them."""
        found = find_digits(data, starts, ends)
        numbers = np.zeros(len(starts), np.uint64)
        coded = found.plus if codes is None else found.plus | (codes != NO_CODE)
        self._read_alike(
            numbers, np.flatnonzero(found.plain & ~coded), found.values, found.counts, self._bare
        )
        plus = np.flatnonzero(found.plain & found.plus)
        self._read_alike(numbers, plus, found.values, found.counts, self._coded)
        if codes is not None:
            after = np.flatnonzero(found.plain & ~found.plus & (codes > NO_CODE))
            numbers[after] = self._after(codes[after], found.values[after], found.counts[after])
        for length, end in self._emergency_ends:
            numbers[numbers % np.uint64(10**length) == end] = UNREADABLE
        for row in np.flatnonzero((numbers == UNREADABLE) & ~found.blank).tolist():
            if self._stopped.is_set():
                raise Stopped
            cell = cell_text(data[starts[row] : ends[row]].tobytes())
            numbers[row] = self.read_one(cell, NO_CODE if codes is None else int(codes[row]))
        return numbers, found.blank

    def _read_alike(
        self,
        numbers: Numbers,
        fields: Positions,
        digits: Numbers,
        lengths: Positions,
        read: Callable[[Numbers, int], Numbers],
    ) -> None:
        """Read the digits of some fields into their places, those of one length at once."""
        of_fields = lengths[fields]
        for length in np.flatnonzero(np.bincount(of_fields)).tolist():
            if SHORTEST <= length <= LONGEST:
                alike = fields[of_fields == length]
                numbers[alike] = read(digits[alike], length)

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
        numbers = np.zeros_like(digits)
        for size in (1, 2, 3):
            rest = np.flatnonzero(numbers == UNREADABLE)
            codes = digits[rest] // np.uint64(10 ** (length - size))
            for code in np.unique(codes).tolist():
                if rule := self._rule_of(code):
                    of_code = rest[codes == code]
                    numbers[of_code] = rule.read(digits[of_code], length, plus=True)
        return numbers

    def _after(self, codes: Codes, digits: Numbers, lengths: Positions) -> Numbers:
        """National numbers, each after its calling code."""
        numbers = np.zeros_like(digits)
        shifted = _POWERS[lengths]
        zero_first = digits * np.uint64(10) < shifted
        trunk = np.flatnonzero(zero_first)
        for code in np.unique(codes[trunk]).tolist():
            if rule := self._rule_of(code):
                # After its calling code, the zero of a national number is what it is before it at home.
                at_home = partial(rule.read, plus=False)
                self._read_alike(numbers, trunk[codes[trunk] == code], digits, lengths, at_home)
        whole = codes.astype(np.uint64) * shifted + digits
        size = np.searchsorted(_POWERS, codes.astype(np.uint64), side="right")
        self._read_alike(numbers, np.flatnonzero(~zero_first), whole, lengths + size, self._coded)
        return numbers

    def _rule_of(self, code: int) -> CleanRule | None:
        with self._lock:
            if code not in self._rules:
                region = phonenumbers.region_code_for_country_code(code)
                known = region in phonenumbers.SUPPORTED_REGIONS
                self._rules[code] = CleanRule(region) if known else None
            return self._rules[code]


def read_codes(data: Bytes, starts: Positions, ends: Positions) -> Codes:
    """The calling code in each field; NO_CODE where it is blank, BAD_CODE where it is none."""
    codes = np.full(len(starts), NO_CODE, np.int64)
    lengths = ends - starts
    filled = np.flatnonzero(lengths)
    if not len(filled):
        return codes
    words = lengths[filled].astype(np.uint64)
    for at in range(_CODE_BYTES):
        there = lengths[filled] > at
        byte = data[np.minimum(starts[filled] + at, len(data) - 1)]
        words = (words << np.uint64(8)) | np.where(there, byte, 0).astype(np.uint64)
    wide = lengths[filled] > _CODE_BYTES
    # Of equal cells one is read; files have a few different ones.
    _, one_of, of_field = np.unique(words[~wide], return_index=True, return_inverse=True)
    narrow = filled[~wide]
    read = [read_code(cell_text(data[starts[f] : ends[f]].tobytes())) for f in narrow[one_of].tolist()]
    codes[narrow] = np.array(read, np.int64)[of_field]
    for field in filled[wide].tolist():
        codes[field] = read_code(cell_text(data[starts[field] : ends[field]].tobytes()))
    return codes


def read_code(cell: str) -> int:
    """The calling code in one cell."""
    text = as_meant(cell, fewest_digits=1)
    found = _CODE.fullmatch(text)
    return int(found[1]) if found else BAD_CODE if text else NO_CODE
