"""Months of billing and their invoices."""

from __future__ import annotations

revision = "0013_billing_months"
down_revision = "0012_price_book"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
