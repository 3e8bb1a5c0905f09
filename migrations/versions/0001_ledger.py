"""The ledger: dispatches, charges and their lines, quotes, writer slots; rows are only ever inserted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_ledger"
down_revision = None
branch_labels = None
depends_on = None

INSERT_ONLY = ("ledger_dispatch", "ledger_charge", "ledger_charge_line", "ledger_quote")


def upgrade() -> None:
    op.create_table(
        "ledger_charge",
        sa.Column("charge_id", sa.Text(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("corrects", sa.Text()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("cost_basis", sa.Text(), nullable=False),
        sa.Column("billing_period", sa.Text(), nullable=False),
        sa.Column("started_at_us", sa.BigInteger(), nullable=False),
        sa.Column("settled_at_us", sa.BigInteger(), nullable=False),
        sa.Column("first_token_us", sa.BigInteger()),
        sa.Column("http_status", sa.Integer()),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("department_id", sa.Text(), nullable=False),
        sa.Column("unit_path", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("upstream_model", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("surface", sa.Text(), nullable=False),
        sa.Column("stream", sa.Integer(), nullable=False),
        sa.Column("via_service", sa.Text()),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("quote_id", sa.Text(), nullable=False),
        sa.Column("input", sa.BigInteger()),
        sa.Column("cache_read", sa.BigInteger()),
        sa.Column("cache_write_5m", sa.BigInteger()),
        sa.Column("cache_write_1h", sa.BigInteger()),
        sa.Column("output", sa.BigInteger()),
        sa.Column("reasoning", sa.BigInteger()),
        sa.Column("audio_input", sa.BigInteger()),
        sa.Column("audio_output", sa.BigInteger()),
        sa.Column("image_input", sa.BigInteger()),
        sa.Column("image_output", sa.BigInteger()),
        sa.Column("requests", sa.BigInteger()),
        sa.Column("searches", sa.BigInteger()),
        sa.Column("images", sa.BigInteger()),
        sa.Column("characters", sa.BigInteger()),
        sa.Column("audio_ms", sa.BigInteger()),
        sa.Column("video_ms", sa.BigInteger()),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("service_tier", sa.Text()),
        sa.Column("amount_nano_krw", sa.BigInteger(), nullable=False),
        sa.Column("stated_cost", sa.Text()),
        sa.Column("stated_currency", sa.Text()),
        sa.Column("served_model", sa.Text()),
        sa.Column("provider_request_id", sa.Text()),
        sa.Column("raw_usage", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(corrects IS NULL) = (kind IN ('charge', 'cache_hit'))", name=op.f("ck_ledger_charge_corrects")
        ),
        sa.CheckConstraint(
            "kind IN ('charge', 'correction', 'reconciliation', 'cache_hit')",
            name=op.f("ck_ledger_charge_kind"),
        ),
        sa.CheckConstraint(
            "kind IN ('correction', 'reconciliation') OR amount_nano_krw >= 0",
            name=op.f("ck_ledger_charge_amount"),
        ),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("pk_ledger_charge")),
    )
    op.create_index(
        op.f("ix_ledger_charge_billing_period_department_id"),
        "ledger_charge",
        ["billing_period", "department_id"],
    )
    op.create_index(
        "ix_ledger_charge_other_kinds_of_attempt",
        "ledger_charge",
        ["attempt_id"],
        sqlite_where=sa.text("kind <> 'charge'"),
        postgresql_where=sa.text("kind <> 'charge'"),
    )
    op.create_index(op.f("ix_ledger_charge_slot_seq"), "ledger_charge", ["slot", "seq"], unique=True)
    op.create_index(
        "uq_ledger_charge_one_charge_per_attempt",
        "ledger_charge",
        ["attempt_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'charge'"),
        postgresql_where=sa.text("kind = 'charge'"),
    )
    op.create_table(
        "ledger_charge_line",
        sa.Column("charge_id", sa.Text(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("token_class", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("per", sa.BigInteger(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=False),
        sa.Column("fx_rate", sa.Text()),
        sa.Column("fx_date", sa.Text()),
        sa.Column("amount_nano_krw", sa.BigInteger(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("charge_id", "line_no", name=op.f("pk_ledger_charge_line")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_dispatch",
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("attempt_no", sa.Integer(), nullable=False),
        sa.Column("started_at_us", sa.BigInteger(), nullable=False),
        sa.Column("billing_period", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("department_id", sa.Text(), nullable=False),
        sa.Column("unit_path", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("upstream_model", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("surface", sa.Text(), nullable=False),
        sa.Column("stream", sa.Integer(), nullable=False),
        sa.Column("via_service", sa.Text()),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("quote_id", sa.Text(), nullable=False),
        sa.Column("price_key", sa.Text(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=False),
        sa.Column("hold_nano_krw", sa.BigInteger(), nullable=False),
        sa.Column("input_bytes", sa.BigInteger(), nullable=False),
        sa.Column("max_output_tokens", sa.BigInteger()),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.CheckConstraint("hold_nano_krw >= 0", name=op.f("ck_ledger_dispatch_hold")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_ledger_dispatch")),
    )
    op.create_index(op.f("ix_ledger_dispatch_request_id"), "ledger_dispatch", ["request_id"])
    op.create_index(op.f("ix_ledger_dispatch_slot_seq"), "ledger_dispatch", ["slot", "seq"], unique=True)
    op.create_table(
        "ledger_quote",
        sa.Column("quote_id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("quote_id", name=op.f("pk_ledger_quote")),
    )
    op.create_table(
        "ledger_writer",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pid_started", sa.Text(), nullable=False),
        sa.Column("heartbeat_us", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("low_seq", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'stopped', 'free')", name=op.f("ck_ledger_writer_state")),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_ledger_writer")),
    )

    for table in INSERT_ONLY:
        refuse_changes(table)


def downgrade() -> None:
    for table in ("ledger_writer", *reversed(INSERT_ONLY)):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION haechi_insert_only()")


def refuse_changes(table: str) -> None:
    """Triggers that refuse UPDATE, DELETE and, where there is one, TRUNCATE."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION haechi_insert_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION haechi_insert_only()"
    )
