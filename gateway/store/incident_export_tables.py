"""What of incidents is sent elsewhere: one row for each version of an incident and each receiver.

A row is an outbox entry: due while `next_try_us` is set, sent once `sent_at_us` is, dead with neither; what
is dead stands in the dead-letter file as well. Texts and values are never exported, so none is here.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text

from gateway.store.tables import metadata

incident_export = Table(
    "incident_export",
    metadata,
    Column("target", Text, primary_key=True),
    Column("incident_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("noted_at_us", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_us", BigInteger),
    Column("sent_at_us", BigInteger),
    Column("failure", Text),
    CheckConstraint("next_try_us IS NULL OR sent_at_us IS NULL", name="sent_once"),
    Index(None, "next_try_us"),
)

incident_export_position = Table(
    "incident_export_position",
    metadata,
    Column("target", Text, primary_key=True),
    Column("since_us", BigInteger, nullable=False),
    Column("through_us", BigInteger, nullable=False),
)
"""From which instant on a receiver is told, and up to which changes of incidents have been looked at."""
