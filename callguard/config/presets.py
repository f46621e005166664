"""Presets of rules as files: what a file may hold, and how it becomes screening's lines.

A file is TOML: what the preset is, and a table [rule.KEY] for each line. A file of an id that is there
already is laid over that preset: its keys and the fields of its lines replace those below, one by one.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from callguard.config.checks import Wrong
from callguard.config.sections import Section
from callguard.numbering import prefixes_of
from callguard.screening import rules
from callguard.screening.model import ExemptionKind
from callguard.screening.rules import AnyLine, Per, Preset, Purposes, Shortcoming, Source, ZonePolicy
from callguard.screening.week import week_of

Document = dict[str, Any]
"""A preset as its file has it."""


class LineTable(Section):
    """What every [rule.KEY] may have."""

    purposes: Literal["all"] | tuple[str, ...] | None = None
    all_but: tuple[str, ...] | None = None
    source: str
    as_of: date | None = None
    verified: bool = True
    off: bool = False

    @model_validator(mode="after")
    def _one_set_of_purposes(self) -> Self:
        if (self.purposes is None) == (self.all_but is None):
            raise Wrong("purposes and all_but: one of them is needed", 'purposes = ["marketing"]', "purposes")
        return self

    def _common(self, key: str, preset: str) -> dict[str, Any]:
        if self.all_but is not None:
            purposes = Purposes(frozenset(self.all_but), all_but=True)
        elif self.purposes == "all" or self.purposes is None:
            purposes = Purposes()
        else:
            purposes = Purposes(frozenset(self.purposes), all_but=False)
        source = Source(self.source, self.as_of, self.verified)
        return {"key": key, "preset": preset, "purposes": purposes, "source": source, "off": self.off}


class CategoryTable(LineTable):
    kind: Literal["category"]
    category: str

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.CategoryLine(**self._common(key, preset), category=self.category)


class RegistryTable(LineTable):
    kind: Literal["registry"]
    list: str | None = None

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.RegistryLine(**self._common(key, preset), list=self.list)


class FreshnessTable(LineTable):
    kind: Literal["stale-registry"]
    does: Shortcoming
    days: Annotated[int, Field(ge=0, le=3660)] | None = None

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.FreshnessLine(**self._common(key, preset), does=self.does, days=self.days)


class CoverageTable(LineTable):
    kind: Literal["not-covered"]
    does: Shortcoming

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.CoverageLine(**self._common(key, preset), does=self.does)


class HoursTable(LineTable):
    kind: Literal["hours"]
    hours: dict[str, str | tuple[str, ...]]
    """Days ("mon-sat", "sun") -> "08:00-20:00", or several windows. A day not named has no calls."""
    zones: ZonePolicy = ZonePolicy.ALL
    where: tuple[str, ...] = ()

    def line(self, key: str, preset: str) -> AnyLine:
        week = week_of(self.hours)
        return rules.HoursLine(**self._common(key, preset), week=week, zones=self.zones, where=self.where)


class HolidaysTable(LineTable):
    kind: Literal["holidays"]
    country: str | None = None
    subdivision: str | None = None
    days: tuple[date, ...] = ()
    not_days: tuple[date, ...] = ()
    zones: ZonePolicy = ZonePolicy.ALL
    where: tuple[str, ...] = ()

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


class AttemptsTable(LineTable):
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


class ExemptionTable(LineTable):
    kind: Literal["exemption"]
    exemption: ExemptionKind
    months: Annotated[int, Field(ge=1, le=1200)] | None = None
    over_registry: bool = True
    over_opt_out: bool = False

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.ExemptionLine(
            **self._common(key, preset),
            kind=self.exemption,
            months=self.months,
            over_registry=self.over_registry,
            over_opt_out=self.over_opt_out,
        )


class OverrideTable(LineTable):
    kind: Literal["override"]

    def line(self, key: str, preset: str) -> AnyLine:
        return rules.OverrideLine(**self._common(key, preset))


AnyTable = Annotated[
    CategoryTable
    | RegistryTable
    | FreshnessTable
    | CoverageTable
    | HoursTable
    | HolidaysTable
    | AttemptsTable
    | ExemptionTable
    | OverrideTable,
    Field(discriminator="kind"),
]


class PresetFile(Section):
    """A whole file."""

    id: str
    title: str
    regions: tuple[str, ...] = ()
    """ISO 3166: the countries whose numbers it is for."""
    prefixes: tuple[str, ...] = ()
    """What its numbers begin with, calling code first, instead of regions: an area."""
    projects: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    zones_of_prefixes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    as_of: date | None = None
    note: str = ""
    rule: dict[str, AnyTable] = Field(default_factory=dict)

    def preset(self) -> Preset:
        prefixes = [*self.prefixes, *(prefix for region in self.regions for prefix in prefixes_of(region))]
        return Preset(
            id=self.id,
            title=self.title,
            lines=tuple(table.line(key, self.id) for key, table in self.rule.items()),
            prefixes=tuple(sorted(prefixes)),
            projects=frozenset(self.projects),
            zones=self.zones,
            zones_of_prefixes=self.zones_of_prefixes,
            as_of=self.as_of,
            note=self.note,
        )


_FILE = TypeAdapter(PresetFile)


def lay_over(below: Document, above: Document) -> Document:
    """A preset with another file of the same id laid over it."""
    merged = {**below, **above}
    lines = dict(below.get("rule", {}))
    for key, line in above.get("rule", {}).items():
        lines[key] = {**lines.get(key, {}), **line}
    merged["rule"] = lines
    return merged


def compile_presets(documents: Sequence[Mapping[str, Any]]) -> tuple[Preset, ...]:
    """Documents as presets. Raises pydantic's ValidationError."""
    return tuple(_FILE.validate_python(document).preset() for document in documents)
