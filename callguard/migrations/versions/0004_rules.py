"""Exemptions among the internal entries, decisions with their explanation, versions of the rules, attempts.

A migration is frozen: it repeats the types instead of importing them. Instants are microseconds since 1970
in UTC.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_DECISION_ID = sa.String(26).with_variant(sa.String(26, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("entries", sa.Column("purposes", sa.Text, nullable=False, server_default=""))
    op.add_column("entries", sa.Column("exemption", sa.String(16)))
    op.add_column("entries", sa.Column("starts_at", sa.BigInteger))
    op.add_column("entries", sa.Column("reference", sa.Text, nullable=False, server_default=""))
    op.add_column("entries", sa.Column("once", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("decisions", sa.Column("steps", sa.Text, nullable=False, server_default="[]"))
    op.add_column("decisions", sa.Column("allowed_from", sa.BigInteger))
    op.create_table(
        "rules_versions",
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_rules_versions"),
    )
    op.create_table(
        "attempts",
        sa.Column("decision_id", _DECISION_ID, nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("project", sa.Text),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name="pk_attempts"),
    )
    op.create_index("ix_attempts_number", "attempts", ["number", "at"])
