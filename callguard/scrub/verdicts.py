"""What becomes of leads: screening's own verdicts, for whole columns of numbers.

Screening decides by what the lists say of a number, not by its digits. So numbers of which the lists say the
same have the same verdict, and screen() is asked once for all of them: see the tests, which ask it for each.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from callguard.lists.hits import registry_hit
from callguard.lists.packing import Numbers
from callguard.numbers import Number, NumberKind
from callguard.screening.model import (
    CallFacts,
    Entry,
    Hits,
    Reason,
    Screened,
    Verdict,
)
from callguard.screening.rules import Rules
from callguard.screening.screen import screen
from callguard.scrub.lists import STATES, Indices, Lists, RegistryIndex

INTERNAL = "internal"
"""What all internal lists are called in the refused file."""

_SHORTCOMINGS = {Reason.STALE_REGISTRY, Reason.NOT_COVERED}
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


class Verdicts:
    """Decides about leads of one project and purpose at one instant. Several threads may ask at once."""

    def __init__(
        self, lists: Lists, rules: Rules, *, at: datetime, project: str | None, purpose: str
    ) -> None:
        self._lists, self._rules = lists, rules
        self._at, self._project, self._purpose = at, project, purpose
        self._lock = threading.Lock()
        self._known: dict[tuple[int, ...], int] = {}
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
        sizes = [STATES] * len(lists.registries) + [len(lists.sets) + 1] * (1 + len(lists.patterns))
        said = [registry.states(numbers) for registry in lists.registries]
        said.append(lists.numbers.look_up(numbers) + 1)
        said += [lists.entries_of_patterns(shape, listed, numbers) + 1 for shape, listed in lists.patterns]
        code, size = np.zeros(len(numbers), np.int64), 1
        for one, states in zip(said, sizes, strict=True):
            if size * states >= 1 << 62:
                _, code = np.unique(code, return_inverse=True)
                size = len(code)
            code, size = code * states + one, size * states
        rows, of_row = _distinct(code, size)
        found = [self._outcome(numbers[row], tuple(int(one[row]) for one in said)) for row in rows.tolist()]
        return np.array(found, np.int64)[of_row]

    def _outcome(self, number: np.uint64, said: tuple[int, ...]) -> int:
        with self._lock:
            if said not in self._known:
                outcome = _outcome(self._decide(f"+{number}", said))
                if outcome not in self.outcomes:
                    self.outcomes.append(outcome)
                self._known[said] = self.outcomes.index(outcome)
            return self._known[said]

    def _decide(self, e164: str, said: Sequence[int]) -> Screened:
        """Screening's verdict on a number of which the lists say this."""
        lists = self._lists
        count = len(lists.registries)
        registries = tuple(
            registry_hit(e164, index.registry, listed=RegistryIndex.is_listed(state))
            for index, state in zip(lists.registries, said[:count], strict=True)
            if state
        )
        wildcards = [shape.pattern_for(e164) for shape, _ in lists.patterns]
        entries = [
            _entry(pattern or e164, category, project)
            for pattern, found in zip([e164, *wildcards], said[count:], strict=True)
            if found
            for category, project in sorted(lists.sets[found - 1], key=str)
        ]
        hits = Hits(tuple(entries), lists.position, "sql", registries)
        return self._screen(Number(NumberKind.SUBSCRIBER, e164), hits)

    def _screen(self, number: Number, hits: Hits | None) -> Screened:
        facts = CallFacts(
            at=self._at,
            dialled="",
            number=number,
            mode=None,
            project=self._project,
            purpose=self._purpose,
        )
        return screen(facts, hits, self._rules)


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


def _entry(number: str, category: str, project: str | None) -> Entry:
    """An entry as far as screening decides by it: it was chosen for being in force."""
    return Entry(0, number, category, project, "", "", "", datetime.fromtimestamp(0, UTC), None)


def _outcome(screened: Screened) -> Outcome:
    if screened.verdict is Verdict.ALLOW:
        return Outcome(None)
    names = [
        INTERNAL if match.kind == "entry" else match.id
        for match in screened.matches
        if match.reason is screened.reason or match.reason not in _SHORTCOMINGS
    ]
    return Outcome(screened.reason, tuple(dict.fromkeys(names)))
