"""The journal's writer: the port `Journal` over SQL, with a spool beside it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa
import structlog

from callguard.control.model import Outcome
from callguard.errors import SqlError
from callguard.journal.rows import Row, decision_row, outcome_row
from callguard.journal.spool import Spool
from callguard.journal.store import JournalStore
from callguard.journal.thread import Finish, JournalThread, OpenDecisions, Record, Stop, Wake
from callguard.journal.versions import add_versions, rules_row
from callguard.screening.model import Decision
from callguard.screening.rules import Rules

SPOOL = "journal.spool"
"""The spool's name in the state folder."""

_MAX_WAITING = 10_000
"""Decisions and outcomes that may wait for the thread; more decisions are refused, more outcomes spooled."""
_GRACE = 1.0
"""Seconds over the timeout that `close` waits: the database's own time limit is the timeout, too."""

_log = structlog.get_logger(__name__)


class JournalWriter:
    """Writes decisions before they are acted on, and outcomes after. An async context manager, used once.

    `timeout` is in seconds: the longest that a decision waits for its commit. `on_recorded` is told, in the
    event loop, how many seconds each commit took as its caller saw it.
    """

    def __init__(
        self,
        engine: sa.Engine,
        spool: Path,
        timeout: float,
        on_recorded: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._engine = engine
        self._store = JournalStore(engine)
        self._spool = Spool(spool)
        self._timeout = timeout
        self._on_recorded = on_recorded
        self._started: JournalThread | None = None
        self._closed = False
        self.recorded = 0
        """Decisions committed while their callers waited."""
        self.failed = 0
        """Decisions whose callers were told that they were not committed."""
        self.spooled = 0
        """Decisions and outcomes put into the spool."""
        self.lost_outcomes = 0
        """Outcomes that neither the database nor the spool could take: left to reconciliation."""

    async def __aenter__(self) -> Self:
        self._started = JournalThread(self._store, self._spool, asyncio.get_running_loop())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def waiting(self) -> int:
        """Decisions and outcomes that are not committed yet, the spool's not counted."""
        return 0 if self._started is None else self._started.waiting

    async def close(self) -> None:
        """Commit or spool what waits; take nothing more. Takes at most a second over the timeout."""
        if self._closed:
            return
        self._closed = True
        thread = self._thread
        thread.put(Stop())
        try:
            async with asyncio.timeout(self._timeout + _GRACE):
                await thread.ended.wait()
        except TimeoutError:
            # It hangs in the database. What it commits after all, the spool's lines will find done.
            self._spool_outcomes(thread.abandon())

    async def record(self, decision: Decision) -> None:
        """Return when the decision is committed. Raises SqlError when it cannot be, within the timeout.

        After SqlError the decision is not in the journal, but for one case: the time was up while the
        database was committing it. Then what the caller spools, having acted on it, takes its place.
        """
        thread = self._accepting()
        record = Record(decision_row(decision), asyncio.get_running_loop().create_future())
        started = time.perf_counter()
        thread.put(record)
        try:
            async with asyncio.timeout(self._timeout):
                await record.done
        except TimeoutError:
            record.abandoned = True
            self.failed += 1
            raise SqlError(
                f"a decision was not committed within {self._timeout:g} s",
                remedy="is the database overloaded, or locked by another process?",
            ) from None
        except SqlError:
            self.failed += 1
            raise
        self.recorded += 1
        self._on_recorded(time.perf_counter() - started)

    def spool(self, decision: Decision) -> None:
        """Keep a decision in the spool; durable on return. Raises OSError if that fails."""
        self._spool.append(decisions=[decision_row(decision)])
        self.spooled += 1
        if not self._closed:
            self._thread.put(Wake())

    async def keep_rules(self, rules: Rules) -> None:
        """Store a version of the rules; to be awaited before a decision names it. In the spool while the
        database is away, and never raises: calls go on, whatever becomes of it."""
        row = rules_row(rules, datetime.now(UTC))
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.to_thread(add_versions, self._engine, [row])
        except (SqlError, TimeoutError) as error:
            why = str(error) or f"not within {self._timeout:g} s"
        else:
            return
        _log.warning("a version of the rules waits for the database", version=rules.version, problem=why)
        try:
            await asyncio.to_thread(self._spool.append, rules=[row])
        except OSError as error:
            _log.error("a version of the rules cannot be kept", version=rules.version, problem=str(error))
        else:
            self._thread.put(Wake())

    def outcome(self, outcome: Outcome) -> None:
        """Take an outcome, to be committed soon; kept and retried while the database is away."""
        row = outcome_row(outcome)
        if self._closed or self.waiting >= _MAX_WAITING:
            self._spool_outcomes([row])
        else:
            self._thread.put(Finish(row))

    async def open_decisions(self, pbx: str, guard: str) -> Sequence[Decision]:
        """This guard's decisions on this PBX without an outcome, oldest first. Raises SqlError.

        What the spool holds and the outcomes taken before are brought in first.
        """
        thread = self._accepting()
        question = OpenDecisions(pbx, guard, asyncio.get_running_loop().create_future())
        thread.put(question)
        try:
            async with asyncio.timeout(self._timeout):
                return await question.done
        except TimeoutError:
            raise SqlError(f"the open decisions were not read within {self._timeout:g} s") from None

    @property
    def _thread(self) -> JournalThread:
        assert self._started is not None, "used outside its `async with`"  # noqa: S101
        return self._started

    def _accepting(self) -> JournalThread:
        if self._closed or self._thread.ended.is_set():
            raise SqlError("the journal is closed")
        if self.waiting >= _MAX_WAITING:
            raise SqlError(f"{self.waiting} records wait already", remedy="is the database overloaded?")
        return self._thread

    def _spool_outcomes(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        try:
            self._spool.append(outcomes=rows)
        except OSError as error:
            self.lost_outcomes += len(rows)
            _log.exception("outcomes are lost", count=len(rows), error=str(error))
        else:
            self.spooled += len(rows)
