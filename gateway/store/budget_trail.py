"""Changes of budgets in the access audit, in the transaction of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audit import Actor, AuditEvent
from gateway.store.audit import append

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.store.budget_admin import BudgetChange


def budget_trail(connection: Connection, change: BudgetChange) -> None:
    """Write a change down: who, when, why, before and after. A billing.store.budget_admin.Trail."""
    sides = {"before": dict(change.before), "after": dict(change.after)}
    append(
        connection,
        AuditEvent(change.at, Actor(change.by), change.action, change.subject, change.reason, details=sides),
    )
