"""What providers billed."""

from __future__ import annotations

revision = "0015_provider_bills"
down_revision = "0014_incidents"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
