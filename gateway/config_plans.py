"""What haechi.toml says about subscription plans, as billing takes it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from billing.plans import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config_schema import PlanTable


def plans_of(tables: Sequence[PlanTable], seat_krw: int) -> tuple[Plan, ...]:
    """Return the plans in the order of the file; without any, the seat of the invoices, unnamed."""
    if not tables:
        return (Plan("seat", "", seat_krw),)
    return tuple(
        Plan(
            id=table.id,
            name=table.name,
            monthly_krw=table.monthly_krw,
            yearly_discount_percent=Decimal(table.yearly_discount_percent),
            minimum_seats=table.minimum_seats,
            models=tuple(table.models),
            requests=table.requests,
            includes=table.includes,
        )
        for table in tables
    )
