"""Compare what Redis holds with what SQL holds, field by field, while others write."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from callguard.lists import codec
from callguard.lists.cache import ListCache
from callguard.lists.model import Catalogue, Mark, RegistryList
from callguard.lists.store import Generations, ListStore, Words
from callguard.lists.sync import Progress
from callguard.lists.threads import SqlThreads

LONGEST_REPORT = 1000
"""Differences that are kept; further ones are counted."""
_ROUNDS = 3
_PATIENCE = 5.0
"""Seconds for which Redis may be behind SQL before that is a difference of its own."""
_PAUSE = 0.05
_NUMBER = re.compile(r"[1-9][0-9]*(\*|X+)?", re.ASCII)
_ID = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_KEY = re.compile(rf"({_ID.pattern})-[0-9a-f]{{8}}", re.ASCII)
_BLOCKS = 200
"""Blocks compared at a time: a quarter of a megabyte of a dense list."""


class Kind(StrEnum):
    """How a field in Redis is not as SQL says."""

    MISSING = "missing"
    """A number that is listed would be let through."""
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not as it should be."""

    kind: Kind
    field: str
    """As codec.py names it, printable."""
    what: str
    """What the field is, in words."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a comparison has found."""

    fields: int
    """How many fields of SQL were compared."""
    differences: tuple[Difference, ...]
    """The first LONGEST_REPORT of them."""
    found: int
    """How many there are."""
    leftovers: int
    """Fields of generations that are no longer in force: nobody reads them, and a guard unloads them."""

    @property
    def equal(self) -> bool:
        return not self.found


class _CatalogueChangedError(Exception):
    """A list was switched meanwhile: what was compared is no longer what is in force."""


class Verifier:
    """Compares the lists in one Redis with those of one database. It changes neither."""

    def __init__(self, store: ListStore, cache: ListCache, threads: SqlThreads) -> None:
        self._store = store
        self._cache = cache
        self._threads = threads

    async def verify(self, progress: Progress | None = None) -> Verified:
        """Compare every field; a difference counts only if it is there at one version of the lists.

        Takes seconds for each hundred million numbers, and memory that does not grow with the lists. If
        lists are switched all the time, that is reported as a difference of the field `catalogue`. Raises
        CacheError or SqlError.
        """
        for _ in range(_ROUNDS):
            comparison = _Comparison(self._store, self._cache, self._threads, progress)
            try:
                return await comparison.run()
            except _CatalogueChangedError:
                continue
        comparison.note(Kind.DIFFERENT, codec.CATALOGUE, "lists are switched faster than they are compared")
        return comparison.result


class _Comparison:
    """One attempt, which ends when the catalogue changes."""

    def __init__(
        self, store: ListStore, cache: ListCache, threads: SqlThreads, progress: Progress | None
    ) -> None:
        self._store = store
        self._cache = cache
        self._threads = threads
        self._progress = progress
        self._in_all = 0
        self._fields = 0
        self._differences: list[Difference] = []
        self._found = 0
        self._leftovers = 0

    @property
    def result(self) -> Verified:
        return Verified(self._fields, tuple(self._differences), self._found, self._leftovers)

    def note(self, kind: Kind, field: str, what: str) -> None:
        """Keep a difference, or count it where there are too many."""
        self._found += 1
        if len(self._differences) < LONGEST_REPORT:
            self._differences.append(Difference(kind, field, what))

    async def run(self) -> Verified:
        """Compare everything. Raises _CatalogueChangedError."""
        generations = await self._threads.run(self._store.generations)
        registries = [registry for registry in generations.catalogue.registries if registry.generation]
        if self._progress is not None:
            in_all = await self._threads.run(self._store.count) + 2
            self._in_all = in_all + sum(registry.blocks + 1 for registry in registries)
        if not await self._head(generations.catalogue):
            return self.result
        await self._entries()
        for registry in registries:
            await self._blocks(registry)
        await self._others(generations)
        if (await self._threads.run(self._store.catalogue)).registries != generations.catalogue.registries:
            raise _CatalogueChangedError
        return self.result

    def _done(self, fields: int) -> None:
        self._fields += fields
        if self._progress is not None:
            self._progress(min(self._fields, self._in_all), self._in_all)

    async def _head(self, catalogue: Catalogue) -> bool:
        """Compare head and catalogue; False if no other comparison makes sense."""
        held = await self._at_one_version([codec.HEAD, codec.CATALOGUE])
        self._done(2)
        if held is None:
            return False
        now = await self._threads.run(self._store.catalogue)
        if now.registries != catalogue.registries:
            raise _CatalogueChangedError
        head, raw = held.values
        if raw is None:
            self.note(Kind.MISSING, codec.CATALOGUE, "what lists there are")
            return False
        try:
            in_redis = codec.decode_catalogue(raw)
        except codec.Undecodable as error:
            self.note(Kind.DIFFERENT, codec.CATALOGUE, f"what lists there are cannot be read: {error}")
            return False
        if in_redis != held.catalogue or codec.decode_head(head or b"").tag != codec.tag_of(in_redis):
            self.note(Kind.DIFFERENT, codec.CATALOGUE, "what lists there are is not what SQL says")
            return False
        return True

    async def _entries(self) -> None:
        after = ""
        while expected := await self._threads.run(partial(self._store.chunk, after)):
            values = await self._cache.fields([codec.number_field(number) for number in expected])
            suspects = [
                number
                for (number, entries), value in zip(expected.items(), values, strict=True)
                if value != codec.encode_words(entries)
            ]
            if suspects and not await self._confirm_entries(suspects):
                return
            self._done(len(expected))
            *_, after = expected

    async def _confirm_entries(self, numbers: Sequence[str]) -> bool:
        """Compare the entries of some numbers at one version of the lists; False if there was none."""
        held = await self._at_one_version([codec.number_field(number) for number in numbers], numbers)
        if held is None:
            return False
        for number, value in zip(numbers, held.values, strict=True):
            entries = held.words[number]
            expected = codec.encode_words(entries) if entries else None
            self._compare(codec.number_field(number), value, expected, f"entries of {number}")
        return True

    async def _blocks(self, registry: RegistryList) -> None:
        """Compare a generation, which never changes."""
        loaded = codec.loaded_field(registry.key)
        chunks = self._store.blocks.chunks(registry.content, _BLOCKS)
        while chunk := await self._threads.run(partial(next, chunks, ())):
            names = [codec.block_field(registry.key, block) for block, _ in chunk]
            values = await self._cache.fields(names)
            if any(value != data for (_, data), value in zip(chunk, values, strict=True)):
                values = await self._while_in_force(registry, names)
                for name, (block, data), value in zip(names, chunk, values, strict=True):
                    self._compare(name, value, data, _block_words(registry, block))
            self._done(len(chunk))
        (value,) = await self._while_in_force(registry, [loaded])
        self._compare(loaded, value, b"%d" % registry.blocks, f"how many blocks list {registry.name} has")
        self._done(1)

    def _compare(self, field: str, held: bytes | None, expected: bytes | None, what: str) -> None:
        if held == expected:
            return
        if held is None:
            self.note(Kind.MISSING, field, what)
        else:
            self.note(Kind.EXTRA if expected is None else Kind.DIFFERENT, field, what)

    async def _while_in_force(self, registry: RegistryList, names: Sequence[str]) -> list[bytes | None]:
        """Fields of a generation, while Redis and SQL have it in force. Raises _CatalogueChangedError."""
        raw, *values = await self._cache.fields([codec.CATALOGUE, *names])
        try:
            in_redis = codec.decode_catalogue(raw or b"")
        except codec.Undecodable:
            raise _CatalogueChangedError from None
        in_sql = await self._threads.run(self._store.catalogue)
        if registry not in in_redis.registries or registry not in in_sql.registries:
            raise _CatalogueChangedError
        return values

    async def _others(self, generations: Generations) -> None:
        """Look for fields that SQL has nothing for."""
        registries = generations.catalogue.registries
        in_force = {registry.key: registry for registry in registries if registry.generation}
        coming = set(generations.loading)
        numbers: list[str] = []
        blocks: dict[str, list[int]] = {key: [] for key in in_force}
        cursor = "0"
        while True:
            cursor, names = await self._cache.names(cursor)
            for name in names:
                match name.split(":"):
                    case ["head" | "catalogue"]:
                        pass
                    case ["n", text] if _NUMBER.fullmatch(text):
                        numbers.append(f"+{text}")
                    case ["b", key, block] if key in in_force and _ID.fullmatch(block):
                        blocks[key].append(int(block))
                    case ["b", key, block] if _KEY.fullmatch(key) and _ID.fullmatch(block):
                        self._leftover(key, coming, generations.newest)
                    case ["g", key] | ["t", key, _] if _KEY.fullmatch(key):
                        if key not in in_force:
                            self._leftover(key, coming, generations.newest)
                    case _:
                        self.note(Kind.EXTRA, ascii(name)[1:-1], "no field of callguard's")
            last = cursor == "0"
            if last or len(numbers) > _BLOCKS:
                if not await self._extra_numbers(numbers):
                    return
                numbers = []
            for key, some in blocks.items():
                if last or len(some) > _BLOCKS:
                    await self._extra_blocks(in_force[key], some)
                    some.clear()
            if last:
                return

    def _leftover(self, key: str, coming: set[str], newest: int) -> None:
        if key not in coming and int(key.partition("-")[0]) <= newest:
            self._leftovers += 1

    async def _extra_numbers(self, numbers: Sequence[str]) -> bool:
        if not numbers:
            return True
        _, entries = await self._threads.run(partial(self._store.lookup_words, numbers))
        suspects = [number for number, of_number in entries.items() if not of_number]
        return not suspects or await self._confirm_entries(suspects)

    async def _extra_blocks(self, registry: RegistryList, numbers: Iterable[int]) -> None:
        wanted = sorted(set(numbers))
        if not wanted:
            return
        there = await self._threads.run(partial(self._store.blocks.some_blocks, registry.content, wanted))
        for block in set(wanted).difference(block for block, _ in there):
            name = codec.block_field(registry.key, block)
            self.note(Kind.EXTRA, name, _block_words(registry, block))

    async def _at_one_version(self, names: Sequence[str], numbers: Sequence[str] = ()) -> "_Held | None":
        """Fields of Redis, and entries and catalogue of SQL, at one version of the lists.

        None if Redis stays behind, which is noted.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        while True:
            mark, catalogue = await self._threads.run(self._store.version)
            raw, *values = await self._cache.fields([codec.HEAD, *names])
            at, entries = await self._threads.run(partial(self._store.lookup_words, numbers))
            head = _decoded(raw)
            if head is not None and mark == head.mark == at:
                return _Held(values, entries, catalogue)
            if loop.time() > deadline:
                self._behind(raw, head, mark)
                return None
            await asyncio.sleep(_PAUSE)

    def _behind(self, raw: bytes | None, head: codec.Head | None, mark: Mark) -> None:
        if raw is None:
            self.note(Kind.MISSING, codec.HEAD, "no lists are there")
        elif head is None:
            self.note(Kind.DIFFERENT, codec.HEAD, "it cannot be read, or is of another callguard")
        elif head.mark.database != mark.database:
            self.note(Kind.DIFFERENT, codec.HEAD, "the lists are of another database")
        else:
            what = f"the lists are at position {head.mark.position}, SQL is at {mark.position}"
            self.note(Kind.DIFFERENT, codec.HEAD, what)


@dataclass(frozen=True, slots=True)
class _Held:
    """What both hold at one version of the lists."""

    values: Sequence[bytes | None]
    words: Words
    catalogue: Catalogue


def _decoded(raw: bytes | None) -> codec.Head | None:
    try:
        return None if raw is None else codec.decode_head(raw)
    except codec.Undecodable:
        return None


def _block_words(registry: RegistryList, block: int) -> str:
    first = block * registry.block_size
    return f"list {registry.name}, numbers from +{first} to +{first + registry.block_size - 1}"
