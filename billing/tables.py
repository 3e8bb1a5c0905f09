"""The ledger's tables, alike on SQLite and PostgreSQL.

Times are BIGINT microseconds UTC (`…_us`): SQLite has no type for an instant, and an integer reads,
sorts and hashes the same everywhere. Amounts are BIGINT nano-won (one row holds up to 9.2 billion
won); unit prices and rates are decimal text. Rows of the ledger are only ever inserted: triggers
refuse UPDATE, DELETE and TRUNCATE on both databases. `ledger_writer` alone is state: who writes.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    event,
    text,
)

from billing.ledger import ATTRIBUTION_COLUMNS, CHARGE_TABLE, DISPATCH_TABLE, LINE_TABLE
from billing.usage import CLASSES

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)


def _attribution() -> list[Column[object]]:
    """Columns of billing.ledger.Attribution."""
    types = {"stream": Integer}
    return [
        Column(name, types.get(name, Text), nullable=name == "via_service") for name in ATTRIBUTION_COLUMNS
    ]


def _chain() -> list[Column[object]]:
    """Place of a row in the chain of its writer slot; `mac` is hex."""
    return [
        Column("slot", Integer, nullable=False),
        Column("epoch", Integer, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("key_version", Integer, nullable=False),
        Column("mac", Text, nullable=False),
    ]


dispatches = Table(
    DISPATCH_TABLE,
    metadata,
    Column("attempt_id", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("attempt_no", Integer, nullable=False),
    Column("started_at_us", BigInteger, nullable=False),
    Column("billing_period", Text, nullable=False),
    *_attribution(),
    Column("quote_id", Text, nullable=False),
    Column("price_key", Text, nullable=False),
    Column("price_version", Text, nullable=False),
    Column("hold_nano_krw", BigInteger, nullable=False),
    Column("input_bytes", BigInteger, nullable=False),
    Column("max_output_tokens", BigInteger),
    *_chain(),
    CheckConstraint("hold_nano_krw >= 0", name="hold"),
    Index(None, "slot", "seq", unique=True),
    Index(None, "request_id"),
)

charges = Table(
    CHARGE_TABLE,
    metadata,
    Column("charge_id", Text, primary_key=True),
    Column("attempt_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("corrects", Text),
    Column("outcome", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("cost_basis", Text, nullable=False),
    Column("billing_period", Text, nullable=False),
    Column("started_at_us", BigInteger, nullable=False),
    Column("settled_at_us", BigInteger, nullable=False),
    Column("first_token_us", BigInteger),
    Column("http_status", Integer),
    *_attribution(),
    Column("quote_id", Text, nullable=False),
    *(Column(name, BigInteger) for name in CLASSES),
    Column("quarantined", Integer, nullable=False),
    Column("service_tier", Text),
    Column("amount_nano_krw", BigInteger, nullable=False),
    Column("stated_cost", Text),
    Column("stated_currency", Text),
    Column("served_model", Text),
    Column("provider_request_id", Text),
    Column("raw_usage", Text),
    Column("reason", Text),
    *_chain(),
    CheckConstraint("kind IN ('charge', 'correction', 'reconciliation', 'cache_hit')", name="kind"),
    CheckConstraint("(corrects IS NULL) = (kind IN ('charge', 'cache_hit'))", name="corrects"),
    CheckConstraint("kind IN ('correction', 'reconciliation') OR amount_nano_krw >= 0", name="amount"),
    Index(None, "slot", "seq", unique=True),
    Index(None, "billing_period", "department_id"),
    Index(
        "uq_ledger_charge_one_charge_per_attempt",
        "attempt_id",
        unique=True,
        sqlite_where=text("kind = 'charge'"),
        postgresql_where=text("kind = 'charge'"),
    ),
    Index(
        "ix_ledger_charge_other_kinds_of_attempt",
        "attempt_id",
        sqlite_where=text("kind <> 'charge'"),
        postgresql_where=text("kind <> 'charge'"),
    ),
)

lines = Table(
    LINE_TABLE,
    metadata,
    Column("charge_id", Text, nullable=False),
    Column("line_no", Integer, nullable=False),
    Column("token_class", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("unit_price", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("per", BigInteger, nullable=False),
    Column("price_version", Text, nullable=False),
    Column("fx_rate", Text),
    Column("fx_date", Text),
    Column("amount_nano_krw", BigInteger, nullable=False),
    Column("basis", Text, nullable=False),
    PrimaryKeyConstraint("charge_id", "line_no"),
    sqlite_with_rowid=False,
)

quotes = Table(
    "ledger_quote",
    metadata,
    Column("quote_id", Text, primary_key=True),
    Column("document", Text, nullable=False),
)
"""Prices and rates that were ever charged by, once each; the id is the hash of the content."""

writers = Table(
    "ledger_writer",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_started", Text, nullable=False),
    Column("heartbeat_us", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("low_seq", BigInteger, nullable=False),
    Column("mac", Text, nullable=False),
    CheckConstraint("state IN ('active', 'stopped', 'free')", name="state"),
)
"""One row per slot: `seq` and `mac` are the head of its chain; no dispatch below `low_seq` is open."""

seals = Table(
    "ledger_seal",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("sealed_at_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("heads", Text, nullable=False),
    Column("root", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("signature", Text, nullable=False),
)
"""Signed heads of all chains, one row an hour in which something was written; see billing.seals."""

budgets = Table(
    "budget",
    metadata,
    Column("id", Text, primary_key=True),
    Column("scope_kind", Text, nullable=False),
    Column("scope_id", Text, nullable=False),
    Column("every", Text, nullable=False),
    Column("limit_nano_krw", BigInteger),
    Column("hard", Integer, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_at_us", BigInteger),
    Column("ended_by", Text),
    Column("end_reason", Text),
    Column("measure", Text, nullable=False),
    Column("limit_count", BigInteger),
    CheckConstraint("scope_kind IN ('key', 'person', 'unit')", name="scope_kind"),
    CheckConstraint("every IN ('month', 'quarter', 'year', 'once')", name="every"),
    CheckConstraint("measure IN ('won', 'tokens', 'requests')", name="measure"),
    CheckConstraint("limit_nano_krw >= 0 AND limit_count >= 0", name="limit"),
    CheckConstraint(
        "(limit_nano_krw IS NULL) = (measure <> 'won') AND (limit_count IS NULL) = (measure = 'won')",
        name="limit_of_measure",
    ),
    Index(None, "scope_kind", "scope_id"),
)
"""A limit is never changed: it is ended, and another one is set, each with who and why.

`limit_nano_krw` of a budget in won, `limit_count` of one in tokens or requests.
"""

budget_accounts = Table(
    "budget_account",
    metadata,
    Column("scope_kind", Text, primary_key=True),
    Column("scope_id", Text, primary_key=True),
    Column("every", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("spent_nano_krw", BigInteger, nullable=False),
    Column("spent_tokens", BigInteger, nullable=False),
    Column("spent_requests", BigInteger, nullable=False),
    Column("held_nano_krw", BigInteger, nullable=False),
    Column("held_tokens", BigInteger, nullable=False),
    Column("held_requests", BigInteger, nullable=False),
)
"""A projection of the ledger: what its charges sum to, and the holds of its open attempts."""

budget_leases = Table(
    "budget_lease",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("scope_kind", Text, primary_key=True),
    Column("scope_id", Text, primary_key=True),
    Column("every", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("nano_krw", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Index(None, "scope_id", "scope_kind", "every", "period"),
)
"""What a writer may take from an account before its rows are here; `owner` names its segment."""

budget_revision = Table(
    "budget_revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)
"""One row, raised with every change of a budget; writers hold a share lock on it while they write."""

rate_windows = Table(
    "rate_window",
    metadata,
    Column("counter", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("used", BigInteger, nullable=False),
)
"""What workers took of a rate limit's minute (since 1970); kept for a few minutes where no Valkey is set."""

budget_transfers = Table(
    "budget_transfer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("from_budget_id", Text, nullable=False),
    Column("from_period", Text, nullable=False),
    Column("to_budget_id", Text, nullable=False),
    Column("to_period", Text, nullable=False),
    Column("amount_nano_krw", BigInteger, nullable=False),
    Column("made_at_us", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("amount_nano_krw > 0", name="amount"),
    CheckConstraint("from_budget_id <> to_budget_id", name="two_budgets"),
    Index(None, "from_budget_id"),
    Index(None, "to_budget_id"),
)
"""Won that one budget gave to another, each for the period it was in; the next periods are as set."""

budget_watches = Table(
    "budget_watch",
    metadata,
    Column("scope_kind", Text, primary_key=True),
    Column("scope_id", Text, primary_key=True),
    Column("emails", Text, nullable=False),
    Column("thresholds", Text),
    Column("forecast", Integer),
    Column("changed_at_us", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("scope_kind IN ('key', 'person', 'unit')", name="scope_kind"),
)
"""Who is told of a scope's budgets, and when: JSON lists; NULL takes what haechi.toml says."""

budget_notices = Table(
    "budget_notice",
    metadata,
    Column("id", Text, primary_key=True),
    Column("budget_id", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("noted_at_us", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "budget_id", "period", "occasion", unique=True),
)
"""What a budget has been said to have reached: `50`, `80`, `100`, … per cent or `forecast`, once a period."""

notice_deliveries = Table(
    "notice_delivery",
    metadata,
    Column("notice_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("next_try_us", BigInteger),
    Column("sent_at_us", BigInteger),
    Column("failure", Text),
    CheckConstraint("channel IN ('email', 'webhook')", name="channel"),
    CheckConstraint("next_try_us IS NULL OR sent_at_us IS NULL", name="sent_once"),
    Index(None, "next_try_us"),
)
"""The outbox: one row for each notice and addressee. Neither next try nor sent: given up (a dead letter)."""

_PAYERS: Final = ("person_id", "key_id", "via_service")
_WHAT: Final = ("model_id", "deployment_id", "provider", "label")
_PLACES: Final = ("department_id", "unit_path", *_WHAT)
USAGE_COUNTS: Final = (
    "requests",
    "model_requests",
    "provider_requests",
    "deployment_requests",
    "attempts",
    "failed",
    "estimated",
    "cache_hits",
)
USED_COLUMNS: Final = tuple(f"used_{name}" for name in CLASSES)


def _sums(name: str, dimensions: tuple[str, ...], measures: tuple[str, ...], *indexes: Index) -> Table:
    """Sums by `dimensions`; won and the rest in nano-won apart, so that no sum outgrows a BIGINT."""
    types = {"day": Integer, "per": BigInteger}
    return Table(
        name,
        metadata,
        *(Column(dimension, types.get(dimension, Text), nullable=False) for dimension in dimensions),
        *(Column(measure, BigInteger, nullable=False) for measure in measures),
        Column("won", BigInteger, nullable=False),
        Column("nano_rest", BigInteger, nullable=False),
        PrimaryKeyConstraint(*dimensions),
        *indexes,
        sqlite_with_rowid=False,
    )


usage_days = _sums(
    "usage_day",
    ("day", "billing_period", *_WHAT),
    (*USAGE_COUNTS, *USED_COLUMNS),
    Index(None, "billing_period"),
)
usage_unit_months = _sums(
    "usage_unit_month",
    ("month", "billing_period", *_PLACES),
    (*USAGE_COUNTS, *USED_COLUMNS),
    Index(None, "billing_period", "department_id"),
    Index(None, "department_id", "month"),
)
usage_unit_days = _sums(
    "usage_unit_day",
    ("day", "billing_period", *_PLACES),
    (*USAGE_COUNTS, *USED_COLUMNS),
    Index(None, "billing_period", "department_id"),
    Index(None, "department_id", "day"),
)
usage_person_days = _sums(
    "usage_person_day",
    ("person_id", "day", "billing_period", "key_id", "via_service", *_PLACES),
    (*USAGE_COUNTS, *USED_COLUMNS),
    Index(None, "department_id", "day"),
    Index(None, "key_id", "day"),
)
usage_person_months = _sums(
    "usage_person_month",
    ("month", "billing_period", *_PAYERS, *_PLACES),
    (*USAGE_COUNTS, *USED_COLUMNS),
    Index(None, "billing_period", "department_id"),
    Index(None, "department_id", "month"),
)
usage_line_days = _sums(
    "usage_line_day",
    (
        "billing_period",
        "department_id",
        "day",
        "unit_path",
        "model_id",
        "deployment_id",
        "provider",
        "kind",
        "token_class",
        "unit_price",
        "currency",
        "per",
        "price_version",
        "fx_rate",
        "fx_date",
        "basis",
    ),
    ("charge_lines", "quantity"),
)
"""What invoices and FOCUS are made of: quantities at their frozen prices and rates."""

usage_positions = Table(
    "usage_position",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
)
"""Up to which row of each chain the sums above count.

In these, `day` is days since 1970 in Korea and `month` the month of that day; `billing_period` is another
one only where a month was locked before its last charges were known.
"""

month_steps = Table(
    "billing_month_step",
    metadata,
    Column("month", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("document", Text, nullable=False),
    CheckConstraint("state IN ('open', 'preview', 'approved', 'locked')", name="state"),
    Index(
        "uq_billing_month_step_one_lock_per_month",
        "month",
        unique=True,
        sqlite_where=text("state = 'locked'"),
        postgresql_where=text("state = 'locked'"),
    ),
)
"""What became of a month: its last step says how it stands. Two that take the same step at once write the
same number, and one of them is refused. A month without steps is open; `document` is billing.months'."""

invoices = Table(
    "billing_invoice",
    metadata,
    Column("number", Text, primary_key=True),
    Column("month", Text, nullable=False),
    Column("unit_path", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("total_krw", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("digest", Text, nullable=False),
    CheckConstraint("kind IN ('department', 'summary')", name="kind"),
    Index(None, "month", "unit_path", "kind", unique=True),
)
"""Invoices as they were when their month was locked: canonical JSON and its SHA-256."""

INSERT_ONLY: Final = (
    *(dispatches, charges, lines, quotes, seals, budget_transfers, budget_notices),
    *(month_steps, invoices),
)


def insert_only_ddl(table: str, dialect: str) -> tuple[str, ...]:
    """Statements that make a table refuse every change of a row."""
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
            for verb in ("UPDATE", "DELETE")
        )
    function = (
        "CREATE OR REPLACE FUNCTION haechi_insert_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME; END $$"
    )
    trigger = (
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION haechi_insert_only()"
    )
    return function, trigger


def make_insert_only(table: Table) -> None:
    """Attach the triggers to `create_all`; other parts use it for their own insert-only tables."""
    for dialect in ("sqlite", "postgresql"):
        for statement in insert_only_ddl(table.name, dialect):
            ddl = DDL(statement.replace("%", "%%")).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl)


for _table in INSERT_ONLY:
    make_insert_only(_table)
