"""When a refused call will be allowed: the next minute that every rule permits. Pure.

Only some instants can turn a refusal into an allowed call. A few are of the call's own: an entry ends, an
exemption begins, an attempt leaves its period. Between those, only the callee's clock can: hours open, a
holiday ends, the clock is put back. Each such minute is judged by screening itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from callguard.screening.model import (
    Attempt,
    AttemptsUnavailable,
    CallFacts,
    Hits,
    ListsUnavailable,
    Reason,
    Screened,
    Verdict,
)
from callguard.screening.rules import Binding, Rules
from callguard.screening.screen import screen
from callguard.screening.times import callee_zones

HORIZON = timedelta(days=366)
"""How far ahead is looked."""

TRIES = 64
"""Minutes that are judged while a call waits: weeks ahead, and a millisecond or two at most."""

PASSING = frozenset({Reason.OUTSIDE_HOURS, Reason.HOLIDAY, Reason.ATTEMPTS})
"""The reasons that pass by themselves. They are named only where nothing else speaks against a call."""

_CLOCK = frozenset({Reason.OUTSIDE_HOURS, Reason.HOLIDAY})
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)

_Openings = Mapping[str, tuple[frozenset[int], ...]]
"""Zone -> for each day of the week, the minutes after midnight at which something may begin to permit."""
_Clock = tuple[tuple[tuple[datetime, timedelta], ...], tuple[frozenset[int], ...]]
"""What a zone's clock is ahead of UTC from some instants on, and the minutes of its days."""


def allowed_from(
    facts: CallFacts,
    lists: Hits | ListsUnavailable | None,
    rules: Rules,
    attempts: Sequence[Attempt] | AttemptsUnavailable = (),
    *,
    horizon: timedelta = HORIZON,
    tries: int | None = None,
) -> datetime | None:
    """The first whole minute (UTC) after `facts.at` at which such a call would be allowed, if nothing else
    happens until then; `facts.at` itself if it is allowed; None if it is not allowed within the horizon, or
    at none of so many minutes that were tried.

    The other arguments are those of screening.
    """
    if screen(facts, lists, rules, attempts).verdict is Verdict.ALLOW:
        return facts.at
    e164 = facts.number.e164
    if e164 is None:
        return None
    binding = rules.binding(e164, facts.project, facts.purpose)
    openings = _openings(binding, callee_zones(facts.number, binding))
    end = facts.at + horizon
    turns = {at for at in _turns(lists, binding, attempts) if facts.at < at < end}
    tried = 0
    for begin, until in pairwise([facts.at, *sorted(turns), end]):
        for at in _minutes(openings, begin, until):
            if tried == tries:
                return None
            tried += 1
            screened = screen(replace(facts, at=at), lists, rules, attempts)
            if screened.verdict is Verdict.ALLOW:
                return at
            if screened.reason not in _CLOCK:
                break  # no clock will change that: what is next is the next turn
    return None


def passes_at(
    screened: Screened,
    facts: CallFacts,
    lists: Hits | ListsUnavailable | None,
    rules: Rules,
    attempts: Sequence[Attempt] | AttemptsUnavailable = (),
) -> datetime | None:
    """What is kept with a decision: `allowed_from` of a call that was refused for a reason that passes by
    itself, looking as far ahead as a call can wait for; None for any other."""
    if screened.verdict is Verdict.ALLOW or screened.reason not in PASSING:
        return None
    return allowed_from(facts, lists, rules, attempts, tries=TRIES)


def _turns(
    lists: Hits | ListsUnavailable | None,
    binding: Binding,
    attempts: Sequence[Attempt] | AttemptsUnavailable,
) -> Iterator[datetime]:
    if isinstance(lists, Hits):
        for entry in lists.entries:
            if entry.expires_at is not None:
                yield entry.expires_at
        for exemption in lists.exemptions:
            yield exemption.starts_at
    if not isinstance(attempts, AttemptsUnavailable):
        for line in binding.attempts:
            for attempt in attempts:
                yield attempt.at + line.period


def _openings(binding: Binding, zones: Sequence[str]) -> _Openings:
    """`zones` are those that the number can be in."""
    found: dict[str, list[set[int]]] = {}

    def add(where: Sequence[str], begins: Sequence[Iterable[int]]) -> None:
        for zone in where:
            days = found.setdefault(zone, [set() for _ in begins])
            for day, minutes in zip(days, begins, strict=True):
                day.update(minutes)

    for hours in binding.hours:
        add(hours.where or zones, [[begin for begin, _ in windows] for windows in hours.week])
    for holidays in binding.holidays:
        add(holidays.where or zones, [[0]] * 7)  # a holiday ends at midnight
    return {zone: tuple(map(frozenset, days)) for zone, days in found.items()}


def _minutes(openings: _Openings, begin: datetime, until: datetime) -> Iterator[datetime]:
    """The whole minutes from `begin` to before `until`, in order, at which a call may become allowed; the
    first of all is among them."""
    first = _whole_minute(begin)
    if first >= until:
        return
    yield first
    day = first
    while day < until:
        following = min(day + _DAY, until)
        # Zones whose clocks agree on this day are one.
        clocks = {_clock(ZoneInfo(zone), day, following, minutes) for zone, minutes in openings.items()}
        found = {at for clock in clocks for at in _by_clock(clock, following)}
        yield from sorted(at for at in map(_whole_minute, found) if first < at < until)
        day = following


def _clock(zone: ZoneInfo, begin: datetime, until: datetime, minutes: tuple[frozenset[int], ...]) -> _Clock:
    before, after = begin.astimezone(zone).utcoffset(), until.astimezone(zone).utcoffset()
    if before is None or after is None or before == after:
        return ((begin, before or timedelta()),), minutes
    return ((begin, before), (_change(zone, begin, until), after)), minutes


def _by_clock(clock: _Clock, until: datetime) -> Iterator[datetime]:
    """The instants from a clock's begin to before `until` at which something may begin, and its changes."""
    offsets, minutes = clock
    ends = [begin for begin, _ in offsets[1:]] + [until]
    for (begin, offset), end in zip(offsets, ends, strict=True):
        if (begin, offset) != offsets[0]:
            yield begin  # the clock was put forward or back
        local, last = (begin + offset).date(), (end + offset).date()
        while local <= last:
            midnight = datetime.combine(local, time.min, UTC) - offset
            for minute in minutes[local.weekday()]:
                at = midnight + timedelta(minutes=minute)
                if begin <= at < end:
                    yield at
            local += _DAY


def _change(zone: ZoneInfo, begin: datetime, until: datetime) -> datetime:
    """The first minute of the offset that a zone has at `until` and not at `begin`."""
    offset = begin.astimezone(zone).utcoffset()
    while until - begin > _MINUTE:
        middle = begin + (until - begin) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            begin = middle
        else:
            until = middle
    return until.replace(second=0, microsecond=0)


def _whole_minute(at: datetime) -> datetime:
    """This minute if it begins just now, else the next."""
    begun = at.replace(second=0, microsecond=0)
    return begun if begun == at else begun + _MINUTE
