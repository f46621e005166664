"""A generation is loaded beside the one in force, whole or not at all, and goes when nobody needs it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from redis.crc import key_slot

from callguard.config import RedisSettings, SqlSettings
from callguard.database import migrate, open_engine
from callguard.errors import CacheCold, CacheError, SqlError
from callguard.lists import codec
from callguard.lists.loading import Build
from callguard.lists.model import Catalogue, RegistryList
from callguard.lists.registries import Counts
from callguard.lists.tables import blocks, generations
from tests.rig.lists import Lists, packed

pytestmark = pytest.mark.integration

KEY = "callguard:lists"
MANY = [f"+1{number}" for number in range(2_120_000_000, 2_123_000_000, 1500)]
"""2,000 numbers in 300 blocks: several batches."""
LISTED = MANY[0]
OTHER = "90-0badcafe"
"""The key of a generation that SQL does not have."""

Chunk = Sequence[tuple[int, bytes]]


@pytest.fixture
async def us(lists: Lists) -> Lists:
    """Lists in Redis, with a registry list that has a generation in force."""
    lists.new_list("us")
    lists.switch_in_sql_alone("us", [LISTED])
    await lists.sync.rebuild()
    return lists


async def fields(lists: Lists, key: str, kinds: str = "bgt") -> set[str]:
    """The names of what Redis holds of a generation."""
    cursor, found = "0", set[str]()
    while True:
        cursor, names = await lists.cache.names(cursor)
        found |= {name for name in names if name[0] in kinds and name.split(":")[1:2] == [key]}
        if cursor == "0":
            return found


async def listed(lists: Lists, number: str) -> bool:
    (hit,) = (await lists.cache.lookup(number))[1].registries
    return hit.listed


async def chunked(*some: Chunk) -> AsyncIterator[Chunk]:
    for chunk in some:
        yield chunk


async def test_a_loaded_generation_leaves_its_blocks_and_its_mark_and_nothing_else(us: Lists) -> None:
    generation, counts = us.written("us", MANY)
    key = us.key(generation)
    assert await us.load(key, us.registries.chunks(generation, 7)) == counts.blocks
    expected = {codec.block_field(key, block) for block, _ in packed(MANY)}
    assert await fields(us, key) == expected | {codec.loaded_field(key)}
    assert await us.cache.fields([codec.loaded_field(key)]) == [b"%d" % counts.blocks]


async def test_chunks_may_be_read_in_either_way(us: Lists) -> None:
    rows = packed(MANY)
    assert await us.load(OTHER, chunked(rows[:100], rows[100:])) == len(rows)
    assert await us.load("91-00000000", [rows[:1], rows[1:]]) == len(rows)
    assert len(await fields(us, OTHER)) == len(await fields(us, "91-00000000")) == len(rows) + 1


async def test_a_generation_without_numbers_is_loaded_too(us: Lists) -> None:
    generation, counts = us.written("us", [])
    assert await us.load(us.key(generation), []) == 0
    us.switch("us", generation, counts)
    assert await us.sync.catch_up(load=False) == us.store.mark()
    assert not await listed(us, LISTED)


async def test_nothing_is_loaded_where_no_lists_are(lists: Lists) -> None:
    with pytest.raises(CacheCold):
        await lists.load(OTHER, [packed(MANY)])
    assert not await lists.client.exists(KEY)


async def test_a_generation_of_before_a_restored_backup_is_not_taken_for_one_of_the_same_id(
    us: Lists, engine: sa.Engine
) -> None:
    """The importer died before the switch, and the next import got the id again, with as many blocks."""
    undone, counts = us.written("us", [MANY[1]])
    await us.load(us.key(undone), us.registries.chunks(undone))
    forget_newest(engine, undone)
    again, same_counts = us.written("us", [MANY[2]])
    assert (again, same_counts) == (undone, counts)
    us.switch("us", again, same_counts)
    assert await us.sync.catch_up(load=False) is None
    assert await us.sync.catch_up() == us.store.mark()
    assert (await listed(us, MANY[1]), await listed(us, MANY[2])) == (False, True)


def forget_newest(engine: sa.Engine, generation: int) -> None:
    """Put the database back to where this generation had not begun."""
    with engine.begin() as connection:
        connection.execute(blocks.delete().where(blocks.c.content == generation))
        connection.execute(generations.delete().where(generations.c.id == generation))
        last = {
            "sqlite": "UPDATE sqlite_sequence SET seq = :last WHERE name = 'generations'",
            "postgresql": "SELECT setval('generations_id_seq', :last)",
        }
        connection.execute(sa.text(last[engine.dialect.name]), {"last": generation - 1})


async def test_nothing_is_loaded_beside_the_lists_of_another_database(
    us: Lists, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    engine = open_engine(SqlSettings(), tmp_path / "other")
    migrate(engine)
    other = Lists(engine, redis_settings)
    other.new_list("us")
    generation, _ = other.written("us", MANY)
    held = await us.client.hlen(KEY)
    with pytest.raises(CacheCold, match="another database"):
        await other.load(other.key(generation), other.registries.chunks(generation))
    assert await us.client.hlen(KEY) == held
    await other.close()
    engine.dispose()


@pytest.mark.parametrize("head", [b"", b"[1]"])
async def test_nothing_is_loaded_beside_lists_that_cannot_be_read(us: Lists, head: bytes) -> None:
    await us.client.hset(KEY, codec.HEAD, head)
    with pytest.raises(CacheCold, match="cannot be read"):
        await us.load(OTHER, [packed(MANY)])
    assert await fields(us, OTHER) == set()


def interrupted(harm: Callable[[], Awaitable[object]]) -> AsyncIterator[Chunk]:
    """Blocks between which something happens to Redis."""

    async def chunks() -> AsyncIterator[Chunk]:
        rows = packed(MANY, 1_000_000)  # long blocks: each chunk below is more than a batch
        long = [(block, bytes(1) + data.ljust(125_000, b"\1")) for block, data in rows]
        yield long[:1]
        await harm()
        yield long[1:]

    return chunks()


async def test_a_load_into_lists_that_were_flushed_meanwhile_fails(us: Lists) -> None:
    with pytest.raises(CacheError, match="gone"):
        await us.load(OTHER, interrupted(us.client.flushall))
    assert await us.cache.fields([codec.loaded_field(OTHER)]) == [None]


async def test_a_load_into_lists_that_were_rebuilt_meanwhile_fails(us: Lists) -> None:
    with pytest.raises(CacheError, match="gone"):
        await us.load(OTHER, interrupted(us.sync.rebuild))
    assert await us.cache.fields([codec.loaded_field(OTHER)]) == [None]


@pytest.mark.parametrize("missed", ["a batch in the middle", "the last batch"])
async def test_a_batch_that_the_new_master_never_got_is_noticed(us: Lists, missed: str) -> None:
    """What a replica holds is a past state of the master: here it comes back as the master."""
    rows = [(block, bytes(1) + bytes(100_000)) for block in range(4)]

    async def chunks() -> AsyncIterator[Chunk]:
        yield rows[:1]
        replica = await us.client.dump(KEY)
        assert replica
        yield rows[1:2]
        if missed == "a batch in the middle":
            await us.client.restore(KEY, 0, replica, replace=True)
            yield rows[2:3]
            return
        yield rows[2:3]
        await us.client.restore(KEY, 0, replica, replace=True)

    with pytest.raises(CacheError, match="gone"):
        await us.load(OTHER, chunks())
    assert await us.cache.fields([codec.loaded_field(OTHER)]) == [None]


async def test_two_that_load_the_same_do_each_other_no_harm(us: Lists) -> None:
    generation, counts = us.written("us", MANY)
    async with asyncio.TaskGroup() as tasks:
        loads = [tasks.create_task(us.load(us.key(generation), chunked(packed(MANY)))) for _ in range(3)]
    assert [load.result() for load in loads] == [counts.blocks] * 3
    assert len(await fields(us, us.key(generation))) == counts.blocks + 1


async def test_what_a_dead_loader_left_behind_does_no_harm(us: Lists) -> None:
    generation, counts = us.written("us", MANY[5:])
    waiting = asyncio.Event()

    async def chunks() -> AsyncIterator[Chunk]:
        yield [(block, bytes(1) + b"\xff" * 60_000) for block in (1, 2, 3)]
        waiting.set()
        await asyncio.Event().wait()

    load = asyncio.create_task(us.load(us.key(generation), chunks()))
    await waiting.wait()
    load.cancel()
    await asyncio.wait([load])
    assert await listed(us, LISTED)
    assert not await listed(us, MANY[5])
    us.switch("us", generation, counts)
    assert await us.sync.catch_up() == us.store.mark()
    assert not await listed(us, LISTED)
    assert await listed(us, MANY[5])


async def test_generations_out_of_force_are_unloaded_and_no_others(us: Lists) -> None:
    first = us.registry("us").key
    failed, _ = us.written("us", MANY)
    await us.load(us.key(failed), us.registries.chunks(failed))
    us.registries.fail(failed)
    await us.client.hset(KEY, codec.counter_field(us.key(failed), "dead"), 3)
    second = us.switch_in_sql_alone("us", MANY)
    await us.sync.catch_up()
    loading, counts = us.written("us", MANY)
    await us.load(us.key(loading), us.registries.chunks(loading))
    undone = f"{second.generation}-0badcafe"  # as it was before a backup was restored
    await us.load(undone, [packed([LISTED])])
    future = f"{loading + 1}-0badcafe"
    await us.load(future, [packed([LISTED])])
    assert await us.sync.unload_dead() == (1 + 1) + (counts.blocks + 2) + (1 + 1)
    for gone in (first, us.key(failed), undone):
        assert await fields(us, gone) == set()
    for kept in (second.key, us.key(loading)):
        assert len(await fields(us, kept)) == counts.blocks + 1
    assert len(await fields(us, future)) == 2
    assert await us.sync.unload_dead() == 0
    assert await listed(us, LISTED)


async def test_one_step_of_unloading_looks_at_few_large_blocks_however_many_there_are(us: Lists) -> None:
    undone = f"{us.registry('us').generation}-0badcafe"
    await us.client.hset(
        KEY, mapping={codec.block_field(undone, block): bytes(125_001) for block in range(300)}
    )
    head = await us.cache.head()
    assert head is not None
    tag, kept = codec.decode_head(head).tag, [us.registry("us").key]
    cursor, steps = "0", list[int]()
    while cursor != "0" or not steps:
        cursor, went = await us.cache.unload(tag, cursor, newest=99, kept=kept)
        steps.append(went)
    # A few more than one, for four places of the hash's table are looked at together.
    assert max(steps) <= 20
    assert sum(steps) == 300
    assert await listed(us, LISTED)


async def test_nothing_is_unloaded_while_redis_is_behind_sql(us: Lists) -> None:
    first = us.registry("us").key
    us.switch_in_sql_alone("us", MANY[1:])
    assert await us.sync.unload_dead() is None
    assert len(await fields(us, first)) == 2
    assert await listed(us, LISTED)
    assert await us.cache.unload("0123456789abcdef", "0", newest=99, kept=[]) == ("", 0)
    await us.sync.catch_up()
    assert await us.sync.unload_dead() == 2
    assert not await listed(us, LISTED)


async def test_blocks_that_sql_has_lost_are_never_taken_for_a_whole_list(
    us: Lists, engine: sa.Engine
) -> None:
    generation = us.switch_in_sql_alone("us", MANY).generation
    with engine.begin() as connection:
        some = blocks.c.block == packed(MANY)[7][0]
        connection.execute(blocks.delete().where(blocks.c.content == generation, some))
    before = await us.cache.head()
    with pytest.raises(SqlError, match="299 blocks of list us are there, of 300"):
        await us.sync.catch_up()
    with pytest.raises(SqlError, match="299 blocks"):
        await us.sync.rebuild()
    assert await us.cache.head() == before
    assert await us.client.keys("*build*") == []


async def test_a_rebuild_during_which_two_imports_finish_is_to_be_begun_again(us: Lists) -> None:
    first = us.switch_in_sql_alone("us", MANY).generation

    def imported_twice(done: int, _: int) -> None:
        if done and us.registries.some_blocks(first, [packed(MANY)[0][0]]):
            us.switch_in_sql_alone("us", MANY[1:])
            us.registries.delete_blocks(first)

    assert not await us.sync.rebuild(imported_twice)
    assert await us.client.keys("*build*") == []
    assert await us.sync.rebuild(imported_twice)
    assert (await listed(us, MANY[0]), await listed(us, MANY[1])) == (False, True)


async def test_a_generation_whose_blocks_go_while_it_is_loaded_makes_way_for_the_next_one(
    us: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = us.switch_in_sql_alone("us", MANY).generation
    not_loaded = us.cache.not_loaded

    async def then_imported_twice(catalogue: Catalogue) -> list[RegistryList]:
        wanted = await not_loaded(catalogue)
        if us.registries.delete_blocks(first):
            us.switch_in_sql_alone("us", MANY[1:])
        return wanted

    monkeypatch.setattr(us.cache, "not_loaded", then_imported_twice)
    assert await us.sync.catch_up() == us.store.mark()
    assert (await listed(us, MANY[0]), await listed(us, MANY[1])) == (False, True)


async def test_a_rolled_back_generation_is_loaded_from_the_content_it_repeats(us: Lists) -> None:
    us.switch_in_sql_alone("us", MANY[1:])
    await us.sync.catch_up()
    assert not await listed(us, LISTED)
    registry = us.registries.find("us")
    assert registry is not None
    back = us.registries.begin_rollback(registry.id, who="compliance")
    us.switch("us", back.id, Counts(back.blocks, back.numbers, 0, 0, 0))
    in_force = us.registry("us")
    assert in_force.content != in_force.generation
    await us.sync.catch_up()
    assert await listed(us, LISTED)
    await us.sync.rebuild()
    assert await listed(us, LISTED)


async def test_a_rebuild_tells_how_far_it_is(us: Lists) -> None:
    us.switch_in_sql_alone("us", MANY)
    for number in MANY[:5]:
        us.add_in_sql_alone(number)
    told: list[tuple[int, int]] = []
    assert await us.sync.rebuild(lambda done, in_all: told.append((done, in_all)))
    assert told[0] == (0, 305)
    assert told[-1] == (305, 305)
    assert told == sorted(told)
    assert await us.client.ttl(KEY) == -1
    assert await us.client.hlen(KEY) == 2 + 5 + 300 + 1


@pytest.mark.parametrize("key", ["callguard:lists", "pbx{7}:lists"])
async def test_a_build_is_in_the_slot_of_the_lists_in_a_cluster(us: Lists, key: str) -> None:
    build = Build(us.client, key, timeout=1)
    assert key_slot(build.key.encode()) == key_slot(key.encode())


async def test_the_catalogue_is_read_with_all_that_a_list_is(us: Lists) -> None:
    us.new_list("id", "62", coverage=("6221", "6222"), age=31)
    registry = us.registries.find("id")
    assert registry is not None
    begun = us.registries.begin(
        registry.id,
        mode="replace",
        file="a",
        digest="",
        data_date=date(2026, 11, 1),
        who="tl1",
        block_size=65_536,
    )
    us.switch("id", begun.id, Counts(0, 0, 0, 0, 0))
    await us.sync.catch_up()
    (hit,) = (await us.cache.lookup("+62215550123"))[1].registries
    assert (hit.list, hit.kind, hit.jurisdiction) == ("id", "marketing", "US")
    assert (hit.covered, hit.data_date, hit.allowed_age_days) == (True, date(2026, 11, 1), 31)
