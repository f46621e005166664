"""What a registry list may be: its name, jurisdiction, kind, coverage and allowed age. Pure."""

import re

import phonenumbers
from phonenumbers import PhoneMetadata

from callguard.errors import InputError
from callguard.lists.model import check_text
from callguard.lists.registries import NewRegistry, RegistryChange
from callguard.numbering import own_prefixes

RESERVED = "internal"
"""The name by which the command line speaks of the internal lists."""
LONGEST_AGE = 3660
"""Days: ten years."""
MOST_PREFIXES = 2000

_NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,39}", re.ASCII)
_LONGEST_WORD = 40
_ALLOWED_NAME = f"a word of a-z, 0-9 and single -, up to {_LONGEST_WORD}, such as us-national"
_JURISDICTION = re.compile(r"([A-Z]{2})(-[A-Z0-9]{1,3})?", re.ASCII)
_PREFIX = re.compile(r"(\+?)([0-9]{1,15})", re.ASCII)


def new_registry(
    *,
    name: str,
    jurisdiction: str,
    kind: str,
    covers: str,
    allowed_age_days: int | None,
    layout: str,
) -> NewRegistry:
    """A list to be created, its values checked. `covers` are prefixes with commas between them, as
    `coverage` reads them, or nothing for `own_prefixes`; `layout` is a Layout's JSON. Raises InputError,
    naming the value."""
    check_name(name)
    _check_kind(kind)
    _check_age(allowed_age_days)
    region = region_of(jurisdiction)
    code = str(phonenumbers.country_code_for_region(region))
    covered = coverage(covers, region) or own_prefixes(region)
    return NewRegistry(name, jurisdiction, kind, code, covered, allowed_age_days, layout)


def registry_change(
    *, jurisdiction: str, kind: str | None, covers: str | None, allowed_age_days: str | None
) -> RegistryChange:
    """What a person wants changed of a list of a jurisdiction: what is None stays as it is.

    `covers` is `all` or as in new_registry, `allowed_age_days` a number or `none`. Raises InputError, naming
    the value.
    """
    change = RegistryChange()
    if kind is not None:
        _check_kind(kind)
        change["kind"] = kind
    if covers is not None:
        if not covers.strip():
            raise InputError("no prefix", where="covers", allowed="prefixes, or all for the whole country")
        region = region_of(jurisdiction)
        change["coverage"] = own_prefixes(region) if covers == "all" else coverage(covers, region)
    if allowed_age_days is not None:
        days = None if allowed_age_days == "none" else _days(allowed_age_days)
        _check_age(days)
        change["allowed_age_days"] = days
    return change


def _days(text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text, re.ASCII):
        raise InputError("not an age", where="allowed-age-days", allowed=f"0 to {LONGEST_AGE} days, or none")
    return int(text)


def _check_kind(kind: str) -> None:
    if not _NAME.fullmatch(kind) or len(kind) > _LONGEST_WORD:
        raise InputError("not a word", where="kind", allowed=_ALLOWED_NAME)


def _check_age(days: int | None) -> None:
    if days is not None and not 0 <= days <= LONGEST_AGE:
        raise InputError("not an age", where="allowed-age-days", allowed=f"0 to {LONGEST_AGE} days")


def check_name(name: str) -> None:
    """Raises InputError for what cannot be the name of a registry list."""
    if name == RESERVED:
        raise InputError(f"{RESERVED} names the internal lists", where="name", allowed="another name")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_WORD:
        raise InputError("not a name of a list", where="name", allowed=_ALLOWED_NAME)


def region_of(jurisdiction: str) -> str:
    """The region whose numbers a jurisdiction's list holds: US of US-FL. Raises InputError."""
    found = _JURISDICTION.fullmatch(jurisdiction)
    if found is None or found[1] not in phonenumbers.SUPPORTED_REGIONS:
        raise InputError(
            "not a jurisdiction with a numbering plan",
            where="jurisdiction",
            allowed="ISO 3166, such as US, GB or US-FL",
        )
    return found[1]


def coverage(text: str, region: str) -> tuple[str, ...]:
    """The prefixes that a list of a region speaks of, as digits with the calling code, in order.

    Each is an area code as written in the region, with or without its trunk prefix, or begins with + and the
    calling code: 212, 1212 and +1212 in the US; 21, 021 and +6221 in Indonesia. Digits that can be read in
    two ways, as 6221 in Indonesia, are refused. Raises InputError.
    """
    if not text.strip():
        return ()
    check_text("covers", text, longest=16 * MOST_PREFIXES)
    wanted = [prefix.strip() for prefix in text.split(",")]
    if len(wanted) > MOST_PREFIXES:
        raise InputError(f"{len(wanted)} prefixes", where="covers", allowed=f"up to {MOST_PREFIXES}")
    return tuple(sorted({_prefix(prefix, region) for prefix in wanted}))


def _prefix(text: str, region: str) -> str:
    code = str(phonenumbers.country_code_for_region(region))
    plan = PhoneMetadata.metadata_for_region(region)
    trunk = (plan.national_prefix if plan else None) or ""
    found = _PREFIX.fullmatch(text)
    readings: set[str] = set()
    if found is not None and found[1]:
        readings = {found[2]} if found[2].startswith(code) else set()
    elif found is not None:
        digits = found[2]
        readings = {code + (digits.removeprefix(trunk) if trunk else digits)}
        if digits.startswith(code):
            readings.add(digits)
    if len(readings) != 1 or max(map(len, readings)) > 15:
        allowed = f"area codes of {region}, or +{code}... where that could be mistaken"
        raise InputError(
            f"{text[:20]!r} cannot be read as a prefix of {region}", where="covers", allowed=allowed
        )
    return readings.pop()
