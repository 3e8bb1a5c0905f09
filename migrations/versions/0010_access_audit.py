"""The chained trail of who did and saw what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_access_audit"
down_revision = "0009_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.CheckConstraint("outcome IN ('ok', 'refused', 'failed')", name=op.f("ck_access_audit_outcome")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_access_audit")),
    )
    op.create_index(op.f("ix_access_audit_at_us"), "access_audit", ["at_us"])
    for column in ("actor", "subject", "action", "outcome"):
        op.create_index(op.f(f"ix_access_audit_{column}_at_us"), "access_audit", [column, "at_us"])
    op.create_table(
        "access_audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_access_audit_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_audit_head")),
    )
    op.create_table(
        "access_audit_checkpoint",
        sa.Column("through_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("through_seq", name=op.f("pk_access_audit_checkpoint")),
    )
    op.execute("INSERT INTO access_audit_head (id, seq, mac) VALUES (1, 0, '" + "0" * 64 + "')")
    for statement in INSERT_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    for table in ("access_audit", "access_audit_head", "access_audit_checkpoint"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION haechi_audit_kept()")


INSERT_ONLY = {
    "sqlite": (
        "CREATE TRIGGER access_audit_no_update BEFORE UPDATE ON access_audit "
        "BEGIN SELECT RAISE(ABORT, 'access_audit is insert-only'); END",
        "CREATE TRIGGER access_audit_no_delete BEFORE DELETE ON access_audit "
        "WHEN OLD.seq > (SELECT coalesce(max(through_seq), 0) FROM access_audit_checkpoint) "
        "BEGIN SELECT RAISE(ABORT, 'access_audit is insert-only'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION haechi_audit_kept() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF TG_OP = 'DELETE' THEN IF OLD.seq <= "
        "(SELECT coalesce(max(through_seq), 0) FROM access_audit_checkpoint) THEN RETURN OLD; END IF; END IF; "
        "RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME; END $$",
        "CREATE TRIGGER access_audit_no_change BEFORE UPDATE OR DELETE ON access_audit "
        "FOR EACH ROW EXECUTE FUNCTION haechi_audit_kept()",
        "CREATE TRIGGER access_audit_no_truncate BEFORE TRUNCATE ON access_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION haechi_audit_kept()",
    ),
}
