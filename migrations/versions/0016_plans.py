"""Subscription plans."""

from __future__ import annotations

revision = "0016_plans"
down_revision = "0015_provider_bills"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
