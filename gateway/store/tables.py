"""The gateway's own tables: units, people, keys, the revision of these, filter receipts, video jobs.

Days are DATE (a day in Asia/Seoul); instants are BIGINT microseconds since 1970 UTC, named `…_us`, because
SQLite drops time zones and both databases compare integers alike. No table holds prompt text.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

org_unit = Table(
    "org_unit",
    metadata,
    Column("code", Text, primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("valid_to", Date),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("parent_code", Text),
    CheckConstraint("kind IN ('institution', 'bureau', 'division', 'team')", name="kind"),
    CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="validity"),
)

person = Table(
    "person",
    metadata,
    Column("employee_id", Text, primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("valid_to", Date),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("unit_code", Text, nullable=False),
    Column("role", Text, nullable=False, server_default=""),
    CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="validity"),
    Index(None, "email"),
    Index(None, "unit_code"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("prefix", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("hash_key_id", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("person_id", Text),
    Column("service", Text),
    Column("unit_code", Text),
    Column("allowed_models", JSON(none_as_null=True)),
    Column("trusted", Boolean, nullable=False, server_default=text("false")),
    Column("requests_per_min", Integer, nullable=False, server_default=text("0")),
    Column("tokens_per_min", Integer, nullable=False, server_default=text("0")),
    Column("created_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger),
    Column("revoked_at_us", BigInteger),
    CheckConstraint("(person_id IS NULL) <> (service IS NULL)", name="one_owner"),
    Index(None, "person_id"),
)

revision = Table(
    "revision",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""One row a snapshot (`directory`): bumped in the transaction of every change to what it holds."""

admin_event = Table(
    "admin_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Index(None, "at_us"),
)
"""Who changed what, written in the transaction of the change; never updated."""

receipt = Table(
    "receipt",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("billing_period", Text, nullable=False),
    Column("department_id", Text, nullable=False),
    Column("unit_path", JSON, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("rules_version", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("grade", Text, nullable=False),
    Column("parts_seen", Integer, nullable=False),
    Column("characters_seen", BigInteger, nullable=False),
    Column("unscanned", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("finding_key_id", Text, nullable=False),
    Column("degraded", Boolean, nullable=False),
    Column("elapsed_us", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("zone", Text, nullable=False, server_default=""),
    Column("simulated", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("action IN ('allow', 'mask', 'route', 'block')", name="action"),
    Index(None, "billing_period", "department_id"),
    Index(None, "at_us"),
    Index(None, "person_id", "at_us"),
)
"""What the filter saw and decided, one row a request, insert-only.

`findings` is a list of {type, label, score, rule, path, action, value_hash}: the hash is keyed
(Purpose.FINDING_HASH of `finding_key_id`), so equal values can be counted and never read. `zone` is the one
it was judged for, empty in receipts from before it was kept; `simulated`: the action was not carried out.
"""

video_job = Table(
    "video_job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("attempt_id", Text, nullable=False, unique=True),
    Column("charge_id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("deployment_id", Text, nullable=False),
    Column("upstream_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("progress", Integer, nullable=False),
    Column("seconds", Integer, nullable=False),
    Column("size", Text),
    Column("failure", Text),
    Column("misses", Integer, nullable=False, server_default=text("0")),
    Column("created_at_us", BigInteger, nullable=False),
    Column("next_poll_us", BigInteger),
    Column("settled_at_us", BigInteger),
    CheckConstraint("status IN ('queued', 'in_progress', 'completed', 'failed')", name="status"),
    CheckConstraint("(next_poll_us IS NULL) = (settled_at_us IS NOT NULL)", name="polled_until_settled"),
    Index(None, "person_id", "created_at_us"),
    Index(None, "next_poll_us"),
)
"""A film that a provider draws, from its submission on: whose it is, where it is drawn, how far it is.

Written together with the charge of its submission, polled until it is over, then settled. Neither the
prompt nor the film is kept.
"""

organisation_tables = (org_unit, person, api_key, revision, admin_event)
