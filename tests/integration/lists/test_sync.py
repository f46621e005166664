"""The hash in Redis becomes equal to SQL, whoever else works on it."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import sqlalchemy as sa

from callguard.config import RedisSettings
from callguard.errors import CacheCold, CacheError
from callguard.lists.cache import Applied
from callguard.lists.codec import HEAD, encode_head
from callguard.lists.model import Catalogue, NewEntry
from callguard.lists.writer import Reach
from callguard.screening.model import Entry
from tests.rig.lists import Lists
from tests.rig.redis import RedisServer

pytestmark = pytest.mark.integration

NUMBERS = [f"+62812{index:06}" for index in range(30)]


async def held(lists: Lists) -> Mapping[str, tuple[Entry, ...]]:
    """What Redis holds, by its own head."""
    return {number: (await lists.cache.lookup(number))[1].entries for number in NUMBERS}


def in_sql(lists: Lists) -> Mapping[str, tuple[Entry, ...]]:
    return {number: lists.store.lookup(number).entries for number in NUMBERS}


async def keys(lists: Lists) -> list[bytes]:
    return [key async for key in lists.client.scan_iter("*")]


async def test_a_cold_redis_is_not_caught_up_with_but_rebuilt(lists: Lists) -> None:
    for number in NUMBERS:
        lists.add_in_sql_alone(number)
    assert await lists.sync.catch_up() is None
    with pytest.raises(CacheCold):
        await held(lists)
    assert await lists.sync.rebuild()
    assert await held(lists) == in_sql(lists)
    assert await lists.sync.catch_up() == lists.store.mark()


async def test_an_empty_list_is_warm_too(lists: Lists) -> None:
    assert await lists.sync.rebuild()
    mark, hits = await lists.cache.lookup(NUMBERS[0])
    assert (mark, hits.entries, hits.registries) == (lists.store.mark(), (), ())


async def test_changes_are_applied_in_order_and_removals_too(lists: Lists) -> None:
    await lists.sync.rebuild()
    for number in NUMBERS:
        lists.add_in_sql_alone(number)
    for number in NUMBERS[::2]:
        lists.store.remove(number, by="tl", why="")
    assert await lists.sync.catch_up() == lists.store.mark()
    assert await held(lists) == in_sql(lists)
    assert await lists.client.hlen("callguard:lists") == 2 + len(NUMBERS) // 2


async def test_a_rebuild_leaves_one_key_that_never_expires(lists: Lists) -> None:
    for _ in range(2):
        assert await lists.sync.rebuild()
    assert await keys(lists) == [b"callguard:lists"]
    assert await lists.client.ttl("callguard:lists") == -1


async def test_what_changes_during_a_rebuild_is_not_lost(lists: Lists) -> None:
    lists.add_in_sql_alone(NUMBERS[0])
    found, version = await lists.cache.head(), lists.store.version()
    build = lists.cache.build()
    await build.add(lists.store.chunk(""))
    lists.add_in_sql_alone(NUMBERS[1])
    assert await lists.cache.swap(build, found, *version)
    assert await lists.sync.catch_up() == lists.store.mark()
    assert await held(lists) == in_sql(lists)


async def test_of_two_that_apply_the_same_changes_one_wins(lists: Lists) -> None:
    await lists.sync.rebuild()
    found = await lists.cache.head()
    assert found
    first, second = lists.add_in_sql_alone(NUMBERS[0]), lists.store.mark()
    assert first == second.position
    nothing, entries = Catalogue(), lists.store.lookup(NUMBERS[0]).entries
    assert await lists.cache.apply(found, second, nothing, {NUMBERS[0]: entries}) is Applied.DONE
    assert await lists.cache.apply(found, second, nothing, {NUMBERS[0]: ()}) is Applied.MOVED
    assert await held(lists) == in_sql(lists)


async def test_a_slow_rebuild_never_puts_old_lists_over_newer_ones(lists: Lists) -> None:
    found, version = await lists.cache.head(), lists.store.version()
    slow = lists.cache.build()
    await slow.add(lists.store.chunk(""))
    await slow.pouring.flush()
    lists.add_in_sql_alone(NUMBERS[0])
    assert await lists.sync.rebuild()
    assert not await lists.cache.swap(slow, found, *version)
    assert await held(lists) == in_sql(lists)


async def test_a_rebuild_ends_while_numbers_are_added_all_the_time(
    lists: Lists, engine: sa.Engine, redis_settings: RedisSettings
) -> None:
    other = Lists(engine, redis_settings)
    await lists.sync.rebuild()
    going = True

    async def add_and_remove() -> None:
        while going:
            for number in NUMBERS[:3]:
                await other.add(number)
            await other.writer.remove(NUMBERS[0], by="supervisor", why="asked to be called again")

    adding = asyncio.create_task(add_and_remove())
    for _ in range(5):
        assert await lists.sync.rebuild()
    going = False
    await adding
    await other.close()
    assert await lists.sync.catch_up() == lists.store.mark()
    assert await held(lists) == in_sql(lists)
    assert await keys(lists) == [b"callguard:lists"]


async def test_a_build_that_was_evicted_half_done_never_goes_live(lists: Lists) -> None:
    for number in NUMBERS[:2]:
        lists.add_in_sql_alone(number)
    build = lists.cache.build()
    for number in NUMBERS[:2]:
        await build.add({number: lists.store.lookup(number).entries})
        await build.pouring.flush()
    await lists.client.delete(build.key)
    with pytest.raises(CacheError, match="gone"):
        await lists.cache.swap(build, None, *lists.store.version())
    assert await keys(lists) == []


async def test_a_build_that_was_evicted_and_begun_anew_by_its_next_fields_is_given_up(lists: Lists) -> None:
    lists.add_in_sql_alone(NUMBERS[0])
    build = lists.cache.build()
    await build.add(lists.store.chunk(""))
    await build.pouring.flush()
    await lists.client.delete(build.key)
    await build.add(lists.store.chunk(""))
    with pytest.raises(CacheError, match="gone"):
        await build.pouring.flush()


async def test_a_build_whose_builder_died_goes_by_itself(lists: Lists) -> None:
    lists.add_in_sql_alone(NUMBERS[0])
    build = lists.cache.build()
    await build.add(lists.store.chunk(""))
    await build.pouring.flush()
    assert 0 < await lists.client.ttl(build.key) <= 60


async def test_a_rebuild_that_is_cancelled_cleans_up(lists: Lists) -> None:
    lists.add_in_sql_alone(NUMBERS[0])
    rebuild = asyncio.create_task(lists.sync.rebuild())
    while not await keys(lists):  # noqa: ASYNC110 - Redis tells nobody
        await asyncio.sleep(0)
    rebuild.cancel()
    await asyncio.wait([rebuild])
    # It may have been done already: nobody cancels what Redis is doing.
    if rebuild.cancelled():
        assert await keys(lists) in ([], [b"callguard:lists"])


async def test_a_head_of_another_layout_is_rebuilt(lists: Lists) -> None:
    lists.add_in_sql_alone(NUMBERS[0])
    head = encode_head(*lists.store.version())
    await lists.client.hset("callguard:lists", HEAD, head.replace(b"[3,", b"[99,"))
    assert await lists.sync.catch_up() is None
    assert await lists.sync.rebuild()
    assert await held(lists) == in_sql(lists)


async def test_many_at_once_agree(engine: sa.Engine, redis_settings: RedisSettings) -> None:
    everyone = [Lists(engine, redis_settings) for _ in range(4)]
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for index, lists in enumerate(everyone):
            tasks.create_task(lists.sync.rebuild())
            for number in NUMBERS[index * 5 : index * 5 + 5]:
                tasks.create_task(lists.writer.add(NewEntry(number, f"writer {index}")))
    lists = everyone[0]
    while await lists.sync.catch_up() != lists.store.mark():
        await lists.sync.rebuild()
    assert await held(lists) == in_sql(lists)
    assert sum(bool(entries) for entries in in_sql(lists).values()) == 20
    assert await keys(lists) == [b"callguard:lists"]
    for each in everyone:
        await each.close()


async def test_a_writer_says_how_far_its_change_came(
    engine: sa.Engine, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis()
    lists = Lists(engine, RedisSettings(url=redis.url, timeout=0.5))
    assert (await lists.writer.add(NewEntry(NUMBERS[0], "tl"))).reach is Reach.COLD
    await lists.sync.rebuild()
    assert (await lists.writer.add(NewEntry(NUMBERS[1], "tl"))).reach is Reach.EVERYWHERE
    redis.hang()
    hung = await lists.writer.add(NewEntry(NUMBERS[2], "tl"))
    assert (hung.reach, hung.changed) == (Reach.UNREACHABLE, True)
    assert "no answer" in hung.why
    redis.stop()
    assert (await lists.writer.remove(NUMBERS[2], by="tl", why="")).reach is Reach.UNREACHABLE
    assert in_sql(lists)[NUMBERS[1]]
    assert not in_sql(lists)[NUMBERS[2]]
    await lists.close()


async def test_a_redis_that_may_evict_is_named_with_what_to_set(
    engine: sa.Engine, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis()
    lists = Lists(engine, RedisSettings(url=redis.url))
    await lists.cache.check_policy()
    await lists.client.config_set("maxmemory", "100mb")
    await lists.cache.check_policy()
    await lists.client.config_set("maxmemory-policy", "volatile-lru")
    with pytest.raises(CacheError, match="volatile-lru") as caught:
        await lists.cache.check_policy()
    assert "noeviction" in str(caught.value.remedy)
    await lists.close()


async def test_a_wrong_password_is_named_without_telling_it(
    engine: sa.Engine, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis()
    with redis.client() as client:
        client.config_set("requirepass", "s3cret")
    lists = Lists(engine, RedisSettings.model_validate({"url": redis.url, "password": "wr0ng"}))
    with pytest.raises(CacheError) as caught:
        await lists.cache.head()
    assert "password" in str(caught.value)
    assert "wr0ng" not in str(caught.value)
    await lists.close()
