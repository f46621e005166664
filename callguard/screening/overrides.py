"""Whether the rules let a supervisor's override be given at all. Pure."""

from collections.abc import Sequence

from callguard.screening.model import DEFAULT_PURPOSE
from callguard.screening.rules import Line, OverrideLine, Rules

_KEY = "override"
"""The key of the shipped rule: where a user's file turns it off, nothing else tells what it was."""


def why_forbidden(rules: Rules, e164: str, project: str | None, purposes: Sequence[str]) -> str:
    """Why no override can be given for calls of these purposes to a number, naming the rule; empty if it can.

    Without purposes it is enough that some purpose can be overridden.
    """
    binding = rules.binding(e164, project, DEFAULT_PURPOSE)
    lines = [line for line in binding.lines if isinstance(line, OverrideLine)]
    if lines:
        allowing = lines[-1]
        kept_out = [purpose for purpose in purposes if all(purpose not in line.purposes for line in lines)]
        told = f"lets no override cover {', '.join(kept_out)} ({allowing.source.text})"
        return f"rule {allowing.key} of preset {allowing.preset} {told}" if kept_out else ""
    keys = {_KEY, *(line.key for preset in rules.presets for line in preset.lines if _allows(line))}
    said_no = [
        line
        for preset in rules.presets
        if preset.id in binding.presets
        for line in preset.lines
        if line.off and line.key in keys
    ]
    if said_no:
        line = said_no[-1]
        return f"rule {line.key} of preset {line.preset} allows no override ({line.source.text})"
    return f"no rule of the presets {' '.join(binding.presets)} allows an override"


def _allows(line: Line) -> bool:
    return isinstance(line, OverrideLine)
