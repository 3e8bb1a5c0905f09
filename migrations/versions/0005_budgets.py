"""Budgets: limits, the accounts they are judged by, and the revision that writers watch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_budgets"
down_revision = "0004_ledger_seal"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("every", sa.Text(), nullable=False),
        sa.Column("limit_nano_krw", sa.BigInteger(), nullable=False),
        sa.Column("hard", sa.Integer(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ended_at_us", sa.BigInteger()),
        sa.Column("ended_by", sa.Text()),
        sa.Column("end_reason", sa.Text()),
        sa.CheckConstraint("scope_kind IN ('key', 'person', 'unit')", name=op.f("ck_budget_scope_kind")),
        sa.CheckConstraint("every IN ('month', 'quarter', 'year', 'once')", name=op.f("ck_budget_every")),
        sa.CheckConstraint("limit_nano_krw >= 0", name=op.f("ck_budget_limit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget")),
    )
    op.create_index(op.f("ix_budget_scope_kind_scope_id"), "budget", ["scope_kind", "scope_id"])
    op.create_table(
        "budget_account",
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("every", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("spent_nano_krw", sa.BigInteger(), nullable=False),
        sa.Column("held_nano_krw", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope_kind", "scope_id", "every", "period", name=op.f("pk_budget_account")),
    )
    op.create_table(
        "budget_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_revision")),
    )
    op.execute("INSERT INTO budget_revision (id, number) VALUES (1, 0)")


def downgrade() -> None:
    for table in ("budget_revision", "budget_account", "budget"):
        op.drop_table(table)
