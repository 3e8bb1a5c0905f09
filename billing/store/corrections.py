"""What is known later than the charge: the difference to it, as a row that names it.

A charge that was an estimate (a film that is still being drawn) is corrected once the provider has
stated what was used. The correction is priced by the quote of its attempt, and its id follows from
the charge, so that two processes which learn the same thing write it once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, select, text

from billing.errors import RowRefused
from billing.ledger import CHARGE_TABLE, Charge, Kind, Outcome, derived_id
from billing.quotes import negated, total
from billing.store.rows import (
    CHARGE_SELECT,
    DISPATCH_SELECT,
    correction_of,
    dispatch_of,
    line_of,
    read_lines,
    read_quote,
)
from billing.tables import charges, dispatches
from billing.usage import CLASSES, Usage, UsageSource

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from billing.ledger import Dispatch, Record
    from billing.quotes import Line

_LOCK: Final = (
    "SELECT pg_advisory_xact_lock(hash) FROM (SELECT DISTINCT hashtextextended(id, 0) AS hash"
    " FROM unnest(CAST(:attempt_ids AS text[])) AS id ORDER BY 1) AS hashes"
)
SUMMED: Final = (Kind.CHARGE, Kind.CORRECTION, Kind.RECONCILIATION)


def correction(
    connection: Connection,
    charge_id: str,
    usage: Usage,
    *,
    now: datetime,
    reason: str,
    raw_usage: str | None,
    served_as: str | None = None,
) -> Charge | None:
    """Return what makes an attempt's rows right by the usage that was stated later; None if they are.

    `charge_id` is the row that the correction names; an adopted estimate may stand before it, so the
    difference is to all rows of the attempt. `served_as`: size and quality, where they were stated later.
    Raises LookupError if the charge, its dispatch or its quote is not in the ledger (yet).
    """
    rows = rows_of_attempt(connection, _attempt_of(connection, charge_id))
    change = difference(rows, usage)
    correction_id = derived_id("correction", charge_id)
    if any(row["charge_id"] == correction_id for row in rows):
        return None  # a bill that was applied since has the last word
    actual = Charge.settle(
        dispatch_of_attempt(connection, rows[0]["attempt_id"]),
        charge_id=correction_id,
        settled_at=now,
        outcome=Outcome.CORRECTED,
        source=UsageSource.REPORTED,
        usage=usage,
        service_tier=served_as or rows[0]["service_tier"],
        kind=Kind.CORRECTION,
        corrects=charge_id,
        raw_usage=raw_usage,
        reason=reason,
    )
    charged = lines_of(connection, rows)
    if not any(change.values()) and actual.amount_nano_krw == total(charged):
        return None
    return replace(actual, lines=(*negated(charged), *actual.lines), usage_delta=change)


def correcting(connection: Connection, attempt_ids: Collection[str]) -> None:
    """Keep everybody else from correcting these attempts until the transaction ends: first of all it does.

    A correction is the difference to rows that are read; two that read the same rows would count it twice.
    SQLite has one writer at a time. Locked in one order, that of the hashes, which two ids may share.
    """
    if connection.dialect.name == "postgresql" and attempt_ids:
        connection.execute(text(_LOCK), {"attempt_ids": list(attempt_ids)})


def settling(connection: Connection, record: Record) -> Record:
    """Return a charge as it can be written: as a correction where an estimate came first.

    Raises RowRefused if the attempt was charged already.
    """
    if record.table != CHARGE_TABLE or record.values[3] != "charge":
        return record
    rows = rows_of_attempt(connection, record.values[1])
    if not rows:
        return record
    if rows[0]["outcome"] != Outcome.ADOPTED:
        raise RowRefused(f"attempt {record.values[1]} has its charge {rows[0]['charge_id']} already")
    charged = [line for row in rows for line in read_lines(connection, row["charge_id"])]
    return correction_of(rows, charged, record, "the usage arrived after the estimate")


def rows_of_attempt(connection: Connection, attempt_id: str) -> list[dict[str, Any]]:
    """Rows that an attempt's cost is the sum of: its charge first, then what was made right since.

    Each query has the very condition of a partial index; no index serves both, and the ledger is long.
    """
    of_attempt = select(*CHARGE_SELECT).where(charges.c.attempt_id == attempt_id, charges.c.kind.in_(SUMMED))
    found: list[dict[str, Any]] = []
    for condition in ("kind = 'charge'", "kind <> 'charge'"):
        statement = of_attempt.where(text(condition)).order_by(charges.c.settled_at_us)
        found += map(dict, connection.execute(statement).mappings())
    return found


def lines_of(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Every line of these rows."""
    return [line_of(line) for row in rows for line in read_lines(connection, row["charge_id"])]


def dispatch_of_attempt(connection: Connection, attempt_id: str) -> Dispatch:
    """Return an attempt as it was dispatched. Raises LookupError."""
    statement = select(*DISPATCH_SELECT).where(dispatches.c.attempt_id == attempt_id)
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise LookupError(f"attempt {attempt_id} is not in the ledger")
    return dispatch_of(dict(row), read_quote(connection, row["quote_id"]))


def difference(rows: Sequence[Mapping[str, Any]], usage: Usage) -> dict[str, int]:
    """Return, by class that anybody has stated, what the stated usage is above what was charged."""
    return {
        name: (getattr(usage, name) or 0) - sum(row[name] or 0 for row in rows)
        for name in CLASSES
        if getattr(usage, name) is not None or any(row[name] is not None for row in rows)
    }


def _attempt_of(connection: Connection, charge_id: str) -> str:
    attempt_id = connection.execute(
        select(charges.c.attempt_id).where(charges.c.charge_id == charge_id)
    ).scalar()
    if attempt_id is None:
        raise LookupError(f"charge {charge_id} is not in the ledger")
    return str(attempt_id)
