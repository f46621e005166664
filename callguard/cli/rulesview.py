"""The rules as data for programs and for tables: lines, what they bind, and how they stand for a number."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from callguard.screening.forecast import allowed_from
from callguard.screening.model import CallFacts, Hits, Purpose, Verdict
from callguard.screening.rules import AnyLine, Binding, HolidaysLine, OffLine, Preset, Rules
from callguard.screening.screen import screen
from callguard.screening.times import callee_zones, holiday_name, local_times
from callguard.screening.wording import KINDS, says

NO_ADVICE = "No legal advice: figures with their sources, for you and a lawyer to confirm."

_HOLIDAYS_AHEAD = 60
"""Days."""
_MOST_HOLIDAYS = 3
_ORDER = list(KINDS)
_NOTHING = Hits((), 0, "")


def of_presets(
    rules: Rules, presets: Sequence[Preset], version: str, since: datetime | None
) -> dict[str, Any]:
    """Some presets of the rules. `since`: when a guard first had this version in force, for a stored one."""
    return {
        "version": version,
        "first_at": since.isoformat() if since else None,
        "advice": NO_ADVICE,
        "failure": {"default": rules.failure.default, "by_purpose": rules.failure.by_purpose},
        "purposes": purposes_in_order(rules),
        "presets": [_preset(preset, rules) for preset in presets],
    }


def for_number(rules: Rules, facts: CallFacts, version: str) -> dict[str, Any]:
    """What binds calls of one purpose and project to a subscriber's number, and how it stands at the instant.

    `verdict`, `reason` and `allowed_from` are by the rules alone: of a number on no list, without attempts.
    """
    e164 = facts.number.e164
    assert e164 is not None  # noqa: S101 - a subscriber's
    binding = rules.binding(e164, facts.project, facts.purpose)
    zones = callee_zones(facts.number, binding)
    screened = screen(facts, _NOTHING, rules)
    refused = screened.verdict is Verdict.REFUSE
    passes = allowed_from(facts, _NOTHING, rules) if refused else None
    steps = {(step.preset, step.rule): step for step in screened.steps}
    lines = []
    for line in in_order(binding.lines):
        step = steps.get((line.preset, line.key))
        ahead = _ahead(line, facts.at, zones) if isinstance(line, HolidaysLine) else None
        lines.append(
            {
                **_line(line, rules),
                "binds": binding.purpose in line.purposes,
                "finding": step.finding.value if step else None,
                "now": step.detail if step else None,
                "holidays_ahead": ahead,
            }
        )
    return {
        "version": version,
        "advice": NO_ADVICE,
        "number": e164,
        "project": facts.project,
        "purpose": binding.purpose,
        "purpose_said": facts.purpose,
        "at": facts.at.isoformat(),
        "zones": list(zones),
        "local_times": [f"{time:%Y-%m-%d %H:%M} {time.tzinfo}" for time in local_times(facts.at, zones)],
        "verdict": screened.verdict.value,
        "reason": screened.reason.value,
        "allowed_from": passes.isoformat() if passes else None,
        "purposes": purposes_in_order(rules),
        "presets": [_title(preset) for preset in _presets(rules, binding)],
        "lines": lines,
    }


def purposes_in_order(rules: Rules) -> list[str]:
    """Those that callguard knows, then the user's own."""
    return [*map(str, Purpose), *sorted(rules.purposes.difference(Purpose))]


def in_order(lines: Iterable[AnyLine]) -> list[AnyLine]:
    """Lines in the order of the check."""
    return sorted(lines, key=lambda line: (_ORDER.index(type(line)), line.key))


def _preset(preset: Preset, rules: Rules) -> dict[str, Any]:
    return {
        **_title(preset),
        "as_of": preset.as_of.isoformat() if preset.as_of else None,
        "prefixes": list(preset.prefixes),
        "projects": sorted(preset.projects),
        "zones": list(preset.zones),
        "zones_of_prefixes": {prefix: list(zones) for prefix, zones in preset.zones_of_prefixes.items()},
        "lines": [_line(line, rules) for line in in_order(preset.lines)],
    }


def _title(preset: Preset) -> dict[str, Any]:
    return {"id": preset.id, "title": preset.title, "note": preset.note}


def _presets(rules: Rules, binding: Binding) -> list[Preset]:
    known = {preset.id: preset for preset in rules.presets}
    return [known[id_] for id_ in binding.presets]


def _line(line: AnyLine, rules: Rules) -> dict[str, Any]:
    """`purposes`: those that it binds; of an exemption, those that it can cover; none of what takes a rule
    away."""
    bound = () if line.off else line.purposes
    return {
        "rule": line.key,
        "kind": KINDS[OffLine if line.off else type(line)],
        "preset": line.preset,
        "says": says(line),
        "purposes": [purpose for purpose in purposes_in_order(rules) if purpose in bound],
        "source": line.source.text,
        "as_of": line.source.as_of.isoformat() if line.source.as_of else None,
        "verified": line.source.verified,
    }


def _ahead(line: HolidaysLine, at: datetime, zones: Sequence[str]) -> list[dict[str, str]]:
    """The next holidays where the callee is."""
    found: list[dict[str, str]] = []
    for days in range(1, _HOLIDAYS_AHEAD + 1):
        times = local_times(at + timedelta(days=days), line.where or zones)
        name = holiday_name(line, times) if times else None
        if name is not None and len(found) < _MOST_HOLIDAYS:
            found.append({"date": times[0].date().isoformat(), "name": name})
    return found
