"""The tables of the lists.

Of the internal lists rows are never deleted, and only `entries.removed_at` is ever updated. Of the registry
lists the rows of `registries` and `generations` are kept as history; the blocks of a generation go when it is
neither in force nor the one to roll back to.
"""

import sqlalchemy as sa

from callguard.database import PlainText, RowId, UtcTime, metadata

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("number", sa.String(16), nullable=False, index=True),
    sa.Column("category", sa.String(40), nullable=False),
    sa.Column("project", PlainText),
    sa.Column("reason", PlainText, nullable=False),
    sa.Column("source", PlainText, nullable=False),
    sa.Column("added_by", PlainText, nullable=False),
    sa.Column("added_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime),
    sa.Column("removed_at", UtcTime),
    sa.Column("shape", sa.String(8)),
    sa.Column("purposes", sa.Text, nullable=False, server_default=""),
    sa.Column("exemption", sa.String(16)),
    sa.Column("starts_at", UtcTime),
    sa.Column("reference", PlainText, nullable=False, server_default=""),
    sa.Column("once", sa.Boolean, nullable=False, server_default=sa.false()),
    sqlite_autoincrement=True,
)
"""Every entry and every exemption there ever was; in force are those with no `removed_at`, until they expire.
`shape` is that of a pattern (shape_text), and null for a plain number. `purposes` are words with a space
between them, none for those that the rules say.

An exemption has its kind in `exemption`, which is null for an entry: its evidence is in `reason`, and
`category` is empty. Both are in one table because both are words about a number, of which the latest counts:
they share the change log and the number's one field in Redis."""

sa.Index(
    "ix_entries_shape",
    entries.c.shape,
    sqlite_where=entries.c.shape.is_not(None),
    postgresql_where=entries.c.shape.is_not(None),
)

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("position", RowId, primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", PlainText, nullable=False),
    sa.Column("why", PlainText, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("entry", RowId, sa.ForeignKey("entries.id")),
    sa.Column("number", sa.String(16), index=True),
    sa.Column("registry", RowId, sa.ForeignKey("registries.id")),
    sa.Column("generation", RowId, sa.ForeignKey("generations.id")),
    sa.CheckConstraint("action IN ('add', 'remove', 'create', 'change', 'switch', 'drop')", name="action"),
    sqlite_autoincrement=True,
)
"""The change log, in the order of `position`: each write's row is in the write's own transaction.

A position is never used twice, and becomes visible only after all smaller ones (database.ordered_write);
a gap is an undone write. A row has an entry and its number, or a registry list, and with `switch` its
generation.
"""

registries = sa.Table(
    "registries",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("jurisdiction", sa.String(8), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("calling_code", sa.String(4), nullable=False),
    sa.Column("coverage", sa.Text, nullable=False),
    sa.Column("allowed_age_days", sa.Integer),
    sa.Column("layout", sa.Text, nullable=False),
    sa.Column("generation", RowId),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("created_by", PlainText, nullable=False),
    sa.Column("dropped_at", UtcTime),
    sqlite_autoincrement=True,
)
"""The registry lists; `generation` is the one in force (no foreign key: the two tables name each other).
`coverage` is a JSON list of prefixes, `layout` the JSON of how the registry's files are read (formats).
A name is used again only after `dropped_at`."""

sa.Index(
    "uq_registries_name",
    registries.c.name,
    unique=True,
    sqlite_where=registries.c.dropped_at.is_(None),
    postgresql_where=registries.c.dropped_at.is_(None),
)

generations = sa.Table(
    "generations",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("token", sa.String(8), nullable=False),
    sa.Column("registry", RowId, sa.ForeignKey("registries.id"), nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("content", RowId, nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("file", PlainText, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("data_date", sa.Date),
    sa.Column("begun_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    sa.Column("who", PlainText, nullable=False),
    sa.Column("block_size", sa.Integer, nullable=False),
    sa.Column("blocks", sa.Integer, nullable=False),
    sa.Column("numbers", sa.BigInteger, nullable=False),
    sa.Column("added", sa.BigInteger, nullable=False),
    sa.Column("removed", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.CheckConstraint("state IN ('loading', 'ready', 'retired', 'failed')", name="state"),
    sa.CheckConstraint("mode IN ('replace', 'append', 'remove', 'change', 'rollback')", name="mode"),
    sqlite_autoincrement=True,
)
"""Every generation there ever was. `loading`: its importer works, or died; `ready`: complete, in force or one
to roll back to; `retired`: its blocks are gone or going; `failed`: it never was complete, likewise.
`token` is random: it tells an id from the same id of a database restored from a backup (codec.py).
`version` counts those that came into force in each list from 1; 0 before. `digest` is SHA-256 of the file."""

blocks = sa.Table(
    "blocks",
    metadata,
    sa.Column("content", RowId, primary_key=True, autoincrement=False),
    sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
"""The numbers of the generations, as blocks.py writes them. Block b of size s holds numbers from b * s on."""
