"""Windows for calling back, as the lists have them in SQL and in Redis."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from callguard.config import RedisSettings
from callguard.control.inbound import SOURCE, CloseWindow, OpenWindow
from callguard.errors import InputError
from callguard.lists.cache import ListCache
from callguard.lists.callbacks import CallbackWriter
from callguard.lists.connection import connect
from callguard.lists.model import NewExemption
from callguard.lists.store import ListStore
from callguard.lists.sync import Synchroniser
from callguard.lists.threads import SqlThreads
from callguard.lists.writer import ListWriter
from callguard.screening.model import Exemption, ExemptionKind

pytestmark = pytest.mark.integration

NUMBER = "+6281234567890"
AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def window(hours: float = 0, project: str | None = "bank") -> OpenWindow:
    at = AT + timedelta(hours=hours)
    return OpenWindow(
        NUMBER, project, "inbound call, abandoned after 9 s", f"in{hours}", at, at + timedelta(hours=72)
    )


async def write(
    engine: sa.Engine, redis: RedisSettings, folder: Path, *windows: OpenWindow | CloseWindow
) -> tuple[tuple[Exemption, ...], tuple[Exemption, ...]]:
    """Write windows one after the other; the number's exemptions in SQL and in Redis then."""
    store = ListStore(engine)
    cache = ListCache(connect(redis, folder), key=redis.key, timeout=redis.timeout)
    threads = SqlThreads(timeout=5)
    try:
        await Synchroniser(store, cache, threads).rebuild()
        writer = CallbackWriter(store, ListWriter(store, cache, threads, embedded=False))
        for one in windows:
            await writer.write(one)
        _, in_redis = await cache.lookup(NUMBER)
        return (await asyncio.to_thread(store.lookup, NUMBER)).exemptions, in_redis.exemptions
    finally:
        threads.close()
        await cache.close()


async def test_a_window_is_an_exemption_with_its_evidence_in_sql_and_redis(
    engine: sa.Engine, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    in_sql, in_redis = await write(engine, redis_settings, tmp_path, window())
    assert in_sql == in_redis
    (one,) = in_sql
    assert (one.kind, one.project, one.purposes, one.source) == (ExemptionKind.CALLBACK, "bank", (), SOURCE)
    assert (one.evidence, one.reference) == ("inbound call, abandoned after 9 s", "in0")
    assert (one.starts_at, one.expires_at) == (AT, AT + timedelta(hours=72))


async def test_a_later_call_prolongs_the_one_window_of_its_project(
    engine: sa.Engine, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    in_sql, in_redis = await write(
        engine, redis_settings, tmp_path, window(), window(project=None), window(1), window(1.1)
    )
    assert in_sql == in_redis
    assert [(one.project, one.starts_at) for one in in_sql] == [(None, AT), ("bank", AT + timedelta(hours=1))]


async def test_an_answered_call_closes_only_what_inbound_calls_opened(
    engine: sa.Engine, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    ticket = NewExemption(
        number=NUMBER,
        kind=ExemptionKind.CALLBACK,
        evidence="asked to be called back",
        added_by="sari",
        starts_at=AT,
        expires_at=AT + timedelta(days=3),
        project="bank",
    )
    ListStore(engine).add_exemption(ticket)
    close = CloseWindow(NUMBER, "bank", "inbound call in9 answered")
    in_sql, in_redis = await write(engine, redis_settings, tmp_path, window(), close, close)
    assert in_sql == in_redis
    assert [one.evidence for one in in_sql] == ["asked to be called back"]


async def test_a_project_too_long_for_the_lists_opens_nothing(
    engine: sa.Engine, redis_settings: RedisSettings, tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        await write(engine, redis_settings, tmp_path, window(project="x" * 128))
    assert ListStore(engine).lookup(NUMBER).exemptions == ()
