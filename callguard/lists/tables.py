"""The tables of the internal lists. Rows are never deleted, and only `entries.removed_at` is ever updated."""

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
    sqlite_autoincrement=True,
)
"""Every entry there ever was; in force are those with no `removed_at`, until they expire."""

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("position", RowId, primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", PlainText, nullable=False),
    sa.Column("why", PlainText, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("entry", RowId, sa.ForeignKey("entries.id"), nullable=False),
    sa.Column("number", sa.String(16), nullable=False, index=True),
    sa.CheckConstraint("action IN ('add', 'remove')", name="action"),
    sqlite_autoincrement=True,
)
"""The change log, in the order of `position`: each write's row is in the write's own transaction.

A position is never used twice, and becomes visible only after all smaller ones (database.ordered_write);
a gap is an undone write.
"""
