"""Versions of prices and rates, proposed, approved, in force from a day."""

from __future__ import annotations

revision = "0012_price_book"
down_revision = "0011_usage_rollups"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
