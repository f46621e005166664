"""Lists over a real database of each kind, and a real Redis."""

from collections.abc import AsyncIterator, Callable

import pytest
import sqlalchemy as sa

from callguard.config import RedisSettings
from callguard.lists.store import ListStore
from tests.rig.lists import Lists
from tests.rig.redis import RedisServer


@pytest.fixture
def store(engine: sa.Engine) -> ListStore:
    return ListStore(engine)


@pytest.fixture
async def lists(engine: sa.Engine, redis_settings: RedisSettings) -> AsyncIterator[Lists]:
    """Lists on the session's Redis, emptied; nothing runs in the background yet."""
    lists = Lists(engine, redis_settings)
    yield lists
    await lists.close()


@pytest.fixture
def redis(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A Redis of this test's own, to be ill-treated."""
    return start_redis()


@pytest.fixture
async def guarded(engine: sa.Engine, redis: RedisServer) -> AsyncIterator[Lists]:
    """Running lists on the test's own Redis, warm, with one listed number: LISTED of the tests."""
    lists = Lists(engine, RedisSettings(url=redis.url, timeout=0.5))
    await lists.add("+6281200000001")
    async with lists.running():
        await lists.warm()
        yield lists
    await lists.close()
