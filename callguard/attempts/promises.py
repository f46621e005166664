"""Promised attempts in Redis: those of calls whose decisions are on their way into the journal.

A hash for each number, in the same slot of a cluster as the lists: decision id -> the attempt as JSON, and
`v`, the decision that was promised last. A promise is made in one step with the comparison of `v`, so that of
two calls that have seen the same attempts one is promised and the other has to look again. The hash expires
with its last promise: everything older is in the journal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from callguard.attempts.sql import PROMISE, Counted
from callguard.database import from_microseconds, microseconds
from callguard.errors import CacheError
from callguard.lists.connection import Client, Script, bounded
from callguard.screening.model import Attempt

_VERSION = b"v"
_MOST_DROPPED = 1000
"""Fields removed with one promise: a script's call takes some thousand arguments."""

_PROMISE = """
if (redis.call('HGET', KEYS[1], 'v') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3], 'v', ARGV[2])
if #ARGV > 4 then redis.call('HDEL', KEYS[1], unpack(ARGV, 5)) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
"""KEYS: hash. ARGV: `v` as found (empty for none), decision id, attempt, lifetime in milliseconds, and the
fields that are of no use any more."""


@dataclass(frozen=True, slots=True)
class Promised:
    """The promises for a number, as they were at one instant."""

    version: bytes
    attempts: tuple[Counted, ...]


class Promises:
    """The hashes of one Redis. Every failure is a CacheError, within `timeout` seconds."""

    def __init__(self, client: Client, *, key: str, timeout: float) -> None:
        """`key` is that of the hash of lists."""
        self._client = client
        self._timeout = timeout
        self._prefix = f"{key if '{' in key else f'{{{key}}}'}:attempts:"
        self._promise = Script(_PROMISE)

    async def of(self, number: str) -> Promised:
        """What is promised for a number (E.164)."""
        async with bounded(self._timeout):
            fields: Any = await self._client.hgetall(self._prefix + number)
            if not isinstance(fields, Mapping):
                raise CacheError(f"an answer that is none of Redis: {fields!r:.40}")
            read = tuple(_counted(name, value) for name, value in fields.items() if name != _VERSION)
            return Promised(fields.get(_VERSION, b""), read)

    async def promise(self, number: str, new: Counted, version: bytes, useless: Iterable[str]) -> bool:
        """Promise an attempt, unless another was promised since `version`: then the answer is False.

        `useless` are promises of which the journal has the decisions, or that nobody will keep. After a
        CacheError it may have been promised all the same.
        """
        dropped = list(useless)[:_MOST_DROPPED]
        lifetime = int(PROMISE.total_seconds() * 1000)
        async with bounded(self._timeout):
            done = await self._promise.run(
                self._client,
                [self._prefix + number],
                [version, new.id, _value(new.attempt), lifetime, *dropped],
            )
            return int(done) == 1

    async def release(self, number: str, decision_id: str) -> None:
        """Forget a promise, if there is one."""
        async with bounded(self._timeout):
            await self._client.hdel(self._prefix + number, decision_id)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _value(attempt: Attempt) -> bytes:
    return orjson.dumps([microseconds(attempt.at), attempt.project, attempt.purpose, attempt.subject])


def _counted(name: bytes, value: bytes) -> Counted:
    """Raises what `bounded` turns into CacheError: a promise that cannot be read is never taken for none."""
    at, project, purpose, subject = orjson.loads(value)
    return Counted(name.decode(), Attempt(from_microseconds(at), project, purpose, subject, None))
