"""Daily sums of what the filter decided, and how far they are counted; store/filter_sums.py fills them.

A sum is kept by ten-minute slots while its day is open and as one row afterwards (`slot` 0), so that a
late receipt makes one slot be counted again and a year stays small. No table holds a value or a text.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text

from gateway.store.tables import metadata

SLOT_US = 600 * 10**6
WHOLE_DAY = 0
"""The `slot` of sums over a day that is over. Slot 0 itself lies in 1970."""

filter_position = Table(
    "filter_position",
    metadata,
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("receipts", Integer, nullable=False),
)
"""How many receipts of ten minutes (`slot` = microseconds / 600,000,000) have been counted."""

filter_day = Table(
    "filter_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("department_id", Text, primary_key=True),
    Column("zone", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("simulated", Integer, nullable=False),
    Column("unscanned", Integer, nullable=False),
    Column("degraded", Integer, nullable=False),
    Column("findings", Integer, nullable=False),
    Index(None, "slot"),
)
"""Requests by what was decided. `day`: days since 1970 in Korea. `unscanned`: went out with a part unread."""

filter_type_day = Table(
    "filter_type_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("department_id", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("findings", Integer, nullable=False),
)
"""Requests and findings by type and by what happened to the findings."""

filter_rule_day = Table(
    "filter_rule_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("rule", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("findings", Integer, nullable=False),
)
"""The same by the rule that fired."""

SUMS = (filter_day, filter_type_day, filter_rule_day)

# --- incidents, filled by gateway/store/incident_sums.py --------------------------------------------

incident_position = Table(
    "incident_position",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("incidents", Integer, nullable=False),
    Column("versions", BigInteger, nullable=False),
)
"""How a day's incidents stood when they were counted: their number, and the sum of their versions."""

incident_day = Table(
    "incident_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("severity", Integer, primary_key=True, autoincrement=False),
    Column("resolution", Text, primary_key=True),
    Column("incidents", Integer, nullable=False),
    Column("late", Integer, nullable=False),
)
"""Incidents by the day they happened; `resolution` is empty without a verdict, `late`: after it was due."""

incident_hours_day = Table(
    "incident_hours_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("hours", Integer, primary_key=True, autoincrement=False),
    Column("incidents", Integer, nullable=False),
)
"""Resolved incidents by how long it took: so many hours, rounded up as oversight.hours_shown says."""

incident_rule_day = Table(
    "incident_rule_day",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("rule", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("resolution", Text, primary_key=True),
    Column("incidents", Integer, nullable=False),
)

incident_repeat = Table(
    "incident_repeat",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("department_id", Text, nullable=False),
    Column("incidents", Integer, nullable=False),
    Column("first_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    CheckConstraint("kind IN ('person', 'value')", name="kind"),
    Index(None, "kind", "incidents"),
)
"""People, and values by their keyed hashes, with the incidents they occur in, over all that is kept."""

INCIDENT_SUMS = (incident_day, incident_hours_day, incident_rule_day)
