"""What writers of one machine may take from hard budgets before their rows are in the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018_budget_leases"
down_revision = "0017_incident_exports"
branch_labels = None
depends_on = None

KEY = ("owner", "scope_kind", "scope_id", "every", "period")


def upgrade() -> None:
    op.create_table(
        "budget_lease",
        *(sa.Column(name, sa.Text(), nullable=False) for name in KEY),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("nano_krw", "tokens", "requests")),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_budget_lease")),
    )
    op.create_index(
        op.f("ix_budget_lease_scope_id_scope_kind_every_period"),
        "budget_lease",
        ["scope_id", "scope_kind", "every", "period"],
    )


def downgrade() -> None:
    op.drop_table("budget_lease")
