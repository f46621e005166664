"""Presets of rules as files: what a file may hold, and how it becomes screening's lines.

A file is TOML: what the preset is, and a table [rule.KEY] for each line. A file of an id that is there
already is laid over that preset: its keys and the fields of its lines replace those below, one by one. Every
line says where it is from: a file that changes a line gives its own source.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from callguard.config import checks
from callguard.config.naming import Location, named, path, unknown
from callguard.config.ruletables import TABLES, OffTable, Prefix, Text, Zone, Zones
from callguard.config.sections import Section
from callguard.errors import ConfigurationError
from callguard.numbering import prefixes_of
from callguard.screening.rules import AnyLine, Preset

Document: TypeAlias = dict[str, Any]
"""A preset as its file has it."""

Where: TypeAlias = Callable[[Location, str], str]
"""Tells the file that a key's value is from, and the key's path, given its location and path."""

S = TypeVar("S", bound=Section)

_PROVENANCE = ("source", "as_of", "verified")
_SUBJECT = ("category", "list")
"""What a line that is turned off is still known by."""
_LONGEST_KEY = 64


class PresetFile(Section):
    """A whole file, without what its lines hold."""

    id: Annotated[str, AfterValidator(checks.word)]
    title: Text
    regions: tuple[Annotated[str, AfterValidator(checks.region)], ...] = ()
    """ISO 3166: the countries whose numbers it is for."""
    prefixes: tuple[Prefix, ...] = ()
    """What its numbers begin with, calling code first, instead of regions: an area."""
    projects: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = ()
    zones: tuple[Zone, ...] = ()
    zones_of_prefixes: dict[Prefix, Zones] = Field(
        default_factory=dict, description='a table such as { "628" = ["Asia/Jakarta", "Asia/Jayapura"] }'
    )
    as_of: date | None = None
    note: Annotated[str, Field(max_length=2000)] = ""
    rule: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="a table [rule.KEY] for each line"
    )

    def preset(self, lines: Sequence[AnyLine]) -> Preset:
        prefixes = {*self.prefixes, *(prefix for region in self.regions for prefix in prefixes_of(region))}
        return Preset(
            id=self.id,
            title=self.title,
            lines=tuple(lines),
            prefixes=tuple(sorted(prefixes)),
            projects=frozenset(self.projects),
            zones=self.zones,
            zones_of_prefixes=self.zones_of_prefixes,
            as_of=self.as_of,
            note=self.note,
        )


@dataclass(frozen=True, slots=True)
class Compiler:
    """Makes presets of documents. Gathers all that is wrong with them in `errors`."""

    purposes: frozenset[str]
    """The purposes that a line may name."""
    errors: list[ConfigurationError]

    def preset(self, document: Mapping[str, Any], where: Where, *, holidays: bool = True) -> Preset | None:
        """The preset of a document; None if it is wrong. `holidays`: whether to check that the library knows
        the countries, which takes a third of a second."""
        before = len(self.errors)
        file = self._read(PresetFile, document, where, holidays=holidays)
        lines = [
            self._line(key, table, str(document.get("id")), where, holidays=holidays)
            for key, table in lines_of(document).items()
            if isinstance(table, dict)  # else told already
        ]
        if file is None or len(self.errors) > before:
            return None
        return file.preset([line for line in lines if line is not None])

    def _line(
        self, key: str, table: dict[str, Any], preset: str, where: Where, *, holidays: bool
    ) -> AnyLine | None:
        prefix = ("rule", key)

        def where_in_line(location: Location, _: str) -> str:
            return where((*prefix, *location), path((*prefix, *location)))

        def where_told(location: Location, told: str) -> str:
            return where((*prefix, *location), f"{path(prefix)}.{told}" if told else path(prefix))

        if not re.fullmatch(rf"[a-z0-9-]{{1,{_LONGEST_KEY}}}", key):
            what, allowed = "is no key of a line", f"1 to {_LONGEST_KEY} of a-z, 0-9 and -"
            self.errors.append(ConfigurationError(what, where=where_in_line((), ""), allowed=allowed))
            return None
        if "off" in table:
            off = self._read(OffTable, table, where_told, holidays=holidays)
            return off.line(key, preset) if off else None
        kind = table.get("kind")
        if not isinstance(kind, str) or kind not in TABLES:
            place = where_in_line(("kind",), "")
            if kind is None:
                error = ConfigurationError("is missing", where=place, allowed=", ".join(sorted(TABLES)))
            else:
                error = unknown(str(kind)[:_LONGEST_KEY], list(TABLES), "kind", place)
            self.errors.append(error)
            return None
        read = self._read(TABLES[kind], table, where_told, holidays=holidays)
        return read.line(key, preset) if read else None

    def _read(self, section: type[S], content: object, where: Where, *, holidays: bool) -> S | None:
        context = {"purposes": self.purposes, "holidays": holidays}
        try:
            return section.model_validate_json(json.dumps(content, default=str), strict=True, context=context)
        except ValidationError as wrong:
            details = wrong.errors(include_url=False)
            self.errors.extend(named(detail, section, where) for detail in details)
            return None


def lay_over(below: Document, above: Document) -> Document:
    """A preset with another document of the same id laid over it: key by key, and in its lines field by
    field. A line that is changed has its source from above, for what it says now is no longer what the
    source below says."""
    merged = {**below, **above}
    if isinstance(above.get("rule"), dict):
        lines = lines_of(below)
        changed = {key: _line_over(lines.get(key), line) for key, line in lines_of(above).items()}
        merged["rule"] = {**lines, **changed}
    return merged


def lines_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document's tables [rule.KEY] by key; none where it has something else there."""
    lines = document.get("rule")
    return lines if isinstance(lines, dict) else {}


def _line_over(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict) or "off" in below:
        return above
    if "off" in above:
        return {**{name: below[name] for name in _SUBJECT if name in below}, **above}
    replaced = {*_PROVENANCE}
    if "purposes" in above or "all_but" in above:
        replaced |= {"purposes", "all_but"}
    return {**{name: value for name, value in below.items() if name not in replaced}, **above}
