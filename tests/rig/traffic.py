"""Numbers added and asked for all the time, while a test does its worst to Redis."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.rig.lists import Lists, until


class Traffic:
    """One process adds numbers, another is asked for them: from the moment that `add` has returned, a number
    must be listed, and a number that nobody adds must never be."""

    def __init__(self, guard: Lists, writer: Lists, *, first: int = 6281300000000) -> None:
        """`guard` must be running, and `writer` have connections of its own."""
        self.listed: list[str] = []
        self.answers: Counter[str] = Counter()
        """How many questions each origin has answered."""
        self._guard = guard
        self._writer = writer
        self._numbers = (f"+{number}" for number in itertools.count(first))
        self._random = random.Random(first)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Traffic"]:
        """Fails as soon as an answer is wrong."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._add(stop))
            tasks.create_task(self._ask(stop))
            try:
                yield self
            finally:
                stop.set()

    async def goes_on(self, adds: int = 8) -> None:
        """Wait until so many more numbers have been added and asked for."""
        added, asked = len(self.listed), self.answers.total()
        await until(
            "more numbers to be added and asked for",
            lambda: len(self.listed) >= added + adds and self.answers.total() >= asked + adds,
        )

    async def all_listed(self) -> None:
        """Ask for every number that was ever added."""
        for number in self.listed:
            await self._check(number)

    async def _add(self, stop: asyncio.Event) -> None:
        for number in self._numbers:
            await self._writer.add(number)
            self.listed.append(number)
            if stop.is_set():
                return

    async def _ask(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self.listed:
                await self._check(self.listed[-1])
                await self._check(self._random.choice(self.listed))
            hits = await self._guard.lookup("+6281399999999")
            assert not hits.entries, "a number that nobody added is listed"
            self.answers[hits.origin] += 1

    async def _check(self, number: str) -> None:
        hits = await self._guard.lookup(number)
        assert hits.entries, f"a leak: {hits.origin} at {hits.position} does not know {number}"
        self.answers[hits.origin] += 1
