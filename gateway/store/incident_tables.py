"""Tables of the review: incidents, what was found in them, their sealed text, history, reveals, exceptions.

Same conventions as gateway/store/tables.py. An incident's facts are written once, with the receipt, by the
journal; its work (state, assignee, verdict) changes under `version`. No column holds prompt text in the
clear: what policy stores is in `incident_content`, sealed, and ends with its key.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from gateway.store.tables import metadata

incident = Table(
    "incident",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("origin", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("department_id", Text, nullable=False),
    Column("unit_path", JSON, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("grade", Text, nullable=False),
    Column("rules_version", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'new'")),
    Column("resolution", Text),
    Column("assignee", Text),
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("due_at_us", BigInteger, nullable=False),
    Column("changed_at_us", BigInteger, nullable=False),
    Column("resolved_at_us", BigInteger),
    Column("resolved_by", Text),
    Column("reported_at_us", BigInteger),
    CheckConstraint("origin IN ('filter', 'report')", name="origin"),
    CheckConstraint("action IN ('allow', 'mask', 'route', 'block')", name="action"),
    CheckConstraint("severity BETWEEN 1 AND 4", name="severity"),
    CheckConstraint("state IN ('new', 'in_review', 'resolved')", name="state"),
    CheckConstraint("(state = 'resolved') = (resolution IS NOT NULL)", name="resolved"),
    CheckConstraint(
        "resolution IN ('true_positive', 'false_positive', 'exception', 'escalated')", name="resolution"
    ),
    Index(None, "at_us"),
    Index(None, "state", "at_us"),
    Index(None, "state", "due_at_us"),
    Index(None, "state", "severity", "at_us"),
    Index(None, "department_id", "at_us"),
    Index(None, "person_id", "at_us"),
    Index(None, "assignee", "state"),
    Index(None, "resolved_at_us"),
    Index(None, "changed_at_us"),
    Index("ix_incident_work", "state", "severity", "due_at_us", "assignee", "reported_at_us"),
)
"""`id` is the request's, which is the receipt's. `counts` is findings per type, `findings` their sum.

`severity`: 1 low, 2 medium, 3 high, 4 critical. `assignee` and `resolved_by` are logins of the console.
"""

incident_finding = Table(
    "incident_finding",
    metadata,
    Column("incident_id", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("value_hash", Text, nullable=False),
    Column("finding_key_id", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("score", Integer, nullable=False),
    Column("times", Integer, nullable=False),
    Index(None, "value_hash", "incident_id"),
    Index(None, "rule", "incident_id"),
    Index(None, "type", "incident_id"),
)
"""Distinct findings of an incident by type, label, rule, action and keyed hash; at most 200.

`times` is how often it stands there, `path` where it stands first, `score` the highest in thousandths. Ids
are ordered by time, so an index that ends with one finds the newest.
"""

incident_content = Table(
    "incident_content",
    metadata,
    Column("incident_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("stored_at_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("wrapped_key", Text),
    Column("sealed", Text),
    Column("destroyed_at_us", BigInteger),
    CheckConstraint("kind IN ('text', 'note')", name="kind"),
    CheckConstraint("(wrapped_key IS NULL) = (destroyed_at_us IS NOT NULL)", name="destroyed"),
    CheckConstraint("(wrapped_key IS NULL) = (sealed IS NULL)", name="sealed"),
    Index(None, "until_us"),
)
"""What policy stores of a prompt (`text`), and what a reporter wrote (`note`): sealed by gateway.vault.

`complete`: every part of the request is in it, so that a rule can be tried on it. After `until_us` the
wrapped key is destroyed: the row stays and says when.
"""

incident_event = Table(
    "incident_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Index(None, "incident_id", "id"),
    Index(None, "at_us"),
)
"""Who did what to an incident; each is in the access audit as well, in the same transaction."""

incident_reveal = Table(
    "incident_reveal",
    metadata,
    Column("id", Text, primary_key=True),
    Column("incident_id", Text, ForeignKey("incident.id"), nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_at_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("span", Integer),
    Column("state", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at_us", BigInteger),
    Column("until_us", BigInteger),
    CheckConstraint("what IN ('span', 'all', 'person')", name="what"),
    CheckConstraint("(what = 'span') = (span IS NOT NULL)", name="span"),
    CheckConstraint("state IN ('asked', 'open', 'refused')", name="state"),
    CheckConstraint("(state = 'open') = (until_us IS NOT NULL)", name="until"),
    Index(None, "incident_id", "asked_at_us"),
    Index(None, "state", "asked_at_us"),
)
"""A look at one found value, at all of the text, or at who the person is. `until_us` ends it."""

incident_exception = Table(
    "incident_exception",
    metadata,
    Column("id", Text, primary_key=True),
    Column("incident_id", Text),
    Column("type", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("department_id", Text, nullable=False),
    Column("value_hash", Text, nullable=False),
    Column("finding_key_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at_us", BigInteger, nullable=False),
    Column("decided_by", Text),
    Column("decided_at_us", BigInteger),
    Column("decided_reason", Text, nullable=False, server_default=text("''")),
    Column("ended_by", Text),
    Column("ended_at_us", BigInteger),
    Column("version", Integer, nullable=False, server_default=text("1")),
    CheckConstraint("state IN ('proposed', 'approved', 'refused', 'revoked')", name="state"),
    CheckConstraint("rule <> '' OR department_id <> '' OR value_hash <> ''", name="scoped"),
    Index(None, "state", "until_us"),
    Index(None, "proposed_at_us"),
    Index(None, "incident_id"),
)
"""Findings of one type that may pass, in a department, of a rule or of one value, until a moment.

An empty scope column stands for any. Bumps the revision `exceptions` when what is in force changes.
"""

incident_view = Table(
    "incident_view",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("saved_at_us", BigInteger, nullable=False),
    Index(None, "owner", "name", unique=True),
)
"""Filters of the queue that a reviewer saved, as the query string of the page."""

incident_tables = (
    incident,
    incident_finding,
    incident_content,
    incident_event,
    incident_reveal,
    incident_exception,
    incident_view,
)
JOURNALLED = (incident, incident_finding, incident_content)
"""Tables that the journal is given: their rows are durable together with the receipt."""
