"""The tables of the journal. A row of `decisions` is never updated; what became of the call lies beside it.

No foreign keys between them: while the database is away a decision may wait in the spool longer than its
outcome does in memory, and either is worth having without the other.

Columns have plain types, for rows are written without SQLAlchemy in between: rows.py cleans the text, and
turns instants into microseconds since 1970 in UTC (`at`, and all that end in `_at`).
"""

import sqlalchemy as sa

from callguard.database import RowId, metadata
from callguard.screening.identity import ID_LENGTH

DecisionId = sa.String(ID_LENGTH).with_variant(sa.String(ID_LENGTH, collation="C"), "postgresql")
"""Ids are compared byte by byte on both databases, for their order is the order of time."""

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", DecisionId, primary_key=True),
    sa.Column("reference", sa.String(16), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("caller_number", sa.Text, nullable=False),
    sa.Column("dialled", sa.Text, nullable=False),
    sa.Column("number", sa.String(32)),
    sa.Column("number_kind", sa.String(16), nullable=False),
    sa.Column("number_why", sa.Text, nullable=False),
    sa.Column("number_digits", sa.Text, nullable=False),
    sa.Column("project", sa.Text),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(40), nullable=False),
    sa.Column("matches", sa.Text, nullable=False),
    sa.Column("rules", sa.String(64), nullable=False),
    sa.Column("lists_position", sa.BigInteger),
    sa.Column("lists_origin", sa.String(16)),
    sa.Column("mode", sa.String(16)),
    sa.Column("pbx", sa.Text, nullable=False),
    sa.Column("guard", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("steps", sa.Text, nullable=False, server_default="[]"),
    sa.Column("allowed_from", sa.BigInteger),
    # Each filter of the log has an index that is in the order of the log already: a page is read from it
    # without sorting, however many rows the filter finds.
    sa.Index("ix_decisions_number", "number", "id"),
    sa.Index("ix_decisions_project", "project", "id"),
    sa.Index("ix_decisions_agent", "agent", "id"),
    sa.Index("ix_decisions_reason", "reason", "id"),
    sa.Index("ix_decisions_reference", "reference", "id"),
)
"""One row an attempt: the last word on it, the one that was acted on. `matches` and `steps` are JSON."""

# What a supervisor asks for, of a whole project or of an agent: the few refused ones among the many.
for _name, _columns in (
    ("ix_decisions_refused", [decisions.c.id]),
    ("ix_decisions_refused_project", [decisions.c.project, decisions.c.id]),
    ("ix_decisions_refused_agent", [decisions.c.agent, decisions.c.id]),
):
    _refused = decisions.c.verdict == "refuse"
    sa.Index(_name, *_columns, sqlite_where=_refused, postgresql_where=_refused)

outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("decision_id", DecisionId, primary_key=True),
    sa.Column("result", sa.String(16), nullable=False),
    sa.Column("ended_at", sa.BigInteger, nullable=False),
    sa.Column("ringing_at", sa.BigInteger),
    sa.Column("answered_at", sa.BigInteger),
    sa.Column("cause", sa.Integer),
    sa.Column("trunk", sa.Text),
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
    sa.Column("superseded_at", sa.BigInteger, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Rows of `decisions` that were committed but not acted on, as JSON: see JournalStore.add_decisions."""

rules_versions = sa.Table(
    "rules_versions",
    metadata,
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("first_at", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)
"""Every version of the rules that a guard decided by: `document` is all of them, as JSON."""

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("decision_id", DecisionId, primary_key=True),
    sa.Column("number", sa.String(16), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("project", sa.Text),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Index("ix_attempts_number", "number", "at"),
)
"""Attempts that were promised to a call while Redis was away, and whose decision may not be committed yet."""
