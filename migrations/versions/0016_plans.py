"""Indexes that hold all that forecasts ask of the daily sums: departments' and keys' cost by day."""

from __future__ import annotations

from alembic import op

revision = "0016_plans"
down_revision = "0015_provider_bills"
branch_labels = None
depends_on = None

INDEXES = {"usage_unit_day": "department_id", "usage_person_day": "key_id"}


def upgrade() -> None:
    for table, column in INDEXES.items():
        columns = [column, "day", "won", "nano_rest"]
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)


def downgrade() -> None:
    for table, column in INDEXES.items():
        op.drop_index(op.f(f"ix_{table}_{column}_day_won_nano_rest"), table)
