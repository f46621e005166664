"""How a guard's tasks end, and that it can clean up after them."""

import asyncio

import pytest

from callguard.app import task_group


async def _fail() -> None:
    raise LookupError


async def _run_until_a_task_fails() -> None:
    async with task_group() as tasks:
        tasks.create_task(asyncio.Event().wait())
        tasks.create_task(_fail())


async def test_after_tasks_that_failed_a_wait_that_takes_too_long_is_a_timeout() -> None:
    with pytest.raises(ExceptionGroup):
        await _run_until_a_task_fails()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
