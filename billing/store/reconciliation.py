"""Provider bills against the ledger: what was estimated becomes what the provider says, by a new row.

The row is of kind `reconciliation`, source `reconciled`, names the attempt's charge and holds the
difference to all that was charged for the attempt so far; where there is none it confirms the estimate.
It goes through the ledger's sink, so that chain and budgets follow in the same transaction. Applying
the same bill again writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import select

from billing.errors import RowRefused
from billing.ledger import Charge, CostBasis, Kind, Outcome, derived_id, record_of
from billing.quotes import negated, total
from billing.store.corrections import difference, dispatch_of_attempt, lines_of, rows_of_attempt
from billing.tables import charges
from billing.usage import CLASSES, Usage, UsageSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from billing.ledger import Dispatch, Record
    from billing.provider_bills import BillLine
    from billing.quotes import Line
    from billing.store.sink import LedgerSink

ESTIMATES: Final = (UsageSource.ESTIMATED, UsageSource.PARTIAL)


class Result(StrEnum):
    RECONCILED = "reconciled"
    SAME = "same"
    """Reconciled before, or reported, with the same cost and usage."""
    DIFFERS = "differs"
    """The provider reported something else when it answered; changed only where that is asked for."""
    UNKNOWN = "unknown"
    """No charge of this attempt, or of this provider request id, is in the ledger."""
    AMBIGUOUS = "ambiguous"
    """Several attempts carry this provider request id, or an earlier line of the bill means this attempt."""
    NO_RATE = "no_rate"
    """Stated in a currency of which the attempt's quote froze no rate."""


class Reconciled(NamedTuple):
    """What became of one line of a bill; amounts in nano-won, 0 for what is not in the ledger."""

    line: BillLine
    result: Result
    attempt_id: str | None = None
    before_nano_krw: int = 0
    after_nano_krw: int = 0
    charge: Charge | None = None


def compare(
    engine: Engine, lines: Sequence[BillLine], *, now: datetime, reason: str, with_reported: bool = False
) -> list[Reconciled]:
    """Hold a bill against the ledger. Writes nothing; `with_reported` changes reported charges too."""
    with engine.connect() as connection:
        attempts = _attempts(connection, lines)
        found = []
        meant: set[str] = set()
        for line in lines:
            mine = attempts[line.number]
            if len(mine) > 1 or mine & meant:
                found.append(Reconciled(line, Result.AMBIGUOUS))
                continue
            meant |= mine
            found.append(_compared(connection, line, mine, (now, reason), with_reported=with_reported))
        return found


def apply(sink: LedgerSink, compared: Sequence[Reconciled]) -> list[Reconciled]:
    """Write what differs through an open sink; return all lines as they were written.

    Each is compared anew in the transaction that writes it: a report may have arrived in between, and the
    difference is to everything that is charged by then. Raises SinkUnavailable, and RowRefused for a row
    that the ledger does not take.
    """
    found = list(compared)
    changing = [index for index, one in enumerate(compared) if one.charge is not None]
    refused: RowRefused | None = None
    for start in range(0, len(changing), 100):
        some = changing[start : start + 100]
        try:
            _apply(sink, found, some)
        except RowRefused:  # one of them: the others are written
            for index in some:
                try:
                    _apply(sink, found, [index])
                except RowRefused as error:
                    refused = refused or error
    if refused is not None:
        raise refused
    return found


def _apply(sink: LedgerSink, found: list[Reconciled], some: Sequence[int]) -> None:
    def deciding(connection: Connection) -> list[Record]:
        records = []
        for index in some:
            found[index] = one = _compared_anew(connection, found[index])
            if one.charge is not None:
                records.append(record_of(one.charge))
        return records

    sink.correct([attempt_id for index in some if (attempt_id := found[index].attempt_id)], deciding)


def _compared_anew(connection: Connection, one: Reconciled) -> Reconciled:
    if one.attempt_id is None or one.charge is None:
        return one
    made = (one.charge.settled_at, one.charge.reason or "")
    return _compared(connection, one.line, {one.attempt_id}, made, with_reported=True)


def _attempts(connection: Connection, lines: Sequence[BillLine]) -> dict[int, set[str]]:
    """Return the attempts that each line of a bill may mean."""
    wanted = sorted({line.provider_request_id for line in lines if line.provider_request_id})
    by_request: dict[str, set[str]] = defaultdict(set)
    for start in range(0, len(wanted), 500):
        some = charges.c.provider_request_id.in_(wanted[start : start + 500])
        statement = select(charges.c.provider_request_id, charges.c.attempt_id).where(
            some, charges.c.kind == Kind.CHARGE
        )
        for request_id, attempt_id in connection.execute(statement):
            by_request[request_id].add(attempt_id)
    return {
        line.number: {line.attempt_id} if line.attempt_id else by_request[line.provider_request_id or ""]
        for line in lines
    }


def _compared(
    connection: Connection,
    line: BillLine,
    attempts: set[str],
    made: tuple[datetime, str],
    *,
    with_reported: bool,
) -> Reconciled:
    rows = rows_of_attempt(connection, *attempts) if attempts else []
    if not rows or rows[0]["kind"] != Kind.CHARGE:
        return Reconciled(line, Result.UNKNOWN)
    attempt_id = str(rows[0]["attempt_id"])
    before = sum(row["amount_nano_krw"] for row in rows)
    dispatch = dispatch_of_attempt(connection, attempt_id)
    try:
        actual, change = _stated(line, dispatch, rows)
    except ValueError:
        return Reconciled(line, Result.NO_RATE, attempt_id, before, before)
    after = total(actual)
    is_settled = rows[0]["source"] not in ESTIMATES or any(r["kind"] == Kind.RECONCILIATION for r in rows)
    if after == before and not any(change.values()) and is_settled:
        return Reconciled(line, Result.SAME, attempt_id, before, before)
    if rows[0]["source"] not in ESTIMATES and not with_reported:
        return Reconciled(line, Result.DIFFERS, attempt_id, before, after)
    charged = lines_of(connection, rows)
    lines = (*negated(charged), *actual) if actual != tuple(charged) else ()
    charge = replace(_row(line, dispatch, rows, made), lines=lines, usage_delta=change)
    return Reconciled(line, Result.RECONCILED, attempt_id, before, after, charge)


def _stated(
    line: BillLine, dispatch: Dispatch, rows: Sequence[Mapping[str, Any]]
) -> tuple[tuple[Line, ...], dict[str, int]]:
    """Return the lines that the bill comes to, and the differences in usage.

    A cost is charged as it is stated, else the usage is rated by the attempt's own quote. Classes that
    a bill says nothing of stay as they were charged. Raises ValueError for a currency without a rate.
    """
    usage = _usage(line, rows)
    change = difference(rows, usage)
    if line.cost is not None:
        return dispatch.quote.rate_stated(line.cost, line.currency), change
    return dispatch.quote.rate(usage, rows[0]["service_tier"]), change


def _usage(line: BillLine, rows: Sequence[Mapping[str, Any]]) -> Usage:
    charged: dict[str, Any] = {
        name: max(0, sum(row[name] or 0 for row in rows))
        for name in CLASSES
        if any(row[name] is not None for row in rows)
    }
    if line.usage is not None:
        stated = {name: getattr(line.usage, name) for name in CLASSES}
        charged |= {name: quantity for name, quantity in stated.items() if quantity is not None}
    return Usage(**charged)


def _row(
    line: BillLine, dispatch: Dispatch, rows: Sequence[Mapping[str, Any]], made: tuple[datetime, str]
) -> Charge:
    now, reason = made
    earlier = sum(row["kind"] == Kind.RECONCILIATION for row in rows)
    return Charge(
        charge_id=derived_id(f"reconciliation {earlier + 1}", dispatch.attempt_id),
        attempt_id=dispatch.attempt_id,
        request_id=dispatch.request_id,
        attribution=dispatch.attribution,
        outcome=Outcome.CORRECTED,
        source=UsageSource.RECONCILED,
        usage=Usage(),
        lines=(),
        started_at=dispatch.started_at,
        settled_at=now,
        billing_period=dispatch.billing_period,
        quote_id=dispatch.quote.id,
        kind=Kind.RECONCILIATION,
        corrects=str(rows[0]["charge_id"]),
        cost_basis=CostBasis.COMPUTED if line.cost is None else CostBasis.STATED,
        stated_cost=line.cost,
        stated_currency=None if line.cost is None else line.currency,
        service_tier=rows[0]["service_tier"],
        provider_request_id=line.provider_request_id,
        reason=reason,
    )
