"""What of incidents is sent elsewhere, daily sums of filter decisions, what a replay needs of a receipt."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017_incident_exports"
down_revision = "0016_plans"
branch_labels = None
depends_on = None

SUMS = {
    "filter_day": (
        ("department_id", "zone", "action"),
        ("requests", "refused", "simulated", "unscanned", "degraded", "findings"),
    ),
    "filter_type_day": (("department_id", "type", "action"), ("requests", "findings")),
    "filter_rule_day": (("rule", "type", "action"), ("requests", "findings")),
}

INTEGER, BIG, TEXT = sa.Integer(), sa.BigInteger(), sa.Text()
INCIDENT_SUMS: dict[str, tuple[dict[str, sa.types.TypeEngine[Any]], dict[str, sa.types.TypeEngine[Any]]]] = {
    "incident_position": ({"day": INTEGER}, {"incidents": INTEGER, "versions": BIG}),
    "incident_day": (
        {"day": INTEGER, "severity": INTEGER, "resolution": TEXT},
        {"incidents": INTEGER, "late": INTEGER},
    ),
    "incident_hours_day": ({"day": INTEGER, "hours": INTEGER}, {"incidents": INTEGER}),
    "incident_rule_day": (
        {"day": INTEGER, "rule": TEXT, "type": TEXT, "resolution": TEXT},
        {"incidents": INTEGER},
    ),
}


def upgrade() -> None:
    op.add_column("receipt", sa.Column("zone", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "receipt", sa.Column("simulated", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.create_table(
        "filter_position",
        sa.Column("slot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("receipts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_filter_position")),
    )
    for table, (dimensions, measures) in SUMS.items():
        key = ("day", "slot", *dimensions)
        op.create_table(
            table,
            sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
            sa.Column("slot", sa.BigInteger(), autoincrement=False, nullable=False),
            *(sa.Column(name, sa.Text(), nullable=False) for name in dimensions),
            *(sa.Column(name, sa.Integer(), nullable=False) for name in measures),
            sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")),
        )
    op.create_index(op.f("ix_filter_day_slot"), "filter_day", ["slot"])
    create_incident_sums()
    create_exports()


def create_incident_sums() -> None:
    op.create_index(op.f("ix_incident_changed_at_us"), "incident", ["changed_at_us"])
    for table, (key, measures) in INCIDENT_SUMS.items():
        columns = [sa.Column(name, kind, nullable=False, autoincrement=False) for name, kind in key.items()]
        columns += [sa.Column(name, kind, nullable=False) for name, kind in measures.items()]
        op.create_table(table, *columns, sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")))
    op.create_table(
        "incident_repeat",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "id", "type", "department_id")),
        sa.Column("incidents", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("first_us", "last_us")),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_incident_repeat")),
        sa.CheckConstraint("kind IN ('person', 'value')", name=op.f("ck_incident_repeat_kind")),
    )
    op.create_index(op.f("ix_incident_repeat_kind_incidents"), "incident_repeat", ["kind", "incidents"])


def create_exports() -> None:
    op.create_table(
        "incident_export",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("noted_at_us", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_us", sa.BigInteger()),
        sa.Column("sent_at_us", sa.BigInteger()),
        sa.Column("failure", sa.Text()),
        sa.CheckConstraint(
            "next_try_us IS NULL OR sent_at_us IS NULL", name=op.f("ck_incident_export_sent_once")
        ),
        sa.PrimaryKeyConstraint("target", "incident_id", "version", name=op.f("pk_incident_export")),
    )
    op.create_index(op.f("ix_incident_export_next_try_us"), "incident_export", ["next_try_us"])
    op.create_table(
        "incident_export_position",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("through_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_incident_export_position")),
    )


def downgrade() -> None:
    exports = ("incident_export_position", "incident_export")
    for table in (*exports, "incident_repeat", *reversed(INCIDENT_SUMS), *reversed(SUMS), "filter_position"):
        op.drop_table(table)
    op.drop_index(op.f("ix_incident_changed_at_us"), "incident")
    for column in ("simulated", "zone"):
        op.drop_column("receipt", column)
