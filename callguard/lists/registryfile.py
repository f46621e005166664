"""A registry's file, read: its numbers by the hundred million, and what could not be used."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from callguard.errors import InputError
from callguard.lists.difference import Changes
from callguard.lists.formats.layout import Layout
from callguard.lists.formats.reading import Rejected, open_numbers
from callguard.lists.importrules import Mode
from callguard.lists.numberruns import NumberRuns
from callguard.lists.ownfile import check_not_input
from callguard.lists.prefixes import Prefixes
from callguard.lists.rejectedfile import RejectedFile

THREADS = 2
MOST_CHANGES = 50_000_000
"""Numbers of a change file: more are quicker imported as a full file."""
_WAITING = 4
"""Chunks of a file that wait to be sorted."""


class Watching(Protocol):
    """Sees how far an import has come."""

    def reading(self, done: int, of: int, lines: int) -> None:
        """So many of the file's bytes, and of its lines."""

    def writing(self, done: int, of: int) -> None:
        """So many of the numbers (or, for a change, of the blocks) that there are, about."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What was in a file."""

    runs: NumberRuns
    """Its numbers; empty for a change file."""
    changes: Changes
    """What a change file adds and removes."""
    lines: int
    taken: int
    """The numbers that its lines gave, with those that came twice."""
    outside: int
    """The numbers of areas that the list does not cover; where the file repeats numbers, about so many."""
    rejected: int
    first_rejected: tuple[Rejected, ...]
    rejected_file: Path | None
    """Where all rejected lines are, if there are any."""
    digest: str
    """SHA-256 of the file."""
    data_date: date | None
    """What the file says of itself."""


def read_file(
    path: Path,
    layout: Layout,
    *,
    region: str,
    coverage: Sequence[str],
    mode: Mode,
    rejected: Path,
    watching: Watching,
) -> ReadFile:
    """Read a registry's file; `coverage` are the prefixes of its list, none for the whole country.

    Raises InputError where it cannot be read, or is not what the mode wants.
    """
    unusable = RejectedFile(rejected)
    check_not_input(path, unusable.path, unusable.part)
    covered = Prefixes(coverage) if coverage else None
    runs, changes, lines, taken = NumberRuns(covered), Changes(), 0, 0
    sorting: deque[Future[None]] = deque()
    with (
        unusable,
        open_numbers(path, layout, region=region, threads=THREADS) as file,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        for parsed in file:
            unusable.add(parsed.rejected)
            lines += parsed.lines
            taken += len(parsed.added) + len(parsed.removed)
            if mode is Mode.CHANGE:
                changes.then(parsed.added, parsed.removed)
                if len(changes) > MOST_CHANGES:
                    raise InputError(
                        f"more than {MOST_CHANGES:,} changes", where=str(path), allowed="a full file instead"
                    )
            elif len(parsed.removed):
                raise InputError("the file has removals", where=str(path), allowed="--mode change")
            else:
                sorting.append(pool.submit(runs.add, parsed.added))
                if len(sorting) > _WAITING:
                    sorting.popleft().result()
            watching.reading(parsed.done, file.size, lines)
        for one in sorting:
            one.result()
        outside = 0
        if covered is not None:
            within = runs.within() + covered.count(changes.added) + covered.count(changes.removed)
            outside = len(runs) + len(changes) - within
        return ReadFile(
            runs=runs,
            changes=changes,
            lines=lines,
            taken=taken,
            outside=outside,
            rejected=unusable.count,
            first_rejected=tuple(unusable.first),
            rejected_file=unusable.finish(),
            digest=file.digest,
            data_date=file.data_date,
        )
