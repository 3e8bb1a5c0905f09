"""Tables of the console: accounts, what they sign in with, sessions, failed attempts, the access audit.

Same conventions as gateway/store/tables.py. Nothing here lets anybody sign in: passwords are argon2id
hashes, one-time secrets are encrypted, sessions and recovery codes are keyed digests.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    event,
)

from gateway.store.tables import metadata

account = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("login", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("person_id", Text, unique=True),
    Column("language", Text),
    Column("version", Integer, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("password_at_us", BigInteger, nullable=False),
    Column("totp_secret", LargeBinary),
    Column("totp_key_id", Text),
    Column("totp_last_step", BigInteger),
    Column("created_at_us", BigInteger, nullable=False),
    Column("disabled_at_us", BigInteger),
    Column("signed_in_at_us", BigInteger),
    CheckConstraint("(totp_secret IS NULL) = (totp_key_id IS NULL)", name="totp"),
    CheckConstraint("language IN ('ko', 'en')", name="language"),
)
"""`totp_secret` is sealed with AES-256-GCM (Purpose.ACCOUNT_SECRET of `totp_key_id`)."""

account_role = Table(
    "account_role",
    metadata,
    Column("account_id", Text, ForeignKey("account.id"), primary_key=True),
    Column("role", Text, primary_key=True),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("account_id", Text, ForeignKey("account.id"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
)
"""Each opens once in place of a one-time code; a used one is deleted."""

console_session = Table(
    "console_session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("account_id", Text, ForeignKey("account.id"), nullable=False),
    Column("stage", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("seen_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    CheckConstraint("stage IN ('code', 'open')", name="stage"),
    Index(None, "account_id"),
    Index(None, "expires_at_us"),
)
"""`stage` code: the password was right, the one-time code is still to come. Ended sessions are deleted."""

sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at_us", BigInteger, nullable=False),
)
"""`subject` is a keyed digest of a login or an address, known or not: nobody learns from it who tried."""

access_audit = Table(
    "access_audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("mac", Text, nullable=False),
    CheckConstraint("outcome IN ('ok', 'refused', 'failed')", name="outcome"),
    Index(None, "at_us"),
    Index(None, "actor", "at_us"),
    Index(None, "subject", "at_us"),
    Index(None, "action", "at_us"),
    Index(None, "outcome", "at_us"),
)
"""Who did or saw what. Insert-only; what a checkpoint covers may be deleted."""

access_audit_head = Table(
    "access_audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("mac", Text, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
"""Number and HMAC of the last row; its lock orders writers of all processes."""

access_audit_checkpoint = Table(
    "access_audit_checkpoint",
    metadata,
    Column("through_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("mac", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("signature", Text, nullable=False),
)
"""Signed last number and HMAC of what was deleted for its age, so that the rest still verifies."""

_INSERT_ONLY_SQLITE: Final = (
    (
        "CREATE TRIGGER access_audit_no_update BEFORE UPDATE ON access_audit "
        "BEGIN SELECT RAISE(ABORT, 'access_audit is insert-only'); END"
    ),
    (
        "CREATE TRIGGER access_audit_no_delete BEFORE DELETE ON access_audit "
        "WHEN OLD.seq > (SELECT coalesce(max(through_seq), 0) FROM access_audit_checkpoint) "
        "BEGIN SELECT RAISE(ABORT, 'access_audit is insert-only'); END"
    ),
)
_INSERT_ONLY_POSTGRESQL: Final = (
    (
        "CREATE OR REPLACE FUNCTION haechi_audit_kept() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF TG_OP = 'DELETE' THEN IF OLD.seq <= "
        "(SELECT coalesce(max(through_seq), 0) FROM access_audit_checkpoint) "
        "THEN RETURN OLD; END IF; END IF; "
        "RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME; END $$"
    ),
    (
        "CREATE TRIGGER access_audit_no_change BEFORE UPDATE OR DELETE ON access_audit "
        "FOR EACH ROW EXECUTE FUNCTION haechi_audit_kept()"
    ),
    (
        "CREATE TRIGGER access_audit_no_truncate BEFORE TRUNCATE ON access_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION haechi_audit_kept()"
    ),
)


def _attach(table: Table, dialect: str, statement: str) -> None:
    ddl = DDL(statement.replace("%", "%%")).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
    event.listen(table, "after_create", ddl)


# Attached to the table that is created last, so that both exist when a trigger names them.
event.listen(
    access_audit_head,
    "after_create",
    DDL("INSERT INTO access_audit_head (id, seq, mac) VALUES (1, 0, '" + "0" * 64 + "')"),  # type: ignore[no-untyped-call]
)
for _statement in _INSERT_ONLY_SQLITE:
    _attach(access_audit, "sqlite", _statement)
for _statement in _INSERT_ONLY_POSTGRESQL:
    _attach(access_audit, "postgresql", _statement)

account_tables = (account, account_role, recovery_code, console_session, sign_in_failure)
audit_tables = (access_audit, access_audit_head, access_audit_checkpoint)
