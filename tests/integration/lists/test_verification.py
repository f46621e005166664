"""Redis and SQL are compared field by field: every kind of damage is found, and nothing else is reported."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from callguard.config import RedisSettings, SqlSettings
from callguard.database import migrate, open_engine
from callguard.lists import codec, verification
from callguard.lists.model import Catalogue
from callguard.lists.verification import Kind, Verified, Verifier
from tests.rig.lists import Lists, packed

pytestmark = pytest.mark.integration

KEY = "callguard:lists"
NUMBERS = [f"+1212555{n:04}" for n in range(60)]
LISTED = [f"+1{number}" for number in range(2_120_000_000, 2_123_000_000, 1500)]
"""In 300 blocks."""
BLOCK = packed(LISTED)[3][0]


@pytest.fixture
async def filled(lists: Lists) -> Lists:
    """Lists with entries, patterns and two registry lists, in Redis and in SQL."""
    for number in [*NUMBERS, "+1213*", "+1213XXXXXXX"]:
        lists.add_in_sql_alone(number)
    lists.new_list("us")
    lists.new_list("id", "62")
    lists.switch_in_sql_alone("us", LISTED)
    await lists.sync.rebuild()
    return lists


async def verified(lists: Lists) -> Verified:
    return await Verifier(lists.store, lists.cache, lists.threads).verify()


async def found(lists: Lists) -> set[tuple[Kind, str]]:
    result = await verified(lists)
    assert result.found == len(result.differences)
    assert result.equal is not bool(result.differences)
    return {(difference.kind, difference.field) for difference in result.differences}


async def test_equal_lists_are_equal_and_every_field_was_compared(filled: Lists) -> None:
    told: list[tuple[int, int]] = []
    verifier = Verifier(filled.store, filled.cache, filled.threads)
    result = await verifier.verify(lambda done, in_all: told.append((done, in_all)))
    assert (result.equal, result.differences, result.leftovers) == (True, (), 0)
    assert result.fields == await filled.client.hlen(KEY) == 2 + 62 + 300 + 1
    assert told[-1] == (result.fields, result.fields)


async def test_an_empty_list_that_is_there_is_equal(lists: Lists) -> None:
    await lists.sync.rebuild()
    assert (await verified(lists)).equal


@pytest.mark.parametrize("number", [NUMBERS[0], NUMBERS[-1], "+1213*"])
async def test_entries_that_are_missing_or_different_are_found(filled: Lists, number: str) -> None:
    field = codec.number_field(number)
    await filled.client.hset(KEY, field, codec.encode_words(filled.store.lookup(NUMBERS[5]).entries))
    assert await found(filled) == {(Kind.DIFFERENT, field)}
    await filled.client.hset(KEY, field, b"[[broken")
    assert await found(filled) == {(Kind.DIFFERENT, field)}
    await filled.client.hdel(KEY, field)
    assert await found(filled) == {(Kind.MISSING, field)}


async def test_blocks_that_are_missing_or_different_are_found(filled: Lists) -> None:
    key = filled.registry("us").key
    field = codec.block_field(key, BLOCK)
    (held,) = await filled.cache.fields([field])
    assert held
    await filled.client.hset(KEY, field, held[:-1] + bytes([held[-1] ^ 1]))
    result = await verified(filled)
    assert [difference.kind for difference in result.differences] == [Kind.DIFFERENT]
    assert result.differences[0].what == "list us, numbers from +12120030000 to +12120039999"
    await filled.client.hdel(KEY, field)
    assert await found(filled) == {(Kind.MISSING, field)}
    await filled.client.hdel(KEY, codec.loaded_field(key))
    assert await found(filled) == {(Kind.MISSING, field), (Kind.MISSING, codec.loaded_field(key))}


async def test_what_sql_does_not_have_is_found(filled: Lists) -> None:
    key = filled.registry("us").key
    extra: dict[Any, Any] = {
        codec.number_field("+12125559999"): codec.encode_words(filled.store.lookup(NUMBERS[5]).entries),
        codec.number_field("+1219*"): b"[]",
        codec.block_field(key, 5): b"\1\0\0",
        "b:1": b"",
        "x:1": b"",
        "": b"",
        "n:": b"",
        "b:1:2": b"",
        f"{codec.blocks_prefix(key)}two": b"",
        f"{codec.blocks_prefix(key)}0{BLOCK}": b"",
        "g:1-0BADCAFE": b"",
        "n:12125550000 ": b"",
        "n:+12125550000": b"",
        "b:\N{SUPERSCRIPT TWO}-0badcafe:2": b"",
    }
    await filled.client.hset(KEY, mapping=extra)
    await filled.client.hset(KEY, b"\xff\n\x1b[31m", b"")
    printable = {ascii(name)[1:-1] for name in extra} | {r"\\xff\n\x1b[31m"}
    assert {field for _, field in await found(filled)} == printable
    assert {kind for kind, _ in await found(filled)} == {Kind.EXTRA}


async def test_head_and_catalogue_are_compared(filled: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, catalogue = filled.store.version()
    raw = codec.encode_catalogue(catalogue)
    for held in (b"", b"{}", raw.replace(b"us", b"uk"), codec.encode_catalogue(Catalogue())):
        await filled.client.hset(KEY, codec.CATALOGUE, held)
        assert await found(filled) == {(Kind.DIFFERENT, codec.CATALOGUE)}
    await filled.client.hdel(KEY, codec.CATALOGUE)
    assert await found(filled) == {(Kind.MISSING, codec.CATALOGUE)}
    # Both as of a catalogue that SQL does not have.
    other = type(catalogue)()
    both: dict[Any, Any] = {
        codec.HEAD: codec.encode_head(mark, other),
        codec.CATALOGUE: codec.encode_catalogue(other),
    }
    await filled.client.hset(KEY, mapping=both)
    assert await found(filled) == {(Kind.DIFFERENT, codec.CATALOGUE)}
    monkeypatch.setattr(verification, "_PATIENCE", 0)
    await filled.client.hset(KEY, codec.HEAD, b"[1]")
    assert await found(filled) == {(Kind.DIFFERENT, codec.HEAD)}
    await filled.client.delete(KEY)
    assert await found(filled) == {(Kind.MISSING, codec.HEAD)}


async def test_a_redis_that_stays_behind_is_told_apart_from_a_damaged_one(
    filled: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_PATIENCE", 0)
    position = filled.add_in_sql_alone("+12125558888")
    (difference,) = (await verified(filled)).differences
    assert (difference.kind, difference.field) == (Kind.DIFFERENT, codec.HEAD)
    assert difference.what == f"the lists are at position {position - 1}, SQL is at {position}"


async def test_lists_of_another_database_are_named(
    filled: Lists, redis_settings: RedisSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_PATIENCE", 0)
    engine = open_engine(SqlSettings(), tmp_path / "other")
    migrate(engine)
    other = Lists(engine, redis_settings)
    (difference,) = (await verified(other)).differences
    assert difference.what == "the lists are of another database"
    await other.close()
    engine.dispose()


async def test_what_is_no_longer_or_not_yet_in_force_is_no_difference(filled: Lists) -> None:
    old = filled.registry("us").generation
    filled.switch_in_sql_alone("us", LISTED[:50])
    await filled.sync.catch_up()
    loading, _ = filled.written("us", LISTED)
    await filled.load(filled.key(loading), filled.registries.chunks(loading))
    result = await verified(filled)
    assert (result.equal, result.leftovers) == (True, 301)
    assert await filled.sync.unload_dead() == 301
    assert (await verified(filled)).leftovers == 0
    assert old not in {registry.generation for registry in filled.store.catalogue().registries}


async def test_many_differences_are_counted_but_not_all_kept(
    filled: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "LONGEST_REPORT", 10)
    await filled.client.hdel(KEY, *(codec.number_field(number) for number in NUMBERS))
    result = await verified(filled)
    assert (len(result.differences), result.found) == (10, len(NUMBERS))


async def test_writes_and_switches_meanwhile_are_no_differences(filled: Lists) -> None:
    stop = asyncio.Event()

    async def write() -> None:
        for number in range(10_000):
            await filled.add(f"+1999{number:07}")
            if number % 3 == 0:
                await filled.writer.remove(f"+1999{number:07}", by="tl", why="")
            if number % 50 == 20:
                generation, counts = await asyncio.to_thread(filled.written, "us", LISTED[number % 7 :])
                await asyncio.to_thread(filled.switch, "us", generation, counts)
                await filled.sync.catch_up()
                await filled.sync.unload_dead()
            if stop.is_set():
                return

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        try:
            for _ in range(5):
                result = await verified(filled)
                about = {difference.field for difference in result.differences}
                assert about <= {codec.CATALOGUE}, result.differences
        finally:
            stop.set()
    assert (await verified(filled)).equal
