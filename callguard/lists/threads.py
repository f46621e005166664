"""Ask the database from asyncio: a few threads, a short queue, a bound on every wait."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from callguard.errors import SqlError

T = TypeVar("T")


class SqlThreads:
    """Threads that run blocking questions.

    They are daemons, unlike those of concurrent.futures: a database that hangs must not keep the process from
    ending. They therefore only read; a write that is cut off would leave its caller not knowing. (The use of
    an override may be: a call that does not know whether it got it goes on without it.)
    """

    def __init__(self, *, timeout: float, count: int = 4, waiting: int = 256) -> None:
        """`timeout`: seconds for one question, with its wait for a thread."""
        self._timeout = timeout
        self._questions: queue.Queue[_Question | None] = queue.Queue(waiting)
        self._threads = [
            threading.Thread(target=self._work, name=f"lists-sql-{index}", daemon=True)
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, ask: Callable[[], T]) -> T:
        """The answer to one question. Raises what it raises; SqlError if it is not answered in time."""
        question = _Question(ask)
        try:
            self._questions.put_nowait(question)
        except queue.Full:
            raise SqlError("too many questions wait", remedy="is the database overloaded?") from None
        try:
            async with asyncio.timeout(self._timeout):
                answer: T = await question.future
                return answer
        except TimeoutError as error:
            raise SqlError(f"no answer in {self._timeout} s", remedy="is the database overloaded?") from error

    def close(self, patience: float = 1.0) -> None:
        """End the threads, so that none holds a connection; after `patience` seconds leave those that hang.

        Questions that still wait are not asked.
        """
        with suppress(queue.Empty):
            while True:
                self._questions.get_nowait()
        self._questions.put_nowait(None)
        end = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            question.answer()
        self._questions.put(None)  # for the next thread


class _Question:
    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def answer(self) -> None:
        if self.future.done():
            return  # nobody waits any more
        try:
            answer, error = self._ask(), None
        except Exception as raised:  # it is raised again where the answer is awaited
            answer, error = None, raised
        try:
            self._loop.call_soon_threadsafe(self._settle, answer, error)
        except RuntimeError:
            return  # the loop was closed meanwhile

    def _settle(self, answer: Any, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(answer)
        else:
            self.future.set_exception(error)
