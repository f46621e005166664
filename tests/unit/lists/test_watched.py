"""What a new generation would have meant for calls of the past, by call and not by number."""

import numpy as np

from callguard.lists.packing import pack
from callguard.lists.watched import Impact, Watched


def looked_for(calls: dict[int, int], listed: list[int], size: int) -> Watched:
    watched = Watched(calls, size)
    watched.look(pack(np.array(listed, dtype=np.uint64), size))
    return watched


def test_calls_that_would_now_be_listed_or_no_longer_are_counted() -> None:
    calls = {12125550100: 3, 12125550101: 1, 12125550102: 1, 13055550100: 2}
    before = looked_for(calls, [12125550100, 12125550101, 12125550999], 10_000)
    after = looked_for(calls, [12125550101, 12125550102, 13055550100], 65_536)
    assert before.blocks == [1212555, 1305555]
    assert after.since(before) == Impact(calls=7, newly_listed=3, no_longer_listed=3)
    assert after.since(None) == Impact(calls=7, newly_listed=4, no_longer_listed=0)
