"""What a FOCUS file is made of: the daily sums of a month at their frozen prices. Reads only, streams."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import func, select, text

from billing.money import NANO
from billing.tables import usage_line_days

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Engine

_EPOCH: Final = date(1970, 1, 1).toordinal()
_KEYS: Final = (
    *("unit_path", "department_id", "day", "kind", "model_id", "provider", "token_class", "basis"),
    *("unit_price", "currency", "per", "price_version", "fx_rate", "fx_date"),
)
BATCH: Final = 2_000


class DayLine(NamedTuple):
    """A quantity of one day, department, SKU, price and rate."""

    unit_path: str
    department_id: str
    day: date
    kind: str
    model: str
    provider: str
    token_class: str
    basis: str
    unit_price: str
    currency: str
    per: int
    price_version: str
    fx_rate: str
    fx_date: str
    charge_lines: int
    quantity: int
    nano_krw: int


def day_lines(engine: Engine, month: str, departments: Collection[str] | None = None) -> Iterator[DayLine]:
    """Yield the lines of a billing month, by department and day; call `bring_up_to_date` before.

    `departments`: the ids of those that are wanted; None: all.
    """
    table = usage_line_days
    keys = [table.c[name] for name in _KEYS]
    measures = [func.sum(table.c[name]) for name in ("charge_lines", "quantity", "won", "nano_rest")]
    numbers = [text(str(number)) for number in range(1, len(keys) + 1)]
    statement = (
        select(*keys, *measures)
        .where(table.c.billing_period == month)
        .group_by(*numbers)
        .order_by(*numbers[:3])
    )
    if departments is not None:
        statement = statement.where(table.c.department_id.in_(departments))
    with engine.connect().execution_options(stream_results=True, yield_per=BATCH) as connection:
        for row in connection.execute(statement):
            path, department, day, *priced, charge_lines, quantity, won, rest = tuple(row)
            counted = (int(charge_lines), int(quantity), int(won) * NANO + int(rest))
            yield DayLine._make((path, department, date.fromordinal(day + _EPOCH), *priced, *counted))
