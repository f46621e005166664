"""The blocks of registry lists in SQL. All of it blocks, and raises SqlError.

Every write is a transaction of its own that is over in milliseconds, for decisions are written to the same
database meanwhile.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

import sqlalchemy as sa

from callguard.database import bulk_write, snapshot
from callguard.lists.tables import blocks

_CHUNK_BYTES = 2_000_000
"""What `chunks` reads at a time, about: blocks have from 3 bytes to 125,001."""
_ROWS = 400
"""Rows of one statement on SQLite. Its client lets other threads run after each statement, and gets its turn
back only when they have had theirs, while the lock is held."""


class BlockStore:
    """The blocks of all contents in one database. A content is what generations have in common of which one
    repeats the other."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def add_blocks(self, generation: int, rows: Sequence[tuple[int, bytes]]) -> None:
        """Add blocks to a generation that is loading, in one transaction: a megabyte or so."""
        values = [(generation, block, data) for block, data in rows]
        with bulk_write(self.engine) as connection:
            if self.engine.dialect.name != "postgresql":
                for first in range(0, len(values), _ROWS):
                    some = values[first : first + _ROWS]
                    places = ", ".join(["(?, ?, ?)"] * len(some))
                    connection.exec_driver_sql(
                        f"INSERT INTO blocks (content, block, data) VALUES {places}",  # noqa: S608
                        tuple(chain.from_iterable(some)),
                    )
                return
            cursor = connection.connection.cursor()
            with cursor.copy("COPY blocks (content, block, data) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int8", "int8", "bytea"])
                for value in values:
                    copy.write_row(value)

    def chunks(
        self, content: int, limit: int = 2000, *, start: int = 0, stop: int | None = None
    ) -> Iterator[Sequence[tuple[int, bytes]]]:
        """The blocks of a content in rising order, from block `start` to before `stop`; `limit` at a time at
        most, and fewer where they are long. Each chunk is read in a snapshot of its own, so that nothing is
        held up."""
        some, after = min(limit, 16), start - 1
        while True:
            wanted = [blocks.c.content == content, blocks.c.block > after]
            if stop is not None:
                wanted.append(blocks.c.block < stop)
            statement = sa.select(blocks.c.block, blocks.c.data).where(*wanted).order_by(blocks.c.block)
            with snapshot(self.engine) as connection:
                rows = [(block, bytes(data)) for block, data in connection.execute(statement.limit(some))]
            if rows:
                yield rows
            if len(rows) < some:
                return
            after = rows[-1][0]
            average = sum(len(data) for _, data in rows) // len(rows) + 1
            some = max(1, min(limit, 4 * some, _CHUNK_BYTES // average))

    def some_blocks(self, content: int, wanted: Sequence[int]) -> list[tuple[int, bytes]]:
        """Those blocks of a content that are named and exist, in rising order; a few hundred at most."""
        statement = (
            sa.select(blocks.c.block, blocks.c.data)
            .where(blocks.c.content == content, blocks.c.block.in_(wanted))
            .order_by(blocks.c.block)
        )
        with snapshot(self.engine) as connection:
            return [(block, bytes(data)) for block, data in connection.execute(statement)]

    def delete_blocks(self, content: int, limit: int = 1000) -> bool:
        """Delete up to `limit` blocks of a content, in one transaction; False if there were none."""
        some = (
            sa.select(blocks.c.block)
            .where(blocks.c.content == content)
            .order_by(blocks.c.block)
            .limit(limit)
            .subquery()
        )
        last = sa.select(sa.func.max(some.c.block)).scalar_subquery()
        with bulk_write(self.engine) as connection:
            deleted = connection.execute(
                blocks.delete().where(blocks.c.content == content, blocks.c.block <= last)
            )
            return deleted.rowcount > 0
