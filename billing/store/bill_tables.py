"""Tables of providers' bills and of what came of holding them against the ledger; see billing.tables."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from billing.tables import make_insert_only, metadata

bills = Table(
    "provider_bill",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("provider", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("layout", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("exact", Integer, nullable=False),
    Column("buckets", Text, nullable=False),
    Column("states", Text, nullable=False),
    Column("first_day", Integer, nullable=False),
    Column("last_day", Integer, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("file_rows", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("imported_at_us", BigInteger, nullable=False),
    Column("imported_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("states IN ('quantities', 'costs', 'both')", name="states"),
    Index(None, "month", "provider"),
)
"""A file that was imported. Days count from 1970 in the provider's time zone; `digest` is of its bytes."""

bill_lines = Table(
    "provider_bill_line",
    metadata,
    Column("bill", Integer, nullable=False),
    Column("line_no", Integer, nullable=False),
    Column("day", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("bucket", Text, nullable=False),
    Column("quantity", BigInteger),
    Column("cost", Text),
    Column("currency", Text, nullable=False),
    Column("fx_rate", Text),
    Column("parts", Integer, nullable=False),
    PrimaryKeyConstraint("bill", "line_no"),
    sqlite_with_rowid=False,
)
"""What a file says by day, model, key and bucket; `parts` rows of it were summed."""

bill_withdrawals = Table(
    "provider_bill_withdrawal",
    metadata,
    Column("bill", Integer, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Bills that count no more: replaced by a better file, or taken back."""

bill_matches = Table(
    "provider_match",
    metadata,
    Column("month", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("month", "provider", "number"),
    CheckConstraint("state IN ('agrees', 'differs', 'accepted')", name="state"),
)
"""What came of it, each time. `basis` is a hash of both sides: the same basis needs no second look."""

for _table in (bills, bill_lines, bill_withdrawals, bill_matches):
    make_insert_only(_table)
