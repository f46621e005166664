"""The tables [rule.KEY] of a file of rules: what each kind of line may say, and the line that it makes."""

import re
from contextlib import suppress
from datetime import date, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from callguard.config import checks
from callguard.config.checks import Wrong
from callguard.config.naming import path
from callguard.config.sections import Section
from callguard.screening import rules
from callguard.screening.model import ExemptionKind, Purpose
from callguard.screening.rules import AnyLine, Per, Purposes, Shortcoming, Source, ZonePolicy
from callguard.screening.week import BadHours, week_of

ALL = "all"
"""Said instead of a list of purposes."""


def _known_purpose(text: str, info: ValidationInfo) -> str:
    known: frozenset[str] = (info.context or {}).get("purposes", frozenset(Purpose))
    if text not in known:
        allowed = f"{', '.join(sorted(known))}; your own go into [rules] purposes"
        raise Wrong(f'"{text[:40]}" is no purpose', allowed)
    return text


def _known_purpose_or_all(text: str, info: ValidationInfo) -> str:
    return text if text == ALL else _known_purpose(text, info)


def _all_or_some(given: object) -> object:
    return (ALL,) if given == ALL else _as_tuple(given)


def _one_or_some(given: object) -> object:
    return (given,) if isinstance(given, str) else _as_tuple(given)


def _as_tuple(given: object) -> object:
    """A list that was read as the tuple that the strict reading wants once a validator has touched it."""
    return tuple(given) if isinstance(given, list) else given


def _zone(text: str) -> str:
    try:
        # The pattern: no path, and none of the machine's own, such as localtime.
        if re.fullmatch(r"[A-Z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9_+-]{1,30}){0,2}", text):
            ZoneInfo(text)
            return text
    except (KeyError, OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError; a folder is an OSError
        pass
    raise Wrong(f'"{text[:40]}" is no time zone', "an IANA name, such as Asia/Jakarta")


def _some_zones(zones: tuple[str, ...]) -> tuple[str, ...]:
    if not zones:
        raise Wrong("is empty", 'a list of time zones, such as ["Asia/Jakarta"]')
    return zones


def _prefix(text: str) -> str:
    code = re.fullmatch(r"[1-9][0-9]{0,14}", text) and any(
        int(text[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE for length in (1, 2, 3)
    )
    if not code:
        raise Wrong(f'"{text[:40]}" is no prefix', "digits, calling code first, without +, such as 6221")
    return text


def _hours(hours: dict[str, Any]) -> dict[str, Any]:
    try:
        week_of(hours)
    except BadHours as error:
        raise Wrong(str(error), error.allowed, path((error.days,)) if error.days else "") from error
    return hours


KnownPurpose = Annotated[str, AfterValidator(_known_purpose)]
Zone = Annotated[str, AfterValidator(_zone)]
Zones = Annotated[tuple[Zone, ...], AfterValidator(_some_zones)]
Prefix = Annotated[str, AfterValidator(_prefix)]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class LineTable(Section):
    """What every [rule.KEY] has."""

    source: Text
    as_of: date | None = None
    verified: bool = True

    def line(self, key: str, preset: str) -> AnyLine:
        """The line, under its key in the preset of an id."""
        raise NotImplementedError

    def _provenance(self, key: str, preset: str) -> dict[str, Any]:
        return {"key": key, "preset": preset, "source": Source(self.source, self.as_of, self.verified)}


class OffTable(LineTable):
    """Takes the line of this key in a less specific preset away."""

    off: Annotated[Literal[True], Field(description="true, or no key off")]
    category: Annotated[str, AfterValidator(checks.category)] | None = None
    """What that line spoke of, likewise `list`: so that it does not fall to the line for all others."""
    list: Annotated[str, AfterValidator(checks.word)] | None = None

    def line(self, key: str, preset: str) -> AnyLine:
        common = {**self._provenance(key, preset), "purposes": Purposes(), "off": True}
        if self.category is not None:
            return rules.CategoryLine(**common, category=self.category)
        if self.list is not None:
            return rules.RegistryLine(**common, list=self.list)
        return rules.OffLine(**common)


class BindingTable(LineTable):
    """What every other [rule.KEY] has."""

    purposes: (
        Annotated[
            tuple[Annotated[str, AfterValidator(_known_purpose_or_all)], ...],
            BeforeValidator(_all_or_some),
            Field(description='a list of purposes, or "all"'),
        ]
        | None
    ) = None
    all_but: tuple[KnownPurpose, ...] | None = None

    @model_validator(mode="after")
    def _one_set_of_purposes(self) -> Self:
        if (self.purposes is None) == (self.all_but is None):
            what = "purposes and all_but are both set" if self.purposes is not None else "is missing"
            raise Wrong(
                what, 'purposes = ["marketing"], purposes = "all" or all_but = ["emergency"]', "purposes"
            )
        return self

    def _common(self, key: str, preset: str) -> dict[str, Any]:
        if self.all_but is not None:
            purposes = Purposes(frozenset(self.all_but), all_but=True)
        elif self.purposes is None or ALL in self.purposes:
            purposes = Purposes()
        else:
            purposes = Purposes(frozenset(self.purposes), all_but=False)
        return {**self._provenance(key, preset), "purposes": purposes}


class CategoryTable(BindingTable):
    kind: Literal["category"]
    category: Annotated[str, AfterValidator(checks.category)]

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.CategoryLine(**self._common(key, preset), category=self.category)


class RegistryTable(BindingTable):
    kind: Literal["registry"]
    list: Annotated[str, AfterValidator(checks.word)] | None = None

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.RegistryLine(**self._common(key, preset), list=self.list)


class FreshnessTable(BindingTable):
    kind: Literal["stale-registry"]
    does: Shortcoming
    days: Annotated[int, Field(ge=0, le=3660)] | None = None

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.FreshnessLine(**self._common(key, preset), does=self.does, days=self.days)


class CoverageTable(BindingTable):
    kind: Literal["not-covered"]
    does: Shortcoming

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.CoverageLine(**self._common(key, preset), does=self.does)


class HoursTable(BindingTable):
    kind: Literal["hours"]
    hours: Annotated[
        dict[str, Annotated[tuple[str, ...], BeforeValidator(_one_or_some)]],
        AfterValidator(_hours),
        Field(
            description='a table such as { mon-fri = "08:00-20:00", sat = ["09:00-12:00", "14:00-18:00"] }'
        ),
    ]
    """Days ("mon-sat", "sun") -> "08:00-20:00", or several windows. A day not named has no calls."""
    zones: ZonePolicy = ZonePolicy.ALL
    where: tuple[Zone, ...] = ()

    def line(self, key: str, preset: str) -> AnyLine:
        week = week_of(self.hours)
        return rules.HoursLine(**self._common(key, preset), week=week, zones=self.zones, where=self.where)


class HolidaysTable(BindingTable):
    kind: Literal["holidays"]
    country: str | None = None
    subdivision: str | None = None
    days: tuple[date, ...] = ()
    not_days: tuple[date, ...] = ()
    zones: ZonePolicy = ZonePolicy.ALL
    where: tuple[Zone, ...] = ()

    @model_validator(mode="after")
    def _some_holidays(self, info: ValidationInfo) -> Self:
        if self.country is None:
            if self.subdivision is not None:
                raise Wrong("is set without a country", 'with country = "US"', "subdivision")
            if not self.days:
                raise Wrong("neither a country nor days", 'country = "ID", or days = [2026-12-24]', "country")
        elif (info.context or {}).get("holidays", True):
            _known_holidays(self.country, self.subdivision)
        return self

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.HolidaysLine(
            **self._common(key, preset),
            country=self.country,
            subdivision=self.subdivision,
            days=self.days,
            not_days=self.not_days,
            zones=self.zones,
            where=self.where,
        )


def _known_holidays(country: str, subdivision: str | None) -> None:
    """Check that the library `holidays` knows a country and its subdivision. Raises Wrong."""
    import holidays  # noqa: PLC0415 - slow to import, and not needed where no file asks

    known = None
    if re.fullmatch(r"[A-Z]{2}", country):
        with suppress(NotImplementedError):
            known = holidays.country_holidays(country).subdivisions
    if known is None:
        what, allowed = "is no country whose holidays are known", "two capital letters (ISO 3166), such as ID"
        raise Wrong(what, allowed, "country")
    if subdivision is not None and subdivision not in known:
        allowed = ", ".join(known) or "none for this country"
        raise Wrong(f"is no part of {country} whose holidays are known", allowed, "subdivision")


class AttemptsTable(BindingTable):
    kind: Literal["attempts"]
    most: Annotated[int, Field(ge=1, le=1000)]
    hours: Annotated[int, Field(ge=1, le=24 * 366)]
    """The period."""
    per: tuple[Per, ...] = ()
    counts: Literal["dials", "answered"] = "dials"

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.AttemptsLine(
            **self._common(key, preset),
            most=self.most,
            period=timedelta(hours=self.hours),
            per=frozenset(self.per),
            answered_only=self.counts == "answered",
        )


class ExemptionTable(BindingTable):
    kind: Literal["exemption"]
    exemption: Literal["consent", "purchase", "inquiry", "callback"]
    months: Annotated[int, Field(ge=1, le=1200)] | None = None
    over_registry: bool = True
    over_opt_out: bool = False

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.ExemptionLine(
            **self._common(key, preset),
            kind=ExemptionKind(self.exemption),
            months=self.months,
            over_registry=self.over_registry,
            over_opt_out=self.over_opt_out,
        )


class OverrideTable(BindingTable):
    kind: Literal["override"]

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.OverrideLine(**self._common(key, preset))


TABLES: dict[str, type[BindingTable]] = {
    "category": CategoryTable,
    "registry": RegistryTable,
    "stale-registry": FreshnessTable,
    "not-covered": CoverageTable,
    "hours": HoursTable,
    "holidays": HolidaysTable,
    "attempts": AttemptsTable,
    "exemption": ExemptionTable,
    "override": OverrideTable,
}
