"""An import that is stopped, killed, or out of disk space at any point leaves the list as it was.

The import runs in a process of its own, which stands still at a chosen point until it is signalled.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from callguard.cli import cli
from callguard.config import RedisSettings, SqlSettings
from callguard.lists.cache import ListCache
from callguard.lists.connection import connect
from callguard.lists.store import ListStore
from callguard.lists.tables import blocks, generations
from tests.rig.lists import NOWHERE, Lists

pytestmark = pytest.mark.integration

ONE, TWO, THREE = "+12125550101", "+13055550102", "+14155550103"

PROGRAM = """
import signal, sys, time
# A shell that starts tests in the background has them ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
from callguard.cli import cli, listimport
from callguard.lists import importer, livecopy, registries, registryfile
importer._TRANSACTION = 1
importer._AT_ONCE = 1
registryfile._WAITING = 0
point, arguments = sys.argv[1], sys.argv[2:]

def stand_still(owner, name, *, after=False, turn=1):
    real = getattr(owner, name)
    def stopped(*args, **kwargs):
        nonlocal turn
        turn -= 1
        if turn == 0 and not after:
            stand()
        result = real(*args, **kwargs)
        if turn == 0 and after:
            stand()
        return result
    setattr(owner, name, stopped)

def stand():
    print("standing", flush=True)
    while True:
        time.sleep(60)

POINTS = {
    "reading": lambda: stand_still(listimport._Bar, "reading"),
    "begun": lambda: stand_still(registries.RegistryStore, "begin", after=True),
    "first block": lambda: stand_still(registries.RegistryStore, "add_blocks", after=True),
    "second block": lambda: stand_still(registries.RegistryStore, "add_blocks", turn=2),
    "loaded": lambda: stand_still(livecopy.LiveCopy, "complete", after=True),
    "before the switch": lambda: stand_still(registries.RegistryStore, "switch"),
    "switched": lambda: stand_still(registries.RegistryStore, "switch", after=True),
    "nowhere": lambda: None,
}
POINTS[point]()
cli(arguments)
"""

LIMITED = """
import resource, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from callguard.cli import cli
cli(sys.argv[1:])
"""

BEFORE = ["reading", "begun", "first block", "second block", "loaded", "before the switch"]
"""The points at which the old generation is in force."""


class Site:
    """A list `us` in SQL and in Redis, and processes that import into it."""

    def __init__(self, engine: sa.Engine, sql: SqlSettings, redis: RedisSettings, folder: Path) -> None:
        self.engine = engine
        self._redis = redis
        self.folder = folder
        self._environ = {
            "CALLGUARD_CONFIG": "",
            "CALLGUARD_STATE": str(folder),
            "CALLGUARD_SQL__URL": sql.url,
            "CALLGUARD_REDIS__URL": redis.url,
        }

    def start(self, program: str, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | self._environ,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit code of a command, and what it said."""
        result = CliRunner(env=self._environ).invoke(cli, arguments)
        return result.exit_code, result.output

    def file(self, name: str, *numbers: str) -> str:
        path = self.folder / name
        path.write_text("".join(f"{number}\n" for number in numbers))
        return str(path)

    def bring_in(self, name: str, *numbers: str) -> None:
        code, told = self.run("list", "import", "us", self.file(name, *numbers), "--yes", "--shrink", "100")
        assert (code, "us has" in told) == (0, True), told

    def listed(self) -> set[str]:
        """Which numbers are listed, as a guard that runs says once it has caught up."""

        async def asked() -> set[str]:
            lists = Lists(self.engine, self._redis)
            async with lists.running():
                await lists.warm()
                found = {one: await lists.answered_by_redis(one) for one in (ONE, TWO, THREE)}
            await lists.close()
            return {one for one, hits in found.items() if any(hit.listed for hit in hits.registries)}

        in_redis = asyncio.run(asked())
        assert in_redis == self.listed_in_sql()
        return in_redis

    def listed_in_sql(self) -> set[str]:
        store = ListStore(self.engine)
        return {one for one in (ONE, TWO, THREE) if any(hit.listed for hit in store.lookup(one).registries)}

    def is_tidy(self) -> bool:
        """Whether nothing is left of generations that are neither in force nor the one before."""
        with self.engine.connect() as connection:
            contents = set(connection.execute(sa.select(blocks.c.content)).scalars())
            ready = sa.select(generations.c.content).where(generations.c.state == "ready")
            loading = sa.select(generations.c.id).where(generations.c.state == "loading")
            return (
                contents == set(connection.execute(ready).scalars()) and not connection.execute(loading).all()
            )

    def in_redis(self) -> set[int]:
        """The generations of which Redis has any field but a counter of a load that died."""

        async def asked() -> set[int]:
            cache = ListCache(connect(self._redis, NOWHERE), key=self._redis.key, timeout=5)
            _, names = await cache.names()
            await cache.close()
            return {int(name.split(":")[1].partition("-")[0]) for name in names if name[:2] in {"b:", "g:"}}

        return asyncio.run(asked())


@pytest.fixture
def site(engine: sa.Engine, sql_settings: SqlSettings, redis_settings: RedisSettings, tmp_path: Path) -> Site:
    """With ONE and TWO on the list."""

    async def warm() -> None:
        lists = Lists(engine, redis_settings)
        assert await lists.sync.rebuild()
        await lists.close()

    asyncio.run(warm())
    site = Site(engine, sql_settings, redis_settings, tmp_path)
    assert site.run("list", "create", "us", "--jurisdiction", "US", "--format", "e164-lines")[0] == 0
    site.bring_in("a", ONE, TWO)
    return site


def stopped(site: Site, point: str, stop: Callable[["subprocess.Popen[str]"], None]) -> int:
    """The exit code of an import of TWO and THREE that was stopped at a point."""
    file = site.file("b", TWO, THREE)
    with site.start(PROGRAM, point, "list", "import", "us", file, "--yes", "--shrink", "100") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if line != "standing\n":
            pytest.fail(line + "".join(process.communicate(timeout=60)))
        stop(process)
        told = process.communicate(timeout=60)
    assert "Traceback" not in told[1], told
    return process.returncode


@pytest.mark.parametrize("point", BEFORE)
def test_after_a_kill_the_list_is_as_it_was_and_the_next_import_cleans_up(site: Site, point: str) -> None:
    assert stopped(site, point, lambda process: process.kill()) == -signal.SIGKILL
    assert site.listed() == {ONE, TWO}
    site.bring_in("c", THREE)
    assert site.listed() == {THREE}
    assert site.is_tidy()
    assert len(site.in_redis()) == 1


@pytest.mark.parametrize("point", BEFORE)
def test_after_ctrl_c_the_list_is_as_it_was_and_nothing_is_left(site: Site, point: str) -> None:
    assert stopped(site, point, lambda process: process.send_signal(signal.SIGINT)) == 130
    assert site.listed() == {ONE, TWO}
    assert site.is_tidy()
    assert len(site.in_redis()) == 1
    site.bring_in("c", THREE)
    assert site.listed() == {THREE}


def test_killed_after_the_switch_the_new_generation_is_in_force(site: Site) -> None:
    assert stopped(site, "switched", lambda process: process.kill()) == -signal.SIGKILL
    assert site.listed() == {TWO, THREE}
    site.bring_in("c", ONE)
    assert site.listed() == {ONE}
    assert site.is_tidy()


def test_a_killed_rollback_changes_nothing(site: Site) -> None:
    site.bring_in("b", THREE)
    with site.start(PROGRAM, "before the switch", "list", "rollback", "us", "--yes") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "standing\n"
        process.kill()
    assert site.listed() == {THREE}
    assert site.run("list", "rollback", "us", "--yes")[0] == 0
    assert site.listed() == {ONE, TWO}
    assert site.is_tidy()


@pytest.mark.parametrize("sql_settings", ["sqlite"], indirect=True)
def test_a_full_disk_is_a_clear_error_and_the_list_is_as_it_was(site: Site) -> None:
    # Some 40,000 numbers, of which few lie in the same block.
    areas, numbers = range(20, 60), range(0, 99_999, 97)
    many = site.file("many", *(f"+1212{area}{number:05}" for area in areas for number in numbers))
    written = max(one.stat().st_size for one in site.folder.glob("callguard.sqlite*"))
    with site.start(LIMITED, str(written + 20_000), "list", "import", "us", many, "--yes") as process:
        told = "".join(process.communicate(timeout=60))
    assert process.returncode == 4, told
    assert "SQL: " in told
    assert "disk" in told
    assert site.listed() == {ONE, TWO}
    site.bring_in("c", THREE)
    assert site.listed() == {THREE}
    assert site.is_tidy()
