"""The chained trail of who did and saw what."""

from __future__ import annotations

revision = "0010_access_audit"
down_revision = "0009_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
