"""What a new generation would have meant for calls of the past. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from callguard.lists import blocks
from callguard.lists.packing import Block


@dataclass(frozen=True, slots=True)
class Impact:
    """Calls whose number would have been looked up with another result."""

    calls: int
    """Of so many that were looked at."""
    newly_listed: int
    no_longer_listed: int


class Watched:
    """Numbers of calls, to be found in blocks."""

    def __init__(self, calls: Mapping[int, int], size: int) -> None:
        """`calls`: number -> how many calls it had; `size`: the size of the blocks."""
        self._calls = calls
        self._size = size
        self._of_block: dict[int, list[int]] = defaultdict(list)
        for number in calls:
            self._of_block[number // size].append(number)
        self.listed: set[int] = set()
        """Those found so far."""

    @property
    def blocks(self) -> Sequence[int]:
        """The blocks that can hold any of them, in order."""
        return sorted(self._of_block)

    def look(self, rows: Iterable[Block]) -> None:
        """Look for the numbers in some blocks. Raises BadBlock."""
        for block, data in rows:
            for number in self._of_block.get(block, ()):
                if blocks.contains(data, number % self._size, self._size):
                    self.listed.add(number)

    def since(self, before: "Watched | None") -> Impact:
        """What differs from the same numbers looked for in the generation before."""
        listed = before.listed if before else set()
        return Impact(
            calls=sum(self._calls.values()),
            newly_listed=sum(self._calls[number] for number in self.listed - listed),
            no_longer_listed=sum(self._calls[number] for number in listed - self.listed),
        )
