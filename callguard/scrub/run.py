"""A scrub from end to end: a lead file in, a clean and a refused file out. Blocks; memory is bounded.

The caller's thread reads, finds rows and writes; two others read numbers, look them up and sort the rows. The
rows stay in their order.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callguard.errors import InputError
from callguard.lists.packing import Numbers
from callguard.scrub.layout import BOM, Layout, find_layout
from callguard.scrub.lines import lines_alone
from callguard.scrub.lists import Indices
from callguard.scrub.outputs import Outputs
from callguard.scrub.reading import UNREADABLE as NO_NUMBER
from callguard.scrub.reading import LeadReader, read_code, read_codes
from callguard.scrub.rows import EndlessRow, Flags, Positions, Rows, split
from callguard.scrub.source import Leads, check_kind
from callguard.scrub.verdicts import ALLOWED, UNREADABLE, Verdicts

COLUMNS = ("callguard_lists", "callguard_reason")
"""The columns that the refused file has behind the others: the lists that refuse the lead, with a space
between them, and the reason."""

_PIECE = 8 << 20
_BEGINNING = 1 << 18
"""Bytes that the layout is taken from."""
_THREADS = 2
_AHEAD = 4
"""Pieces that may be in work or wait to be written."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a lead file."""

    rows: int
    """Without the header and empty lines."""
    clean: int
    refused: dict[str, int]
    """Reason -> rows, most first."""
    columns: tuple[str, ...]
    """The columns that were checked."""
    code_column: str | None
    """The column of their calling codes, if there is one."""
    position: int
    """The position in the change log of the internal lists that were asked."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person said of the file."""

    columns: tuple[str, ...] = ()
    delimiter: str | None = None
    header: bool | None = None
    code_column: str | None = None


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The rows of a piece."""

    clean: bytes
    refused: bytes
    outcomes: Counter[int]


def scrub(
    source: Path,
    outputs: Outputs,
    reader: LeadReader,
    load: Callable[[], Verdicts],
    *,
    wanted: Wanted,
    progress: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Sort the rows of a lead file into the two outputs, and finish them.

    `load` takes the lists; it is called once the file has been found readable. `progress` is given the bytes
    done so far. Raises InputError, with the row where there is one, and what `load` raises.
    """
    begun = time.monotonic()
    with Leads(source) as file:
        beginning = file.read(_BEGINNING)
        check_kind(beginning, source)
        mark = BOM if beginning.startswith(BOM) else b""
        with _rows_named(source):
            layout = find_layout(
                beginning[len(mark) :],
                at_end=len(beginning) < _BEGINNING,
                is_number=lambda cell, code: reader.read_one(cell, read_code(code)) != NO_NUMBER,
                columns=wanted.columns,
                code_column=wanted.code_column,
                delimiter=wanted.delimiter,
                header=wanted.header,
            )
        verdicts = load()
        outputs.write(clean=mark, refused=mark)
        work = _Work(layout, reader, verdicts)
        counts = _through(_pieces(file, beginning[len(mark) :], layout, source), work, outputs, progress)
        file.check_unchanged()
    outputs.finish()
    reasons: Counter[str] = Counter()
    for outcome, count in counts.items():
        if reason := verdicts.outcomes[outcome].refused:
            reasons[str(reason)] += count
    return Summary(
        rows=counts.total(),
        clean=counts[ALLOWED],
        refused=dict(reasons.most_common()),
        columns=layout.names,
        code_column=layout.code_name,
        position=verdicts.position,
        seconds=time.monotonic() - begun,
    )


def _pieces(file: Leads, rest: bytes, layout: Layout, source: Path) -> Iterator[tuple[Rows, int]]:
    """The rows of a file in pieces, each with the bytes read so far; `rest` was read before."""
    before, done = 0, len(rest)
    at_end = False
    while not at_end:
        more = file.read(_PIECE)
        at_end = len(more) < _PIECE
        data = np.frombuffer(rest + more, np.uint8)
        with _rows_named(source, before):
            rows = split(data, ord(layout.delimiter), at_end=at_end)
        rest = data[rows.starts[-1] :].tobytes()
        before += len(rows)
        done += len(more)
        yield rows, done


def _through(
    pieces: Iterator[tuple[Rows, int]],
    work: "_Work",
    outputs: Outputs,
    progress: Callable[[int], None],
) -> Counter[int]:
    """Do the work on all pieces, a few at once, and write them in their order; outcome -> rows."""
    counts: Counter[int] = Counter()
    waiting: deque[tuple[Future[_Sorted], int]] = deque()
    headed = work.layout.header
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="scrub") as pool:
        try:
            for rows, done in pieces:
                leads = rows
                if headed and len(filled := np.flatnonzero(rows.ends > rows.starts[:-1])):
                    leads = work.write_header(rows, int(filled[0]), outputs)
                    headed = False
                waiting.append((pool.submit(work.sort, leads), done))
                if len(waiting) >= _AHEAD:
                    _write_first(waiting, outputs, counts, progress)
            while waiting:
                _write_first(waiting, outputs, counts, progress)
        except BaseException:
            work.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return counts


def _write_first(
    waiting: deque[tuple[Future[_Sorted], int]],
    outputs: Outputs,
    counts: Counter[int],
    progress: Callable[[int], None],
) -> None:
    future, done = waiting.popleft()
    found = future.result()
    outputs.write(clean=found.clean, refused=found.refused)
    counts.update(found.outcomes)
    progress(done)


class _Work:
    """What is done to each piece."""

    def __init__(self, layout: Layout, reader: LeadReader, verdicts: Verdicts) -> None:
        self.layout = layout
        self._reader = reader
        self._verdicts = verdicts
        self._suffixes: list[bytes] = []
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Have what is being worked on end soon."""
        self._reader.stop()

    def write_header(self, rows: Rows, row: int, outputs: Outputs) -> Rows:
        """Write the header, and empty lines before it, to both files; the rows after it."""
        end, stop = int(rows.ends[row]), int(rows.starts[row + 1])
        header = rows.data[:stop].tobytes()
        if len(self._hiding(split(rows.data[:stop], ord(self.layout.delimiter), at_end=True))):
            raise InputError(
                "a header of several lines with numbers in them",
                where=f"row {row + 1}",
                allowed="quotes in pairs around one text",
            )
        added = self.layout.delimiter.join(("", *COLUMNS)).encode()
        outputs.write(clean=header, refused=header[:end] + added + header[end:])
        return split(rows.data[stop:], ord(self.layout.delimiter), at_end=True)

    def sort(self, rows: Rows) -> _Sorted:
        outcomes = self._outcomes(rows)
        leads = rows.ends > rows.starts[:-1]
        outcomes[~leads] = ALLOWED
        whole = rows.data.tobytes()
        counts = np.bincount(outcomes[leads])
        return _Sorted(
            clean=_clean(rows, whole, outcomes == ALLOWED),
            refused=self._refused(rows, whole, outcomes),
            outcomes=Counter({at: count for at, count in enumerate(counts.tolist()) if count}),
        )

    def _outcomes(self, rows: Rows) -> Indices:
        """What becomes of each row: it is clean if every number in it is allowed, and there is one."""
        outcomes = np.full(len(rows), ALLOWED, np.int64)
        empty = np.ones(len(rows), np.bool_)
        every = self._numbers(rows)
        for numbers, blank in every:
            found = self._verdicts.decide(numbers)
            outcomes = np.where((outcomes == ALLOWED) & ~blank, found, outcomes)
            empty &= blank
        outcomes[empty | rows.broken] = UNREADABLE
        outcomes[self._hiding(rows, [numbers for numbers, _ in every])] = UNREADABLE
        return outcomes

    def _numbers(self, rows: Rows) -> list[tuple[Numbers, Flags]]:
        """The numbers of each column, and which of its cells are blank."""
        at = self.layout.code
        codes = None if at is None else read_codes(rows.data, *rows.field(at))
        return [self._reader.read(rows.data, *rows.field(column), codes) for column in self.layout.columns]

    def _hiding(self, rows: Rows, own: Sequence[Numbers] = ()) -> Positions:
        """The rows of several lines of which one, taken alone, has another number than the row's own."""
        hiding = [np.zeros(0, np.int64)]
        for lines, of_line in lines_alone(rows, self.layout.delimiter):
            for numbers, _ in self._numbers(lines):
                other = numbers != NO_NUMBER
                for one in own:
                    other &= numbers != one[of_line]
                hiding.append(of_line[other])
        return np.concatenate(hiding)

    def _refused(self, rows: Rows, whole: bytes, outcomes: Indices) -> bytes:
        refused = np.flatnonzero(outcomes != ALLOWED)
        suffixes = self._all_suffixes()
        parts: list[bytes] = []
        for start, end, stop, outcome in zip(
            rows.starts[refused].tolist(),
            rows.ends[refused].tolist(),
            rows.starts[refused + 1].tolist(),
            outcomes[refused].tolist(),
            strict=True,
        ):
            parts += (whole[start:end], suffixes[outcome], whole[end:stop])
        return b"".join(parts)

    def _all_suffixes(self) -> list[bytes]:
        """For each outcome, what is put behind the rows that it refuses."""
        with self._lock:
            for outcome in self._verdicts.outcomes[len(self._suffixes) :]:
                cells = (" ".join(outcome.lists), str(outcome.refused))
                quoted = [_quoted(cell, self.layout.delimiter) for cell in cells]
                self._suffixes.append(self.layout.delimiter.join(("", *quoted)).encode())
            return self._suffixes


def _clean(rows: Rows, whole: bytes, clean: Flags) -> bytes:
    """The clean rows, a run of them at a time."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], clean, [False])).astype(np.int8)))
    bounds = rows.starts[edges].tolist()
    return b"".join([whole[a:b] for a, b in zip(bounds[0::2], bounds[1::2], strict=True)])


def _quoted(cell: str, delimiter: str) -> str:
    special = delimiter in cell or '"' in cell
    return '"' + cell.replace('"', '""') + '"' if special else cell


@contextmanager
def _rows_named(source: Path, before: int = 0) -> Iterator[None]:
    try:
        yield
    except EndlessRow as error:
        where = f"{source}: row {before + error.row}"
        raise InputError(error.what, where=where, allowed=error.allowed) from None
