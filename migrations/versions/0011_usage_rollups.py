"""Daily sums of charges, filled behind the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011_usage_rollups"
down_revision = "0010_access_audit"
branch_labels = None
depends_on = None

WHAT = ("model_id", "deployment_id", "provider", "label")
PLACES = ("department_id", "unit_path", *WHAT)
MEASURES = (
    *("requests", "model_requests", "provider_requests", "deployment_requests"),
    *("attempts", "failed", "estimated", "cache_hits"),
    *("used_input", "used_cache_read", "used_cache_write_5m", "used_cache_write_1h"),
    *("used_output", "used_reasoning", "used_audio_input", "used_audio_output"),
    *("used_image_input", "used_image_output", "used_requests", "used_searches", "used_images"),
    *("used_characters", "used_audio_ms", "used_video_ms"),
)
TABLES = {
    "usage_day": (("day", "billing_period", *WHAT), MEASURES),
    "usage_unit_month": (("month", "billing_period", *PLACES), MEASURES),
    "usage_unit_day": (("day", "billing_period", *PLACES), MEASURES),
    "usage_person_day": (
        ("person_id", "day", "billing_period", "key_id", "via_service", *PLACES),
        MEASURES,
    ),
    "usage_person_month": (
        ("month", "billing_period", "person_id", "key_id", "via_service", *PLACES),
        MEASURES,
    ),
    "usage_line_day": (
        (
            *("billing_period", "department_id", "day", "unit_path", "model_id", "deployment_id"),
            *("provider", "kind", "token_class", "unit_price", "currency", "per", "price_version"),
            *("fx_rate", "fx_date", "basis"),
        ),
        ("charge_lines", "quantity"),
    ),
}
INDEXES = {
    "usage_day": (("billing_period",),),
    "usage_unit_month": (("billing_period", "department_id"), ("department_id", "month")),
    "usage_unit_day": (("billing_period", "department_id"), ("department_id", "day")),
    "usage_person_day": (("department_id", "day"), ("key_id", "day")),
    "usage_person_month": (("billing_period", "department_id"), ("department_id", "month")),
}


def upgrade() -> None:
    for name, (dimensions, measures) in TABLES.items():
        op.create_table(
            name,
            *(sa.Column(dimension, _type(dimension), nullable=False) for dimension in dimensions),
            *(sa.Column(measure, sa.BigInteger(), nullable=False) for measure in measures),
            sa.Column("won", sa.BigInteger(), nullable=False),
            sa.Column("nano_rest", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint(*dimensions, name=op.f(f"pk_{name}")),
            sqlite_with_rowid=False,
        )
        for columns in INDEXES.get(name, ()):
            op.create_index(op.f(f"ix_{name}_{'_'.join(columns)}"), name, list(columns))
    op.create_table(
        "usage_position",
        sa.Column("slot", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_usage_position")),
    )


def downgrade() -> None:
    op.drop_table("usage_position")
    for name in reversed(TABLES):
        op.drop_table(name)


def _type(dimension: str) -> sa.Integer | sa.Text:
    if dimension == "day":
        return sa.Integer()
    return sa.BigInteger() if dimension == "per" else sa.Text()
