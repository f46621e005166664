"""The thread that commits: decisions in groups, outcomes behind them, and what an outage has left over.

Whatever waits when it turns to its queue goes into one transaction; a lone decision waits for no other. No
other thread writes the journal, so what it does is in the order of the queue.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from callguard.errors import SqlError
from callguard.journal.rows import BAD_ROW, Row
from callguard.journal.spool import Spool, Spooled, decision_line, outcome_line, rules_line
from callguard.journal.store import JournalStore, refuses_a_row
from callguard.screening.model import Decision

_GROUP = 500
"""Rows in a transaction, at most: one that takes long keeps the next decisions waiting."""
_FIRST_RETRY = 0.1
_LAST_RETRY = 5.0
"""Seconds between attempts to bring in what is left over while the database is away."""

T = TypeVar("T")

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Record:
    """A decision whose caller waits."""

    row: Row
    done: asyncio.Future[None]
    abandoned: bool = False
    """The caller has given up: it must not be committed any more, if that can still be helped."""


@dataclass(slots=True, eq=False)
class Finish:
    """An outcome, for which nobody waits."""

    row: Row


@dataclass(slots=True, eq=False)
class OpenDecisions:
    """The question which decisions have no outcome."""

    pbx: str
    guard: str
    done: asyncio.Future[list[Decision]]


class Wake:
    """Something was spooled."""


class Stop:
    """Nothing comes after this."""


Item = Record | Finish | OpenDecisions | Wake | Stop


class JournalThread:
    """Started once; ends after Stop. Futures are set in their loop, never in this thread."""

    def __init__(self, store: JournalStore, spool: Spool, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._spool = spool
        self._loop = loop
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._outcomes: list[Row] = []
        """Out of the queue and not committed yet."""
        self._questions: list[OpenDecisions] = []
        self._spool_holds = True
        """Whether there may be something in the spool: at first, what an earlier process left."""
        self._retry_after = 0.0
        self._retry_delay = _FIRST_RETRY
        self._stopping = False
        self.ended = asyncio.Event()
        """Set in the loop."""
        threading.Thread(target=self._run, name="journal", daemon=True).start()

    @property
    def waiting(self) -> int:
        """How many items and outcomes are not committed yet."""
        return self._queue.qsize() + len(self._outcomes)

    def put(self, item: Item) -> None:
        """Take an item. Never blocks: the caller looks at `waiting` first."""
        if isinstance(item, Wake):
            self._spool_holds = True
        self._queue.put(item)

    def abandon(self) -> list[Row]:
        """Take back the outcomes that are not known to be committed, when the thread hangs."""
        rows = self._outcomes.copy()
        with suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if isinstance(item, Finish):
                    rows.append(item.row)
        return rows

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._catch_up()
                self._answer_questions()
                self._serve(self._wait())
            self._retry_after = 0.0
            self._catch_up()
            self._answer_questions()
            if self._outcomes:
                self._spool.append(outcomes=self._outcomes)
            self._store.close()
        except Exception:
            _log.exception("the journal's thread has failed")
        finally:
            self._tell(self.ended.set)

    def _wait(self) -> Item:
        idle = not (self._outcomes or self._spool_holds)
        try:
            return self._queue.get(timeout=None if idle else max(0.0, self._retry_after - time.monotonic()))
        except queue.Empty:
            return Wake()

    def _serve(self, item: Item) -> None:
        """Take the item and what waits behind it: commit the decisions, keep the rest for its turn."""
        records: list[Record] = []
        with suppress(queue.Empty):
            while True:
                match item:
                    case Record():
                        records.append(item)
                    case Finish():
                        self._outcomes.append(item.row)
                    case OpenDecisions():
                        self._questions.append(item)
                    case Stop():
                        self._stopping = True
                if len(records) == _GROUP:
                    break
                item = self._queue.get_nowait()
        if records:
            self._commit(records)

    def _commit(self, records: Sequence[Record]) -> None:
        def add(group: Sequence[Record]) -> None:
            self._store.add_decisions(lambda: [record.row for record in group if not record.abandoned])

        failed: dict[Record, SqlError] = {}
        try:
            for record, error in _each_apart(records, add):
                failed[record] = SqlError(f"the database refuses a decision: {error}")
            # The database is there: what is left over need not wait longer.
            self._retry_after = 0.0
        except SqlError as error:
            failed = {record: SqlError(error.what, remedy=error.remedy) for record in records}

        def settle() -> None:
            for record in records:
                if record.done.done():
                    continue
                if record in failed:
                    record.done.set_exception(failed[record])
                else:
                    record.done.set_result(None)

        self._tell(settle)

    def _answer_questions(self) -> None:
        while self._questions:
            question = self._questions.pop(0)
            answer: list[Decision] | Exception
            try:
                self._bring_in()
                answer = self._store.open_decisions(question.pbx, question.guard)
            except SqlError as error:
                answer = error
            except (OSError, *BAD_ROW) as error:
                answer = SqlError(f"the open decisions cannot be read: {error}")
            self._tell(partial(_settle, question, answer))

    def _catch_up(self) -> None:
        """Bring in what is left over, unless that failed a moment ago."""
        if time.monotonic() < self._retry_after:
            return
        try:
            self._bring_in()
            self._store.tidy()
        except (SqlError, OSError) as error:
            _log.warning("the journal waits for the database", error=str(error), waiting=self.waiting)
            self._retry_after = time.monotonic() + self._retry_delay
            self._retry_delay = min(2 * self._retry_delay, _LAST_RETRY)
        else:
            self._retry_delay = _FIRST_RETRY

    def _bring_in(self) -> None:
        """Commit what the spool holds and the outcomes. Decisions that come meanwhile go first."""
        if self._spool_holds:
            self._spool_holds = False
            try:
                self._spool.drain(self._add_spooled)
            except BaseException:
                self._spool_holds = True
                raise
        while self._outcomes:
            group = self._outcomes[:_GROUP]
            for row, error in _each_apart(group, self._store.add_outcomes):
                self._spool.set_aside(outcome_line(row), str(error))
            del self._outcomes[: len(group)]
            self._serve(Wake())

    def _add_spooled(self, lines: Spooled) -> None:
        self._serve(Wake())
        for row, error in _each_apart(lines.rules, self._store.add_versions):
            self._spool.set_aside(rules_line(row), str(error))
        for row, error in _each_apart(lines.decisions, lambda rows: self._store.add_decisions(lambda: rows)):
            self._spool.set_aside(decision_line(row), str(error))
        for row, error in _each_apart(lines.outcomes, self._store.add_outcomes):
            self._spool.set_aside(outcome_line(row), str(error))

    def _tell(self, callback: Callable[[], None]) -> None:
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)


def _each_apart(items: Sequence[T], add: Callable[[Sequence[T]], None]) -> list[tuple[T, Exception]]:
    """Add all together; if the database refuses a row, add each by itself, and return those it refused.

    Raises SqlError when the database cannot be used at all.
    """
    if not items:
        return []
    try:
        add(items)
    except Exception as error:
        if not refuses_a_row(error):
            raise
        if len(items) == 1:
            return [(items[0], error)]
        return [refused for item in items for refused in _each_apart([item], add)]
    return []


def _settle(question: OpenDecisions, answer: list[Decision] | Exception) -> None:
    if question.done.done():
        return
    if isinstance(answer, Exception):
        question.done.set_exception(answer)
    else:
        question.done.set_result(answer)
