"""A registry list whose every generation is known to the number, from files that say in their names what they
hold, and from SQL's history of them.

Its numbers are in groups. A file is of one group that is in every generation, or of some of the others, or
both; which, its name says, as bits. What a generation must hold then follows from the files that made it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from callguard.database import snapshot
from callguard.lists.packing import Numbers, unpack
from callguard.lists.registries import RegistryStore
from callguard.lists.tables import changes, generations

GROUPS = 8
"""Groups of numbers that come and go."""
_COUNT = 250_000


@dataclass(frozen=True, slots=True)
class Universe:
    """The numbers, as ints: no number is in two groups, and all of them lie among each other."""

    always: Numbers
    """Those of the group that every generation has."""
    groups: tuple[Numbers, ...]
    never: Numbers
    """Those of no file."""

    def of(self, groups: int) -> Numbers:
        """All numbers of a generation that has these groups, rising."""
        return np.sort(np.concatenate([self.always, *self._of(groups)]))

    def _of(self, groups: int) -> list[Numbers]:
        return [self.groups[index] for index in range(GROUPS) if groups >> index & 1]

    def write(self, folder: Path, serial: int, groups: int, *, always: bool) -> Path:
        """A file of these groups. No two are equal, or the second would be refused: it has its first line as
        often as its serial number says."""
        parts = [self.always, *self._of(groups)] if always else self._of(groups)
        lines = [_lines(np.repeat(parts[0][:1], serial)), *map(_lines, parts)]
        path = folder / f"{groups:02x}-{serial}.txt"
        path.write_bytes(b"".join(lines))
        return path


@cache
def universe() -> Universe:
    """The same numbers each time: Indonesian ones, so far apart that a list has thousands of blocks."""
    chosen = np.random.default_rng(seed=1)
    area, office, line = (
        chosen.integers(first, stop, _COUNT) for first, stop in ((200, 600), (200, 1000), (0, 10_000))
    )
    found = np.unique(6_281_000_000_000 + area * 10_000_000 + office * 10_000 + line).astype(np.uint64)
    always, never, *groups = np.array_split(chosen.permutation(found), GROUPS + 2)
    return Universe(always, tuple(groups), never)


def _lines(numbers: Numbers) -> bytes:
    return "".join(f"+{number}\n" for number in numbers.tolist()).encode()


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force from a position of the change log on."""

    position: int
    generation: int
    version: int
    groups: int
    """The groups that it has, as bits."""
    made_by: str
    """The name of the file, or `rollback`."""


class History:
    """Which generation of the one list was in force at each position, as SQL's change log tells it."""

    def __init__(self, registries: RegistryStore) -> None:
        self._registries = registries
        self._at: dict[int, InForce] = {}
        self._groups: dict[int, int] = {}
        """Of each content."""
        self.now: InForce | None = None
        self.newest = 0
        self.switches: list[InForce] = []

    def read(self) -> None:
        """Take in what was added to the change log."""
        statement = (
            sa.select(
                changes.c.position,
                changes.c.generation,
                generations.c.version,
                generations.c.content,
                generations.c.mode,
                generations.c.file,
            )
            .select_from(changes.outerjoin(generations, changes.c.generation == generations.c.id))
            .where(changes.c.position > self.newest)
            .order_by(changes.c.position)
        )
        with snapshot(self._registries.engine) as connection:
            rows = connection.execute(statement).mappings().all()
        for row in rows:
            if row["generation"] is not None:
                self._switched(row)
            if self.now is not None:
                self._at[row["position"]] = self.now
            self.newest = row["position"]

    def at(self, position: int) -> InForce:
        """What was in force at a position that SQL must have. Raises AssertionError if it does not."""
        if position not in self._at:
            self.read()
        assert position in self._at, f"position {position} is told, and SQL is at {self.newest}"
        return self._at[position]

    def numbers(self, one: InForce) -> Numbers:
        """All numbers of a generation, from its blocks in SQL. Raises AssertionError if SQL counts others."""
        generation = self._registries.generation(one.generation)
        chunks = list(self._registries.chunks(generation.content))
        assert sum(map(len, chunks)) == generation.blocks
        found = np.concatenate([unpack(rows, generation.block_size) for rows in chunks])
        assert len(found) == generation.numbers
        return found

    def _switched(self, row: sa.RowMapping) -> None:
        mode, content = row["mode"], row["content"]
        if mode != "rollback":
            before = self.now.groups if self.now is not None else 0
            of_file = int(row["file"].partition("-")[0], 16)
            made = {"replace": of_file, "append": before | of_file, "remove": before & ~of_file}
            self._groups[content] = made[mode]
        made_by = mode if mode == "rollback" else row["file"]
        self.now = InForce(row["position"], row["generation"], row["version"], self._groups[content], made_by)
        self.switches.append(self.now)
