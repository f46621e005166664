"""Import a registry's file: a new generation is made beside the one in force, and then put in its place.

Until `RegistryStore.switch` nothing that a call is checked against has changed, whatever happens to this
process. What it leaves behind when it dies, the next import of the list cleans away; so does this one, when
it is refused or stopped. All of it blocks, and raises InputError, SqlError, and BadBlock for damaged blocks.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from callguard.errors import InputError, SqlError
from callguard.lists.difference import NONE, Difference, Piece, between, changed, replaced
from callguard.lists.formats.layout import Layout
from callguard.lists.importrules import (
    Limits,
    Mode,
    check_areas,
    check_date,
    check_mode,
    check_order,
    check_rejected,
    check_size,
    doubts,
    new_date,
)
from callguard.lists.numberruns import NumberRuns
from callguard.lists.packing import Block, Numbers, unpack
from callguard.lists.registries import Counts, Generation, Registry, RegistryStore
from callguard.lists.registryfile import THREADS, ReadFile, Watching, read_file
from callguard.lists.room import check_room
from callguard.lists.watched import Impact, Watched

_AT_ONCE = 500_000
"""Numbers that are packed at a time: what is made of them stays near a core's second cache. Four times as
many take half as long again."""
_WAITING = 6
"""Packed stretches that wait to be written."""
_TRANSACTION = 1_000_000
"""Bytes of blocks that are written in one transaction."""
_BLOCKS_ASKED = 500
_REASONS = 3
"""Rejected lines that a refusal names."""
_REWRITE_SHARE = 4
"""An append of more than a quarter of the list's numbers makes all blocks anew, of the best size."""


_Pieces: TypeAlias = Generator[Piece, None, None]


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants imported."""

    path: Path
    mode: Mode
    who: str
    layout: Layout
    region: str
    """The one of the list's jurisdiction."""
    data_date: date | None
    """The day of the data, as given; None for what the file says."""
    rejected: Path
    """Where rejected lines go."""
    limits: Limits


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import made, or would make."""

    file: ReadFile
    data_date: date | None
    difference: Difference
    warnings: tuple[str, ...]
    """What a person should know of it (importrules.doubts)."""
    impact: Impact | None = None
    """For a dry run with calls to look at."""
    version: int | None = None
    """Once it is in force."""
    refusal: InputError | None = None
    """For a dry run: why the new generation would be refused."""


class Live(Protocol):
    """The Redis that guards ask. Its methods fail silently: guards ask SQL until Redis has what SQL has."""

    def begin(self, key: str) -> None:
        """Blocks of the generation that has this key will come."""

    def put(self, rows: Sequence[Block]) -> None:
        """Some of its blocks, which SQL has already."""

    def complete(self) -> None:
        """All of them came."""

    def abandon(self) -> None:
        """No more of them will come."""

    def sweep(self) -> None:
        """Remove all blocks but those of generations in force, and those that are loading."""


class Importer:
    """Imports into one list, of which the caller alone imports (importlock)."""

    def __init__(self, store: RegistryStore, registry: Registry, live: Live, watching: Watching) -> None:
        self._store = store
        self._registry = registry
        self._live = live
        self._watching = watching
        self._before = None if registry.generation is None else store.generation(registry.generation)

    def clean(self, *, switched: bool = False) -> None:
        """Remove what importers that died, and generations that nothing needs any more, have left behind.

        `switched`: if there was a generation before, it was in force until now, so that Redis has it, too.
        """
        dead = self._store.fail_dead(self._registry.id)
        doomed = self._store.doomed(self._registry.id)
        for content in doomed:
            while self._store.delete_blocks(content):
                pass
        if dead or doomed or (switched and self._before is not None):
            self._live.sweep()

    def run(self, order: Order, confirm: Callable[[Outcome], None]) -> Outcome:
        """Import a file. `confirm` sees what the new generation would be, and raises to refuse it."""
        self.clean()
        file, data_date, warnings = self._read(order)
        size = self._block_size(order.mode, file)
        try:
            generation = self._store.begin(
                self._registry.id,
                mode=order.mode,
                file=order.path.name,
                digest=file.digest,
                data_date=data_date,
                who=order.who,
                block_size=size,
            )
            tally = self._tally(order.mode, file)
            self._write(generation, tally, self._pieces(order.mode, file, size))
            outcome = Outcome(file, data_date, tally.difference, warnings)
            self._check_size(outcome, order.limits)
            confirm(outcome)
            version = self._store.switch(
                generation.id,
                Counts(
                    tally.blocks,
                    outcome.difference.numbers,
                    outcome.difference.added,
                    outcome.difference.removed,
                    file.rejected,
                ),
                instead_of=self._registry.generation,
                why=f"{order.mode} {order.path.name}",
            )
        except BaseException:
            self._give_up()
            raise
        return replace(outcome, version=version)

    def try_out(self, order: Order, calls: Mapping[int, int]) -> Outcome:
        """What `run` would make, also where it would be refused for its size; nothing is written but the
        rejected lines. `calls`: number -> how many calls of the past it had."""
        file, data_date, warnings = self._read(order)
        size = self._block_size(order.mode, file)
        after = Watched(calls, size)
        tally = self._tally(order.mode, file)
        with closing(self._pieces(order.mode, file, size)) as pieces:
            for piece in pieces:
                tally.add(piece)
                after.look(piece.rows)
        impact = after.since(self._listed_now(calls))
        outcome = Outcome(file, data_date, tally.difference, warnings, impact)
        try:
            self._check_size(outcome, order.limits)
        except InputError as error:
            # Whoever tries a file wants to see what it would do, above all if it is refused for that.
            return replace(outcome, refusal=error)
        return outcome

    def _read(self, order: Order) -> tuple[ReadFile, date | None, tuple[str, ...]]:
        """The file, the day of the new generation's data, and what a person should know."""
        check_mode(order.mode, self._before, has_action=order.layout.action is not None)
        today = datetime.now(UTC).date()
        check_date(order.data_date, today)
        file = read_file(
            order.path,
            order.layout,
            region=order.region,
            coverage=self._registry.coverage,
            mode=order.mode,
            rejected=order.rejected,
            watching=self._watching,
        )
        check_rejected(
            rejected=file.rejected,
            of=max(file.lines, file.taken + file.rejected),
            reasons=[f"line {one.line}: {one.why}" for one in file.first_rejected[:_REASONS]],
            limits=order.limits,
        )
        check_areas(outside=file.outside, of=len(file.runs) + len(file.changes))
        data_date = order.data_date or file.data_date
        check_date(data_date, today, where=str(order.path))
        before, history = self._before, self._store.history(self._registry.id)
        check_order(
            order.mode,
            digest=file.digest,
            data_date=data_date,
            before=before,
            history=history,
            limits=order.limits,
        )
        warnings = doubts(
            order.mode, file=order.path.name, data_date=data_date, before=before, history=history
        )
        return file, new_date(order.mode, data_date, before), warnings

    def _check_size(self, outcome: Outcome, limits: Limits) -> None:
        try:
            check_size(before=outcome.difference.before, numbers=outcome.difference.numbers, limits=limits)
        except InputError as error:
            rejected = outcome.file.rejected
            if not rejected:
                raise
            reason = outcome.file.first_rejected[0]
            hint = f"{error.what}; {rejected:,} lines were rejected, the first one as: {reason.why}"
            raise InputError(hint, where=error.where, allowed=error.allowed) from None

    def _rewrites(self, mode: Mode, file: ReadFile) -> bool:
        """Tell whether all blocks are made anew, instead of changing some."""
        if mode is Mode.REPLACE or self._before is None or not self._before.block_size:
            return True
        return mode is Mode.APPEND and len(file.runs) > self._before.numbers // _REWRITE_SHARE

    def _block_size(self, mode: Mode, file: ReadFile) -> int:
        before = self._before
        if before is not None and not self._rewrites(mode, file):
            return before.block_size
        if before is not None and mode is Mode.APPEND:
            for rows in self._store.chunks(before.content):
                file.runs.add(unpack(rows, before.block_size))
        return file.runs.best_size()

    def _pieces(self, mode: Mode, file: ReadFile, size: int) -> _Pieces:
        if self._rewrites(mode, file):
            return self._made_anew(file.runs, size)
        return self._made_by_change(mode, file, size)

    def _made_anew(self, runs: NumberRuns, size: int) -> _Pieces:
        """Stretches of all the numbers, packed by several threads."""
        ranges = runs.ranges(size, _AT_ONCE)
        waiting: deque[Future[Piece]] = deque()
        with ThreadPoolExecutor(THREADS) as pool:
            try:
                for done, (start, stop) in enumerate(ranges):
                    waiting.append(pool.submit(self._stretch, runs, start, stop, size))
                    if len(waiting) > _WAITING:
                        yield waiting.popleft().result()
                    self._watching.writing(done, len(ranges))
                while waiting:
                    yield waiting.popleft().result()
                self._watching.writing(len(ranges), len(ranges))
            finally:
                pool.shutdown(cancel_futures=True)

    def _stretch(self, runs: NumberRuns, start: int, stop: int, size: int) -> Piece:
        before = self._before
        old: list[Block] = []
        if before is not None and before.numbers:
            first, end = start // before.block_size, -(-stop // before.block_size)
            for rows in self._store.chunks(before.content, start=first, stop=end):
                old.extend(rows)
        return replaced(runs.merged(start, stop), size, old, before.block_size if before else size)

    def _made_by_change(self, mode: Mode, file: ReadFile, size: int) -> _Pieces:
        """The blocks of the generation before, with the file's changes worked in."""
        assert self._before is not None  # noqa: S101 - without it, all is made anew
        content, blocks, done = self._before.content, self._before.blocks, 0
        for first, stop, added, removed in self._stretches_of_change(mode, file, size):
            begun = first
            for rows in self._store.chunks(content, start=first, stop=stop):
                end = rows[-1][0] + 1
                yield changed(rows, *_within(added, removed, begun * size, end * size), size)
                begun, done = end, done + len(rows)
                self._watching.writing(done, blocks)
            yield changed([], *_within(added, removed, begun * size, None), size)

    def _stretches_of_change(
        self, mode: Mode, file: ReadFile, size: int
    ) -> Iterator[tuple[int, int | None, Numbers, Numbers]]:
        """Stretches that together are all blocks, from a block to before another, each with its additions and
        removals."""
        if mode is Mode.CHANGE:
            yield 0, None, file.changes.added, file.changes.removed
            return
        ranges = file.runs.ranges(size, _AT_ONCE) or [(0, size)]
        first = 0
        for index, (start, stop) in enumerate(ranges):
            numbers = file.runs.merged(start, stop)
            end = None if index == len(ranges) - 1 else stop // size
            yield (first, end, numbers, NONE) if mode is Mode.APPEND else (first, end, NONE, numbers)
            first = stop // size

    def _tally(self, mode: Mode, file: ReadFile) -> "_Tally":
        return _Tally(self._before.numbers if self._before else 0, anew=self._rewrites(mode, file))

    def _write(self, generation: Generation, tally: "_Tally", pieces: _Pieces) -> None:
        self._live.begin(generation.key)
        with closing(pieces):
            for rows in _batches(tally.counting(pieces)):
                check_room(self._store.engine)
                self._store.add_blocks(generation.id, rows)
                self._live.put(rows)
        self._live.complete()

    def _give_up(self) -> None:
        """The new generation never was: what cannot be cleaned now, the next import cleans."""
        self._live.abandon()
        with suppress(SqlError):
            self.clean()

    def _listed_now(self, calls: Mapping[int, int]) -> Watched | None:
        before = self._before
        if before is None or not before.block_size:
            return None
        now = Watched(calls, before.block_size)
        wanted = now.blocks
        for index in range(0, len(wanted), _BLOCKS_ASKED):
            now.look(self._store.some_blocks(before.content, wanted[index : index + _BLOCKS_ASKED]))
        return now


class _Tally:
    """Counts the pieces of a generation."""

    def __init__(self, before: int, *, anew: bool) -> None:
        """`before`: the numbers of the generation before; `anew`: all blocks are made anew."""
        self._before = before
        self._anew = anew
        self._added = self._removed = self._kept = 0
        self.blocks = 0

    def add(self, piece: Piece) -> None:
        self.blocks += len(piece.rows)
        self._added += piece.added
        self._removed += piece.removed
        self._kept += piece.kept

    def counting(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The same pieces, counted as they are taken."""
        for piece in pieces:
            self.add(piece)
            yield piece

    @property
    def difference(self) -> Difference:
        removed = self._before - self._kept if self._anew else self._removed
        return Difference(self._before, self._added, removed)


def _within(added: Numbers, removed: Numbers, start: int, stop: int | None) -> tuple[Numbers, Numbers]:
    return between(added, start, stop), between(removed, start, stop)


def _batches(pieces: Iterable[Piece]) -> Iterator[Sequence[Block]]:
    """The rows of pieces in batches of about _TRANSACTION bytes."""
    batch: list[Block] = []
    size = 0
    for piece in pieces:
        for row in piece.rows:
            batch.append(row)
            size += len(row[1])
            if size >= _TRANSACTION:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch
