"""Console accounts, their roles and sessions."""

from __future__ import annotations

revision = "0009_accounts"
down_revision = "0008_budget_notices"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
