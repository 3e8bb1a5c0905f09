"""Daily sums of what the filter decided, and how far they are counted; store/filter_sums.py fills them.

A sum is kept by ten-minute slots while its day is open and as one row afterwards (`slot` 0), so that a
late receipt makes one slot be counted again and a year stays small. No table holds a value or a text.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

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
