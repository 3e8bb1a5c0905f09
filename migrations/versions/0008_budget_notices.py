"""Transfers between budgets, who is told of a budget, what it was said to have reached, and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_budget_notices"
down_revision = "0007_budget_limits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget_transfer",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("from_budget_id", sa.Text(), nullable=False),
        sa.Column("from_period", sa.Text(), nullable=False),
        sa.Column("to_budget_id", sa.Text(), nullable=False),
        sa.Column("to_period", sa.Text(), nullable=False),
        sa.Column("amount_nano_krw", sa.BigInteger(), nullable=False),
        sa.Column("made_at_us", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("amount_nano_krw > 0", name=op.f("ck_budget_transfer_amount")),
        sa.CheckConstraint("from_budget_id <> to_budget_id", name=op.f("ck_budget_transfer_two_budgets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_transfer")),
    )
    for side in ("from", "to"):
        name = op.f(f"ix_budget_transfer_{side}_budget_id")
        op.create_index(name, "budget_transfer", [f"{side}_budget_id"])
    op.create_table(
        "budget_watch",
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("emails", sa.Text(), nullable=False),
        sa.Column("thresholds", sa.Text()),
        sa.Column("forecast", sa.Integer()),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "scope_kind IN ('key', 'person', 'unit')", name=op.f("ck_budget_watch_scope_kind")
        ),
        sa.PrimaryKeyConstraint("scope_kind", "scope_id", name=op.f("pk_budget_watch")),
    )
    op.create_table(
        "budget_notice",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("budget_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("noted_at_us", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_notice")),
    )
    op.create_index(
        op.f("ix_budget_notice_budget_id_period_occasion"),
        "budget_notice",
        ["budget_id", "period", "occasion"],
        unique=True,
    )
    op.create_table(
        "notice_delivery",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_us", sa.BigInteger()),
        sa.Column("sent_at_us", sa.BigInteger()),
        sa.Column("failure", sa.Text()),
        sa.CheckConstraint("channel IN ('email', 'webhook')", name=op.f("ck_notice_delivery_channel")),
        sa.CheckConstraint(
            "next_try_us IS NULL OR sent_at_us IS NULL", name=op.f("ck_notice_delivery_sent_once")
        ),
        sa.PrimaryKeyConstraint("notice_id", "channel", "target", name=op.f("pk_notice_delivery")),
    )
    op.create_index(op.f("ix_notice_delivery_next_try_us"), "notice_delivery", ["next_try_us"])
    for table in ("budget_transfer", "budget_notice"):
        refuse_changes(table)


def downgrade() -> None:
    for table in ("notice_delivery", "budget_notice", "budget_watch", "budget_transfer"):
        op.drop_table(table)


def refuse_changes(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
            )
    else:  # the function is 0001's
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION haechi_insert_only()"
        )
