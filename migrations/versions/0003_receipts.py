"""Filter receipts: what was seen and decided for each request, without its text."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_receipts"
down_revision = "0002_organisation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "receipt",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("billing_period", sa.Text(), nullable=False),
        sa.Column("department_id", sa.Text(), nullable=False),
        sa.Column("unit_path", sa.JSON(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("surface", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("parts_seen", sa.Integer(), nullable=False),
        sa.Column("characters_seen", sa.BigInteger(), nullable=False),
        sa.Column("unscanned", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("finding_key_id", sa.Text(), nullable=False),
        sa.Column("degraded", sa.Boolean(), nullable=False),
        sa.Column("elapsed_us", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.CheckConstraint("action IN ('allow', 'mask', 'route', 'block')", name=op.f("ck_receipt_action")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_receipt")),
    )
    op.create_index(op.f("ix_receipt_billing_period_department_id"), "receipt", ["billing_period", "department_id"])
    op.create_index(op.f("ix_receipt_at_us"), "receipt", ["at_us"])
    op.create_index(op.f("ix_receipt_person_id_at_us"), "receipt", ["person_id", "at_us"])


def downgrade() -> None:
    op.drop_table("receipt")
