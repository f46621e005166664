"""Dialled digits to E.164: one subscriber has one form, whichever way the number was written.

The numbering plans are those of the phonenumbers library. What it leaves open is decided here, never by a
guess: digits that can be read in two ways that are equally good are unreadable, and so refused.

A way to write a number has a rank; the best rank that gives a number wins, and two numbers of the same rank
are ambiguous. "Known" is a number in a range of its country's plan; "possible" is one that has the length of
a landline or mobile number there, so that a range newer than the library's data can be called, too.

    way of writing                                                  known   possible
    + and country code                                                1        1
    international prefix and country code                             1        3
    trunk prefix (0) and national number                              1        3
    local number, with the PBX's area code                            1        never
    own country code without a plus, where a trunk prefix is used     1        2
    own country code without a plus, elsewhere                        2        3
    national number of a mobile, or written without a trunk prefix    1        3
    other national number that lacks its trunk prefix                 2        3

A number that lacks its trunk prefix has rank 4, and is not taken, where it may as well be local to an area
that nobody has told us. Where digits begin like an international prefix, only a known national number counts.

Outside lines: a configured outside-line digit is taken off first, as the PBX does. Only if what is left can
be no number at all, the digits are read whole, and only rank 1 is taken then: a number that itself begins
with 9, dialled without an outside line. An emergency number wins over both.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberType

from callguard.errors import ConfigurationError, InputError
from callguard.numbering import Found, find, written, zones_of

LONGEST_TEXT = 120
"""Characters of what is dialled. Longer text is unreadable; so is text that was cut at a bound above this."""

_LONGEST_DIGITS = 32
"""15 digits of E.164, with the longest prefixes before them."""

_LONGEST_EXTENSION = 8

_INTERNATIONAL = {"ID": "00[1789]?|01017"}
"""Where more international prefixes are in use than phonenumbers knows (it has 008 and 009 for Indonesia):
each carrier has its own, and private trunks take 00."""

_SEPARATORS = " \t\u00a0\u2009\u202f-.()\u2010\u2011\u2012\u2013\u2014\u2212"
"""What people put between digits. Not / or a comma: they stand between two numbers."""

_INVISIBLE = "\u200b\u200e\u202a\u202c\u202d\ufeff"
"""What copying a number from an address book or a spreadsheet brings along."""

_LEFT_OUT = dict.fromkeys(map(ord, _SEPARATORS + _INVISIBLE))

_SURE = 1
_MAYBE_LOCAL = 4
"""The best and the last rank of the table above."""

_UNREACHED_AREA_CODE_DIGITS = 2
"""The shortest area code, where the PBX's own is not known."""


class NumberKind(StrEnum):
    """What the dialled digits turned out to be."""

    SUBSCRIBER = "subscriber"
    EMERGENCY = "emergency"
    INTERNAL = "internal"
    """An extension or a service code of the PBX itself."""
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Number:
    """A dialled number as read."""

    kind: NumberKind
    e164: str | None
    """With the plus sign, for a subscriber; else None."""
    why: str = ""
    """For an unreadable number: what is wrong with it."""
    digits: str = ""
    """For an emergency or internal number: what to dial, without the outside-line digit."""
    zones: tuple[str, ...] = field(default=(), compare=False)
    """For a subscriber: every time zone (IANA) that the number can be in; none where nobody knows."""


class NumberReader:
    """Reads numbers as a PBX of one region dials them. Its arguments are the settings of [numbers].

    `region` is an ISO 3166 code. `area_code` is for numbers dialled without one. `outside_line` has one or
    more outside-line prefixes, comma-separated. `emergency` are emergency numbers besides the region's own.
    `internal` are extensions, with X for any digit. `international` replaces the region's international
    prefixes: it settles what is ambiguous where several overlap (Indonesia's 00 and 001).

    Raises ConfigurationError, which names the key.
    """

    def __init__(
        self,
        *,
        region: str = "ID",
        area_code: str = "",
        outside_line: str = "",
        emergency: Sequence[str] = (),
        internal: Sequence[str] = (),
        international: Sequence[str] = (),
    ) -> None:
        plan = PhoneMetadata.metadata_for_region(region, None) if _is_region(region) else None
        if plan is None or plan.international_prefix is None:
            raise ConfigurationError(
                f"{region[:20]!a} is not a region with a numbering plan",
                where="numbers.region",
                allowed="two capital letters (ISO 3166), such as ID or US",
            )
        self.region = region
        self._code = str(plan.country_code)
        self._trunk = plan.national_prefix or ""
        self._area_code = _checked("area_code", area_code, r"[0-9]{0,6}", "digits, such as 21")
        if self._trunk == "0":
            self._area_code = self._area_code.removeprefix("0")
        lengths = plan.fixed_line.possible_length if plan.fixed_line else ()
        self._longest_local = max(lengths, default=0) - _UNREACHED_AREA_CODE_DIGITS
        for prefix in international:
            _checked("international", prefix, r"[0-9]{1,8}", "digits, such as 00 or 001")
        known_prefixes = _INTERNATIONAL.get(region, plan.international_prefix)
        self._international = re.compile("|".join(international) or known_prefixes)
        prefixes = [prefix.strip() for prefix in outside_line.split(",") if prefix.strip()]
        for prefix in prefixes:
            _checked("outside_line", prefix, r"[0-9*#]{1,8}", "digits, comma-separated if several")
        self._outside_line = sorted(prefixes, key=len, reverse=True)
        self._internal = re.compile("|".join(_extension(pattern) for pattern in internal) or r"(?!)")
        for number in emergency:
            _checked("emergency", number, r"[0-9]{2,15}", "2 to 15 digits")
        self._emergency = frozenset(emergency)
        self._emergency_e164 = {
            found[0].e164: number
            for number in emergency
            for rank, found in [self._best(number)]
            if len(found) == 1 and rank < _MAYBE_LOCAL
        }
        self._read = lru_cache(maxsize=8192)(self._read_now)

    @property
    def international_prefixes(self) -> str:
        """The expression of what may be dialled before a country code."""
        return self._international.pattern

    def read(self, dialled: str) -> Number:
        """What the dialled text is: digits, with or without punctuation, or a tel: or sip: URI.

        Never raises, whatever the text; its time is bounded, however long the text.
        """
        if len(dialled) > LONGEST_TEXT:
            return _unreadable("too long")
        return self._read(dialled, True)

    def read_e164(self, text: str) -> str:
        """The E.164 form of a number that was written, not dialled: no outside-line digit before it.

        Raises InputError for anything but a subscriber's number.
        """
        number = self._read(text, False) if len(text) <= LONGEST_TEXT else _unreadable("too long")
        if number.e164 is None:
            why = number.why or f"it is an {number.kind} number"
            raise InputError(
                f"{text[:40]!a} is not the number of a subscriber: {why}",
                allowed="+62812..., or as dialled in the region " + self.region,
            )
        return number.e164

    def _read_now(self, text: str, dialled: bool) -> Number:
        prefixes = self._outside_line if dialled else []
        before, plus, digits = _bare(text).partition("+")
        if plus:
            if not re.fullmatch(r"[0-9]+", digits) or before not in ("", *prefixes):
                return _unreadable("not a number")
            abroad = find(digits) if len(digits) <= _LONGEST_DIGITS else None
            if abroad and (abroad.known or abroad.possible):
                return self._subscriber(_SURE, [abroad])
            return _unreadable("no such country code, or not a number of that country")
        digits = before
        if not re.fullmatch(r"[0-9*#]+", digits):
            return _unreadable("not a number" if digits else "no digits")
        if len(digits) > _LONGEST_DIGITS:
            return _unreadable("too many digits")
        outside = [digits.removeprefix(prefix) for prefix in prefixes if digits.startswith(prefix)]
        for rest in (digits, *outside):
            if self._is_emergency(rest):
                return Number(NumberKind.EMERGENCY, None, digits=rest)
        if self._internal.fullmatch(digits):
            return Number(NumberKind.INTERNAL, None, digits=digits)
        for rest in outside:
            rank, found = self._best(rest)
            if found:
                return self._subscriber(rank, found)
        rank, found = self._best(digits)
        if found and (rank == _SURE or not outside):
            return self._subscriber(rank, found)
        if len(digits) <= 6:
            return _unreadable("a short number that is neither an emergency number nor an extension")
        return _unreadable(f"not a number as dialled in the region {self.region}")

    def _subscriber(self, rank: int, found: Sequence[Found]) -> Number:
        if rank == _MAYBE_LOCAL:
            return _unreadable("neither an area code nor a trunk prefix: it may be local to any area")
        if len(found) > 1:
            return _unreadable("ambiguous: " + " or ".join(one.e164 for one in found))
        e164 = found[0].e164
        if e164 in self._emergency_e164:
            return Number(NumberKind.EMERGENCY, None, digits=self._emergency_e164[e164])
        return Number(NumberKind.SUBSCRIBER, e164, zones=zones_of(e164, found[0].type))

    def _is_emergency(self, digits: str) -> bool:
        if not digits.isdecimal():  # phonenumbers would read *112 as 112
            return False
        return digits in self._emergency or phonenumbers.is_emergency_number(digits, self.region)

    def _best(self, digits: str) -> tuple[int, list[Found]]:
        """The best rank and its numbers, each once: none if unreadable, several if ambiguous."""
        ranked = list(self._readings(digits)) if digits.isdecimal() else []
        best = min((rank for rank, _ in ranked), default=_MAYBE_LOCAL)
        numbers = {number.e164: number for rank, number in ranked if rank == best}
        return best, [numbers[e164] for e164 in sorted(numbers)]

    def _readings(self, digits: str) -> Iterator[tuple[int, Found]]:
        """Each way to read the digits, with its rank: the table at the top of this module."""
        abroad = [n for n in range(1, len(digits)) if self._international.fullmatch(digits, 0, n)]
        for length in abroad:
            if found := find(digits[length:]):
                yield from _ranked(found, known=1, possible=3)
        national = find(self._code + digits)
        with_trunk_prefix = national is not None and national.national != digits
        if with_trunk_prefix and national:
            yield from _ranked(national, known=1, possible=None if abroad else 3)
        elif national:
            dialled_so = not self._trunk or national.type == PhoneNumberType.MOBILE or national.written_bare
            like_a_prefix = abroad or (self._trunk and digits.startswith("0"))
            ranks = (1 if dialled_so else 2, None if like_a_prefix else 3)
            if not dialled_so and not self._area_code and len(digits) <= self._longest_local:
                ranks = (_MAYBE_LOCAL, None if like_a_prefix else _MAYBE_LOCAL)
            yield from _ranked(national, known=ranks[0], possible=ranks[1])
        if digits.startswith(self._code) and (found := find(digits)):
            yield from _ranked(found, known=1 if self._trunk else 2, possible=2 if self._trunk else 3)
        if self._area_code and not with_trunk_prefix and (found := self._local(digits)):
            yield from _ranked(found, known=1, possible=None)

    def _local(self, digits: str) -> Found | None:
        """The number with the PBX's own area code; None for a short number of the region, such as 14045."""
        if digits.startswith("0"):
            return None
        short = phonenumbers.PhoneNumber(country_code=int(self._code), national_number=int(digits))
        if phonenumbers.is_valid_short_number_for_region(short, self.region):
            return None
        return find(self._code + self._area_code + digits)


def format_for_trunk(e164: str, number_format: str, region: str) -> str:
    """A number as a trunk wants it dialled.

    `e164-plus`: as it is. `e164`: without the plus. `national`: for a number of the region's country, as it
    is written there, digits only (0812... in Indonesia, 0111523456789 for an Argentine mobile, ten digits in
    the US); for another country, the region's international prefix before the digits (00 where the region
    has several of equal standing).

    Raises ValueError for another format, or what is not E.164.
    """
    if not re.fullmatch(r"\+[0-9]{4,15}", e164):
        raise ValueError(f"not E.164: {e164[:40]!a}")
    if number_format == "e164-plus":
        return e164
    if number_format == "e164":
        return e164[1:]
    if number_format != "national":
        raise ValueError(f"not a number format: {number_format[:40]!a}")
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"not E.164: {e164}") from error
    plan = PhoneMetadata.metadata_for_region(region, None)
    if plan is not None and plan.country_code == number.country_code:
        return written(number)
    wanted = (plan.preferred_international_prefix or plan.international_prefix or "") if plan else ""
    prefix = wanted.replace("~", "")
    return (prefix if prefix.isdecimal() else "00") + e164[1:]


def _ranked(found: Found, *, known: int, possible: int | None) -> Iterator[tuple[int, Found]]:
    if found.known:
        yield known, found
    elif found.possible and possible is not None:
        yield possible, found


def _bare(text: str) -> str:
    """The text without punctuation, URI and foreign digits: anything else in it stays, to be refused."""
    number = _of_uri(text.strip()).translate(_LEFT_OUT)
    if number.isascii():
        return number
    return "".join(str(unicodedata.decimal(char, char)) for char in number.replace("\uff0b", "+"))


def _of_uri(text: str) -> str:
    """The number in a tel: (RFC 3966) or sip: URI (RFC 3261, 19.1.6); other text as it is.

    A phone-context with a plus sign is the prefix of a number that has none.
    """
    scheme, _, rest = text.removeprefix("<").removesuffix(">").partition(":")
    match scheme.lower():
        case "tel":
            user, parameters = rest, ""
        case "sip" | "sips":
            user, _, parameters = rest.partition("@")
            user = user.partition(":")[0]
        case _:
            return text
    number = unquote(user.partition(";")[0])
    for parameter in (user + ";" + parameters).split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.lower() == "phone-context" and unquote(value).startswith("+") and "+" not in number:
            return unquote(value) + number
    return number


def _unreadable(why: str) -> Number:
    return Number(NumberKind.UNREADABLE, None, why)


def _is_region(region: str) -> bool:
    return region in phonenumbers.SUPPORTED_REGIONS


def _extension(pattern: str) -> str:
    """The expression of an internal pattern: short, since one of eleven X would let every number through."""
    allowed = f"at most {_LONGEST_EXTENSION} digits (any number with a * or #), with X for any digit, as 1XX"
    longest = 20 if set(pattern) & set("*#") else _LONGEST_EXTENSION
    _checked("internal", pattern, rf"[0-9X*#]{{1,{longest}}}", allowed)
    return re.escape(pattern).replace("X", "[0-9]")


def _checked(key: str, text: str, expression: str, allowed: str) -> str:
    if not re.fullmatch(expression, text):
        raise ConfigurationError(f"{text[:40]!a} cannot be used", where=f"numbers.{key}", allowed=allowed)
    return text
