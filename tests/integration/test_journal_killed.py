"""kill -9 at any moment loses no record of a decision that could have been acted on, and doubles none."""

import multiprocessing
import random
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from callguard.config import SqlSettings
from callguard.journal.reader import JournalReader, Query
from callguard.journal.tables import superseded
from callguard.journal.writer import SPOOL, JournalWriter
from tests.rig.journal_load import write_until_killed

pytestmark = pytest.mark.integration

ROUNDS = {"sqlite": 100, "postgresql": 30}


async def test_every_decision_acted_on_before_a_kill_is_in_the_journal_once(
    engine: sa.Engine, sql_settings: SqlSettings, tmp_path: Path
) -> None:
    moments = random.Random(20261121)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.rig.journal_load"])
    acted_on: list[str] = []
    for _ in range(ROUNDS[engine.dialect.name]):
        ours, theirs = processes.Pipe(duplex=False)
        process = processes.Process(target=write_until_killed, args=(sql_settings, tmp_path, theirs))
        process.start()
        theirs.close()
        assert ours.recv_bytes() == b"ready"
        acted_on.extend(ours.recv_bytes().decode() for _ in range(moments.randrange(200)))
        process.kill()
        try:
            while True:
                acted_on.append(ours.recv_bytes().decode())
        except (EOFError, OSError):
            # The last one may have been cut off: nobody can have acted on that.
            ours.close()
        process.join(10)
        process.close()
    async with JournalWriter(engine, tmp_path / SPOOL, 30) as writer:
        await writer.open_decisions("pbx", "callguard")
    found = Counter(logged.decision.id for logged in JournalReader(engine).newest_first(Query()))
    assert len(acted_on) > 1000
    assert not set(acted_on) - set(found)
    assert set(found.values()) == {1}
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(superseded)).scalar_one() == 0
    assert (tmp_path / SPOOL).stat().st_size == 0
