"""Months of billing and their invoices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from billing.tables import insert_only_ddl

revision = "0012_billing_months"
down_revision = "0011_usage_rollups"
branch_labels = None
depends_on = None

TABLES = ("billing_month_step", "billing_invoice")


def upgrade() -> None:
    op.create_table(
        "billing_month_step",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'preview', 'approved', 'locked')", name=op.f("ck_billing_month_step_state")
        ),
        sa.PrimaryKeyConstraint("month", "number", name=op.f("pk_billing_month_step")),
    )
    locked = sa.text("state = 'locked'")
    op.create_index(
        "uq_billing_month_step_one_lock_per_month",
        "billing_month_step",
        ["month"],
        unique=True,
        sqlite_where=locked,
        postgresql_where=locked,
    )
    op.create_table(
        "billing_invoice",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("unit_path", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("total_krw", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('department', 'summary')", name=op.f("ck_billing_invoice_kind")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_billing_invoice")),
    )
    op.create_index(
        op.f("ix_billing_invoice_month_unit_path_kind"),
        "billing_invoice",
        ["month", "unit_path", "kind"],
        unique=True,
    )
    for table in TABLES:
        for statement in insert_only_ddl(table, op.get_context().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
