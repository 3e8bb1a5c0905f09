"""Versions of the price book, with exchange rates, and what was decided about each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from billing.tables import insert_only_ddl

revision = "0013_price_book"
down_revision = "0012_billing_months"
branch_labels = None
depends_on = None

TABLES = ("price_version", "price_version_step")


def upgrade() -> None:
    op.create_table(
        "price_version",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("proposed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_price_version_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_price_version")),
    )
    op.create_table(
        "price_version_step",
        sa.Column("serial", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('approved', 'rejected', 'withdrawn')", name=op.f("ck_price_version_step_state")
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_price_version_step")),
    )
    op.create_index(
        op.f("ix_price_version_step_version_state"), "price_version_step", ["version", "state"], unique=True
    )
    for table in TABLES:
        for statement in insert_only_ddl(table, op.get_context().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
