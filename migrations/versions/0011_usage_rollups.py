"""Daily sums of charges, filled behind the ledger."""

from __future__ import annotations

revision = "0011_usage_rollups"
down_revision = "0010_access_audit"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
