"""The rule for numbers that are plainly clean, for millions at a time: E.164 without asking phonenumbers.

A registry's file is read at 25 million lines a second; NumberReader reads some 40,000. So a number takes the
short way where its length and its first three digits alone tell how NumberReader reads it, and every other
number is left to NumberReader. The rule may leave a number out, but never reads one differently.

What the first digits tell is taken from the plans of the phonenumbers library: each expression of a plan is
tried on three digits and a wildcard for each further one. If that does not match, no number that begins with
these digits does.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import phonenumbers
from numpy.typing import NDArray
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberType, ValidationResult

from callguard.lists.packing import Numbers
from callguard.numbering import SECOND_FORMS
from callguard.numbers import NumberReader

SHORTEST, LONGEST = 7, 15
"""Digits of what may be clean. Every emergency number is shorter."""

_HEAD = 3
"""Digits that decide, together with the length."""
_HEADS = 10**_HEAD

_UNCLEAN = np.uint64(1 << 63)
_WILD = "x"
_ATOM = re.compile(r"(?P<count>\{[^}]*\})|(?P<one>\[[^]]*\]|\\d|[0-9])")


class Form(NamedTuple):
    """How a number is written."""

    digits: int
    plus: bool


@dataclass(frozen=True, slots=True)
class _Heads:
    """What to do with numbers of one length by their first digits, or the first after the calling code."""

    code: int
    """What the calling code before these digits amounts to; 0 where there is none."""
    divisor: int
    """What leaves the first digits of the rest."""
    added: Numbers
    """By these digits, what to add to the number; _UNCLEAN where they do not tell. With one element more, for
    what has another calling code."""


class CleanRule:
    """The rule for the numbers of one region, as NumberReader(region=region) reads them.

    With `area_code`, as a NumberReader reads them that has an area code: then digits without a plus sign or
    trunk prefix are never clean. Emergency and internal numbers that a NumberReader has by its settings are
    not known here.

    May be used by several threads. Raises ConfigurationError for what is not a region.
    """

    def __init__(self, region: str, *, area_code: bool = False) -> None:
        reader = NumberReader(region=region)
        own = _plan(region)
        self.calling_code: int = phonenumbers.country_code_for_region(region)
        self._code = str(self.calling_code)
        self._trunk = own.national_prefix or ""
        self._bare_allowed = not area_code
        fixed = own.fixed_line.possible_length if own.fixed_line else ()
        self._longest_local = max(fixed, default=0) - 2 if self._trunk else 0
        main = _plan(phonenumbers.region_code_for_country_code(self.calling_code))
        second_form = SECOND_FORMS.get(self.calling_code)
        self._abroad = _wild(reader.international_prefixes)
        self._taken_off = _wild(main.national_prefix_for_parsing or "")
        self._second_form = _wild(second_form[0].pattern if second_form else "(?!)")
        self._general = [
            _wild(_general(_plan(other)))
            for other in phonenumbers.region_codes_for_country_code(self.calling_code)
        ]
        self._bare = lru_cache(maxsize=None)(self._bare_heads)
        self._plus = lru_cache(maxsize=None)(self._plus_heads)
        self._coded = lru_cache(maxsize=None)(self._coded_heads)

    def read(self, digits: Numbers, length: int, *, plus: bool) -> Numbers:
        """The E.164 digits of numbers of `length` digits each, written with or without a plus sign.

        0 for a number that is not clean: NumberReader must read it.
        """
        if not SHORTEST <= length <= LONGEST:
            return np.zeros_like(digits)
        numbers = _read(digits, self._plus(length) if plus else self._bare(length))
        if not plus:
            unclean = np.flatnonzero(numbers == 0)
            if unclean.size:
                numbers[unclean] = _read(digits[unclean], self._coded(length))
        return numbers

    def read_several(self, digits: Numbers, forms: Sequence[Form], form: NDArray[np.intp]) -> Numbers:
        """The same of numbers in several forms: `form` tells which of them each has.

        It leaves more numbers than `read`: those with the calling code, but no plus sign.
        """
        tables = [self._plus(one.digits) if one.plus else self._bare(one.digits) for one in forms]
        heads = digits - np.array([table.code for table in tables], np.uint64).take(form)
        heads //= np.array([table.divisor for table in tables], np.uint64).take(form)
        np.minimum(heads, np.uint64(_HEADS), out=heads)
        places = heads.view(np.int64)
        places += form * (_HEADS + 1)
        return _added(digits, np.concatenate([table.added for table in tables]).take(places))

    # --- what the first digits tell -----------------------------------------------------------------------

    def _bare_heads(self, length: int) -> _Heads:
        """Of numbers without calling code and plus sign."""
        added = np.full(_HEADS + 1, _UNCLEAN, np.uint64)
        for head in range(_HEADS):
            digits = _digits(head, length)
            if _begins(self._abroad, digits):
                continue
            if digits[0] == "0":
                if self._trunk == "0" and self._is_trunk_zero(digits) and self._is_clean(digits[1:]):
                    added[head] = self.calling_code * 10 ** (length - 1)
            elif self._is_bare(digits):
                added[head] = self.calling_code * 10**length
        return _Heads(0, 10 ** (length - _HEAD), added)

    def _plus_heads(self, length: int) -> _Heads:
        """Of numbers with plus sign and calling code."""
        return self._after_code(length, self._is_clean)

    def _coded_heads(self, length: int) -> _Heads:
        """Of numbers with the calling code, but no plus sign."""
        return self._after_code(
            length, lambda rest: self._is_clean(rest) and self._is_coded(self._code + rest)
        )

    def _after_code(self, length: int, is_clean: Callable[[str], bool]) -> _Heads:
        added = np.full(_HEADS + 1, _UNCLEAN, np.uint64)
        length -= len(self._code)
        if length < _HEAD:
            return _Heads(0, 1, added)
        for head in range(_HEADS):
            if is_clean(_digits(head, length)):
                added[head] = 0
        return _Heads(self.calling_code * 10**length, 10 ** (length - _HEAD), added)

    def _is_clean(self, national: str) -> bool:
        """Whether find() leaves the national number as it is and takes it for possible, wherever it is.

        It must have the length of a landline or mobile, be in no second form, and be no number of another
        range that lost its leading zero (Italy). Without a leading zero, it is one integer for one number.
        """
        return (
            national[0] != "0"
            and len(self._code) + len(national) <= LONGEST
            and self._has_length(len(national))
            and not _begins(self._taken_off, national)
            and not self._second_form.fullmatch(national)
            and not self._is_in_plan("0" + national)
        )

    def _is_bare(self, digits: str) -> bool:
        """Whether digits without anything before them can only be a clean national number."""
        may_have_code = all(one in (_WILD, other) for one, other in zip(digits, self._code, strict=False))
        may_be_local = len(digits) <= self._longest_local
        return self._bare_allowed and not may_have_code and not may_be_local and self._is_clean(digits)

    def _is_trunk_zero(self, digits: str) -> bool:
        """Whether exactly the first zero is taken off: the number with it must be in no range of the plan."""
        taken_off = self._taken_off.match(digits)
        if taken_off is None or taken_off.end() != 1 or any(taken_off.groups()):
            return False
        return not self._is_in_plan(digits)

    def _is_coded(self, digits: str) -> bool:
        """Whether digits that begin with the calling code can be nothing better than that number.

        Where a trunk prefix is used, a national number that is only possible has a worse rank than this; else
        the same one. Where the trunk prefix is the calling code (1), taking it off gives the same number.
        """
        if not self._bare_allowed or _begins(self._abroad, digits) or self._is_in_plan(digits):
            return False
        if _begins(self._taken_off, digits):
            taken_off = self._taken_off.match(digits)
            return bool(
                taken_off
                and self._trunk == self._code == digits[: taken_off.end()]
                and not any(taken_off.groups())
            )
        if self._second_form.fullmatch(digits):
            return False
        return bool(self._trunk) or not self._has_length(len(digits))

    def _is_in_plan(self, national: str) -> bool:
        return any(general.fullmatch(national) for general in self._general)

    def _has_length(self, length: int) -> bool:
        number = PhoneNumber(country_code=self.calling_code, national_number=10 ** (length - 1))
        return any(
            phonenumbers.is_possible_number_for_type_with_reason(number, kind) == ValidationResult.IS_POSSIBLE
            for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
        )


def _read(digits: Numbers, heads: _Heads) -> Numbers:
    """The numbers; 0 for those that are not clean."""
    head = digits - np.uint64(heads.code)  # of another code's numbers it wraps to beyond any number
    head //= np.uint64(heads.divisor)
    np.minimum(head, np.uint64(_HEADS), out=head)
    return _added(digits, heads.added.take(head.view(np.int64)))


def _added(digits: Numbers, added: Numbers) -> Numbers:
    numbers = digits + added
    numbers *= added != _UNCLEAN
    return numbers


def _plan(region: str) -> PhoneMetadata:
    plan = PhoneMetadata.metadata_for_region(region, None)
    if plan is None:
        raise LookupError(f"phonenumbers has no plan of {region}")
    return plan


def _general(plan: PhoneMetadata) -> str:
    """The expression that every number of a plan matches."""
    described = plan.general_desc
    return (described and described.national_number_pattern) or ".*"


def _digits(head: int, length: int) -> str:
    return f"{head:0{_HEAD}}" + _WILD * (length - _HEAD)


def _begins(pattern: re.Pattern[str], digits: str) -> bool:
    """Whether the pattern may take something off the front. Of an expression that can match nothing at all,
    the first way that matches is the one that counts, here as with real digits."""
    found = pattern.match(digits)
    return found is not None and found.end() > 0


def _wild(expression: str) -> re.Pattern[str]:
    """The expression of a plan, where the wildcard passes for each digit. Plans have no look-ahead."""
    return re.compile(
        _ATOM.sub(lambda found: found["count"] or f"(?:{found['one']}|{_WILD})", expression), re.ASCII
    )
