"""Changes of budgets in the access audit, in the transaction of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audit import Actor, AuditEvent
from gateway.store.audit import append

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.store.budget_admin import BudgetChange, Trail


def budget_trail(connection: Connection, change: BudgetChange) -> None:
    """Write a change down: who, when, why, before and after. A billing.store.budget_admin.Trail."""
    _write(connection, change, Actor(change.by))


def trail_of(actor: Actor) -> Trail:
    """The same for somebody whose roles and address are known."""
    return lambda connection, change: _write(connection, change, actor)


def _write(connection: Connection, change: BudgetChange, actor: Actor) -> None:
    sides = {"before": dict(change.before), "after": dict(change.after)}
    append(
        connection, AuditEvent(change.at, actor, change.action, change.subject, change.reason, details=sides)
    )
