"""What an entry is about, as people write it: a number, or a pattern of numbers. Pure.

A pattern is written with X for each digit left open (`+1201XXXXXXX`), or with a * for any digits (`+6221*`),
after digits in E.164 or in the national form of the PBX's region (`201XXXXXXX`, `021*`). The national form is
understood by reading numbers that match: all those that are numbers at all must begin alike in E.164.
"""

import re

from callguard.config import NumberSettings
from callguard.errors import InputError
from callguard.lists.cleannumbers import CleanNumbers
from callguard.lists.spreadsheet import as_meant
from callguard.numbers import LONGEST_TEXT, NumberReader
from callguard.screening.patterns import LONGEST_NUMBER, SHORTEST_PREFIX, shape_of

ALLOWED_PATTERNS = f"such as +6221* or +1201XXXXXXX, with {SHORTEST_PREFIX} digits or more before * or X"

_WRITTEN = re.compile(r"(\+?)([0-9]+)(\*|X+)", re.ASCII)
_SEPARATORS = dict.fromkeys(map(ord, " -.()"))
_LONGEST_NATIONAL = 13
_SHORTEST_NATIONAL = 3
"""Digits before the wildcard in the national form: 0* would be the whole country."""


class EntryNumbers:
    """Reads the numbers and patterns of entries for a PBX of one region."""

    def __init__(self, settings: NumberSettings, *, region: str | None = None) -> None:
        """`region`: that of the numbers, if it is not the PBX's; then the PBX's own area code and extensions
        mean nothing. Raises ConfigurationError for what is no region."""
        arguments = settings.model_dump()
        if region is not None and region != settings.region:
            arguments = {"region": region}
        self._region = str(arguments["region"])
        self._reader = NumberReader(**arguments)
        self._clean = CleanNumbers(**arguments)

    def read(self, text: str) -> str:
        """The E.164 form of a number, as NumberReader.read_e164 has it, or of a pattern, in its one form.

        What a spreadsheet puts around it does not count. Raises InputError.
        """
        text = as_meant(text)
        if (number := self._clean.e164(text)) is not None:
            return number
        if "*" in text or "X" in text:
            return self._pattern(text)
        return self._reader.read_e164(text)

    def _pattern(self, text: str) -> str:
        written = _WRITTEN.fullmatch(text.translate(_SEPARATORS)) if len(text) <= LONGEST_TEXT else None
        if written is None:
            raise InputError(f"{text[:40]!a} is neither a number nor a pattern", allowed=ALLOWED_PATTERNS)
        plus, digits, wildcard = written.groups()
        pattern = f"+{digits}{wildcard}" if plus else self._prefix(text, digits, wildcard) + wildcard
        if shape_of(pattern) is None:
            raise InputError(f"{text[:40]!a} is not a pattern of numbers", allowed=ALLOWED_PATTERNS)
        return pattern

    def _prefix(self, text: str, digits: str, wildcard: str) -> str:
        """What numbers begin with in E.164 that begin with the digits in the region's national form."""
        shortest = max(1, LONGEST_NUMBER // 2 - len(digits))
        sizes = range(shortest, _LONGEST_NATIONAL) if wildcard == "*" else [len(wildcard)]
        found = {
            number.removesuffix(rest)
            for size in sizes
            for rest in (digit * size for digit in "0123456789")
            if (number := self._number(digits + rest)).endswith(rest)
        }
        if len(found) != 1 or len(digits) < _SHORTEST_NATIONAL:
            raise InputError(
                f"{text[:40]!a} is not the beginning of one area's numbers in the region {self._region}",
                allowed=f"with the country code, {ALLOWED_PATTERNS}",
            )
        return found.pop()

    def _number(self, digits: str) -> str:
        try:
            return self._reader.read_e164(digits)
        except InputError:
            return ""
