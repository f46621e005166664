"""The lists in Redis: the hash that codec.py draws, read in one command and changed only in one step.

Every command is bounded in time, and every failure is a CacheError. A change is made by a script that first
compares the head with the one that the change was made for: of several processes that keep the hash up to
date, one wins and the others look again. Each script writes the head last, so that a head never stands for
more than is there.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import redis.asyncio
import redis.exceptions
from redis.typing import EncodableT

from callguard.errors import CacheCold, CacheError, CacheEvicts
from callguard.lists import codec
from callguard.lists.model import Mark
from callguard.screening.model import Entry

MARKER = "building"
_BUILD_SECONDS = 60
"""A half-built hash goes by itself, so long after its builder died."""
_UP_REMEDY = "is Redis up, and redis.url right?"

_APPLY = """
if redis.call('HGET', KEYS[1], 'head') ~= ARGV[1] then return 0 end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('HSET', KEYS[1], 'head', ARGV[2])
return 1
"""
"""KEYS: hash. ARGV: head as found, new head, then field and value in turn; an empty value deletes."""

_SWAP = """
local head = redis.call('HGET', KEYS[1], 'head')
if (head or '') ~= ARGV[1] then redis.call('UNLINK', KEYS[2]) return 0 end
if redis.call('HDEL', KEYS[2], ARGV[3]) == 0 then redis.call('UNLINK', KEYS[2]) return 0 end
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[3]) end
redis.call('HSET', KEYS[2], 'head', ARGV[2])
redis.call('PERSIST', KEYS[2])
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('UNLINK', KEYS[3])
return 1
"""
"""KEYS: hash, built hash, where the old one goes. ARGV: head as found (empty for none), new head, marker.
The old one is moved aside and unlinked: RENAME over a large hash would free it while everyone waits."""


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    """Turn every failure, and the passing of so many seconds, into CacheError."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise CacheError(f"no answer in {seconds} s", remedy=_UP_REMEDY) from error
    except redis.exceptions.AuthenticationError as error:
        raise CacheError(
            str(error), remedy="correct the user in redis.url, or redis.password_file"
        ) from error
    except redis.exceptions.ConnectionError as error:
        raise CacheError(str(error), remedy=_UP_REMEDY) from error
    except redis.exceptions.OutOfMemoryError as error:
        raise CacheError(str(error), remedy="raise Redis's maxmemory") from error
    except redis.exceptions.RedisError as error:
        raise CacheError(str(error)) from error
    except OSError as error:
        raise CacheError(error.strerror or str(error), remedy=_UP_REMEDY) from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        # What the client raises on replies of something that only looks like Redis.
        raise CacheError(f"an answer that is none of Redis: {error}", remedy=_UP_REMEDY) from error


class CacheDamaged(CacheCold):
    """A field cannot be read: only a rebuild helps."""


class Build:
    """A hash that is being built beside the live one."""

    def __init__(self, client: redis.asyncio.Redis, key: str, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self.key = f"{key}:build:{secrets.token_hex(8)}"
        # The marker goes in first. A hash that is evicted half-built, and begun again by the next fields,
        # has none, and never goes live.
        self._fields: dict[EncodableT, EncodableT] = {MARKER: b"1"}

    async def add(self, entries: Mapping[str, tuple[Entry, ...]]) -> None:
        """Add the entries of some numbers. Raises CacheError."""
        for number, of_number in entries.items():
            self._fields[codec.number_field(number)] = codec.encode_entries(of_number)
        async with _bounded(self._timeout), self._client.pipeline() as pipeline:
            pipeline.hset(self.key, mapping=self._fields)
            pipeline.expire(self.key, _BUILD_SECONDS)
            await pipeline.execute()
        self._fields = {}

    async def discard(self) -> None:
        """Throw it away. Raises CacheError."""
        async with _bounded(self._timeout):
            await self._client.unlink(self.key)


class ListCache:
    """The hash of lists in one Redis."""

    def __init__(self, client: redis.asyncio.Redis, *, key: str, timeout: float) -> None:
        """`timeout`: seconds for one command, with its connection."""
        self._client = client
        self._key = key
        self._timeout = timeout
        self._apply = client.register_script(_APPLY)
        self._swap = client.register_script(_SWAP)

    async def lookup(self, number: str) -> tuple[Mark, tuple[Entry, ...]]:
        """The version of the lists and a number's entries (E.164), of one instant.

        Raises CacheCold if there is no head, CacheDamaged if a field cannot be read, and another CacheError
        if Redis fails.
        """
        fields = [codec.HEAD, codec.number_field(number)]
        async with _bounded(self._timeout):
            match await cast("Awaitable[object]", self._client.hmget(self._key, fields)):
                case [None, _]:
                    raise CacheCold("no lists are there")
                case [bytes() as head, (bytes() | None) as entries]:
                    pass
                case answer:
                    raise CacheError(f"an answer that is none of Redis: {answer!r:.40}", remedy=_UP_REMEDY)
        try:
            mark = codec.decode_head(head)
            return mark, () if entries is None else codec.decode_entries(number, entries)
        except codec.Undecodable as error:
            raise CacheDamaged(f"a field cannot be read: {error}") from error

    async def head(self) -> bytes | None:
        """The head as it is, to compare with later; None if there is none. Raises CacheError."""
        async with _bounded(self._timeout):
            return await cast("Awaitable[bytes | None]", self._client.hget(self._key, codec.HEAD))

    async def apply(self, found: bytes, mark: Mark, entries: Mapping[str, tuple[Entry, ...]]) -> bool:
        """Replace the entries of some numbers and put the head to `mark`, in one step.

        Does nothing and returns False if the head is no longer as it was found. Raises CacheError.
        """
        values: list[EncodableT] = [found, codec.encode_head(mark)]
        for number, of_number in entries.items():
            values += [codec.number_field(number), codec.encode_entries(of_number) if of_number else b""]
        async with _bounded(self._timeout):
            return bool(await self._apply(keys=[self._key], args=values))

    def build(self) -> Build:
        """Begin a new hash beside the live one."""
        return Build(self._client, self._key, self._timeout)

    async def swap(self, build: Build, found: bytes | None, mark: Mark) -> bool:
        """Make a built hash the live one, with the head `mark`, in one step.

        Throws the built one away and returns False if the live head is no longer as it was found, or if a
        part of the built one was lost. Raises CacheError.
        """
        keys = [self._key, build.key, f"{build.key}:old"]
        values: list[EncodableT] = [found or b"", codec.encode_head(mark), MARKER]
        async with _bounded(self._timeout):
            return bool(await self._swap(keys=keys, args=values))

    async def check_policy(self) -> None:
        """Raise CacheEvicts, saying what to set, if this Redis may throw lists away to make room for others.

        The guard would notice and ask SQL; but lists that vanish again and again are slow, and a sign that
        this Redis is too small.
        """
        async with _bounded(self._timeout):
            memory = await self._client.info("memory")
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if int(memory.get("maxmemory", 0)) > 0 and policy != "noeviction":
            raise CacheEvicts(
                f"it evicts keys (maxmemory-policy {policy})",
                remedy="set maxmemory-policy to noeviction, or give callguard a Redis of its own",
            )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
