"""The Nth attempt is placed and the next is not, whoever dials at once and whatever becomes of Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from redis.crc import key_slot

from callguard.attempts.sql import PROMISE
from callguard.config import RedisSettings, SqlSettings
from callguard.control.model import Result
from callguard.database import migrate, open_engine
from callguard.journal.tables import attempts as promised_in_sql
from callguard.screening.model import Decision, Reason, Verdict
from callguard.screening.rules import Rules
from tests.rig.cluster import RedisCluster
from tests.rig.desk import NUMBER, START, Desk
from tests.rig.postgres import PostgresServer
from tests.rig.redis import RedisServer
from tests.rig.rules import rules

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
KEY = f"{{{RedisSettings().key}}}:attempts:{NUMBER}"


def limited(most: int = 3, per: str = "", counts: str = "dials") -> Rules:
    """At most so many attempts for marketing and surveys in a day."""
    return rules(
        over=f"""
        [rule.attempts]
        kind = "attempts"
        purposes = ["marketing", "survey"]
        most = {most}
        hours = 24
        per = [{per}]
        counts = "{counts}"
        source = "test"
        """
    )


@pytest.fixture
def redis(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A Redis of this test's own, to be ill-treated."""
    return start_redis()


@pytest.fixture
async def open_desk(engine: sa.Engine, redis: RedisServer) -> AsyncIterator[Callable[..., Desk]]:
    """Another guard on the same database and Redis."""
    async with AsyncExitStack() as stack:

        def open_one(told: Rules, **options: bool) -> Desk:
            desk = Desk(engine, RedisSettings(url=redis.url, timeout=1.0), told, **options)
            stack.push_async_exit(desk)
            return desk

        yield open_one


def in_sql(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(promised_in_sql)).scalar_one()


def in_redis(redis: RedisServer) -> int:
    """How many promises there are for the number."""
    with redis.client() as client:
        return len(client.hgetall(KEY).keys() - {b"v"})


# --- the Nth attempt ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("redis_answers", [True, False])
async def test_the_period_rolls_and_an_attempt_is_free_when_the_first_has_left_it(
    open_desk: Callable[..., Desk], redis_answers: bool
) -> None:
    desk = open_desk(limited(), redis_answers=redis_answers)
    hours = (0, 10, 20)
    assert [await desk.call(START + timedelta(hours=hour)) for hour in hours] == [True, True, True]
    assert not await desk.call(START + timedelta(hours=20))
    assert not await desk.call(START + DAY - INSTANT)
    assert await desk.call(START + DAY)
    assert not await desk.call(START + timedelta(hours=34) - INSTANT)
    assert await desk.call(START + timedelta(hours=34))


@pytest.mark.parametrize(
    ("per", "other", "free"),
    [
        ("", {"project": "shop"}, False),
        ("", {"subject": "debt 2"}, False),
        ("", {"purpose": "survey"}, False),
        ("", {"purpose": "collection"}, True),
        ("", {"number": "+6281200000002"}, True),
        ('"project"', {"project": "shop"}, True),
        ('"project"', {"project": None}, True),
        ('"project"', {"purpose": "survey"}, False),
        ('"purpose"', {"purpose": "survey"}, True),
        ('"subject"', {"subject": "debt 2"}, True),
        ('"subject"', {"project": "shop"}, False),
        ('"project", "subject"', {"project": "shop"}, True),
    ],
)
async def test_what_calls_have_in_common_that_count_together_is_as_the_rule_says(
    open_desk: Callable[..., Desk], per: str, other: dict[str, str | None], free: bool
) -> None:
    desk = open_desk(limited(2, per))
    call: dict[str, Any] = {"project": "bank", "purpose": "marketing", "subject": "debt 1"}
    assert await desk.call(**call)
    assert await desk.call(**call)
    assert not await desk.call(**call)
    assert await desk.call(**call | other) is free


async def test_where_answered_calls_count_one_that_nobody_took_is_free_again_once_that_is_known(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk(limited(1, counts="answered"))
    first = await desk.decide()
    desk.record(first)
    assert not await desk.call(), "nobody knows yet"
    desk.ended(first, Result.BUSY)
    second = await desk.decide(START + SECOND)
    desk.record(second)
    assert second.verdict is Verdict.ALLOW
    desk.ended(second, Result.ANSWERED)
    assert not await desk.call(START + 2 * SECOND)


# --- at once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("redis_answers", [True, False])
async def test_of_a_hundred_calls_at_once_on_two_guards_exactly_so_many_are_placed_as_may_be(
    engine: sa.Engine, redis: RedisServer, open_desk: Callable[..., Desk], redis_answers: bool
) -> None:
    desks = [open_desk(limited(3), redis_answers=redis_answers) for _ in range(2)]
    decisions = await asyncio.gather(*(desks[n % 2].decide(START + n * SECOND) for n in range(100)))
    assert [decision.verdict for decision in decisions].count(Verdict.ALLOW) == 3
    assert {decision.reason for decision in decisions} == {Reason.NOT_LISTED, Reason.ATTEMPTS}
    assert (in_redis(redis), in_sql(engine)) == ((3, 0) if redis_answers else (0, 3))


@pytest.mark.parametrize("redis_answers", [True, False])
async def test_calls_at_once_to_a_number_that_has_attempts_left_are_all_placed(
    open_desk: Callable[..., Desk], redis_answers: bool
) -> None:
    desks = [open_desk(limited(1000), redis_answers=redis_answers) for _ in range(2)]
    decisions = await asyncio.gather(*(desks[n % 2].decide() for n in range(20)))
    assert {decision.verdict for decision in decisions} == {Verdict.ALLOW}


async def test_calls_at_once_to_different_numbers_do_not_wait_for_each_other(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk(limited(1))
    numbers = [f"+62812000001{number:02}" for number in range(50)]
    decisions = await asyncio.gather(*(desk.decide(number=number) for number in numbers))
    assert {decision.verdict for decision in decisions} == {Verdict.ALLOW}


async def test_a_guard_that_has_lost_redis_and_one_that_has_not_count_each_others_attempts(
    open_desk: Callable[..., Desk],
) -> None:
    with_redis, without = open_desk(limited(2)), open_desk(limited(2), redis_answers=False)
    first = await with_redis.decide()
    with_redis.record(first)
    assert (await without.decide(START + SECOND)).verdict is Verdict.ALLOW
    # That one is promised in SQL, and its decision not yet in the journal.
    assert (await with_redis.decide(START + 2 * SECOND)).reason is Reason.ATTEMPTS
    assert (await without.decide(START + 2 * SECOND)).reason is Reason.ATTEMPTS


# --- Redis is lost ------------------------------------------------------------------------------------------


async def test_a_redis_that_is_emptied_takes_no_attempt_back(
    redis: RedisServer, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(limited(2))
    assert await desk.call()
    with redis.client() as client:
        client.flushall()
    assert await desk.call()
    assert not await desk.call()


async def test_a_redis_that_comes_back_with_an_old_snapshot_takes_no_attempt_back(
    redis: RedisServer, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(limited(3))
    assert await desk.call()
    redis.dump()
    assert await desk.call()
    redis.stop()
    assert await desk.call()
    redis.start()
    assert not await desk.call()


async def test_an_emptied_redis_between_count_and_promise_has_the_call_count_again(
    redis: RedisServer, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(limited(1))
    pending = await desk.decide()
    seen = await desk.attempts.of(NUMBER, "another", START, DAY)
    with redis.client() as client:
        client.flushall()
    (attempt,) = seen.attempts
    assert not await desk.attempts.reserve(NUMBER, seen, "another", attempt)
    desk.record(pending)
    assert len((await desk.attempts.of(NUMBER, "another", START, DAY)).attempts) == 1


async def test_a_redis_that_is_lost_between_count_and_promise_has_the_attempt_promised_in_sql(
    engine: sa.Engine, redis: RedisServer, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(limited(1))
    pending = await desk.decide()
    desk.record(pending)
    seen = await desk.attempts.of(NUMBER, "another", START, DAY)
    redis.stop()
    (attempt,) = seen.attempts
    assert await desk.attempts.reserve(NUMBER, seen, "another", attempt)
    assert in_sql(engine) == 1
    assert len((await desk.attempts.of(NUMBER, "a third", START, DAY)).attempts) == 2


async def test_a_redis_that_hangs_after_the_count_lets_exactly_so_many_through_as_may_be(
    redis: RedisServer, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(limited(2)) for _ in range(2)]
    seen = [await desk.attempts.of(NUMBER, f"call {n}", START, DAY) for n, desk in enumerate(desks)]
    redis.hang()
    decisions = await asyncio.gather(*(desks[n % 2].decide(START + n * SECOND) for n in range(10)))
    redis.resume()
    assert [decision.verdict for decision in decisions].count(Verdict.ALLOW) == 2
    # What was counted before is overtaken, in Redis and in SQL.
    attempt = (await desks[0].attempts.of(NUMBER, "call 0", START, DAY)).attempts[0]
    desks[0].redis_answers = False
    assert not await desks[0].attempts.reserve(NUMBER, seen[0], "call 0", attempt)


async def test_a_promise_that_redis_made_without_answering_is_the_same_one_in_sql(
    engine: sa.Engine, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(limited(2))
    placed = await desk.decide()
    attempt = (await desk.attempts.of(NUMBER, "another", START, DAY)).attempts[0]
    seen = await desk.attempts.of(NUMBER, placed.id, START, DAY)
    desk.redis_answers = False
    assert await desk.attempts.reserve(NUMBER, seen, placed.id, attempt)
    assert in_sql(engine) == 1
    desk.redis_answers = True
    assert len((await desk.attempts.of(NUMBER, "another", START, DAY)).attempts) == 1


async def test_promises_that_cannot_be_read_are_never_taken_for_none(
    engine: sa.Engine, redis: RedisServer, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(limited(1))
    with redis.client() as client:
        client.hset(KEY, "someone", "gibberish")
    assert await desk.call()
    assert in_sql(engine) == 1
    assert not await desk.call()


# --- a guard dies, a call is not placed ---------------------------------------------------------------------


@pytest.mark.parametrize("redis_answers", [True, False])
async def test_an_attempt_that_a_dead_guard_promised_counts_for_minutes_alone(
    open_desk: Callable[..., Desk], redis_answers: bool
) -> None:
    desk = open_desk(limited(1), redis_answers=redis_answers)
    dead = await desk.decide()
    assert dead.verdict is Verdict.ALLOW
    assert not await desk.call(START + PROMISE - INSTANT)
    assert await desk.call(START + PROMISE)


@pytest.mark.parametrize("redis_answers", [True, False])
async def test_the_attempt_of_a_call_that_is_not_placed_after_all_is_free_at_once(
    open_desk: Callable[..., Desk], redis_answers: bool
) -> None:
    desk = open_desk(limited(1), redis_answers=redis_answers)
    given_up = await desk.decide()
    await desk.attempts.release(NUMBER, given_up.id)
    assert await desk.call()


async def test_giving_an_attempt_back_raises_nothing_when_nobody_can_take_it(
    redis: RedisServer, tmp_path: Path
) -> None:
    missing = sa.create_engine(f"sqlite:///{tmp_path}/missing/callguard.sqlite")
    async with Desk(missing, RedisSettings(url=redis.url, timeout=1.0), limited()) as desk:
        redis.stop()
        await desk.attempts.release(NUMBER, "a decision")


async def test_promises_that_the_journal_has_made_good_leave_redis(
    redis: RedisServer, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(limited(1000))
    for second in range(30):
        assert await desk.call(START + second * SECOND)
    assert in_redis(redis) == 1
    with redis.client() as client:
        assert 0 < client.pttl(KEY) <= PROMISE / timedelta(milliseconds=1)


# --- SQL is lost --------------------------------------------------------------------------------------------


async def test_without_sql_attempts_are_not_counted_and_the_failure_policy_decides(
    postgres_server: PostgresServer, redis: RedisServer, tmp_path: Path
) -> None:
    engine = open_engine(SqlSettings(url=postgres_server.new_database()), tmp_path)
    migrate(engine)
    async with Desk(engine, RedisSettings(url=redis.url, timeout=1.0), limited()) as desk:
        assert await desk.call()
        postgres_server.stop()
        try:
            decision = await desk.decide(START + SECOND)
        finally:
            postgres_server.start()
        assert (decision.verdict, decision.reason) == (Verdict.REFUSE, Reason.GUARD_UNAVAILABLE)
        assert (await desk.decide(START + 2 * SECOND)).verdict is Verdict.ALLOW
    engine.dispose()


# --- a cluster ----------------------------------------------------------------------------------------------


async def test_in_a_cluster_attempts_are_promised_on_the_node_that_has_the_lists(
    engine: sa.Engine, tmp_path: Path
) -> None:
    cluster = RedisCluster(tmp_path / "cluster")
    try:
        settings = RedisSettings(url=cluster.url, timeout=2.0)
        async with Desk(engine, settings, limited(1)) as desk:
            decisions: list[Decision] = await asyncio.gather(*(desk.decide() for _ in range(10)))
        assert [decision.verdict for decision in decisions].count(Verdict.ALLOW) == 1
        assert in_redis(cluster.home_of(settings.key)) == 1
        assert key_slot(KEY.encode()) == key_slot(settings.key.encode())
    finally:
        cluster.stop()
