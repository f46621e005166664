"""Clean numbers to E.164, at many times the speed of NumberReader, and never otherwise than it. Pure.

For one number at a time, as rows of text come; formats/clean.py has a rule for arrays of them. A number is
clean if NumberReader.read_e164 can find nothing in it to weigh: it has a length of its country's
landlines or mobiles, does not begin with a zero, nor with anything that the country's plan takes off a number
(phonenumbers' national_prefix_for_parsing), would be no other number with a zero in front (Italy), and no
other way to read it stands against this one. Whatever is not clean is None here, and NumberReader's to judge.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata

from callguard.numbering import SECOND_FORMS

_SHORTEST = 8
"""Digits: shorter numbers may be emergency numbers or services."""
_LONGEST_E164 = 15
_HARMLESS_EMERGENCY = 3
"""Digits of an emergency number that cannot be a subscriber's number, too, where there is no area code."""

_SEPARATORS = dict.fromkeys(map(ord, " -.()"))
_WRITTEN = re.compile(r"\+?[0-9]+", re.ASCII)
_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class _Country:
    """What the plan of a calling code says."""

    code: str
    lengths: frozenset[int]
    """Of its landlines and mobiles, without the code."""
    taken_off: re.Pattern[str]
    """What may be taken off the front of a national number."""
    general: re.Pattern[str]
    """Every national number."""
    dialled: tuple[re.Pattern[str], ...]
    """Its landlines, its mobiles."""

    def clean(self, national: str) -> bool:
        return (
            len(national) in self.lengths
            and national[0] != "0"
            and not self.taken_off.match(national)
            and not self.general.fullmatch("0" + national)
        )

    def takes_off(self, prefix: str, digits: str) -> bool:
        """Tell whether exactly the prefix is taken off the front of the digits."""
        found = self.taken_off.match(digits)
        if not found or found.end() != len(prefix) or not digits.startswith(prefix):
            return False
        return not any(found.groups()) and not self.general.fullmatch(digits)

    def known(self, national: str) -> bool:
        """Tell whether a national number is in a range of the plan."""
        return bool(self.general.fullmatch(national)) and any(
            pattern.fullmatch(national) for pattern in self.dialled
        )


class CleanNumbers:
    """Reads clean numbers as NumberReader does; its arguments are the same: the settings of [numbers].

    The outside line is of no matter: numbers are read as they are written.
    """

    def __init__(
        self,
        *,
        region: str,
        area_code: str = "",
        outside_line: str = "",
        emergency: Sequence[str] = (),
        internal: Sequence[str] = (),
        international: Sequence[str] = (),
    ) -> None:
        plan = PhoneMetadata.metadata_for_region(region, None)
        self._home = None if plan is None else _country(str(plan.country_code))
        self._trunk = (plan.national_prefix or "") if plan else ""
        self._shared_code = plan is not None and len(_regions(str(plan.country_code))) != 1
        self._area_code = area_code
        # Each has a 0 or the region's own prefix in front; more than there are does no harm here.
        known = (plan.international_prefix or "") if plan else ""
        self._abroad = re.compile("|".join((*international, known, "00", "01017", "011")))
        lengths = plan.fixed_line.possible_length if plan and plan.fixed_line else ()
        self._longest_local = max(lengths, default=0) - 2
        self._extensions = frozenset(len(pattern) for pattern in internal)
        harmless = not area_code and all(len(number) <= _HARMLESS_EMERGENCY for number in emergency)
        self._usable = harmless or not emergency

    @property
    def _code(self) -> str:
        return self._home.code if self._home else ""

    def e164(self, text: str) -> str | None:
        """The E.164 form of a clean number; None for every other text."""
        digits = text.translate(_SEPARATORS)
        if not self._usable or len(text) > 40 or not _WRITTEN.fullmatch(digits):
            return None
        if digits[0] == "+":
            return _international(digits[1:])
        if len(digits) < _SHORTEST or len(digits) in self._extensions or self._abroad.match(digits):
            return None
        national = self._national(digits)
        if national is None or len(self._code) + len(national) > _LONGEST_E164:
            return None
        return f"+{self._code}{national}"

    def _national(self, digits: str) -> str | None:
        """The national number that is meant, where that is clean."""
        home = self._home
        if home is None:
            return None
        if self._trunk and digits.startswith(self._trunk) and home.takes_off(self._trunk, digits):
            national = digits.removeprefix(self._trunk)
            return national if home.clean(national) else None
        if self._area_code:
            return None  # it may be local
        if digits.startswith(home.code):
            national = digits.removeprefix(home.code)
            plain = self._trunk and not self._shared_code and not home.taken_off.match(digits)
            if plain and home.clean(national) and home.known(national) and not home.general.fullmatch(digits):
                return national
            return None
        return digits if len(digits) > self._longest_local and home.clean(digits) else None


def _international(digits: str) -> str | None:
    country = next((found for size in (1, 2, 3) if (found := _country(digits[:size]))), None)
    if country is None or not _SHORTEST <= len(digits) <= _LONGEST_E164:
        return None
    return f"+{digits}" if country.clean(digits[len(country.code) :]) else None


def _regions(code: str) -> tuple[str, ...]:
    return phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ()) if code and code[0] != "0" else ()


@lru_cache(maxsize=1024)
def _country(code: str) -> _Country | None:
    regions = _regions(code)
    if not regions or int(code) in SECOND_FORMS:
        return None
    plan = PhoneMetadata.metadata_for_region_or_calling_code(int(code), regions[0])
    if plan is None or plan.general_desc is None:
        return None
    described = [desc for desc in (plan.fixed_line, plan.mobile) if desc and desc.national_number_pattern]
    return _Country(
        code=code,
        lengths=frozenset(length for desc in described for length in desc.possible_length),
        taken_off=re.compile(plan.national_prefix_for_parsing or _NEVER.pattern),
        general=re.compile(plan.general_desc.national_number_pattern or _NEVER.pattern),
        dialled=tuple(re.compile(desc.national_number_pattern or _NEVER.pattern) for desc in described),
    )
