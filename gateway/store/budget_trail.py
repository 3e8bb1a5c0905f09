"""Changes of budgets in the trail of administration, in the transaction of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert

from billing.periods import to_us
from gateway.store.tables import admin_event

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.store.budget_admin import BudgetChange


def budget_trail(connection: Connection, change: BudgetChange) -> None:
    """Write a change down: who, when, why, before and after. A billing.store.budget_admin.Trail."""
    connection.execute(
        insert(admin_event).values(
            at_us=to_us(change.at),
            actor=change.by,
            action=change.action,
            subject=change.subject,
            details={"before": dict(change.before), "after": dict(change.after), "reason": change.reason},
        )
    )
