"""Redis flushed, restarted empty, evicting, hanging, gone, old, foreign, damaged: never a leak.

Each on a real Redis, over SQLite and over PostgreSQL. A listed number stays listed at every moment, SQL is
asked meanwhile, and Redis answers again when it can.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from callguard.config import RedisSettings, SqlSettings
from callguard.database import migrate, open_engine, ordered_write
from callguard.errors import SqlError
from callguard.lists.codec import number_field
from callguard.lists.model import NewEntry
from callguard.lists.service import CacheState
from callguard.lists.sync import Synchroniser
from callguard.lists.tables import changes, entries
from tests.rig.lists import Lists, until
from tests.rig.postgres import PostgresServer
from tests.rig.redis import RedisServer

pytestmark = pytest.mark.integration

LISTED = "+6281200000001"
LATER = "+6281200000002"
CLEAN = "+6281200000009"
KEY = RedisSettings().key


@asynccontextmanager
async def never_a_leak(lists: Lists, number: str = LISTED) -> AsyncIterator[None]:
    """Ask for a listed number all the time; fail if it is ever not listed."""
    asked = 0

    async def ask() -> None:
        nonlocal asked
        while True:
            assert await lists.listed(number), "a leak"
            asked += 1

    task = asyncio.create_task(ask())
    try:
        yield
        seen = asked
        await until("one more answer", lambda: asked > seen or task.done())
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_redis_answers_for_listed_and_clean_numbers_when_all_is_well(guarded: Lists) -> None:
    listed, clean = await guarded.lookup(LISTED), await guarded.lookup(CLEAN)
    assert (listed.origin, clean.origin) == ("redis", "redis")
    assert listed.entries == guarded.store.lookup(LISTED).entries
    assert clean.entries == ()
    assert listed.position == clean.position == guarded.store.mark().position


async def test_sql_is_asked_before_anything_is_known_of_redis(lists: Lists) -> None:
    await lists.add(LISTED)
    hits = await lists.lookup(LISTED)
    assert (hits.origin, len(hits.entries), hits.position) == ("sql", 1, 1)


async def test_an_expired_entry_is_returned_for_screening_to_judge(guarded: Lists) -> None:
    guarded.store.add(NewEntry(LATER, "supervisor", expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
    await guarded.warm()
    assert len((await guarded.answered_by_redis(LATER)).entries) == 1


async def test_what_a_writer_adds_and_removes_is_in_force_when_it_returns(guarded: Lists) -> None:
    await guarded.add(LATER)
    assert await guarded.listed(LATER)
    await guarded.writer.remove(LATER, by="supervisor", why="a mistake")
    assert not await guarded.listed(LATER)
    assert not guarded.store.lookup(LATER).entries


async def test_a_change_that_redis_missed_is_noticed_in_sql_and_brought_to_redis(guarded: Lists) -> None:
    position = guarded.add_in_sql_alone(LATER)
    await until("SQL to be looked at", lambda: guarded.status.position == position)
    async with never_a_leak(guarded, LATER):
        await guarded.warm()
    await guarded.answered_by_redis(LATER)


async def test_a_writer_that_cannot_reach_redis_returns_when_the_guard_obeys(
    guarded: Lists, engine: sa.Engine
) -> None:
    cut_off = Lists(engine, RedisSettings(url="unix:///nowhere/redis.sock", timeout=0.5))
    for number in ("+6281200000077", "+6281200000078"):
        await cut_off.add(number)
        assert await guarded.listed(number)
    await cut_off.close()


async def test_redis_flushed(guarded: Lists, redis: RedisServer) -> None:
    async with never_a_leak(guarded):
        with redis.client() as client:
            client.flushall()
        await until("a rebuild", lambda: guarded.status.rebuilds == 2)
        await guarded.warm()
    await guarded.answered_by_redis(LISTED)


async def test_redis_restarted_empty(guarded: Lists, redis: RedisServer) -> None:
    async with never_a_leak(guarded):
        redis.stop()
        redis.start()
        await until("a rebuild", lambda: guarded.status.rebuilds == 2)
        await guarded.warm()
    await guarded.answered_by_redis(LISTED)


async def test_redis_gone_and_back(guarded: Lists, redis: RedisServer) -> None:
    async with never_a_leak(guarded):
        redis.stop()
        await guarded.in_state(CacheState.UNREACHABLE)
        position = guarded.add_in_sql_alone(LATER)
        assert await guarded.listed(LATER)
        redis.start()
        await guarded.warm()
    hits = await guarded.answered_by_redis(LATER)
    assert (hits.position, len(hits.entries)) == (position, 1)


async def test_redis_hanging_is_not_waited_for_again_and_again(guarded: Lists, redis: RedisServer) -> None:
    redis.hang()
    assert (await guarded.lookup(LISTED)).origin == "sql"
    assert guarded.status.cache is CacheState.UNREACHABLE
    # If each of these waited for Redis (0.5 s), they would take 100 s.
    async with asyncio.timeout(50):
        for _ in range(200):
            assert (await guarded.lookup(LISTED)).origin == "sql"
    redis.resume()
    async with never_a_leak(guarded):
        await guarded.warm()
    await guarded.answered_by_redis(LISTED)


async def test_a_hang_is_noticed_without_any_call(guarded: Lists, redis: RedisServer) -> None:
    redis.hang()
    await guarded.in_state(CacheState.UNREACHABLE)
    assert "no answer" in guarded.status.why


async def test_redis_restored_from_an_old_snapshot(guarded: Lists, redis: RedisServer) -> None:
    redis.dump()
    await guarded.add(LATER)
    await guarded.warm()
    async with never_a_leak(guarded), never_a_leak(guarded, LATER):
        redis.stop()
        redis.start()
        with redis.client() as client:
            assert client.exists(KEY), "the old snapshot was not loaded"
        await guarded.answered_by_redis(LATER)


async def test_lists_of_another_database_in_redis(guarded: Lists, redis: RedisServer, tmp_path: Path) -> None:
    engine = open_engine(SqlSettings(), tmp_path / "other")
    migrate(engine)
    other = Lists(engine, RedisSettings(url=redis.url))
    for number in range(20):  # a position beyond ours
        other.add_in_sql_alone(f"+62813000{number:05}")
    async with never_a_leak(guarded):
        with redis.client() as client:
            client.delete(KEY)
        await other.sync.rebuild()
        await until("a rebuild", lambda: guarded.status.rebuilds == 2)
        await guarded.warm()
    await guarded.answered_by_redis(LISTED)
    await other.close()
    engine.dispose()


async def test_a_redis_that_evicts(engine: sa.Engine, start_redis: Callable[..., RedisServer]) -> None:
    redis = start_redis("--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru")
    lists = Lists(engine, RedisSettings(url=redis.url, timeout=2))
    await lists.add(LISTED)
    async with lists.running():
        await lists.warm()
        async with never_a_leak(lists):
            filled = 0
            with redis.client() as client:
                while lists.status.rebuilds < 3:
                    # Eviction picks the least recently used of a sample: the lists' turn comes, too.
                    await asyncio.to_thread(client.set, f"other:{filled}", secrets.token_bytes(20_000))
                    filled += 1
                    assert filled < 200_000, "the lists were never evicted"
                for key in client.scan_iter("other:*"):
                    client.delete(key)
            await lists.warm()
        await lists.answered_by_redis(LISTED)
    await lists.close()


async def test_a_field_that_cannot_be_read(guarded: Lists, redis: RedisServer) -> None:
    with redis.client() as client:
        client.hset(KEY, number_field(LISTED), b"[[broken")
        async with never_a_leak(guarded):
            await until("a rebuild", lambda: guarded.status.rebuilds == 2)
            await guarded.warm()
    await guarded.answered_by_redis(LISTED)


async def test_a_key_that_holds_something_else_is_left_alone(guarded: Lists, redis: RedisServer) -> None:
    with redis.client() as client:
        async with never_a_leak(guarded):
            client.set(KEY, "somebody's")
            await guarded.in_state(CacheState.UNREACHABLE)
        assert client.get(KEY) == b"somebody's"


async def test_a_full_redis_that_may_not_evict(
    engine: sa.Engine, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis("--maxmemory-policy", "noeviction")
    lists = Lists(engine, RedisSettings(url=redis.url, timeout=2))
    await lists.add(LISTED)
    with redis.client() as client:
        client.config_set("maxmemory", "1")
        async with lists.running():
            async with never_a_leak(lists):
                await lists.in_state(CacheState.UNREACHABLE)
                assert "maxmemory" in lists.status.why
                # Only Redis's own words: the command that failed names people's numbers.
                assert LISTED[1:] not in lists.status.why
                assert "HSET" not in lists.status.why
                client.config_set("maxmemory", "0")
                await lists.warm()
            assert list(client.scan_iter("*")) == [KEY.encode()]
    await lists.close()


async def test_nobody_answers_when_both_are_gone(
    postgres_server: PostgresServer,
    postgres_url: str,
    redis: RedisServer,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    engine = open_engine(SqlSettings(url=postgres_url), tmp_path)
    migrate(engine)
    lists = Lists(engine, RedisSettings(url=redis.url, timeout=0.5))
    await lists.add(LISTED)
    async with lists.running():
        await lists.warm()
        postgres_server.stop()
        restart = [postgres_server.start]
        request.addfinalizer(lambda: [start() for start in restart])
        await until("SQL's failure to be noticed", lambda: bool(lists.status.sql))
        # Redis alone: nobody can have changed the lists.
        async with never_a_leak(lists):
            await lists.answered_by_redis(LISTED)
            assert lists.status.ready
        redis.stop()
        with pytest.raises(SqlError):
            await lists.lookup(LISTED)
        await until("readiness to say so", lambda: not lists.status.ready)
        restart.pop()()
        await until("SQL to be back", lambda: not lists.status.sql)
        assert (await lists.lookup(LISTED)).origin == "sql"
        redis.start()
        await lists.warm()
        await lists.answered_by_redis(LISTED)
    await lists.close()
    engine.dispose()


async def test_redis_is_not_trusted_once_nobody_watches_sql(lists: Lists) -> None:
    await lists.add(LISTED)
    async with lists.running():
        await lists.warm()
    lists.add_in_sql_alone(LATER)
    assert (await lists.lookup(LATER)).origin == "sql"


def go_back_to_position_1(engine: sa.Engine) -> None:
    """As a backup does that was made before LATER was added at position 2."""
    with ordered_write(engine) as connection:
        connection.execute(changes.delete().where(changes.c.position > 1))
        connection.execute(entries.delete().where(entries.c.number == LATER))
        if engine.dialect.name == "sqlite":
            connection.execute(sa.text("UPDATE sqlite_sequence SET seq = 1"))
        else:
            connection.execute(sa.text("SELECT setval('changes_position_seq', 1)"))


async def test_a_redis_ahead_of_a_restored_database_is_not_trusted_while_it_is_rebuilt(
    guarded: Lists, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = asyncio.Event()

    async def held_up(self: Synchroniser, progress: object = None) -> bool:
        await released.wait()
        return await ordinary(self)

    ordinary = Synchroniser.rebuild
    monkeypatch.setattr(Synchroniser, "rebuild", held_up)
    for _ in range(5):
        await guarded.add(LATER)
        await guarded.writer.remove(LATER, by="supervisor", why="asked to be called again")
    await guarded.warm()
    go_back_to_position_1(engine)
    await guarded.in_state(CacheState.REBUILDING)
    # Redis is at position 11, and knows nothing of what happens to the restored database.
    assert guarded.add_in_sql_alone(CLEAN) == 2
    async with never_a_leak(guarded, CLEAN):
        released.set()
        await guarded.warm()
    await guarded.answered_by_redis(CLEAN)


async def test_a_database_restored_from_a_backup_is_believed(guarded: Lists, engine: sa.Engine) -> None:
    """Position 2 is given twice: to LATER, which the restored backup no longer knows, and to CLEAN."""
    await guarded.add(LATER)
    await guarded.warm()
    go_back_to_position_1(engine)
    assert guarded.add_in_sql_alone(CLEAN) == 2
    await until("the restored database to be seen", lambda: guarded.status.rebuilds == 2)
    await guarded.warm()
    assert await guarded.listed(CLEAN)
    assert not await guarded.listed(LATER)
    await guarded.answered_by_redis(CLEAN)


async def test_answers_are_counted_by_who_gave_them(guarded: Lists, redis: RedisServer) -> None:
    before = guarded.status.answers
    await guarded.lookup(LISTED)
    redis.stop()
    await guarded.lookup(LISTED)
    after = guarded.status.answers
    assert {origin: after[origin] - before[origin] for origin in after} == {"redis": 1, "sql": 1, "none": 0}


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"+OK\r\n" * 50,
        b"*2\r\n:1\r\n:2\r\n" * 50,
        b"*3\r\n:1\r\n:2\r\n:3\r\n" * 50,
        b"\xff\0" * 500,
        b"*-5\r\n",
    ],
)
async def test_something_else_on_redis_port_is_no_redis(engine: sa.Engine, reply: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while reply and await reader.read(1000):
                writer.write(reply)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        lists = Lists(engine, RedisSettings(url=f"redis://127.0.0.1:{port}", timeout=0.5))
        lists.add_in_sql_alone(LISTED)
        async with lists.running():
            async with never_a_leak(lists):
                await until(
                    "it to be tried",
                    lambda: lists.status.cache is CacheState.UNREACHABLE or lists.status.rebuilds > 1,
                )
            assert lists.status.cache is not CacheState.WARM
        await lists.close()
