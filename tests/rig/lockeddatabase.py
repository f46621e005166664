"""A database that hangs."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked_database(state: Path) -> Iterator[None]:
    """Nobody else can write to the guard's SQLite meanwhile: no decision and no outcome can be recorded."""
    [file] = [path for path in state.rglob("*") if path.suffix in {".db", ".sqlite", ".sqlite3"}]
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()
