"""What becomes of leads: screening's own verdicts, for whole columns of numbers.

Screening decides by what the lists say of a number, by the rules and time zones of its place, and by earlier
attempts; not by its digits. So numbers that are alike in these have the same verdict, and screen() is asked
once for all of them: see the tests, which ask it for each.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from callguard.database import from_microseconds
from callguard.lists.hits import registry_hit
from callguard.lists.packing import Numbers
from callguard.numbers import Number, NumberKind
from callguard.screening.model import (
    Attempt,
    CallFacts,
    Entry,
    Exemption,
    ExemptionKind,
    Hits,
    Reason,
    Screened,
    Verdict,
)
from callguard.screening.rules import ExemptionLine, Rules
from callguard.screening.screen import screen
from callguard.scrub.listed import EntryKind, ExemptionSort
from callguard.scrub.lists import STATES, Indices, Lists, RegistryIndex
from callguard.scrub.places import Places, is_of_area
from callguard.scrub.recent import NOT_COUNTED, Recent

INTERNAL = "internal"
"""What all internal lists are called in the refused file."""

_REFUSING = {
    *(Reason.OPT_OUT, Reason.REGISTRY, Reason.INACTIVE_CUSTOMER, Reason.INVALID_CONTACT),
    *(Reason.AFTER_TRANSACTION, Reason.CATEGORY, Reason.OUTSIDE_HOURS, Reason.HOLIDAY, Reason.ATTEMPTS),
}
"""Reasons of what speaks against a call whenever it is a match; but see _outcome."""
_TABLE = 1 << 16
"""Combinations of what the lists may say, up to which each has its place in a table."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a lead."""

    refused: Reason | None
    """None for an allowed lead."""
    lists: tuple[str, ...] = ()
    """The lists that refuse it, the deciding one first."""


ALLOWED, UNREADABLE = 0, 1
"""The indices of these two outcomes."""


def months_of(rules: Rules) -> set[int]:
    """For how many months exemptions are in force, by any rule that says."""
    lines = [line for preset in rules.presets for line in preset.lines]
    return {line.months for line in lines if isinstance(line, ExemptionLine) and line.months is not None}


class Verdicts:
    """Decides about leads of one project and purpose at one instant. Several threads may ask at once."""

    def __init__(
        self,
        lists: Lists,
        rules: Rules,
        *,
        at: datetime,
        project: str | None,
        purpose: str,
        recent: Recent = NOT_COUNTED,
    ) -> None:
        """`recent`: the attempts that the rules count."""
        self._lists, self._rules, self._recent = lists, rules, recent
        self._places = Places(rules, project=project, purpose=purpose)
        self._at, self._project, self._purpose = at, project, purpose
        self._lock = threading.Lock()
        self._known: dict[tuple[int, ...], tuple[int, int]] = {}
        unreadable = self._screen(Number(NumberKind.UNREADABLE, None), None)
        self.outcomes = [Outcome(None), _outcome(unreadable)]
        """Every outcome so far; it grows, and what is in it stays."""

    @property
    def position(self) -> int:
        """The position in the change log of the internal lists that are asked."""
        return self._lists.position

    def decide(self, numbers: Numbers) -> Indices:
        """The index in `outcomes` of what becomes of each number; 0 stands for one that cannot be read."""
        outcomes = np.full(len(numbers), UNREADABLE, np.int64)
        readable = np.flatnonzero(numbers)
        if len(readable):
            outcomes[readable] = self._of_readable(numbers[readable])
        return outcomes

    def _of_readable(self, numbers: Numbers) -> Indices:
        lists = self._lists
        said = [self._places.of(numbers)]
        sizes = [self._places.count]
        for registry in lists.registries:
            said.append(registry.states(numbers))
            sizes.append(STATES)
        for found, sets in (
            (self._recent.of(numbers), self._recent.count),
            (lists.exempt.look_up(numbers) + 1, len(lists.exemptions) + 1),
            (lists.numbers.look_up(numbers) + 1, len(lists.sets) + 1),
            *(
                (lists.entries_of_patterns(shape, listed, numbers) + 1, len(lists.sets) + 1)
                for shape, listed in lists.patterns
            ),
        ):
            said.append(found)
            sizes.append(sets)
        code, size = np.zeros(len(numbers), np.int64), 1
        for one, states in zip(said, sizes, strict=True):
            if size * states >= 1 << 62:
                _, code = np.unique(code, return_inverse=True)
                size = len(code)
            code, size = code * states + one, size * states
        rows, of_row = _distinct(code, size)
        outcomes = [
            self._outcomes(numbers[row], tuple(int(one[row]) for one in said)) for row in rows.tolist()
        ]
        found = np.array([of_area for of_area, _ in outcomes], np.int64)[of_row]
        unsure = np.array([of_area != others for of_area, others in outcomes], np.bool_)
        for row in np.flatnonzero(unsure[of_row]).tolist():
            if not is_of_area(f"+{numbers[row]}"):
                found[row] = outcomes[of_row[row]][1]
        return found

    def _outcomes(self, number: np.uint64, said: tuple[int, ...]) -> tuple[int, int]:
        """The indices of what becomes of a number of which this is said: if it is of an area, and if not."""
        with self._lock:
            known = self._known.get(said)
        if known is None:
            of_area, others = self._places.zones(said[0])
            first = self._decide(f"+{number}", said, of_area)
            second = first if of_area == others else self._decide(f"+{number}", said, others)
            with self._lock:
                known = self._known[said] = (self._index(_outcome(first)), self._index(_outcome(second)))
        return known

    def _index(self, outcome: Outcome) -> int:
        if outcome not in self.outcomes:
            self.outcomes.append(outcome)
        return self.outcomes.index(outcome)

    def _decide(self, e164: str, said: Sequence[int], zones: tuple[str, ...]) -> Screened:
        """Screening's verdict on a number of which this is said."""
        lists = self._lists
        count = 1 + len(lists.registries)
        registries = tuple(
            registry_hit(e164, index.registry, listed=RegistryIndex.is_listed(state))
            for index, state in zip(lists.registries, said[1:count], strict=True)
            if state
        )
        attempts, exemptions, *sets = said[count:]
        wildcards = [shape.pattern_for(e164) for shape, _ in lists.patterns]
        entries = [
            _entry(pattern or e164, kind)
            for pattern, found in zip([e164, *wildcards], sets, strict=True)
            if found
            for kind in sorted(lists.sets[found - 1], key=str)
        ]
        exempt = [
            _exemption(e164, sort)
            for sort in (sorted(lists.exemptions[exemptions - 1], key=str) if exemptions else ())
        ]
        hits = Hits(tuple(entries), lists.position, "sql", registries, tuple(exempt))
        number = Number(NumberKind.SUBSCRIBER, e164, zones=zones)
        return self._screen(number, hits, self._recent.attempts(attempts))

    def _screen(self, number: Number, hits: Hits | None, attempts: Sequence[Attempt] = ()) -> Screened:
        facts = CallFacts(
            at=self._at,
            dialled="",
            number=number,
            mode=None,
            project=self._project,
            purpose=self._purpose,
        )
        return screen(facts, hits, self._rules, attempts)


def _distinct(code: Indices, size: int) -> tuple[Indices, Indices]:
    """A row for each distinct code, and for each row the index of the one that stands for it."""
    if size > _TABLE:
        _, rows, of_row = np.unique(code, return_index=True, return_inverse=True)
        return rows, of_row
    some_row = np.full(size, -1, np.int64)
    some_row[code] = np.arange(len(code))
    there = np.flatnonzero(some_row >= 0)
    place = np.zeros(size, np.int64)
    place[there] = np.arange(len(there))
    return some_row[there], place[code]


def _entry(number: str, kind: EntryKind) -> Entry:
    """An entry as far as screening decides by it: it was chosen for being in force."""
    added_at = from_microseconds(kind.added_at or 0)
    purposes = tuple(kind.purposes.split())
    return Entry(0, number, kind.category, kind.project, "", "", "", added_at, None, purposes)


def _exemption(number: str, sort: ExemptionSort) -> Exemption:
    """An exemption, likewise."""
    starts_at = from_microseconds(sort.starts_at)
    return Exemption(
        id=0,
        number=number,
        kind=ExemptionKind(sort.kind),
        project=sort.project,
        purposes=tuple(sort.purposes.split()),
        evidence="",
        reference="",
        source="",
        added_by="",
        added_at=starts_at,
        starts_at=starts_at,
        expires_at=None,
    )


def _outcome(screened: Screened) -> Outcome:
    if screened.verdict is Verdict.ALLOW:
        return Outcome(None)
    names = [
        INTERNAL if match.kind == "entry" else match.id
        for match in screened.matches
        if match.reason is screened.reason or match.reason in _REFUSING
    ]
    return Outcome(screened.reason, tuple(dict.fromkeys(names)))
