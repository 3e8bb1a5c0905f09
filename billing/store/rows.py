"""Between rows read back and the values of billing.ledger; and records made from rows."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from billing.ledger import (
    ATTRIBUTION_COLUMNS,
    CHARGE_COLUMNS,
    CHARGE_TABLE,
    DISPATCH_COLUMNS,
    LINE_COLUMNS,
    Attribution,
    Dispatch,
    Kind,
    Record,
)
from billing.periods import from_us
from billing.quotes import Line, Quote
from billing.tables import charges, dispatches, lines, quotes
from billing.usage import CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHARGE_SELECT = tuple(charges.c[name] for name in CHARGE_COLUMNS)
DISPATCH_SELECT = tuple(dispatches.c[name] for name in DISPATCH_COLUMNS)
LINE_SELECT = tuple(lines.c[name] for name in LINE_COLUMNS)


def attribution_of(row: Mapping[str, Any]) -> Attribution:
    fields = {name: row[name] for name in ATTRIBUTION_COLUMNS}
    fields["unit_path"] = tuple(unit.replace("%2F", "/") for unit in row["unit_path"].split("/"))
    fields["stream"] = bool(row["stream"])
    return Attribution(**fields)


def dispatch_of(row: Mapping[str, Any], quote: Quote) -> Dispatch:
    return Dispatch(
        attempt_id=row["attempt_id"],
        request_id=row["request_id"],
        attempt_no=row["attempt_no"],
        started_at=from_us(row["started_at_us"]),
        billing_period=row["billing_period"],
        attribution=attribution_of(row),
        quote=quote,
        hold_nano_krw=row["hold_nano_krw"],
        input_bytes=row["input_bytes"],
        max_output_tokens=row["max_output_tokens"],
    )


def line_of(row: Sequence[Any]) -> Line:
    """Line of a row in the order of LINE_COLUMNS."""
    token_class, quantity, unit_price, currency, per, version, fx_rate, fx_date, amount, basis = row
    return Line(
        token_class,
        quantity,
        Decimal(unit_price),
        currency,
        per,
        version,
        None if fx_rate is None else Decimal(fx_rate),
        None if fx_date is None else date.fromisoformat(fx_date),
        amount,
        basis,
    )


def read_quote(connection: Connection, quote_id: str) -> Quote:
    """Quote that a row was charged by. Raises LookupError."""
    document = connection.execute(select(quotes.c.document).where(quotes.c.quote_id == quote_id)).scalar()
    if document is None:
        raise LookupError(f"quote {quote_id} is not in the ledger")
    return Quote.from_document(document)


def read_lines(connection: Connection, charge_id: str) -> tuple[tuple[Any, ...], ...]:
    """Lines of a charge in their order, each in the order of LINE_COLUMNS."""
    statement = select(*LINE_SELECT).where(lines.c.charge_id == charge_id).order_by(lines.c.line_no)
    return tuple(tuple(row) for row in connection.execute(statement))


def correction_of(
    earlier: Sequence[Mapping[str, Any]], charged: Sequence[tuple[Any, ...]], actual: Record, reason: str
) -> Record:
    """Turn a charge that came after its estimate into the difference to what was charged since.

    `earlier` are the attempt's rows, the estimate first: a bill may have been applied to it meanwhile.
    """
    values = dict(zip(CHARGE_COLUMNS, actual.values, strict=True))
    values["kind"] = str(Kind.CORRECTION)
    values["corrects"] = earlier[0]["charge_id"]
    values["reason"] = reason
    values["amount_nano_krw"] -= sum(row["amount_nano_krw"] for row in earlier)
    for name in CLASSES:
        if values[name] is not None or any(row[name] is not None for row in earlier):
            values[name] = (values[name] or 0) - sum(row[name] or 0 for row in earlier)
    taken_back = tuple(_negated(row) for row in charged)
    return Record(CHARGE_TABLE, tuple(values.values()), taken_back + actual.lines)


def _negated(row: tuple[Any, ...]) -> tuple[Any, ...]:
    values = dict(zip(LINE_COLUMNS, row, strict=True))
    values["quantity"] = -values["quantity"]
    values["amount_nano_krw"] = -values["amount_nano_krw"]
    return tuple(values.values())
