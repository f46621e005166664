"""Questions to the database are bounded in number and time, and never keep the process."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from callguard.errors import SqlError
from callguard.lists.threads import SqlThreads


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_an_answer_and_an_error_come_back() -> None:
    threads = SqlThreads(timeout=10)
    assert await threads.run(lambda: 1 + 1) == 2
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    threads.close()


async def test_a_question_without_answer_is_given_up(release: threading.Event) -> None:
    threads = SqlThreads(timeout=0.05, count=1)
    with pytest.raises(SqlError, match="no answer"):
        await threads.run(release.wait)
    # The wait for a thread counts, too.
    with pytest.raises(SqlError, match="no answer"):
        await threads.run(lambda: 1)
    threads.close()


async def test_a_question_that_was_given_up_is_not_asked_later(release: threading.Event) -> None:
    asked: list[int] = []
    threads = SqlThreads(timeout=0.05, count=1)
    for question in (release.wait, lambda: asked.append(1)):
        with pytest.raises(SqlError, match="no answer"):
            await threads.run(question)
    release.set()
    patient = SqlThreads(timeout=10, count=1)
    await patient.run(lambda: None)
    threads.close()
    patient.close()
    assert asked == []


async def test_too_many_questions_are_refused_at_once(release: threading.Event) -> None:
    threads = SqlThreads(timeout=0.05, count=1, waiting=1)
    for _ in range(2):
        with pytest.raises(SqlError, match="no answer"):
            await threads.run(release.wait)
    with pytest.raises(SqlError, match="too many"):
        await threads.run(release.wait)
    threads.close()


_HUNG = """
import asyncio, threading
from callguard.errors import SqlError
from callguard.lists.threads import SqlThreads
async def main():
    threads = SqlThreads(timeout=0.05)
    try:
        await threads.run(threading.Event().wait)
    except SqlError:
        print("given up")
    threads.close()
asyncio.run(main())
"""


def test_a_database_that_hangs_does_not_keep_the_process_from_ending() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HUNG], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "given up\n"
