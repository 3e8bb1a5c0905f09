"""What of incidents was sent elsewhere."""

from __future__ import annotations

revision = "0017_incident_exports"
down_revision = "0016_plans"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
