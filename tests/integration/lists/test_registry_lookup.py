"""What the registry lists and the patterns say about a number: alike in Redis and in SQL, and right while
lists are switched."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from callguard.lists import codec
from callguard.lists.cache import CacheDamaged
from callguard.lists.model import NewEntry
from callguard.lists.service import CacheState
from callguard.lists.writer import Reach
from callguard.screening.model import Hits
from tests.rig.lists import Lists, packed, until

pytestmark = pytest.mark.integration

KEY = "callguard:lists"
LISTED = "+12125550123"
CLEAN = "+12125550124"
ELSEWHERE = "+13105550123"
ABROAD = "+6281234567890"


async def both(lists: Lists, number: str) -> Hits:
    """What Redis says, which must be what SQL says."""
    mark, held = await lists.cache.lookup(number)
    in_sql = lists.store.lookup(number)
    assert mark == lists.store.mark()
    assert replace(held, origin="sql") == in_sql
    return held


async def said(lists: Lists, number: str) -> dict[str, tuple[bool, bool, int]]:
    """Of each list that speaks of the number: listed, covered, version."""
    found = (await both(lists, number)).registries
    return {hit.list: (hit.listed, hit.covered, hit.version) for hit in found}


async def test_a_number_is_listed_not_listed_not_covered_or_of_another_country(lists: Lists) -> None:
    lists.new_list("us", coverage=("1212", "1646"))
    lists.new_list("id", "62")
    lists.switch_in_sql_alone("us", [LISTED])
    await lists.sync.rebuild()
    assert await said(lists, LISTED) == {"us": (True, True, 1)}
    assert await said(lists, CLEAN) == {"us": (False, True, 1)}
    assert await said(lists, ELSEWHERE) == {"us": (False, False, 1)}
    assert await said(lists, ABROAD) == {"id": (False, False, 0)}


@pytest.mark.parametrize("size", [10_000, 65_536, 1_000_000])
async def test_every_number_of_a_list_and_no_other_is_listed(lists: Lists, size: int) -> None:
    chosen = random.Random(size)
    numbers = {f"+1{chosen.randrange(2_120_000_000, 2_120_030_000)}" for _ in range(2000)}
    numbers |= {
        "+12120000000",
        f"+{-(-12120000000 // size) * size}",
        f"+{-(-12120000000 // size) * size - 1}",
    }
    lists.new_list("us")
    lists.switch_in_sql_alone("us", numbers, size=size)
    await lists.sync.rebuild()
    for number in [*chosen.sample(sorted(numbers), 100), *(f"+1212000{n:04}" for n in range(100))]:
        assert (await said(lists, number))["us"][0] is (number in numbers)


async def test_several_lists_speak_each_for_itself(lists: Lists) -> None:
    for name in ("national", "florida", "wireless"):
        lists.new_list(name)
    lists.switch_in_sql_alone("national", [LISTED])
    lists.switch_in_sql_alone("florida", [CLEAN], size=65_536)
    await lists.sync.rebuild()
    assert await said(lists, LISTED) == {
        "national": (True, True, 1),
        "florida": (False, True, 1),
        "wireless": (False, False, 0),
    }


@pytest.mark.parametrize("count", [1, 2, 5])
def test_sql_finds_blocks_by_their_key_however_many_lists_concern_a_number(
    lists: Lists, engine: sa.Engine, count: int
) -> None:
    for index in range(count):
        lists.new_list(f"list-{index}")
        lists.switch_in_sql_alone(f"list-{index}", [LISTED])
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _x: object, statement: str, parameters: object, _y: object, _many: object) -> None:
        asked.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    assert [hit.listed for hit in lists.store.lookup(LISTED).registries] == [True] * count
    sa.event.remove(engine, "before_cursor_execute", note)
    ((statement, parameters),) = [each for each in asked if "FROM blocks" in each[0]]
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            explain = "EXPLAIN QUERY PLAN "
        else:
            explain = "EXPLAIN "
            # So small a table is otherwise read whole, and rightly.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = "\n".join(map(str, connection.exec_driver_sql(explain + statement, parameters)))
    assert "scan" not in re.sub("(?i)bitmap (index|heap) scan|index scan", "", plan).lower(), plan
    assert plan.count("content=? AND block=?") == count or engine.dialect.name != "sqlite"


async def test_a_number_has_its_own_entries_and_those_of_its_patterns_in_their_order(lists: Lists) -> None:
    await lists.sync.rebuild()
    for pattern in ("+1212XXXXXXX", LISTED, "+1212*", "+1213*", "+1212XXXXXX", ABROAD):
        await lists.add(pattern)
    assert [entry.number for entry in (await both(lists, LISTED)).entries] == [
        "+1212XXXXXXX",
        LISTED,
        "+1212*",
    ]
    assert (await both(lists, ELSEWHERE)).entries == ()
    await lists.writer.remove("+1212*", by="tl", why="")
    await lists.writer.remove("+1212XXXXXXX", by="tl", why="")
    assert [entry.number for entry in (await both(lists, LISTED)).entries] == [LISTED]
    assert {shape.prefix for shape in lists.store.catalogue().shapes} == {4}


async def test_a_switch_that_is_loaded_comes_into_force_with_its_catalogue(lists: Lists) -> None:
    lists.new_list("us")
    lists.switch_in_sql_alone("us", [LISTED])
    await lists.sync.rebuild()
    generation, counts = lists.written("us", [CLEAN])
    assert await lists.load(lists.key(generation), lists.registries.chunks(generation)) == 1
    assert await said(lists, LISTED) == {"us": (True, True, 1)}
    lists.switch("us", generation, counts)
    assert await lists.sync.catch_up(load=False) == lists.store.mark()
    assert await said(lists, LISTED) == {"us": (False, True, 2)}
    assert await said(lists, CLEAN) == {"us": (True, True, 2)}


async def test_a_generation_that_is_not_loaded_is_never_in_force_in_redis(lists: Lists) -> None:
    lists.new_list("us")
    await lists.sync.rebuild()
    us = lists.switch_in_sql_alone("us", [LISTED, ELSEWHERE])
    before = await lists.cache.head()
    assert await lists.sync.catch_up(load=False) is None
    assert (await lists.writer.add(NewEntry(ABROAD, "tl"))).reach is Reach.COLD
    # Blocks without their mark, as a loader leaves them that died, are not enough; nor is a wrong count.
    for block, data in packed([LISTED]):
        await lists.client.hset(KEY, codec.block_field(us.key, block), data)
    assert await lists.sync.catch_up(load=False) is None
    await lists.client.hset(KEY, codec.loaded_field(us.key), 1)
    assert await lists.sync.catch_up(load=False) is None
    assert await lists.cache.head() == before
    assert await lists.sync.catch_up() == lists.store.mark()
    assert await said(lists, ELSEWHERE) == {"us": (True, True, 1)}


async def test_a_guard_loads_what_was_switched_without_redis(lists: Lists) -> None:
    lists.new_list("us")
    async with lists.running():
        await lists.warm()
        lists.switch_in_sql_alone("us", [LISTED])
        await lists.warm()
        hits = await lists.answered_by_redis(LISTED)
        assert [hit.listed for hit in hits.registries] == [True]
        assert lists.status.rebuilds == 1


async def test_a_dropped_list_no_longer_speaks(lists: Lists) -> None:
    lists.new_list("us")
    lists.switch_in_sql_alone("us", [LISTED])
    await lists.sync.rebuild()
    registry = lists.registries.find("us")
    assert registry is not None
    lists.registries.drop(registry.id, by="compliance")
    assert await lists.sync.catch_up(load=False) == lists.store.mark()
    assert await said(lists, LISTED) == {}


@pytest.mark.parametrize("layout", [b'[1,"%s",%d,%d]', b'[1,"%s",%d,%d,"0123456789abcdef"]'])
async def test_lists_of_an_older_callguard_are_rebuilt(lists: Lists, layout: bytes) -> None:
    lists.new_list("us")
    lists.switch_in_sql_alone("us", [LISTED])
    mark = lists.store.mark()
    head = layout % (mark.database.encode(), mark.position, mark.at)
    await lists.client.hset(KEY, codec.HEAD, head)
    with pytest.raises(CacheDamaged, match="layout"):
        await lists.cache.lookup(LISTED)
    async with lists.running():
        await lists.warm()
        assert [hit.listed for hit in (await lists.answered_by_redis(LISTED)).registries] == [True]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("block", b""),
        ("block", b"\x00short"),
        ("block", b"\x07" + bytes(1250)),
        (codec.CATALOGUE, b"[]"),
        (codec.CATALOGUE, None),
        (codec.CATALOGUE, b'["0000000000000000",[],[]]'),
        (codec.HEAD, b"[2]"),
    ],
)
async def test_a_damaged_field_means_damaged_never_not_listed(
    lists: Lists, field: str, value: bytes | None
) -> None:
    lists.new_list("us")
    us = lists.switch_in_sql_alone("us", [LISTED])
    await lists.sync.rebuild()
    name = codec.block_field(us.key, int(LISTED) // 10_000) if field == "block" else field
    if value is None:
        await lists.client.hdel(KEY, name)
    else:
        await lists.client.hset(KEY, name, value)
    with pytest.raises(CacheDamaged):
        await lists.cache.lookup(LISTED)
    async with lists.running():
        async with asyncio.timeout(20):
            while lists.status.rebuilds < 1:
                assert [hit.listed for hit in (await lists.lookup(LISTED)).registries] == [True]
                await asyncio.sleep(0)
        await lists.warm()
        assert [hit.listed for hit in (await lists.answered_by_redis(LISTED)).registries] == [True]


class Watcher:
    """Asks for numbers all the time, and checks every answer against what was true meanwhile."""

    def __init__(self, lists: Lists, *, always: Iterable[str], never: Iterable[str]) -> None:
        self.lists = lists
        self.answers: Counter[str] = Counter()
        self._always = list(always)
        self._never = list(never)

    async def run(self, stop: asyncio.Event) -> None:
        version = 0
        while not stop.is_set():
            for number, listed in [
                *((number, True) for number in self._always),
                *((number, False) for number in self._never),
            ]:
                hits = await self.lists.lookup(number)
                (hit,) = hits.registries
                assert hit.listed is listed, f"{number} in version {hit.version}, by {hits.origin}"
                assert hit.covered
                assert hit.version >= version, "an older version after a newer one"
                version = hit.version
                self.answers[hits.origin] += 1

    async def hears_redis(self) -> None:
        """Wait for answers of Redis after this moment."""
        asked = self.answers["redis"]
        await until("Redis to answer", lambda: self.answers["redis"] > asked + 5)

    async def by_version(self, stop: asyncio.Event, number: str) -> None:
        """A number that is in every odd version, and in no even one."""
        while not stop.is_set():
            (hit,) = (await self.lists.lookup(number)).registries
            assert hit.listed is bool(hit.version % 2), f"version {hit.version}"


async def generations_in_redis(lists: Lists) -> set[int]:
    """The generations of which anything is there."""
    cursor, found = "0", set[int]()
    while True:
        cursor, names = await lists.cache.names(cursor)
        found |= {
            int(name.split(":")[1].partition("-")[0]) for name in names if name.startswith(("b:", "g:", "t:"))
        }
        if cursor == "0":
            return found


@pytest.mark.parametrize("loaded_first", [True, False])
async def test_switches_under_constant_look_ups_give_no_wrong_answer(
    lists: Lists, *, loaded_first: bool
) -> None:
    kept = [f"+1212555{n:04}" for n in range(0, 9999, 7)]
    others = [f"+1{n}5550000" for n in range(213, 513)]
    lists.new_list("us")
    lists.switch_in_sql_alone("us", [*kept, *others, CLEAN])
    watcher = Watcher(lists, always=[kept[0], kept[-1], others[0]], never=["+12125550001", "+19995550000"])
    async with lists.running():
        await lists.warm()
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watcher.run(stop))
            tasks.create_task(watcher.by_version(stop, CLEAN))
            try:
                for version in range(2, 9):
                    # The sizes differ too: a block read with another list's size would show.
                    size = (10_000, 65_536, 1_000_000)[version % 3]
                    numbers = [*kept, *others, *([CLEAN] if version % 2 else [])]
                    generation, counts = lists.written("us", numbers, size=size)
                    if loaded_first:
                        await lists.load(lists.key(generation), lists.registries.chunks(generation))
                    lists.switch("us", generation, counts)
                    await lists.sync.catch_up(load=not loaded_first)
                    await lists.warm()
                    await watcher.hears_redis()
            finally:
                stop.set()
        assert lists.status.rebuilds == 1
        # What went out of force goes by itself.
        held = lists.registry("us").generation
        async with asyncio.timeout(20):
            while await generations_in_redis(lists) != {held}:  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.01)
        await lists.in_state(CacheState.WARM)
