"""Rules without what depends on the moment of the call: calling hours, holidays, counted attempts. Pure."""

from dataclasses import replace

from callguard.screening.rules import AnyLine, AttemptsLine, HolidaysLine, HoursLine, OffLine, Preset, Rules


def timeless(rules: Rules) -> Rules:
    """The same rules, of the same version, but for those that depend on the moment.

    For leads of which nobody knows yet when they will be called. Expiry still counts: it is asked as of an
    instant, and what has expired then stays so.
    """
    return Rules(
        [_timeless(preset) for preset in rules.presets],
        document=rules.document,
        failure=rules.failure,
        purposes=rules.purposes,
    )


def _timeless(preset: Preset) -> Preset:
    return replace(preset, lines=tuple(map(_line, preset.lines)))


def _line(line: AnyLine) -> AnyLine:
    if not isinstance(line, HoursLine | HolidaysLine | AttemptsLine):
        return line
    # Not left out: it still takes the place of a line of its key in a less specific preset.
    return OffLine(key=line.key, preset=line.preset, purposes=line.purposes, source=line.source)
