"""A callguard of its own for a benchmark."""

import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.rig.postgres import PostgresServer
from tests.rig.redis import RedisServer

CALLGUARD = Path(sys.executable).with_name("callguard")
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended well."""

    seconds: float
    peak: int
    """Bytes of resident memory at most."""
    output: str


class Site:
    """A callguard of its own: a state folder, SQLite in it or a PostgreSQL, and a redis-server."""

    def __init__(self, folder: Path, *, postgresql: bool = False) -> None:
        self.redis = RedisServer(folder)
        self.postgresql = PostgresServer("-c", "fsync=on") if postgresql else None
        self.sql_url = self.postgresql.new_database() if self.postgresql else ""
        self.environ = {
            **os.environ,
            "CALLGUARD_STATE": str(folder / "state"),
            "CALLGUARD_REDIS__URL": self.redis.url,
            "CALLGUARD_SQL__URL": self.sql_url,
            "CALLGUARD_CONFIG": "",
        }
        self.database = folder / "state" / "callguard.sqlite"

    def run(self, *arguments: str) -> Ended:
        """Run a callguard command. Raises AssertionError, with what it wrote, if it fails."""
        begun = time.monotonic()
        process = subprocess.Popen(
            [CALLGUARD, *arguments], env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            raise AssertionError(f"callguard {' '.join(arguments)}:\n{output}")
        return Ended(time.monotonic() - begun, usage.ru_maxrss * 1024, output)

    def redis_bytes(self) -> int:
        with self.redis.client() as client:
            return int(client.info("memory")["used_memory"])

    def sql_bytes(self) -> int:
        if self.sql_url:
            with psycopg.connect(self.sql_url) as postgresql:
                row = postgresql.execute("SELECT pg_database_size(current_database())").fetchone()
            assert row is not None
            return int(row[0])
        with sqlite3.connect(self.database) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)

    def close(self) -> None:
        self.redis.stop()
        if self.postgresql is not None:
            self.postgresql.close()
