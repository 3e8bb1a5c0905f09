"""What is known later than the charge: the difference to it, as a row that names it.

A charge that was an estimate (a film that is still being drawn) is corrected once the provider has
stated what was used. The correction is priced by the quote of its attempt, and its id follows from
the charge, so that two processes which learn the same thing write it once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from billing.ledger import Charge, Kind, Outcome, derived_id
from billing.store.rows import CHARGE_SELECT, DISPATCH_SELECT, dispatch_of, line_of, read_lines, read_quote
from billing.tables import charges, dispatches
from billing.usage import CLASSES, Usage, UsageSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from billing.ledger import Dispatch
    from billing.quotes import Line


def correction(
    connection: Connection, charge_id: str, usage: Usage, *, now: datetime, reason: str, raw_usage: str | None
) -> Charge | None:
    """Return what makes a charge right by the usage that was stated later; None if it is right already.

    Raises LookupError if the charge, its dispatch or its quote is not in the ledger (yet).
    """
    charged = _one(connection, charge_id)
    if all((charged[name] or 0) == (getattr(usage, name) or 0) for name in CLASSES):
        return None
    actual = Charge.settle(
        _dispatch(connection, charged["attempt_id"]),
        charge_id=derived_id("correction", charge_id),
        settled_at=now,
        outcome=Outcome.CORRECTED,
        source=UsageSource.REPORTED,
        usage=usage,
        service_tier=charged["service_tier"],
        kind=Kind.CORRECTION,
        corrects=charge_id,
        raw_usage=raw_usage,
        reason=reason,
    )
    taken_back = tuple(_negated(line_of(row)) for row in read_lines(connection, charge_id))
    return replace(actual, lines=taken_back + actual.lines, usage_delta=_difference(charged, usage))


def _one(connection: Connection, charge_id: str) -> Mapping[str, Any]:
    row = (
        connection.execute(select(*CHARGE_SELECT).where(charges.c.charge_id == charge_id)).mappings().first()
    )
    if row is None:
        raise LookupError(f"charge {charge_id} is not in the ledger")
    return dict(row)


def _dispatch(connection: Connection, attempt_id: str) -> Dispatch:
    statement = select(*DISPATCH_SELECT).where(dispatches.c.attempt_id == attempt_id)
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise LookupError(f"attempt {attempt_id} is not in the ledger")
    return dispatch_of(dict(row), read_quote(connection, row["quote_id"]))


def _difference(charged: Mapping[str, Any], usage: Usage) -> dict[str, int]:
    return {
        name: (getattr(usage, name) or 0) - (charged[name] or 0)
        for name in CLASSES
        if charged[name] is not None or getattr(usage, name) is not None
    }


def _negated(line: Line) -> Line:
    return line._replace(quantity=-line.quantity, amount_nano_krw=-line.amount_nano_krw)
