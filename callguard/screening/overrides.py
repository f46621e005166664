"""Whether the rules let a supervisor's override be given at all. Pure."""

from collections.abc import Sequence

from callguard.screening.model import DEFAULT_PURPOSE
from callguard.screening.rules import OverrideLine, Rules


def why_forbidden(rules: Rules, e164: str, project: str | None, purposes: Sequence[str]) -> str:
    """Why no override can be given for calls of these purposes to a number, naming the rule; empty if it can.

    Without purposes it is enough that some purpose can be overridden.
    """
    binding = rules.binding(e164, project, DEFAULT_PURPOSE)
    lines = [line for line in binding.lines if isinstance(line, OverrideLine)]
    for line in lines:
        kept_out = [purpose for purpose in purposes if purpose not in line.purposes]
        if not kept_out:
            return ""
        return (
            f"rule {line.key} of preset {line.preset} lets no override cover {', '.join(kept_out)}"
            f" ({line.source.text})"
        )
    said_no = [
        line
        for preset in rules.presets
        if preset.id in binding.presets
        for line in preset.lines
        if isinstance(line, OverrideLine) and line.off
    ]
    if said_no:
        line = said_no[-1]
        return f"rule {line.key} of preset {line.preset} allows no override ({line.source.text})"
    return f"no rule of the presets {' '.join(binding.presets)} allows an override"
