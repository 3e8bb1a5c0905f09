"""Budgets in tokens and requests, accounts that count them, and the minutes of rate limits."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007_budget_limits"
down_revision = "0006_video_jobs"
branch_labels = None
depends_on = None

SHARED = (
    *("id", "scope_kind", "scope_id", "every", "limit_nano_krw", "hard", "created_at_us", "created_by"),
    *("reason", "ended_at_us", "ended_by", "end_reason"),
)
LIMIT_OF_MEASURE = (
    "(limit_nano_krw IS NULL) = (measure <> 'won') AND (limit_count IS NULL) = (measure = 'won')"
)
WON = ("spent_nano_krw", "held_nano_krw")
OF_KEYS = ("requests_per_min", "tokens_per_min")
COUNTS = ("spent_tokens", "spent_requests", "held_tokens", "held_requests")


def upgrade() -> None:
    op.execute("CREATE TABLE budget_before AS SELECT * FROM budget")
    op.drop_table("budget")
    create_budget(
        sa.Column("limit_nano_krw", sa.BigInteger()),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("limit_count", sa.BigInteger()),
        sa.CheckConstraint("measure IN ('won', 'tokens', 'requests')", name=op.f("ck_budget_measure")),
        sa.CheckConstraint("limit_nano_krw >= 0 AND limit_count >= 0", name=op.f("ck_budget_limit")),
        sa.CheckConstraint(LIMIT_OF_MEASURE, name=op.f("ck_budget_limit_of_measure")),
    )
    names = ", ".join(SHARED)
    op.execute(f"INSERT INTO budget ({names}, measure) SELECT {names}, 'won' FROM budget_before")  # noqa: S608 - our own names
    op.drop_table("budget_before")
    for name in OF_KEYS:
        zero = sa.text("0")
        op.add_column("api_key", sa.Column(name, sa.Integer(), nullable=False, server_default=zero))
    # Accounts are projections: the next writer makes those it touches anew, in all measures.
    op.drop_table("budget_account")
    create_accounts(*WON, *COUNTS)
    op.create_table(
        "rate_window",
        sa.Column("counter", sa.Text(), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("counter", "minute", name=op.f("pk_rate_window")),
    )


def downgrade() -> None:
    op.drop_table("rate_window")
    for name in OF_KEYS:
        op.drop_column("api_key", name)
    op.drop_table("budget_account")
    create_accounts(*WON)
    op.execute("CREATE TABLE budget_before AS SELECT * FROM budget WHERE measure = 'won'")
    op.drop_table("budget")
    create_budget(
        sa.Column("limit_nano_krw", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("limit_nano_krw >= 0", name=op.f("ck_budget_limit")),
    )
    names = ", ".join(SHARED)
    op.execute(f"INSERT INTO budget ({names}) SELECT {names} FROM budget_before")  # noqa: S608 - our own names
    op.drop_table("budget_before")


def create_budget(*limits: sa.Column[Any] | sa.CheckConstraint) -> None:
    """Neither database changes a CHECK in place, and SQLite no NOT NULL: the table is made anew."""
    op.create_table(
        "budget",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.Text(), nullable=False),
        sa.Column("every", sa.Text(), nullable=False),
        sa.Column("hard", sa.Integer(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ended_at_us", sa.BigInteger()),
        sa.Column("ended_by", sa.Text()),
        sa.Column("end_reason", sa.Text()),
        *limits,
        sa.CheckConstraint("scope_kind IN ('key', 'person', 'unit')", name=op.f("ck_budget_scope_kind")),
        sa.CheckConstraint("every IN ('month', 'quarter', 'year', 'once')", name=op.f("ck_budget_every")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget")),
    )
    op.create_index(op.f("ix_budget_scope_kind_scope_id"), "budget", ["scope_kind", "scope_id"])


def create_accounts(*sums: str) -> None:
    key = ("scope_kind", "scope_id", "every", "period")
    op.create_table(
        "budget_account",
        *(sa.Column(name, sa.Text(), nullable=False) for name in key),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_budget_account")),
    )
