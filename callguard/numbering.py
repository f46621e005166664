"""The numbering plans of the world's countries, as the phonenumbers library knows them.

Numbers here begin with their country code, without a plus sign.
"""

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType, ValidationResult

_LONGEST_E164 = 15

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
