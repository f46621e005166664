"""A process that writes decisions as fast as it can, and tells each that it could have acted on."""

import asyncio
import contextlib
import secrets
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from callguard.config import SqlSettings
from callguard.database import open_engine
from callguard.journal.writer import SPOOL, JournalWriter
from tests.rig.decisions import a_decision, an_outcome

WRITERS = 8
SPOOLED_ONE_IN = 10
"""Every so many decisions one goes the way of those that the database did not take."""


def write_until_killed(settings: SqlSettings, state: Path, told: Connection) -> None:
    """Send `ready`, then the id of every decision that is durable. Ends when killed."""
    asyncio.run(_write(settings, state, told))


async def _write(settings: SqlSettings, state: Path, told: Connection) -> None:
    engine = open_engine(settings, state)
    async with JournalWriter(engine, state / SPOOL, 10.0) as writer:
        told.send_bytes(b"ready")

        async def one_after_the_other() -> None:
            while True:
                decision = a_decision(at=datetime.now(UTC))
                if secrets.randbelow(SPOOLED_ONE_IN):
                    await writer.record(decision)
                else:
                    writer.spool(decision)
                told.send_bytes(decision.id.encode())
                writer.outcome(an_outcome(decision))

        with contextlib.suppress(BrokenPipeError):
            await asyncio.gather(*(one_after_the_other() for _ in range(WRITERS)))
