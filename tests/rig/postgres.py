"""A real PostgreSQL on a unix socket, in a folder of its own."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.rig.process import Process
from tests.rig.waiting import wait_for


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    program = str(found[-1]) if found else shutil.which("postgres")
    if program is None:
        raise AssertionError("PostgreSQL's server is not installed")
    return Path(program).parent


class PostgresServer:
    """Starts at once; databases are made one a test. It may be stopped and started again.

    `options` are more of its command line's, such as ("-c", "fsync=on"): else a power failure may damage it.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self.folder = Path(tempfile.mkdtemp(prefix="callguard-postgres-"))
        # PostgreSQL does not run as root.
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._as_user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self._data = self.folder / "data"
        subprocess.run(
            ["setpriv", *self._as_user, _programs() / "initdb", "--auth=trust", "--username=callguard",
             "--encoding=UTF8", "--locale=C", "--no-sync", "-D", self._data],
            check=True, capture_output=True, cwd=self.folder,
        )  # fmt: skip
        self.process = self._start()

    def _start(self) -> Process:
        # QUIT, should the test process die: PostgreSQL then ends at once with all its children.
        command = ["setpriv", *self._as_user, "--pdeathsig", "QUIT", str(_programs() / "postgres"),
                   "-D", str(self._data), "-k", str(self.folder), "-c", "listen_addresses=",
                   "-c", "fsync=off", "-c", "max_connections=200", *self._options]  # fmt: skip
        process = Process(command, self.folder / "postgres.log", cwd=self.folder)
        wait_for("PostgreSQL to answer", lambda: self._answers(process), seconds=60)
        return process

    def _answers(self, process: Process) -> bool:
        if not process.running:
            raise AssertionError(f"PostgreSQL ended:\n{process.tail()}")
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgresql://callguard@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Make an empty database; its URL."""
        name = f"t{secrets.token_hex(6)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def stop(self) -> None:
        """End it at once, as a crash would, with all connections."""
        self.process.signal(signal.SIGQUIT)
        self.process.wait(30)

    def start(self) -> None:
        """Start it again, with everything that was committed."""
        self.process = self._start()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)
