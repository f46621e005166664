"""`callguard cache`: over real databases and a real Redis, with and without a guard's private one."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from callguard.cli import EXIT_DIFFERENT, EXIT_SERVICE, cli
from callguard.config import RedisSettings, SqlSettings
from callguard.lists import codec
from callguard.lists.model import NewEntry
from callguard.lists.store import ListStore
from tests.rig.cluster import RedisCluster
from tests.rig.lists import Lists
from tests.rig.redis import RedisServer

pytestmark = pytest.mark.integration

SQLITE = pytest.mark.parametrize("sql_settings", ["sqlite"], indirect=True)
"""For what has nothing to do with the kind of database."""
KEY = RedisSettings().key
NUMBERS = [f"+628120000000{digit}" for digit in range(5)]

Run = Callable[..., Result]


@pytest.fixture
def store(engine: sa.Engine) -> ListStore:
    """A database with some numbers and a pattern."""
    store = ListStore(engine)
    for number in NUMBERS:
        store.add(NewEntry(number, "supervisor"))
    store.add(NewEntry("+6221*", "supervisor"))
    return store


@pytest.fixture
def run(sql_settings: SqlSettings, redis_settings: RedisSettings, tmp_path: Path) -> Run:
    """Run `callguard cache`, on the session's Redis, emptied, or another."""

    def run(*arguments: str, redis: str = redis_settings.url) -> Result:
        environ = {
            "CALLGUARD_CONFIG": "",
            "CALLGUARD_STATE": str(tmp_path),
            "CALLGUARD_SQL__URL": sql_settings.url,
            "CALLGUARD_REDIS__URL": redis,
        }
        return CliRunner().invoke(cli, ["cache", *arguments], env=environ)

    return run


def test_a_rebuilt_cache_is_equal_to_sql_and_has_everything(
    run: Run, store: ListStore, redis_server: RedisServer
) -> None:
    done = run("rebuild")
    assert done.exit_code == 0, done.output
    position = store.mark().position
    wanted = rf"6 fields loaded in \d+\.\d s: Redis has the lists of position {position}\n"
    assert re.fullmatch(wanted, done.stdout)
    with redis_server.client() as client:
        assert client.hlen(KEY) == len(NUMBERS) + 1 + 2  # the pattern; head and catalogue
    equal = run("verify")
    assert equal.exit_code == 0, equal.output
    assert re.fullmatch(r"8 fields compared in \d+\.\d s: equal to SQL\n", equal.stdout)


def test_a_rebuild_mends_what_verify_has_found(run: Run, store: ListStore, redis_server: RedisServer) -> None:
    run("rebuild")
    with redis_server.client() as client:
        client.hdel(KEY, codec.number_field(NUMBERS[0]))
        client.hset(KEY, codec.number_field(NUMBERS[1]), b"[]")
        client.hset(KEY, "n:6281299999999", client.hget(KEY, codec.number_field(NUMBERS[2])) or b"")
    found = run("verify")
    assert found.exit_code == EXIT_DIFFERENT
    lines = found.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["missing", f"n:{NUMBERS[0][1:]}:"],
        ["different", f"n:{NUMBERS[1][1:]}:"],
        ["extra", "n:6281299999999:"],
    ]
    assert lines[-1].endswith(": 3 differences from SQL")
    assert run("rebuild").exit_code == 0
    assert run("verify").exit_code == 0


def test_every_difference_is_told_to_programs(run: Run, store: ListStore, redis_server: RedisServer) -> None:
    run("rebuild")
    equal = json.loads(run("verify", "--json").stdout)
    assert (equal["equal"], equal["found"], equal["differences"]) == (True, 0, [])
    assert equal["fields"] == 8
    with redis_server.client() as client:
        client.hdel(KEY, codec.number_field(NUMBERS[0]))
    found = run("verify", "--json")
    assert found.exit_code == EXIT_DIFFERENT
    told = json.loads(found.stdout)
    assert (told["equal"], told["found"]) == (False, 1)
    (difference,) = told["differences"]
    assert (difference["kind"], difference["field"]) == ("missing", codec.number_field(NUMBERS[0]))


@SQLITE
def test_a_planted_field_cannot_disturb_the_terminal(
    run: Run, store: ListStore, redis_server: RedisServer
) -> None:
    run("rebuild")
    with redis_server.client() as client:
        client.hset(KEY, "x\n\x1b[2Jequal to SQL\n", "1")
    found = run("verify")
    assert found.exit_code == EXIT_DIFFERENT
    assert "\x1b" not in found.stdout
    assert len(found.stdout.splitlines()) == 2
    assert json.loads(run("verify", "--json").stdout)["found"] == 1


@SQLITE
def test_an_empty_redis_is_different_from_sql(run: Run, store: ListStore) -> None:
    found = run("verify")
    assert found.exit_code == EXIT_DIFFERENT
    assert found.stdout.startswith("missing   head: ")


@SQLITE
def test_a_rebuild_takes_the_place_of_another_databases_lists(
    run: Run, store: ListStore, redis_server: RedisServer, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    run("rebuild")
    with redis_server.client() as client:
        head = json.loads(client.hget(KEY, "head") or b"")
        client.hset(KEY, "head", json.dumps([head[0], "another", *head[2:]]))
        client.hset(KEY, "n:6281299999999", client.hget(KEY, codec.number_field(NUMBERS[2])) or b"")
    assert run("verify").exit_code == EXIT_DIFFERENT
    assert run("rebuild").exit_code == 0
    assert run("verify").exit_code == 0

    async def listed() -> tuple[bool, bool]:
        lists = Lists(engine, redis_settings)
        try:
            async with lists.running():
                await lists.warm()
                return await lists.listed(NUMBERS[0]), await lists.listed("+6281299999999")
        finally:
            await lists.close()

    assert asyncio.run(listed()) == (True, False)


@SQLITE
@pytest.mark.parametrize("command", ["rebuild", "verify"])
def test_a_redis_that_cannot_be_reached_is_exit_code_4(command: str, run: Run, tmp_path: Path) -> None:
    told = run(command, redis=f"unix://{tmp_path}/absent.sock")
    assert told.exit_code == EXIT_SERVICE
    assert told.stdout == ""
    assert "callguard: Redis: " in told.stderr


@SQLITE
@pytest.mark.parametrize("command", ["rebuild", "verify"])
def test_without_a_guard_the_private_redis_is_said_to_run_only_with_one(command: str, run: Run) -> None:
    told = run(command, redis="")
    assert told.exit_code == EXIT_SERVICE
    assert "is `callguard guard` running?" in told.stderr


@SQLITE
def test_nothing_is_put_into_a_redis_that_may_throw_it_away(
    run: Run, store: ListStore, start_redis: Callable[..., RedisServer]
) -> None:
    evicting = start_redis("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    told = run("rebuild", redis=evicting.url)
    assert told.exit_code == EXIT_SERVICE
    assert "noeviction" in told.stderr
    with evicting.client() as client:
        assert client.dbsize() == 0


@SQLITE
def test_a_cluster_is_rebuilt_and_compared_too(run: Run, store: ListStore, tmp_path: Path) -> None:
    cluster = RedisCluster(tmp_path / "cluster")
    try:
        assert run("verify", redis=cluster.url).exit_code == EXIT_DIFFERENT
        done = run("rebuild", redis=cluster.url)
        assert done.exit_code == 0, done.output
        assert run("verify", redis=cluster.url).exit_code == 0
    finally:
        cluster.stop()


@SQLITE
@pytest.mark.parametrize("command", ["rebuild", "verify"])
def test_the_help_has_an_example(command: str, run: Run) -> None:
    told = run(command, "--help")
    assert f"Example:\n    callguard cache {command}" in told.stdout
