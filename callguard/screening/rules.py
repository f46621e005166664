"""The rules of screening as values: lines, presets of them, and which lines bind a call. Pure.

A preset is a jurisdiction's (or a project's) set of lines, each with a key. Of the presets that a number and
a project belong to, the more specific one's line takes the place of a line of the same key: base, then the
country, then the area, then the project. Lines of other keys about the same thing hold beside it: what one of
them forbids is forbidden.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from callguard.screening.model import DEFAULT_PURPOSE, ExemptionKind, FailurePolicy, Purpose, Verdict


@dataclass(frozen=True, slots=True)
class Purposes:
    """A set of purposes: some, or all but some."""

    names: frozenset[str] = frozenset()
    all_but: bool = True

    def __contains__(self, purpose: str) -> bool:
        return (purpose in self.names) != self.all_but

    def __str__(self) -> str:
        told = ", ".join(sorted(self.names))
        if not self.all_but:
            return told or "none"
        return f"all but {told}" if told else "all"


class Shortcoming(StrEnum):
    """What a registry list that is too old, or that does not cover the number's area, does to a call."""

    WARN = "warn"
    """The call goes on, with a match in its record."""
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a line comes from."""

    text: str
    as_of: date | None = None
    """The day that the figure was looked up."""
    verified: bool = True
    """False where the source was not seen, or does not settle it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What every line has."""

    key: str
    """Unique in its preset: a-z, 0-9 and -."""
    preset: str
    """The id of the preset that it is of."""
    purposes: Purposes
    """The calls that it binds; of an exemption: the calls that it can cover."""
    source: Source
    off: bool = False
    """Takes the line of this key in a less specific preset away. A category or list of which only lines that
    are off speak binds nothing, whatever the line for all others says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryLine(Line):
    """Entries of a category of the internal lists refuse calls of these purposes."""

    category: str
    """`*` for the user's own categories, and every other that has no line of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLine(Line):
    """Registry lists refuse calls of these purposes."""

    list: str | None = None
    """The name of one list; None for all that have no line of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessLine(Line):
    """What a registry list does that is too old."""

    does: Shortcoming
    days: int | None = None
    """From which age on, in days; None: when it is older than the list's own allowed age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageLine(Line):
    """What a registry list does that does not cover the number's area."""

    does: Shortcoming


class ZonePolicy(StrEnum):
    """Which of the time zones that a number can be in must agree."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursLine(Line):
    """The hours in which calls of these purposes are allowed, where the callee is."""

    week: tuple[tuple[tuple[int, int], ...], ...]
    """Seven, from Monday: the windows of the day, in order, each from its first minute after midnight to
    the one that is no longer in it, 0 to 1440. A day without a window has no calls."""
    zones: ZonePolicy = ZonePolicy.ALL
    where: tuple[str, ...] = ()
    """Time zones to look at instead of the number's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HolidaysLine(Line):
    """Days on which calls of these purposes are not allowed, where the callee is."""

    country: str | None
    """ISO 3166: its national holidays, as the library `holidays` has them; None for own days only."""
    subdivision: str | None = None
    """Such as FL: with the area's own holidays."""
    days: tuple[date, ...] = ()
    """The user's own days, besides."""
    not_days: tuple[date, ...] = ()
    """Days that are none, whatever the library says."""
    zones: ZonePolicy = ZonePolicy.ALL
    where: tuple[str, ...] = ()


class Per(StrEnum):
    """What an earlier attempt must have in common with the call, besides the number, to count."""

    PROJECT = "project"
    PURPOSE = "purpose"
    SUBJECT = "subject"
    """The debt, ticket or order, from CALLGUARD_REFERENCE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptsLine(Line):
    """At most so many attempts in a period, for a number. Earlier attempts of these purposes count."""

    most: int
    period: timedelta
    per: frozenset[Per] = frozenset()
    answered_only: bool = False
    """Count only answered calls (and those of which nobody knows yet)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExemptionLine(Line):
    """What exemptions of a kind can cover, and for how long at most."""

    kind: ExemptionKind
    months: int | None = None
    """In force no longer than so many months after its start; None for as long as it says itself."""
    over_registry: bool = True
    over_opt_out: bool = False
    """Also covers an opt-out, if it was given later than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideLine(Line):
    """Whether a supervisor's override is heeded for calls of these purposes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OffLine(Line):
    """Takes the line of its key in a less specific preset away, and puts none in its place."""

    off: bool = True


AnyLine = (
    OffLine
    | CategoryLine
    | RegistryLine
    | FreshnessLine
    | CoverageLine
    | HoursLine
    | HolidaysLine
    | AttemptsLine
    | ExemptionLine
    | OverrideLine
)


@dataclass(frozen=True, slots=True)
class Preset:
    """A set of lines, and whom they are for."""

    id: str
    """`base`, ISO 3166 such as ID or US-FL, or the user's own word."""
    title: str
    lines: tuple[AnyLine, ...]
    prefixes: tuple[str, ...] = ()
    """Digits with the calling code, that its numbers begin with; empty for all numbers."""
    projects: frozenset[str] = frozenset()
    """The projects whose calls it is for; empty for all."""
    zones: tuple[str, ...] = ()
    """Time zones of its numbers that tell none themselves."""
    zones_of_prefixes: Mapping[str, tuple[str, ...]] = field(hash=False, default_factory=dict)
    """Time zones of numbers that begin with some digits (calling code first), whatever the numbering plan
    says of them: of mobile numbers that may be anywhere in a country, say."""
    as_of: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """What binds the calls of one purpose and project to the numbers of some presets."""

    presets: tuple[str, ...]
    """The ids of the presets, the most specific last."""
    purpose: str
    """The purpose that is screened."""
    lines: tuple[AnyLine, ...]
    """Every line that is in force for these presets, whatever its purposes."""
    zones: tuple[str, ...]
    zones_of_prefixes: Mapping[str, tuple[str, ...]] = field(hash=False, default_factory=dict)
    presets_text: str = ""
    """The ids of the presets with spaces between them."""
    categories: Mapping[str, CategoryLine] = field(hash=False, default_factory=dict)
    """For each category that a line names, the line that speaks of it; it may be off: see `category`."""
    registries: Mapping[str | None, RegistryLine] = field(hash=False, default_factory=dict)
    """Likewise for registry lists."""
    exemptions: Mapping[ExemptionKind, ExemptionLine] = field(hash=False, default_factory=dict)
    """What binds the purpose. Where several lines are of a kind, what all of them allow."""
    freshness: tuple[FreshnessLine, ...] = ()
    """These, and those below: only lines that bind the purpose."""
    coverage: tuple[CoverageLine, ...] = ()
    hours: tuple[HoursLine, ...] = ()
    holidays: tuple[HolidaysLine, ...] = ()
    attempts: tuple[AttemptsLine, ...] = ()
    override: OverrideLine | None = None
    counted: timedelta | None = None
    """How long an attempt of this purpose to these numbers may matter to any call; None if to none."""

    def category(self, name: str) -> CategoryLine | None:
        """The line that speaks of a category's entries, for any purpose; None if none is in force."""
        line = self.categories.get(name) or self.categories.get("*")
        return None if line is None or line.off else line

    def registry(self, name: str) -> RegistryLine | None:
        """The line that speaks of a registry list, likewise."""
        line = self.registries.get(name) or self.registries.get(None)
        return None if line is None or line.off else line

    def zones_of(self, e164: str) -> tuple[str, ...]:
        """The time zones that a preset gives a number, by what it begins with; none if no preset does."""
        of_prefixes = self.zones_of_prefixes
        if of_prefixes:
            for length in range(len(e164) - 1, 0, -1):
                if zones := of_prefixes.get(e164[1 : 1 + length]):
                    return zones
        return ()


S = TypeVar("S")
L = TypeVar("L", bound=Line)


class Rules:
    """Everything that can change a verdict besides the call and the lists. Never changed once made."""

    def __init__(
        self,
        presets: Sequence[Preset],
        *,
        document: str,
        failure: FailurePolicy | None = None,
        purposes: Iterable[str] = (),
    ) -> None:
        """`purposes` are the user's own, besides Purpose. `document` is what the presets were read from, as
        text: equal presets have equal documents. With the failure policy and the purposes, it names the
        version."""
        self.presets = tuple(presets)
        self.failure = failure or FailurePolicy()
        self.purposes = frozenset({*Purpose, *purposes})
        self.document = document
        self.version = self._version()
        self._of_prefix = _presets_of_prefixes(self.presets)
        self._longest_prefix = max(map(len, self._of_prefix))
        self._projects = frozenset().union(*(preset.projects for preset in self.presets))
        self._bind = lru_cache(maxsize=4096)(self._bind_now)

    def purpose(self, said: str) -> str:
        """The purpose that a call is screened for: a word that nobody knows is taken for the strictest."""
        return said if said in self.purposes else DEFAULT_PURPOSE

    def binding(self, e164: str, project: str | None, purpose: str) -> Binding:
        """What binds a call to a number (E.164). `purpose` is as it was said."""
        known = project if project in self._projects else None
        return self._bind(self._presets_of(e164), known, self.purpose(purpose))

    def when_unsure(self, purpose: str) -> Verdict:
        """What the failure policy says of calls of a purpose, as it was said."""
        return self.failure.verdict(self.purpose(purpose))

    def _presets_of(self, e164: str) -> tuple[int, ...]:
        """The indices of the number's presets, the more specific ones later."""
        for length in range(self._longest_prefix, 0, -1):
            found = self._of_prefix.get(e164[1 : 1 + length])
            if found is not None:
                return found
        return self._of_prefix[""]

    def _bind_now(self, presets: tuple[int, ...], project: str | None, purpose: str) -> Binding:
        chain = [self.presets[index] for index in presets]
        general = [preset for preset in chain if not preset.projects]
        own = [preset for preset in chain if project is not None and project in preset.projects]
        merged: dict[str, AnyLine] = {}
        zones: tuple[str, ...] = ()
        of_prefixes: dict[str, tuple[str, ...]] = {}
        for preset in general + own:
            zones = preset.zones or zones
            of_prefixes |= preset.zones_of_prefixes
            for line in preset.lines:
                below = merged.get(line.key)
                # What was turned off is still known: a category that is off does not fall to the line for
                # all others.
                merged[line.key] = replace(below, off=True) if line.off and below is not None else line
        lines = tuple(line for line in merged.values() if not line.off)
        binding = [line for line in lines if purpose in line.purposes]
        # Another project's preset may count the attempts of this one.
        periods = [
            line.period
            for preset in chain
            for line in preset.lines
            if isinstance(line, AttemptsLine) and not line.off and purpose in line.purposes
        ]
        return Binding(
            presets=tuple(preset.id for preset in general + own),
            presets_text=" ".join(preset.id for preset in general + own),
            purpose=purpose,
            lines=lines,
            zones=zones,
            zones_of_prefixes=of_prefixes,
            categories=_speaking(
                ((line.category, line) for line in merged.values() if isinstance(line, CategoryLine)), purpose
            ),
            registries=_speaking(
                ((line.list, line) for line in merged.values() if isinstance(line, RegistryLine)), purpose
            ),
            exemptions=_strictest(
                # An override's own line says whether it is heeded, and it covers more than lists.
                line
                for line in binding
                if isinstance(line, ExemptionLine) and line.kind is not ExemptionKind.OVERRIDE
            ),
            freshness=tuple(line for line in binding if isinstance(line, FreshnessLine)),
            coverage=tuple(line for line in binding if isinstance(line, CoverageLine)),
            hours=tuple(line for line in binding if isinstance(line, HoursLine)),
            holidays=tuple(line for line in binding if isinstance(line, HolidaysLine)),
            attempts=tuple(line for line in binding if isinstance(line, AttemptsLine)),
            override=next((line for line in binding if isinstance(line, OverrideLine)), None),
            counted=max(periods, default=None),
        )

    def _version(self) -> str:
        failure = self.failure
        by_purpose = sorted((name, verdict.value) for name, verdict in failure.by_purpose.items())
        told = f"{failure.default.value} {by_purpose!r} {sorted(self.purposes)!r} {self.document}"
        return hashlib.sha256(f"5 {told}".encode()).hexdigest()[:12]


def _presets_of_prefixes(presets: Sequence[Preset]) -> dict[str, tuple[int, ...]]:
    """For each prefix that a preset names, and for none, the indices of the presets that numbers belong to
    which begin with it and with no longer one: a preset of a shorter prefix first."""
    named: dict[str, list[int]] = {"": []}
    for index, preset in enumerate(presets):
        for prefix in preset.prefixes or ("",):
            named.setdefault(prefix, []).append(index)
    found: dict[str, tuple[int, ...]] = {}
    for prefix in named:
        every = [index for length in range(len(prefix) + 1) for index in named.get(prefix[:length], ())]
        # Of a preset that names both a prefix and a longer one, the longer one tells its place.
        found[prefix] = tuple(reversed(dict.fromkeys(reversed(every))))
    return found


def _speaking(lines: Iterable[tuple[S, L]], purpose: str) -> dict[S, L]:
    """The line that speaks of each subject: of several, one that binds the purpose, so that a further line
    never loosens what another binds; else one that is in force."""
    found: dict[S, L] = {}
    for subject, line in lines:
        before = found.get(subject)
        if before is None or _strictness(line, purpose) > _strictness(before, purpose):
            found[subject] = line
    return found


def _strictness(line: Line, purpose: str) -> int:
    return 0 if line.off else 1 + (purpose in line.purposes)


def _strictest(lines: Iterable[ExemptionLine]) -> dict[ExemptionKind, ExemptionLine]:
    found: dict[ExemptionKind, ExemptionLine] = {}
    for line in lines:
        before = found.get(line.kind, line)
        months = [one.months for one in (before, line) if one.months is not None]
        found[line.kind] = replace(
            line,
            months=min(months, default=None),
            over_registry=before.over_registry and line.over_registry,
            over_opt_out=before.over_opt_out and line.over_opt_out,
        )
    return found
