"""Incidents of the security review, their texts sealed one by one, exceptions."""

from __future__ import annotations

revision = "0014_incidents"
down_revision = "0013_billing_months"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
