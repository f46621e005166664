"""The rules as tables that a person can read. Made from the data of rulesview.py."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from callguard.cli import one_line
from callguard.cli.explain import allowed_from_text, source_text
from callguard.cli.rulesview import of_presets
from callguard.cli.tables import table
from callguard.screening.model import Finding
from callguard.screening.rules import Preset, Rules

_MOST_COLUMNS = 12
"""Rules beside each other in a matrix."""
_MOST_PREFIXES = 12
_MATRIX = "Which rule binds which purpose (of an exemption: may cover it)"
_YES, _NO = "yes", "-"


def presets_text(rules: Rules, presets: Sequence[Preset], version: str, since: datetime | None) -> str:
    """Presets, each with its rules and the matrix of its rules and purposes."""
    view = of_presets(rules, presets, version, since)
    stored = f", first in force {view['first_at']}" if view["first_at"] else ""
    policy = "".join(f", {verdict} {name}" for name, verdict in view["failure"]["by_purpose"].items())
    parts = [
        f"rules {version}{stored}\n"
        f"  failure policy: {view['failure']['default']}{policy}\n"
        f"  {view['advice']}\n"
    ]
    for preset in view["presets"]:
        parts.append(_heading(preset))
        if preset["lines"]:
            parts += [_lines(preset["lines"]), _matrix(preset["lines"], view["purposes"])]
    return "\n".join(parts)


def number_text(view: dict[str, Any]) -> str:
    """What binds calls to a number, and how it stands."""
    said = "" if view["purpose"] == view["purpose_said"] else f" ({view['purpose_said']!a} is no purpose)"
    project = f"for project {view['project']}" if view["project"] else "for no project"
    standing = "allowed" if view["verdict"] == "allow" else f"refused: {view['reason']}"
    if view["verdict"] != "allow":
        passes = datetime.fromisoformat(view["allowed_from"]) if view["allowed_from"] else None
        standing += f", allowed {allowed_from_text(passes, view['zones'])}"
    head = [
        f"{view['number']}: {view['purpose']}{said}, {project}",
        f"  rules     {view['version']}",
        *(f"  preset    {preset['id']}: {_titled(preset)}" for preset in view["presets"]),
        *(f"  clock     {time}" for time in view["local_times"] or ["no time zone is known"]),
        f"  now       {standing} (by the rules alone: on no list, no earlier attempts)",
        f"  advice    {view['advice']}",
    ]
    lines = view["lines"]
    rows = [
        (
            str(index),
            line["rule"],
            line["preset"],
            _YES if line["binds"] else _NO,
            _now(line),
            source_text(line["source"], line["as_of"], line["verified"]),
        )
        for index, line in enumerate(lines, 1)
    ]
    headings = ("", "rule", "preset", "binds", "says", "source")
    bound = table(headings, rows, narrow=("", "rule", "preset", "binds"))
    return "\n".join(["\n".join(map(one_line, head)) + "\n", bound, _matrix(lines, view["purposes"])])


def _heading(preset: dict[str, Any]) -> str:
    prefixes = preset["prefixes"]
    numbers = "every number"
    if prefixes:
        more = len(prefixes) - _MOST_PREFIXES
        told = " ".join(f"+{prefix}" for prefix in prefixes[:_MOST_PREFIXES])
        numbers = f"{told} and {more} more" if more > 0 else told
    heading = [f"{preset['id']}: {_titled(preset)}", f"  numbers   {numbers}"]
    if preset["projects"]:
        heading.append(f"  projects  {', '.join(preset['projects'])}")
    if preset["zones"]:
        heading.append(f"  zones     {', '.join(preset['zones'])}, for numbers that tell none")
    for prefix, zones in preset["zones_of_prefixes"].items():
        heading.append(f"  zones     {', '.join(zones)}, for +{prefix}")
    return "\n".join(map(one_line, heading)) + "\n"


def _titled(preset: dict[str, Any]) -> str:
    note = f" ({preset['note']})" if preset["note"] else ""
    return f"{preset['title']}{note}"


def _lines(lines: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            str(index),
            line["rule"],
            line["says"],
            source_text(line["source"], line["as_of"], line["verified"]),
        )
        for index, line in enumerate(lines, 1)
    ]
    return table(("", "rule", "says", "source"), rows, narrow=("", "rule"))


def _now(line: dict[str, Any]) -> str:
    """What a line says; of hours and holidays also how they stand."""
    told = str(line["says"])
    if line["kind"] == "hours" and line["now"]:
        state = "open" if line["finding"] == Finding.PASSED else "closed"
        told += f". Now {state}: {line['now']}"
    if line["kind"] == "holidays" and line["now"]:
        told += f". Now: {line['now']}"
    if line["holidays_ahead"]:
        ahead = ", ".join(f"{day['date']} {day['name']}" for day in line["holidays_ahead"])
        told += f". Ahead: {ahead}"
    return told


def _matrix(lines: Sequence[dict[str, Any]], purposes: Sequence[str]) -> str:
    """Which of the numbered rules binds which purpose; purposes that fare alike share a row."""
    parts: list[str] = []
    for first in range(0, len(lines), _MOST_COLUMNS):
        some = lines[first : first + _MOST_COLUMNS]
        alike: dict[tuple[str, ...], list[str]] = {}
        for purpose in purposes:
            row = tuple(_YES if purpose in line["purposes"] else _NO for line in some)
            alike.setdefault(row, []).append(purpose)
        headings = [str(number) for number in range(first + 1, first + len(some) + 1)]
        rows = [(", ".join(names), *row) for row, names in alike.items()]
        parts.append(table(("purpose", *headings), rows, title=_MATRIX, narrow=headings))
    return "\n".join(parts)
