"""Registry lists, their generations and blocks; patterns among the internal entries.

A migration is frozen: it repeats the types instead of importing them. Instants are microseconds since 1970
in UTC.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ACTIONS = "action IN ('add', 'remove', 'create', 'change', 'switch', 'drop')"


def upgrade() -> None:
    op.create_table(
        "registries",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("jurisdiction", sa.String(8), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("calling_code", sa.String(4), nullable=False),
        sa.Column("coverage", sa.Text, nullable=False),
        sa.Column("allowed_age_days", sa.Integer),
        sa.Column("layout", sa.Text, nullable=False),
        # Without a foreign key: SQLite cannot add one later, and the two tables name each other.
        sa.Column("generation", _ROW_ID),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("dropped_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_registries"),
        sqlite_autoincrement=True,
    )
    live = sa.text("dropped_at IS NULL")
    op.create_index(
        "uq_registries_name", "registries", ["name"], unique=True, sqlite_where=live, postgresql_where=live
    )
    op.create_table(
        "generations",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("token", sa.String(8), nullable=False),
        sa.Column("registry", _ROW_ID, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("content", _ROW_ID, nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("data_date", sa.Date),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("block_size", sa.Integer, nullable=False),
        sa.Column("blocks", sa.Integer, nullable=False),
        sa.Column("numbers", sa.BigInteger, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        sa.Column("removed", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generations"),
        sa.ForeignKeyConstraint(["registry"], ["registries.id"], name="fk_generations_registry"),
        sa.CheckConstraint(
            "state IN ('loading', 'ready', 'retired', 'failed')", name=op.f("ck_generations_state")
        ),
        sa.CheckConstraint(
            "mode IN ('replace', 'append', 'remove', 'change', 'rollback')", name=op.f("ck_generations_mode")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_generations_registry", "generations", ["registry"])
    op.create_table(
        "blocks",
        sa.Column("content", _ROW_ID, nullable=False),
        sa.Column("block", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("content", "block", name="pk_blocks"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Blocks do not compress: PostgreSQL shall not try.
        op.execute("ALTER TABLE blocks ALTER COLUMN data SET STORAGE EXTERNAL")
    with op.batch_alter_table("entries") as entries:
        entries.add_column(sa.Column("shape", sa.String(8)))
    patterns = sa.text("shape IS NOT NULL")
    op.create_index(
        "ix_entries_shape", "entries", ["shape"], sqlite_where=patterns, postgresql_where=patterns
    )
    _let_changes_concern_registries()


def _let_changes_concern_registries() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # 0001 gave it a name that the naming convention lengthened once more; op.f takes a name as it is.
        op.drop_constraint(op.f("ck_changes_ck_changes_action"), "changes")
        op.alter_column("changes", "entry", nullable=True)
        op.alter_column("changes", "number", nullable=True)
        op.add_column("changes", sa.Column("registry", sa.BigInteger))
        op.add_column("changes", sa.Column("generation", sa.BigInteger))
        op.create_check_constraint(op.f("ck_changes_action"), "changes", _ACTIONS)
        op.create_foreign_key("fk_changes_registry", "changes", "registries", ["registry"], ["id"])
        op.create_foreign_key("fk_changes_generation", "changes", "generations", ["generation"], ["id"])
        return
    # SQLite changes a column by copying its table.
    op.create_table(
        "changes_0003",
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("entry", sa.Integer),
        sa.Column("number", sa.String(16)),
        sa.Column("registry", sa.Integer),
        sa.Column("generation", sa.Integer),
        sa.PrimaryKeyConstraint("position", name="pk_changes"),
        sa.ForeignKeyConstraint(["entry"], ["entries.id"], name="fk_changes_entry"),
        sa.ForeignKeyConstraint(["registry"], ["registries.id"], name="fk_changes_registry"),
        sa.ForeignKeyConstraint(["generation"], ["generations.id"], name="fk_changes_generation"),
        sa.CheckConstraint(_ACTIONS, name=op.f("ck_changes_action")),
        sqlite_autoincrement=True,
    )
    columns = "position, at, who, why, action, entry, number"
    op.execute(f"INSERT INTO changes_0003 ({columns}) SELECT {columns} FROM changes")  # noqa: S608 - constants
    # Positions go on where they were: one that an undone write has taken is not used again either.
    op.execute(
        "UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'changes')"
        " WHERE name = 'changes_0003'"
    )
    op.drop_table("changes")
    op.rename_table("changes_0003", "changes")
    op.create_index("ix_changes_number", "changes", ["number"])
