"""Imports, switches, rollbacks and rebuilds are killed at random moments, a hundred times in all, and Redis
now and then, while a guard is asked at full speed: it gives no wrong answer.

What an answer may be, SQL's change log tells: it is that of one position, not older than what the guard had
seen of SQL when it was asked, nor than what a command had put in force before; and of the generation that was
in force at that position the answer is right about the number.
"""

import asyncio
import random
import secrets
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from callguard.config import RedisSettings, SqlSettings
from callguard.database import open_engine, ordered_write, snapshot
from callguard.errors import SqlError
from callguard.lists.model import NewEntry
from callguard.lists.tables import blocks, generations
from callguard.lists.writer import Reach
from tests.rig.commands import Command, Commands
from tests.rig.lists import Lists, until
from tests.rig.redis import RedisServer
from tests.rig.versions import GROUPS, History, InForce, universe

pytestmark = pytest.mark.integration

KEY = RedisSettings().key
KILLS = {"sqlite": 75, "postgresql": 25}
ASKERS = 3
LATEST = 1.2
"""How long a command is left to work, at most, as a multiple of how long it takes: some run to their end."""
ALWAYS, NEVER = -1, -2
"""The groups of numbers that are in every generation, and in none."""
IN_SAMPLE = 10
"""Numbers of each group of which a sample is made."""
BUILD_SECONDS = 60
GONE = -2
"""What Redis says of the time that a key has left, for a key that went just now; -1 is for ever."""
ENDED, REFUSED, UNREACHABLE, KILLED = 0, 2, 4, -signal.SIGKILL


class Asker:
    """Asks the guard for numbers all the time, and judges each answer."""

    def __init__(self, lists: Lists, history: History, chosen: random.Random) -> None:
        self._lists = lists
        self._history = history
        self._chosen = chosen
        numbers = universe()
        self._numbers = dict(enumerate(numbers.groups)) | {ALWAYS: numbers.always, NEVER: numbers.never}
        self.floor = 0
        """The position that no answer may be older than: a command has said that it is in force."""
        self.opted_out: list[str] = []
        """Numbers on an internal list: so somebody was told."""
        self.asked: Counter[str] = Counter()

    async def run(self) -> None:
        while True:
            await self.ask(self._chosen.randrange(NEVER, GROUPS))
            if self.opted_out and self._chosen.random() < 0.1:
                await self._ask_for_opted_out()

    async def ask(self, group: int) -> InForce:
        """Ask for a number of a group; what answered."""
        number = f"+{self._chosen.choice(self._numbers[group])}"
        floor = max(self.floor, self._lists.status.position or 0)
        hits = await self._lists.lookup(number)
        self.asked[hits.origin] += 1
        assert hits.position >= floor, f"{hits.position} told by {hits.origin}, {floor} was known"
        (hit,) = hits.registries
        in_force = self._history.at(hits.position)
        told = f"{number} of group {group} at position {hits.position} by {hits.origin}: {hit}, {in_force}"
        assert hit.covered, told
        assert hit.version == in_force.version, told
        assert hit.listed is (group == ALWAYS or (group != NEVER and bool(in_force.groups >> group & 1))), (
            told
        )
        return in_force

    async def sample(self) -> set[InForce]:
        """Ask for some numbers of every group; the generations that answered."""
        return {await self.ask(group) for group in self._numbers for _ in range(IN_SAMPLE)}

    async def _ask_for_opted_out(self) -> None:
        number = self._chosen.choice(self.opted_out)
        hits = await self._lists.lookup(number)
        assert hits.entries, f"{number} has opted out, which {hits.origin} does not know at {hits.position}"


@dataclass
class Scene:
    """A list in SQL and in a Redis of its own, a guard that is asked, and commands that work on the list."""

    lists: Lists
    redis: RedisServer
    commands: Commands
    folder: Path
    history: History
    asker: Asker
    chosen: random.Random
    impatient: sa.Engine
    """The database too, for who does not wait for others to have written."""
    serial: int = 0

    def arguments(self, kind: str) -> list[str | Path]:
        if kind == "rollback":
            return ["list", "rollback", "id", "--yes"]
        if kind == "rebuild":
            return ["cache", "rebuild"]
        self.serial += 1
        groups = self.chosen.randrange(2**GROUPS) if kind == "replace" else 1 << self.chosen.randrange(GROUPS)
        file = universe().write(self.folder, self.serial, groups, always=kind == "replace")
        return ["list", "import", "id", file, "--mode", kind, "--yes", "--shrink", "100"]

    async def at_rest(self) -> None:
        """Wait until the guard has what SQL holds: all that it says then is of SQL's generation alone."""
        await self.lists.warm()
        self.history.read()
        assert await self.asker.sample() == {self.history.now}
        with self.redis.client() as client:
            # Hashes that were half-built when their builder was killed go by themselves.
            for key in set(client.scan_iter()) - {KEY.encode()}:
                assert b":build:" in key, key
                assert client.ttl(key) in {GONE, *range(BUILD_SECONDS + 1)}, key

    async def opt_out(self) -> None:
        """Put a number on an internal list, as agents and forms do all day."""
        number = f"+62812{len(self.asker.opted_out):07}"
        written = await self.lists.writer.add(NewEntry(number, "agent"))
        if written.reach is not Reach.EVERYWHERE:
            position = self.lists.store.mark().position
            await until("the guard to see it", lambda: (self.lists.status.position or 0) >= position)
        self.asker.opted_out.append(number)

    async def ill_treat_redis(self, within: float) -> None:
        """At a random moment empty Redis, or kill it, now and then."""
        mishap = self.chosen.choices([None, self._flush, self._restart], [70, 15, 15])[0]
        await asyncio.sleep(self.chosen.uniform(0, within))
        if mishap is not None:
            await asyncio.to_thread(mishap)

    def _flush(self) -> None:
        with self.redis.client() as client:
            client.flushall()

    def _restart(self) -> None:
        self.redis.stop()
        self.redis.start()


@asynccontextmanager
async def asked(asker: Asker) -> AsyncIterator[None]:
    """With questions at full speed. What they find wrong is raised."""
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(asker.run()) for _ in range(ASKERS)]
        yield
        for task in asking:
            task.cancel()


@pytest.fixture
def seed() -> int:
    seed = secrets.randbits(32)
    sys.stdout.write(f"seed {seed}\n")
    return seed


@pytest.fixture
async def scene(
    engine: sa.Engine, sql_settings: SqlSettings, redis: RedisServer, tmp_path: Path, seed: int
) -> AsyncIterator[Scene]:
    """With two generations, and a guard that is warm."""
    settings = {
        "CALLGUARD_CONFIG": "",
        "CALLGUARD_STATE": str(tmp_path),
        "CALLGUARD_SQL__URL": sql_settings.url,
        "CALLGUARD_SQL__TIMEOUT": "20",
        "CALLGUARD_REDIS__URL": redis.url,
    }
    lists = Lists(engine, RedisSettings(url=redis.url, timeout=1), sql_timeout=20)
    history = History(lists.registries)
    impatient = open_engine(sql_settings.model_copy(update={"timeout": 0.1}), tmp_path)
    async with Commands(tmp_path / "commands", settings) as commands, lists.running():
        await lists.warm()
        asker = Asker(lists, history, random.Random(seed + 1))
        scene = Scene(lists, redis, commands, tmp_path, history, asker, random.Random(seed), impatient)
        created = await commands.run("list", "create", "id", "--jurisdiction", "ID", "--format", "e164-lines")
        assert created[0] == ENDED, created
        for _ in range(2):
            await ended_well(scene, "replace")
        await scene.at_rest()
        yield scene
    impatient.dispose()
    await lists.close()


async def killed_at_random(scene: Scene, kind: str, usual: float) -> bool:
    """Let a command work for a random time, and kill it; tell whether that was before its end. `usual` is how
    long it takes, in seconds."""
    switches = len(scene.history.switches)
    arguments, patience = scene.arguments(kind), scene.chosen.uniform(0, LATEST * usual)
    async with asyncio.TaskGroup() as beside:
        beside.create_task(scene.ill_treat_redis(patience))
        beside.create_task(scene.opt_out())
        command = await scene.commands.start(*arguments)
        code = await command.ended(patience)
        if code is None:
            command.signal(signal.SIGKILL)
            code = await command.ended(20)
        scene.history.read()
        made = scene.history.switches[switches:]
        if code == ENDED and made and "callguard:" not in command.told:
            scene.asker.floor = made[-1].position
    assert code in {ENDED, KILLED} or (kind == "rebuild" and code == UNREACHABLE), (code, command.told)
    await scene.at_rest()
    made = scene.history.switches[switches:]
    assert len(made) == (kind != "rebuild") if code == ENDED else len(made) <= (kind != "rebuild")
    for one in made:
        assert one.made_by == (kind if kind == "rollback" else Path(arguments[3]).name)
        assert np.array_equal(scene.history.numbers(one), universe().of(one.groups))
    return code == KILLED


async def test_a_hundred_kills_under_look_ups_and_not_one_wrong_answer(scene: Scene) -> None:
    kinds = ["replace", "append", "remove", "rollback", "rebuild"]
    usual: dict[str, float] = {}
    kills: Counter[str] = Counter()
    clock = asyncio.get_running_loop().time
    async with asked(scene.asker):
        for kind in kinds:
            begun = clock()
            await ended_well(scene, kind)
            usual[kind] = clock() - begun
        while kills.total() < KILLS[scene.lists.registries.engine.dialect.name]:
            kind = scene.chosen.choice(kinds)
            kills[kind] += await killed_at_random(scene, kind, usual[kind])
        await ended_well(scene, "replace")
        await scene.at_rest()
    assert scene.lists.status.answers["none"] == 0
    assert min(scene.asker.asked["redis"], scene.asker.asked["sql"]) > 0
    code, told = await scene.commands.run("cache", "verify")
    assert (code, "equal to SQL" in told) == (ENDED, True), told
    is_tidy(scene)


async def test_a_second_import_is_refused_while_one_runs_and_may_go_once_that_is_killed(scene: Scene) -> None:
    first = await scene.commands.start(*scene.arguments("replace"))
    await until("it to write, and nobody to be in its way", lambda: stands_still(scene, first))
    for kind in ("replace", "append", "rollback"):
        code, told = await scene.commands.run(*scene.arguments(kind))
        assert (code, "id: another import is under way" in told) == (REFUSED, True), told
    first.signal(signal.SIGKILL)
    await ended_well(scene, "remove")
    await scene.at_rest()
    assert await first.ended(20) == KILLED
    assert scene.history.now is not None
    assert scene.history.now.made_by.endswith(f"-{scene.serial}.txt")
    is_tidy(scene)


def stands_still(scene: Scene, command: Command) -> bool:
    """Stop an import where it has written a part, and is in no transaction, which would be in others' way.

    Tell whether that could be done.
    """
    command.signal(signal.SIGSTOP)
    registries = scene.lists.registries
    with suppress(SqlError), ordered_write(scene.impatient):
        if registries.history(1)[0].state == "loading":
            return True
    command.signal(signal.SIGCONT)
    return False


async def ended_well(scene: Scene, kind: str) -> None:
    """Run a command to its end."""
    code, told = await scene.commands.run(*scene.arguments(kind))
    assert code == ENDED, told


def is_tidy(scene: Scene) -> None:
    """Check that nothing is left of what was killed, after an import that was not."""
    ready = sa.select(generations.c.content).where(generations.c.state == "ready")
    loading = sa.select(generations.c.id).where(generations.c.state == "loading")
    with snapshot(scene.lists.registries.engine) as connection:
        in_sql = set(connection.execute(sa.select(blocks.c.content).distinct()).scalars())
        assert in_sql == set(connection.execute(ready).scalars())
        assert not connection.execute(loading).all()
    assert scene.history.now is not None
    with scene.redis.client() as client:
        names = [name.decode() for name, _ in client.hscan_iter(KEY, count=1000)]
        assert {name.split(":")[1] for name in names if name[:2] in {"b:", "g:"}} == {
            scene.lists.key(scene.history.now.generation)
        }
        assert not [name for name in names if name.startswith("t:")]
