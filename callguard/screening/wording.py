"""The lines of the rules in words, for people to read. Pure."""

from datetime import timedelta

from callguard.screening.rules import (
    AnyLine,
    AttemptsLine,
    CategoryLine,
    CoverageLine,
    ExemptionLine,
    FreshnessLine,
    HolidaysLine,
    HoursLine,
    OffLine,
    OverrideLine,
    Per,
    RegistryLine,
    Shortcoming,
    ZonePolicy,
)
from callguard.screening.week import days_text

KINDS: dict[type[AnyLine], str] = {
    OverrideLine: "override",
    CategoryLine: "category",
    RegistryLine: "registry",
    ExemptionLine: "exemption",
    FreshnessLine: "stale-registry",
    CoverageLine: "not-covered",
    HoursLine: "hours",
    HolidaysLine: "holidays",
    AttemptsLine: "attempts",
    OffLine: "off",
}
"""The kinds of lines in the order of the check, and their names in the files of rules."""

_DOES = {Shortcoming.WARN: "warns", Shortcoming.REFUSE: "refuses"}
_PER = {Per.PROJECT: "project", Per.PURPOSE: "purpose", Per.SUBJECT: "subject"}
_DAY = timedelta(days=1)


def says(line: AnyLine) -> str:
    """What a line says, in a few words, without the purposes that it binds."""
    if line.off or isinstance(line, OffLine):
        return "takes the rule of this name away"
    match line:
        case CategoryLine(category="*"):
            return "refuses numbers of every other category"
        case CategoryLine(category=category):
            return f"refuses numbers of category {category}"
        case RegistryLine(list=None):
            return "refuses numbers of registries"
        case RegistryLine(list=name):
            return f"refuses numbers of registry {name}"
        case FreshnessLine(does=does, days=days):
            age = "its own allowed age" if days is None else f"{days} days"
            return f"{_DOES[does]} if a registry's data are older than {age}"
        case CoverageLine(does=does):
            return f"{_DOES[does]} if no registry covers the number's area"
        case HoursLine():
            return f"calls {days_text(line.week)}, {_clocks(line.zones, line.where)}"
        case HolidaysLine():
            return _holidays(line)
        case AttemptsLine():
            return _attempts(line)
        case ExemptionLine():
            return _exemption(line)
        case OverrideLine():
            return "a supervisor's override is heeded"


def _clocks(zones: ZonePolicy, where: tuple[str, ...]) -> str:
    places = ", ".join(where) if where else "where the callee is"
    return places if zones is ZonePolicy.ALL else f"{places}; one of several zones is enough"


def _holidays(line: HolidaysLine) -> str:
    told: list[str] = []
    if line.country:
        place = f"{line.country}-{line.subdivision}" if line.subdivision else line.country
        told.append(f"on the holidays of {place}")
    if line.days:
        told.append(f"on {', '.join(map(str, line.days))}")
    none = f"; {', '.join(map(str, line.not_days))} is none" if line.not_days else ""
    return f"no calls {' and '.join(told)}{none}; {_clocks(line.zones, line.where)}"


def _attempts(line: AttemptsLine) -> str:
    per = ", ".join(_PER[per] for per in Per if per in line.per)
    what = "answered calls" if line.answered_only else "attempts"
    return f"at most {line.most} {what} in {_period(line.period)}{f' for each {per}' if per else ''}"


def _period(period: timedelta) -> str:
    if period > _DAY and period % _DAY == timedelta():
        return f"{period // _DAY} days"
    return f"{period // timedelta(hours=1)} hours"


def _exemption(line: ExemptionLine) -> str:
    over = [
        name
        for name, holds in (("registries", line.over_registry), ("earlier opt-outs", line.over_opt_out))
        if holds
    ]
    told = f"{line.kind} covers {' and '.join(over) or 'nothing'}"
    return told if line.months is None else f"{told}, for {line.months} months"
