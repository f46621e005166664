"""Whether an exemption covers a call: by number, project, purpose, time, and what the rules say of its kind.

Pure. Which list it is heard against is a matter of screen.py.
"""

from callguard.screening.model import CallFacts, Exemption, ExemptionKind
from callguard.screening.rules import Binding
from callguard.screening.times import plus_months


def in_force(exemption: Exemption, facts: CallFacts, binding: Binding) -> bool:
    """Tell whether an exemption covers a call of this number, project and purpose at this instant."""
    return why_not(exemption, facts, binding) is None


def why_not(exemption: Exemption, facts: CallFacts, binding: Binding) -> str | None:
    """Why an exemption does not cover a call, in a few words; None if it does."""
    if exemption.number != facts.number.e164:
        return "of another number"
    if exemption.project is not None and exemption.project != facts.project:
        return f"of project {exemption.project}"
    if exemption.purposes and binding.purpose not in exemption.purposes:
        return f"for {', '.join(exemption.purposes)} only"
    if facts.at < exemption.starts_at:
        return f"not before {exemption.starts_at:%Y-%m-%d %H:%M} UTC"
    if exemption.expires_at is not None and facts.at >= exemption.expires_at:
        return f"expired {exemption.expires_at:%Y-%m-%d %H:%M} UTC"
    if exemption.kind is ExemptionKind.OVERRIDE:
        return None if binding.override is not None else f"no rule lets it cover {binding.purpose}"
    line = binding.exemptions.get(exemption.kind)
    if line is None:
        return f"no rule lets it cover {binding.purpose}"
    if line.months is not None:
        end = plus_months(exemption.starts_at, line.months)
        if facts.at >= end:
            return f"older than {line.months} months since {end:%Y-%m-%d %H:%M} UTC"
    return None
