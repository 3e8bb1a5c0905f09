"""Thresholds of budgets and what was said of them; transfers."""

from __future__ import annotations

revision = "0008_budget_notices"
down_revision = "0007_budget_limits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
