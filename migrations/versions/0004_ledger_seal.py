"""Seals: signed heads of all chains, so that a ledger set back to an earlier state is found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_ledger_seal"
down_revision = "0003_receipts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_seal",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sealed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("heads", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_seal")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER ledger_seal_no_{verb.lower()} BEFORE {verb} ON ledger_seal "
                "BEGIN SELECT RAISE(ABORT, 'ledger_seal is insert-only'); END"
            )
    else:  # the function is 0001's
        op.execute(
            "CREATE TRIGGER ledger_seal_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_seal "
            "FOR EACH STATEMENT EXECUTE FUNCTION haechi_insert_only()"
        )


def downgrade() -> None:
    op.drop_table("ledger_seal")
