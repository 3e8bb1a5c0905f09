"""The ledger's rows of a month as they stand, one for each charge and correction. Reads only, streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from billing.periods import month_bounds
from billing.tables import charges
from billing.usage import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

RAW_COLUMNS: Final = (
    *("charge_id", "kind", "corrects", "attempt_id", "request_id", "started_at_us", "settled_at_us"),
    *("billing_period", "department_id", "unit_path", "person_id", "key_id", "via_service", "model_id"),
    *("deployment_id", "provider", "upstream_model", "zone", "surface", "label", "outcome", "source"),
    *("cost_basis", *CLASSES, "service_tier", "amount_nano_krw", "stated_cost", "stated_currency"),
    *("quote_id", "served_model", "provider_request_id", "reason"),
)
"""Columns of the ledger, in the order of a row; nothing of a prompt is in any."""
BATCH: Final = 5_000


def raw_rows(engine: Engine, month: str) -> Iterator[Sequence[Any]]:
    """Yield the rows of a billing month by department. Raises ValueError for what is no month."""
    month_bounds(month)
    statement = (
        select(*(charges.c[name] for name in RAW_COLUMNS))
        .where(charges.c.billing_period == month)
        .order_by(charges.c.department_id, charges.c.charge_id)
    )
    with engine.connect().execution_options(stream_results=True, yield_per=BATCH) as connection:
        for batch in connection.execute(statement).partitions(BATCH):
            yield from batch
