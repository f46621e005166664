"""When a machine stood still, laid beside what was measured on it meanwhile."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hiccup:
    """A stretch of time in which a core ran nothing. Seconds on the monotonic clock, which all processes
    share."""

    begin: float
    end: float


class Hiccups:
    """The hiccups of one or several cores, as a union: time in which two cores stood still counts once."""

    def __init__(self, hiccups: Iterable[Hiccup]) -> None:
        self._begins: list[float] = []
        self._ends: list[float] = []
        for hiccup in sorted(hiccups, key=lambda each: each.begin):
            if self._ends and hiccup.begin <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], hiccup.end)
            else:
                self._begins.append(hiccup.begin)
                self._ends.append(hiccup.end)

    def __len__(self) -> int:
        return len(self._begins)

    @property
    def longest(self) -> float:
        """Seconds; 0 if there is none."""
        return max((end - begin for begin, end in zip(self._begins, self._ends, strict=True)), default=0)

    def within(self, begin: float, end: float) -> float:
        """Seconds of this stretch that fall into hiccups."""
        first, last = bisect_right(self._ends, begin), bisect_left(self._begins, end)
        return sum(
            min(self._ends[index], end) - max(self._begins[index], begin) for index in range(first, last)
        )
