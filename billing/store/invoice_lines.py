"""From an invoice's line down to the charges behind it: request, time, person. Reads only, never text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, or_, select

from billing.ledger import Kind
from billing.periods import from_us, month_bounds, to_us
from billing.quotes import STATED
from billing.statements import METERED, LineKind
from billing.tables import charges, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine

    from billing.statements import Invoice, InvoiceLine


@dataclass(frozen=True, slots=True)
class ChargeBehind:
    """One charge's part of a line."""

    charge_id: str
    request_id: str
    attempt_id: str
    corrects: str
    started_at: datetime
    person_id: str
    key_id: str
    quantity: int
    nano_krw: int


_COLUMNS: Final = (
    *(charges.c[name] for name in ("charge_id", "request_id", "attempt_id", "corrects", "started_at_us")),
    *(charges.c.person_id, charges.c.key_id, lines.c.quantity, lines.c.amount_nano_krw),
)


def charges_behind(
    engine: Engine, invoice: Invoice, line: InvoiceLine, *, offset: int = 0, limit: int = 100
) -> list[ChargeBehind]:
    """Return a page of the charges that a line sums, in the order of their time; none of a surcharge."""
    if line.kind not in METERED:
        return []
    statement = (
        select(*_COLUMNS)
        .join_from(charges, lines, lines.c.charge_id == charges.c.charge_id)
        .where(*_conditions(invoice, line))
        .order_by(charges.c.started_at_us, charges.c.charge_id, lines.c.line_no)
        .offset(offset)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [_behind(row) for row in connection.execute(statement)]


def count_behind(engine: Engine, invoice: Invoice, line: InvoiceLine) -> tuple[int, int]:
    """Return how many charge lines are behind a line, and the nano-won they sum to."""
    if line.kind not in METERED:
        return 0, 0
    amount = func.coalesce(func.sum(lines.c.amount_nano_krw), 0)
    statement = (
        select(func.count(), amount)
        .join_from(charges, lines, lines.c.charge_id == charges.c.charge_id)
        .where(*_conditions(invoice, line))
    )
    with engine.connect() as connection:
        count, nano = connection.execute(statement).one()
        return int(count), int(nano)


def _conditions(invoice: Invoice, line: InvoiceLine) -> Iterator[ColumnElement[bool]]:
    yield charges.c.billing_period == invoice.month
    yield charges.c.department_id == invoice.unit.id
    path = invoice.unit_path
    yield or_(charges.c.unit_path == path, charges.c.unit_path.startswith(path + "/", autoescape=True))
    start, end = month_bounds(line.original_month)
    yield charges.c.started_at_us >= to_us(start)
    yield charges.c.started_at_us < to_us(end)
    corrections = (Kind.CORRECTION, Kind.RECONCILIATION)
    is_correction = line.kind is LineKind.CORRECTION
    yield charges.c.kind.in_(corrections) if is_correction else charges.c.kind.not_in(corrections)
    yield charges.c.model_id == line.model
    yield charges.c.provider == line.provider
    yield lines.c.token_class == line.token_class
    yield lines.c.basis == line.basis
    yield lines.c.currency == line.currency
    yield lines.c.per == line.per
    yield lines.c.price_version == line.price_version
    yield func.coalesce(lines.c.fx_rate, "") == line.fx_rate
    yield func.coalesce(lines.c.fx_date, "") == line.fx_date
    if line.token_class != STATED:  # a stated line is the sum of many prices
        yield lines.c.unit_price == line.unit_price


def _behind(row: Any) -> ChargeBehind:  # noqa: ANN401 - a row of _COLUMNS
    charge_id, request_id, attempt_id, corrects, at_us, person_id, key_id, quantity, nano = tuple(row)
    return ChargeBehind(
        charge_id, request_id, attempt_id, corrects or "", from_us(at_us), person_id, key_id, quantity, nano
    )
