"""What the security team reviews."""

from __future__ import annotations

revision = "0014_incidents"
down_revision = "0013_price_book"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
