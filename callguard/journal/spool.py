"""The spool: a file of JSON lines beside the database, for what the database would not take.

Each line is durable when `append` returns. Lines are brought into the database in their order and the file
is emptied only after that: a crash in between brings them again, and adding again changes nothing. A line
that cannot be read (the last one, torn by a crash or a full disk) is moved to a file of its own and told.

Several guards of one machine may share the file: flock on it orders them.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

from callguard.journal.rows import BAD_ROW, Row, complete, decision_of, outcome_of
from callguard.journal.versions import read_rules_row

_BATCH = 500
"""Lines that go into one transaction."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Spooled:
    """Some lines of the spool, as rows."""

    decisions: tuple[Row, ...]
    outcomes: tuple[Row, ...]
    rules: tuple[Row, ...] = ()
    """Versions of the rules."""


def decision_line(row: Row) -> bytes:
    """A decision as a line of the spool."""
    return b"decision " + json.dumps(row).encode() + b"\n"


def outcome_line(row: Row) -> bytes:
    """An outcome as a line of the spool."""
    return b"outcome " + json.dumps(row).encode() + b"\n"


def rules_line(row: Row) -> bytes:
    """A version of the rules as a line of the spool."""
    return b"rules " + json.dumps(row).encode() + b"\n"


class Spool:
    """The file; made, with mode 0600, when there is first something to keep."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = path.with_suffix(".damaged")
        """Where lines go that cannot be read."""

    def append(
        self, *, decisions: Sequence[Row] = (), outcomes: Sequence[Row] = (), rules: Sequence[Row] = ()
    ) -> None:
        """Keep these rows. Durable on return; raises OSError, and then the file is as it was."""
        lines = [*map(rules_line, rules), *map(decision_line, decisions), *map(outcome_line, outcomes)]
        _append(self.path, b"".join(lines))

    def is_empty(self) -> bool:
        """Tell whether there is nothing to bring into the database. Raises OSError."""
        try:
            return self.path.stat().st_size == 0
        except FileNotFoundError:
            return True

    def drain(self, add: Callable[[Spooled], None]) -> None:
        """Give all lines to `add`, some at a time, in their order; then empty the file.

        What `add` raises ends it; the file then stays whole. Raises OSError, also while another process
        drains the file.
        """
        if self.is_empty():
            return
        with self.path.open("r+b") as file, self._only_drain():
            while True:
                # Under the lock no append is half done: up to this size all lines are whole, but for one
                # that a crash has torn.
                with _locked(file.fileno()):
                    size = os.fstat(file.fileno()).st_size
                    if file.tell() >= size:
                        file.truncate(0)
                        os.fsync(file.fileno())
                        return
                while lines := _lines(file, size):
                    self._add(lines, add)

    @contextmanager
    def _only_drain(self) -> Iterator[None]:
        # Not the lock that appends take: those must not wait for the database.
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BlockingIOError(error.errno, "another guard is committing the spool") from error
            yield
        finally:
            os.close(descriptor)

    def set_aside(self, line: bytes, why: str) -> None:
        """Keep a line that the journal cannot take where a person can look at it. Raises OSError."""
        _append(self.damaged, line.rstrip(b"\n") + b"\n")
        _log.error("a record was set aside", why=why, bytes=len(line), kept_in=str(self.damaged))

    def _add(self, lines: Sequence[bytes], add: Callable[[Spooled], None]) -> None:
        decisions: list[Row] = []
        outcomes: list[Row] = []
        rules: list[Row] = []
        for line in lines:
            try:
                kind, _, text = line.partition(b" ")
                row = json.loads(text)
                if kind == b"decision":
                    row = complete(row)
                    decision_of(row)
                    decisions.append(row)
                elif kind == b"outcome":
                    outcome_of(row)
                    outcomes.append(row)
                elif kind == b"rules":
                    rules.append(read_rules_row(row))
                else:
                    raise ValueError("neither a decision, an outcome nor a version of the rules")
            except BAD_ROW:
                self.set_aside(line, "it cannot be read")
        if decisions or outcomes or rules:
            add(Spooled(tuple(decisions), tuple(outcomes), tuple(rules)))


def _lines(file: BinaryIO, size: int) -> list[bytes]:
    """The next lines, up to that size; none at its end, or at that of a file cut short meanwhile."""
    lines: list[bytes] = []
    while file.tell() < size and len(lines) < _BATCH and (line := file.readline()):
        if line.strip():
            lines.append(line)
    return lines


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _append(path: Path, lines: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    try:
        with _locked(descriptor):
            before = os.fstat(descriptor).st_size
            if before and os.pread(descriptor, 1, before - 1) != b"\n":
                # A torn line must not swallow ours.
                lines = b"\n" + lines
            try:
                _write_all(descriptor, lines)
                os.fsync(descriptor)
                if before == 0:
                    _fsync_folder(path.parent)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
