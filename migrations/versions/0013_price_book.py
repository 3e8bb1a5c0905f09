"""Effective-dated prices and exchange rates, and who approved them."""

from __future__ import annotations

revision = "0013_price_book"
down_revision = "0012_billing_months"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
