"""Token and request limits of budgets, and rate limits leased from the database."""

from __future__ import annotations

revision = "0007_budget_limits"
down_revision = "0006_video_jobs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
