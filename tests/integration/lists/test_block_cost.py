"""What packing takes a block to cost in Redis is what a real Redis takes for it."""

import numpy as np
import pytest

from callguard.lists.codec import block_field
from callguard.lists.packing import Numbers, pack, redis_cost
from tests.rig.redis import RedisServer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("size", "each", "blocks"),
    [
        (10_000, 1, 20_000),
        (10_000, 150, 20_000),
        (10_000, 900, 20_000),
        (65_536, 5_000, 1_000),
        (1_000_000, 2_000, 1_000),
        (1_000_000, 50_000, 60),
    ],
)
def test_a_block_costs_redis_what_is_reckoned(redis: RedisServer, size: int, each: int, blocks: int) -> None:
    numbers = evenly(size, each, blocks)
    with redis.client() as client:
        before = client.info("memory")["used_memory"]
        for block, data in pack(numbers, size):
            client.hset("lists", block_field("12-1f00c0de", block), data)
        taken = client.info("memory")["used_memory"] - before
    assert redis_cost(numbers, size) == pytest.approx(taken, rel=0.15)


def evenly(size: int, each: int, blocks: int) -> Numbers:
    offsets = np.arange(each, dtype=np.uint64) * np.uint64(size // each)
    firsts = (np.arange(blocks, dtype=np.uint64) + np.uint64(12_010_000_000 // size)) * np.uint64(size)
    return np.asarray(np.add.outer(firsts, offsets).ravel(), dtype=np.uint64)
