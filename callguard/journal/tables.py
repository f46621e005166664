"""The tables of the journal. A row of `decisions` is never updated; what became of the call lies beside it.

No foreign keys between them: while the database is away a decision may wait in the spool longer than its
outcome does in memory, and either is worth having without the other.
"""

import sqlalchemy as sa

from callguard.database import PlainText, RowId, UtcTime, metadata
from callguard.screening.identity import ID_LENGTH

DecisionId = sa.String(ID_LENGTH).with_variant(sa.String(ID_LENGTH, collation="C"), "postgresql")
"""Ids are compared byte by byte on both databases, for their order is the order of time."""

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", DecisionId, primary_key=True),
    sa.Column("reference", sa.String(16), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("agent", PlainText, nullable=False),
    sa.Column("caller_number", PlainText, nullable=False),
    sa.Column("dialled", PlainText, nullable=False),
    sa.Column("number", sa.String(32)),
    sa.Column("number_kind", sa.String(16), nullable=False),
    sa.Column("number_why", PlainText, nullable=False),
    sa.Column("project", PlainText),
    sa.Column("purpose", PlainText, nullable=False),
    sa.Column("subject", PlainText, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(40), nullable=False),
    sa.Column("matches", PlainText, nullable=False),
    sa.Column("rules", sa.String(64), nullable=False),
    sa.Column("lists_position", sa.BigInteger),
    sa.Column("lists_origin", sa.String(16)),
    sa.Column("mode", sa.String(16)),
    sa.Column("pbx", PlainText, nullable=False),
    sa.Column("guard", PlainText, nullable=False),
    sa.Column("channel", PlainText, nullable=False),
    sa.Column("language", PlainText, nullable=False),
    # Each filter of the log has an index that is in the order of the log already: a page is read from it
    # without sorting, however many rows the filter finds.
    sa.Index("ix_decisions_number", "number", "id"),
    sa.Index("ix_decisions_project", "project", "id"),
    sa.Index("ix_decisions_agent", "agent", "id"),
    sa.Index("ix_decisions_reason", "reason", "id"),
    sa.Index("ix_decisions_reference", "reference", "id"),
)
"""One row an attempt: the last word on it, the one that was acted on. `matches` is JSON."""

sa.Index(
    "ix_decisions_refused",
    decisions.c.id,
    sqlite_where=decisions.c.verdict == "refuse",
    postgresql_where=decisions.c.verdict == "refuse",
)

outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("decision_id", DecisionId, primary_key=True),
    sa.Column("result", sa.String(16), nullable=False),
    sa.Column("ended_at", UtcTime, nullable=False),
    sa.Column("ringing_at", UtcTime),
    sa.Column("answered_at", UtcTime),
    sa.Column("cause", sa.Integer),
    sa.Column("trunk", PlainText),
)
"""What became of each call. Only an outcome `unknown` is ever replaced, by one that was seen."""

open_decisions = sa.Table(
    "open_decisions",
    metadata,
    sa.Column("decision_id", DecisionId, primary_key=True),
)
"""The decisions without an outcome: as many rows as there are calls, so that nobody searches ten million."""

superseded = sa.Table(
    "superseded_decisions",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("decision_id", DecisionId, nullable=False, index=True),
    sa.Column("superseded_at", UtcTime, nullable=False),
    sa.Column("decision", PlainText, nullable=False),
    sqlite_autoincrement=True,
)
"""Rows of `decisions` that were committed but not acted on, as JSON: see JournalStore.add_decisions."""
