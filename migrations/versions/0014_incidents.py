"""What the security team reviews: incidents, their findings and sealed text, reveals, exceptions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014_incidents"
down_revision = "0013_price_book"
branch_labels = None
depends_on = None

TABLES = (
    "incident",
    "incident_finding",
    "incident_content",
    "incident_event",
    "incident_reveal",
    "incident_exception",
    "incident_view",
)


def upgrade() -> None:
    _incidents()
    _contents()
    _work()
    _exceptions()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _incidents() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("department_id", sa.Text(), nullable=False),
        sa.Column("unit_path", sa.JSON(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("surface", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'new'"), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at_us", sa.BigInteger(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("reported_at_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state = 'resolved') = (resolution IS NOT NULL)", name=op.f("ck_incident_resolved")
        ),
        sa.CheckConstraint("action IN ('allow', 'mask', 'route', 'block')", name=op.f("ck_incident_action")),
        sa.CheckConstraint("origin IN ('filter', 'report')", name=op.f("ck_incident_origin")),
        sa.CheckConstraint(
            "resolution IN ('true_positive', 'false_positive', 'exception', 'escalated')",
            name=op.f("ck_incident_resolution"),
        ),
        sa.CheckConstraint("state IN ('new', 'in_review', 'resolved')", name=op.f("ck_incident_state")),
        sa.CheckConstraint("severity BETWEEN 1 AND 4", name=op.f("ck_incident_severity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
    op.create_index(op.f("ix_incident_assignee_state"), "incident", ["assignee", "state"], unique=False)
    op.create_index(op.f("ix_incident_at_us"), "incident", ["at_us"], unique=False)
    op.create_index(
        op.f("ix_incident_department_id_at_us"), "incident", ["department_id", "at_us"], unique=False
    )
    op.create_index(op.f("ix_incident_person_id_at_us"), "incident", ["person_id", "at_us"], unique=False)
    op.create_index(op.f("ix_incident_resolved_at_us"), "incident", ["resolved_at_us"], unique=False)
    op.create_index(op.f("ix_incident_state_at_us"), "incident", ["state", "at_us"], unique=False)
    op.create_index(op.f("ix_incident_state_due_at_us"), "incident", ["state", "due_at_us"], unique=False)
    op.create_index(
        op.f("ix_incident_state_severity_at_us"), "incident", ["state", "severity", "at_us"], unique=False
    )
    op.create_index(
        "ix_incident_work",
        "incident",
        ["state", "severity", "due_at_us", "assignee", "reported_at_us"],
        unique=False,
    )


def _contents() -> None:
    op.create_table(
        "incident_finding",
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("value_hash", sa.Text(), nullable=False),
        sa.Column("finding_key_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "place", name=op.f("pk_incident_finding")),
    )
    op.create_index(
        op.f("ix_incident_finding_rule_incident_id"),
        "incident_finding",
        ["rule", "incident_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_incident_finding_type_incident_id"),
        "incident_finding",
        ["type", "incident_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_incident_finding_value_hash_incident_id"),
        "incident_finding",
        ["value_hash", "incident_id"],
        unique=False,
    )
    op.create_table(
        "incident_content",
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stored_at_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.Text(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("destroyed_at_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('text', 'note')", name=op.f("ck_incident_content_kind")),
        sa.CheckConstraint(
            "(wrapped_key IS NULL) = (destroyed_at_us IS NOT NULL)",
            name=op.f("ck_incident_content_destroyed"),
        ),
        sa.CheckConstraint(
            "(wrapped_key IS NULL) = (sealed IS NULL)", name=op.f("ck_incident_content_sealed")
        ),
        sa.PrimaryKeyConstraint("incident_id", "kind", name=op.f("pk_incident_content")),
    )
    op.create_index(op.f("ix_incident_content_until_us"), "incident_content", ["until_us"], unique=False)


def _work() -> None:
    op.create_table(
        "incident_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_event")),
    )
    op.create_index(op.f("ix_incident_event_at_us"), "incident_event", ["at_us"], unique=False)
    op.create_index(
        op.f("ix_incident_event_incident_id_id"), "incident_event", ["incident_id", "id"], unique=False
    )
    op.create_table(
        "incident_reveal",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("span", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at_us", sa.BigInteger(), nullable=True),
        sa.Column("until_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state = 'open') = (until_us IS NOT NULL)", name=op.f("ck_incident_reveal_until")
        ),
        sa.CheckConstraint("(what = 'span') = (span IS NOT NULL)", name=op.f("ck_incident_reveal_span")),
        sa.CheckConstraint("state IN ('asked', 'open', 'refused')", name=op.f("ck_incident_reveal_state")),
        sa.CheckConstraint("what IN ('span', 'all', 'person')", name=op.f("ck_incident_reveal_what")),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name=op.f("fk_incident_reveal_incident_id_incident")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_reveal")),
    )
    op.create_index(
        op.f("ix_incident_reveal_incident_id_asked_at_us"),
        "incident_reveal",
        ["incident_id", "asked_at_us"],
        unique=False,
    )
    op.create_index(
        op.f("ix_incident_reveal_state_asked_at_us"),
        "incident_reveal",
        ["state", "asked_at_us"],
        unique=False,
    )
    op.create_table(
        "incident_view",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("saved_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_view")),
    )
    op.create_index(op.f("ix_incident_view_owner_name"), "incident_view", ["owner", "name"], unique=True)


def _exceptions() -> None:
    op.create_table(
        "incident_exception",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("department_id", sa.Text(), nullable=False),
        sa.Column("value_hash", sa.Text(), nullable=False),
        sa.Column("finding_key_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at_us", sa.BigInteger(), nullable=True),
        sa.Column("decided_reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "rule <> '' OR department_id <> '' OR value_hash <> ''", name=op.f("ck_incident_exception_scoped")
        ),
        sa.CheckConstraint(
            "state IN ('proposed', 'approved', 'refused', 'revoked')",
            name=op.f("ck_incident_exception_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_exception")),
    )
    op.create_index(
        op.f("ix_incident_exception_incident_id"), "incident_exception", ["incident_id"], unique=False
    )
    op.create_index(
        op.f("ix_incident_exception_proposed_at_us"), "incident_exception", ["proposed_at_us"], unique=False
    )
    op.create_index(
        op.f("ix_incident_exception_state_until_us"),
        "incident_exception",
        ["state", "until_us"],
        unique=False,
    )
