"""Video jobs: films that providers draw for longer than a request lasts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_video_jobs"
down_revision = "0005_budgets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "video_job",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("charge_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("upstream_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("size", sa.Text()),
        sa.Column("failure", sa.Text()),
        sa.Column("misses", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("next_poll_us", sa.BigInteger()),
        sa.Column("settled_at_us", sa.BigInteger()),
        sa.CheckConstraint(
            "status IN ('queued', 'in_progress', 'completed', 'failed')", name=op.f("ck_video_job_status")
        ),
        sa.CheckConstraint(
            "(next_poll_us IS NULL) = (settled_at_us IS NOT NULL)",
            name=op.f("ck_video_job_polled_until_settled"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_video_job")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_video_job_attempt_id")),
    )
    op.create_index(op.f("ix_video_job_person_id_created_at_us"), "video_job", ["person_id", "created_at_us"])
    op.create_index(op.f("ix_video_job_next_poll_us"), "video_job", ["next_poll_us"])


def downgrade() -> None:
    op.drop_table("video_job")
