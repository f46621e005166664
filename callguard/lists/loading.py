"""Many fields into a hash of Redis, in batches that are counted there: no loss among them goes unseen.

A batch sets its fields and then adds one to a counter in the same hash. Replicas get both in that order, so
that a master that lost the end of what was sent, a hash that was evicted or replaced half-way, and an empty
restart all show in the counter, which then is not the number of batches sent. Batches are small: neither
Redis nor this process's event loop is held for more than about a millisecond.
"""

import secrets
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from redis.typing import EncodableT

from callguard.errors import CacheCold, CacheError
from callguard.lists import codec
from callguard.lists.connection import Client, Script, bounded
from callguard.lists.model import Word

Blocks = Iterable[Sequence[tuple[int, bytes]]] | AsyncIterable[Sequence[tuple[int, bytes]]]
"""Blocks of one generation, as (block, bytes), in chunks of any size."""

_BATCH_BYTES = 64 * 1024
_FIELD_BYTES = 100
"""What a field weighs besides its value: so a batch of tiny blocks has some hundred of them."""
_BUILD_SECONDS = 60
"""A half-built hash goes by itself, so long after its builder died."""

_LOADED = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '0') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
return 1
"""
"""KEYS: hash. ARGV: counter, what it must be, the field that says "loaded", and its value."""


class Pouring:
    """Fields on their way into one hash."""

    def __init__(
        self, client: Client, key: str, counter: str, *, timeout: float, lifetime: int | None = None
    ) -> None:
        """`timeout`: seconds for one batch; `lifetime`: seconds until the hash goes if no batch follows."""
        self._client = client
        self._key = key
        self._timeout = timeout
        self._lifetime = lifetime
        self._pending: dict[str, bytes] = {}
        self._bytes = 0
        self.counter = counter
        self.batches = 0
        """How many were sent, and counted by Redis."""

    async def pour(self, fields: Iterable[tuple[str, bytes]]) -> None:
        """Send fields, to be deleted where a value is empty; the last of them may wait for the next ones, or
        for `flush`. Raises CacheError."""
        for field, value in fields:
            self._pending[field] = value
            self._bytes += len(value) + _FIELD_BYTES
            if self._bytes >= _BATCH_BYTES:
                await self.flush()

    async def flush(self) -> None:
        """Send what still waits. Raises CacheError, also if an earlier batch is no longer there."""
        if not self._pending:
            return
        pending, self._pending, self._bytes = self._pending, {}, 0
        fields: Mapping[EncodableT, EncodableT] = {name: value for name, value in pending.items() if value}
        gone = [name for name, value in pending.items() if not value]
        async with bounded(self._timeout):
            if self._lifetime is not None and not self.batches:
                # In a message of its own, which goes out whole: whenever we die, the hash has its end.
                begin: Any = self._client.pipeline(transaction=False)
                begin.hset(self._key, self.counter, 0)
                begin.expire(self._key, self._lifetime)
                await begin.execute()
            pipeline: Any = self._client.pipeline(transaction=False)
            if gone:
                pipeline.hdel(self._key, *gone)
            if fields:
                pipeline.hset(self._key, mapping=fields)
            pipeline.hincrby(self._key, self.counter, 1)
            if self._lifetime is not None:
                pipeline.expire(self._key, self._lifetime)
            counted = (await pipeline.execute())[bool(gone) + bool(fields)]
        self.batches += 1
        if counted != self.batches:
            raise lost()


def lost() -> CacheError:
    """The error for a load of which something is gone."""
    return CacheError(
        "a part of what was loaded is gone again", remedy="was Redis restarted, or is it too small?"
    )


class Loader:
    """Loads generations of registry lists into the live hash, beside those that are in force."""

    def __init__(self, client: Client, key: str, *, timeout: float) -> None:
        self._client = client
        self._key = key
        self._timeout = timeout
        self._loaded = Script(_LOADED)

    async def load(self, database: str, key: str, chunks: Blocks) -> int:
        """Load all blocks of the generation that has this key and then mark it as loaded; how many blocks it
        has.

        It may be done twice, or by two at once. Raises CacheCold if there are no lists of this database
        (Mark.database) beside which to load (whoever rebuilds them loads everything), and CacheError if Redis
        fails or lost a part.
        """
        await self._check_head(database)
        counter = codec.counter_field(key, secrets.token_hex(8))
        pouring = Pouring(self._client, self._key, counter, timeout=self._timeout)
        blocks = 0
        async for chunk in each(chunks):
            blocks += len(chunk)
            await pouring.pour((codec.block_field(key, block), data) for block, data in chunk)
        await pouring.flush()
        values: list[EncodableT] = [counter, pouring.batches, codec.loaded_field(key), blocks]
        async with bounded(self._timeout):
            done = await self._loaded.run(self._client, [self._key], values)
        if done != 1:
            raise lost()
        return blocks

    async def _check_head(self, database: str) -> None:
        async with bounded(self._timeout):
            head: Any = await self._client.hget(self._key, codec.HEAD)
        if head is None:
            raise CacheCold("no lists are there")
        try:
            of = codec.decode_head(head).mark.database
        except codec.Undecodable as error:
            raise CacheCold(f"the lists cannot be read: {error}") from error
        if of != database:
            raise CacheCold("the lists are of another database")


class Build:
    """A hash that is being built beside the live one."""

    def __init__(self, client: Client, key: str, *, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        # In a cluster the two must be in the same slot: that of what is between the braces.
        name = key if "{" in key else f"{{{key}}}"
        self.key = f"{name}:build:{secrets.token_hex(8)}"
        counter = codec.counter_field("build", secrets.token_hex(8))
        self.pouring = Pouring(client, self.key, counter, timeout=timeout, lifetime=_BUILD_SECONDS)

    async def add(self, words: Mapping[str, tuple[Word, ...]]) -> None:
        """Put the words of some numbers and patterns, or that there are none, in place of those that they
        had. Raises CacheError."""
        await self.pouring.pour(
            (codec.number_field(number), codec.encode_words(of_number) if of_number else b"")
            for number, of_number in words.items()
        )

    async def add_blocks(self, key: str, chunk: Sequence[tuple[int, bytes]]) -> None:
        """Add blocks of the generation that has this key. Raises CacheError."""
        await self.pouring.pour((codec.block_field(key, block), data) for block, data in chunk)

    async def add_loaded(self, key: str, blocks: int) -> None:
        """Add that all of a generation's blocks were added. Raises CacheError."""
        await self.pouring.pour([(codec.loaded_field(key), b"%d" % blocks)])

    async def discard(self) -> None:
        """Throw it away. Raises CacheError."""
        async with bounded(self._timeout):
            await self._client.unlink(self.key)


async def each(chunks: Blocks) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
    """The chunks of either kind of iterable."""
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
