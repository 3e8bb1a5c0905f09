"""Tables of the price book: versions as they were proposed, and what was decided about each.

Both are only ever inserted into. A version's state is its last step; the highest `serial` is the book's
revision, which running workers poll.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text

from billing.tables import make_insert_only, metadata

price_versions = Table(
    "price_version",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("proposed_at_us", BigInteger, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("number > 0", name="number"),
)
"""Prices and exchange rates that were proposed together: canonical JSON and its SHA-256."""

price_steps = Table(
    "price_version_step",
    metadata,
    Column("serial", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("state IN ('approved', 'rejected', 'withdrawn')", name="state"),
    Index(None, "version", "state", unique=True),
)
"""Decisions, numbered over all versions: of two at once the second finds its number taken."""

PRICE_TABLES: Final = (price_versions, price_steps)

for _table in PRICE_TABLES:
    make_insert_only(_table)
