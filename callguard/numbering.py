"""The numbering plans of the world's countries, as the phonenumbers library knows them.

Numbers here begin with their country code, without a plus sign.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import (
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
    region_code_for_number,
)
from phonenumbers.timezone import UNKNOWN_TIMEZONE
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

_LONGEST_E164 = 15

_NORTH_AMERICA = 1
_LONGEST_BEGIN = 5
"""Digits by which phonenumbers tells the regions of one calling code apart, at most."""

SECOND_FORMS = {
    52: (re.compile(r"(?:0?1|04[45])([2-9][0-9]{9})"), r"\1"),
    241: (re.compile(r"([2-7][0-9]{6})"), r"0\1"),
}
"""By country code, the national numbers that are another form of a number. Mexico gave up its prefixes of
mobile and long-distance calls in 2019; Gabon's numbers of eight digits were written abroad without the 0."""


@dataclass(frozen=True, slots=True)
class Found:
    """A number in the numbering plan of its country."""

    e164: str
    national: str
    """Without country code and trunk prefix."""
    type: int
    """PhoneNumberType; UNKNOWN where the number is in no known range."""
    possible: bool
    written_bare: bool
    """A known number that is written without a trunk prefix in its own country, as in the US."""

    @property
    def known(self) -> bool:
        return self.type != PhoneNumberType.UNKNOWN


def find(international: str) -> Found | None:
    """The number that begins with a country code; None if no country's number can look like it."""
    number = _parsed(international)
    if number is None:
        return None
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if len(e164) > _LONGEST_E164 + 1:
        return None
    if e164[1:] != international and _parsed(e164[1:]) != number:
        return None  # a second trunk prefix: what is left would be another number each time it is read
    kind = phonenumbers.number_type(number)
    national = phonenumbers.national_significant_number(number)
    possible = kind != PhoneNumberType.UNKNOWN or (_has_length(number) and not _lacks_zero(e164, national))
    written_bare = kind != PhoneNumberType.UNKNOWN and written(number) == national
    return Found(e164, national, kind, possible, written_bare)


def zones_of(e164: str, kind: int) -> tuple[str, ...]:
    """Every time zone (IANA) that a number (E.164, of that PhoneNumberType) can be in; none where nobody
    knows. As time_zones_for_number of phonenumbers, without reading the number once more: those of its area,
    or, for numbers that have none, of its whole country."""
    code = e164[1 : 1 + _code_length(e164)]
    shortest = longest = len(code)
    if phonenumbers.is_number_type_geographical(kind, int(code)):
        longest = min(TIMEZONE_LONGEST_PREFIX, len(e164) - 1)
    for length in range(longest, shortest - 1, -1):
        zones: tuple[str, ...] | None = TIMEZONE_DATA.get(e164[1 : 1 + length])
        if zones is not None:
            return () if zones == (UNKNOWN_TIMEZONE,) else zones
    return ()


def _code_length(e164: str) -> int:
    """Digits of the country code: there is none that another begins with."""
    return next((n for n in (1, 2, 3) if int(e164[1 : 1 + n]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), 3)


def written(number: phonenumbers.PhoneNumber) -> str:
    """The digits of a number as it is written in its own country."""
    return re.sub("[^0-9]", "", phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL))


def _parsed(international: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse("+" + international)
    except phonenumbers.NumberParseException:
        return None
    if number.country_code not in SECOND_FORMS:
        return number
    expression, form = SECOND_FORMS[number.country_code]
    national = phonenumbers.national_significant_number(number)
    if not expression.fullmatch(national):
        return number
    return phonenumbers.parse(f"+{number.country_code}{expression.sub(form, national)}")


def _has_length(number: phonenumbers.PhoneNumber) -> bool:
    """By type, because the general lengths of a country also cover its free and special numbers."""
    return any(
        phonenumbers.is_possible_number_for_type_with_reason(number, kind) == ValidationResult.IS_POSSIBLE
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
    )


def _lacks_zero(e164: str, national: str) -> bool:
    """Tell whether a known number lost its leading zero, as an Italian landline easily does."""
    with_zero = _parsed(e164.removesuffix(national)[1:] + "0" + national)
    if with_zero is None or not with_zero.italian_leading_zero:
        return False
    return phonenumbers.number_type(with_zero) != PhoneNumberType.UNKNOWN


def own_prefixes(region: str) -> tuple[str, ...]:
    """The prefixes of a region that shares its calling code with others, as far as phonenumbers tells them:
    the area codes of the US, of Canada and of each other region of +1; and what each region's numbers begin
    with in Russia and Kazakhstan, Norway and Svalbard, Finland and Aland.

    Empty, for all of the calling code, where no other region has it, or where numbers are not told apart by
    what they begin with: such as those of Britain, Guernsey and Jersey.
    """
    code = _calling_codes().get(region)
    if code is None or len(phonenumbers.region_codes_for_country_code(code)) == 1:
        return ()
    if code == _NORTH_AMERICA:
        return tuple(f"{code}{area}" for area, its in _north_american_areas().items() if its == region)
    plan = PhoneMetadata.metadata_for_region(region)
    if plan is None or plan.leading_digits is None:
        return ()
    begins = re.compile(f"^(?:{plan.leading_digits})$", re.ASCII | re.MULTILINE)
    return tuple(sorted(f"{code}{found[0]}" for found in begins.finditer(_beginnings())))


@lru_cache(maxsize=1)
def _beginnings() -> str:
    """All that a national number can begin with, a line each: one search of a text is several times as quick
    as a match of each."""
    lines: list[str] = []
    longest = [""]
    for _ in range(_LONGEST_BEGIN):
        longest = [begin + digit for begin in longest for digit in "0123456789"]
        lines += longest
    return "\n".join(lines)


@lru_cache(maxsize=1)
def _calling_codes() -> dict[str, int]:
    """Region -> calling code. country_code_for_region would load each region's whole plan to tell it."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return {region: code for code, its in regions.items() for region in its}


@lru_cache(maxsize=1)
def _north_american_areas() -> dict[int, str | None]:
    """Area code -> region, for all that there can be."""
    numbers = {area: PhoneNumber(_NORTH_AMERICA, area * 10**7 + 2345678) for area in range(200, 1000)}
    return {area: region_code_for_number(number) for area, number in numbers.items()}


def prefixes_of(region: str) -> tuple[str, ...]:
    """What the numbers of a region begin with, as digits with the calling code, as far as they can be told by
    that. Raises ValueError for what is no region with a numbering plan."""
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"no region: {region[:20]!a}")
    return own_prefixes(region) or (str(_calling_codes()[region]),)
