"""The journal: decisions, their outcomes, which are open, and what was superseded.

A migration is frozen: it repeats the types instead of importing them. Instants are microseconds since 1970
in UTC. An id is compared byte by byte, for its order is that of time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DECISION_ID = sa.String(26).with_variant(sa.String(26, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", _DECISION_ID, nullable=False),
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
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    for column in ("number", "project", "agent", "reason", "reference"):
        op.create_index(f"ix_decisions_{column}", "decisions", [column, "id"])
    refused = sa.text("verdict = 'refuse'")
    for name, columns in (
        ("ix_decisions_refused", ["id"]),
        ("ix_decisions_refused_project", ["project", "id"]),
        ("ix_decisions_refused_agent", ["agent", "id"]),
    ):
        op.create_index(name, "decisions", columns, sqlite_where=refused, postgresql_where=refused)
    op.create_table(
        "outcomes",
        sa.Column("decision_id", _DECISION_ID, nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("ringing_at", sa.BigInteger),
        sa.Column("answered_at", sa.BigInteger),
        sa.Column("cause", sa.Integer),
        sa.Column("trunk", sa.Text),
        sa.PrimaryKeyConstraint("decision_id", name="pk_outcomes"),
    )
    op.create_table(
        "open_decisions",
        sa.Column("decision_id", _DECISION_ID, nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name="pk_open_decisions"),
    )
    op.create_table(
        "superseded_decisions",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("decision_id", _DECISION_ID, nullable=False),
        sa.Column("superseded_at", sa.BigInteger, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_superseded_decisions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_superseded_decisions_decision_id", "superseded_decisions", ["decision_id"])
