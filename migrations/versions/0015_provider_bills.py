"""What providers billed, and what came of holding it against the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from billing.tables import insert_only_ddl

revision = "0015_provider_bills"
down_revision = "0014_incidents"
branch_labels = None
depends_on = None

TABLES = ("provider_bill", "provider_bill_line", "provider_bill_withdrawal", "provider_match")


def upgrade() -> None:
    _files()
    op.create_table(
        "provider_bill_withdrawal",
        sa.Column("bill", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bill", name=op.f("pk_provider_bill_withdrawal")),
    )
    op.create_table(
        "provider_match",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('agrees', 'differs', 'accepted')", name=op.f("ck_provider_match_state")
        ),
        sa.PrimaryKeyConstraint("month", "provider", "number", name=op.f("pk_provider_match")),
    )
    for table in TABLES:
        for statement in insert_only_ddl(table, op.get_context().dialect.name):
            op.execute(statement)


def _files() -> None:
    op.create_table(
        "provider_bill",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("exact", sa.Integer(), nullable=False),
        sa.Column("buckets", sa.Text(), nullable=False),
        sa.Column("states", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_rows", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("imported_at_us", sa.BigInteger(), nullable=False),
        sa.Column("imported_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("states IN ('quantities', 'costs', 'both')", name=op.f("ck_provider_bill_states")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_provider_bill")),
    )
    op.create_index(op.f("ix_provider_bill_month_provider"), "provider_bill", ["month", "provider"])
    op.create_table(
        "provider_bill_line",
        sa.Column("bill", sa.Integer(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger()),
        sa.Column("cost", sa.Text()),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("fx_rate", sa.Text()),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bill", "line_no", name=op.f("pk_provider_bill_line")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
