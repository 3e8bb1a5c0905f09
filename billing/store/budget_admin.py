"""Setting, ending and looking at budgets: what the command line and the console call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from billing.budgets import Budget, Every, Measure, Scope
from billing.leases import FRESH_S
from billing.money import won
from billing.periods import billing_month, to_us
from billing.store.accounts import account_of, computed, read_budgets, row_of, stored_account
from billing.store.billed_budgets import as_billed
from billing.store.engine import one_moment, writing
from billing.store.slots import somebody_writes
from billing.tables import budget_accounts, budget_revision, budgets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A budget in its current period; amounts in the unit of its measure, won as they are billed."""

    budget: Budget
    period: str
    spent: int
    held: int

    @property
    def limit(self) -> int:
        """Its limit in this period, transfers included."""
        return self.budget.limit_in(self.period)

    @property
    def left(self) -> int:
        return self.limit - self.spent - self.held


class BudgetChange(NamedTuple):
    """One change of budgets, for a trail: who, when, why, and what stood before and stands after."""

    action: str
    """`budget.set`, `budget.end`, `budget.transfer`, `budget.watch`."""
    subject: str
    """The scope, `unit:총무과`; of a transfer the giver's."""
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    at: datetime
    by: str
    reason: str


Trail = Callable[[Connection, BudgetChange], None]
"""Writes a change down elsewhere, in the transaction of the change."""


def set_budget(
    engine: Engine, budget: Budget, *, now: datetime, by: str, reason: str, trail: Trail | None = None
) -> None:
    """Put a budget in force from now on; what was spent in its running period counts.

    A budget of the same scope, period, hardness and measure that is in force is ended. Raises ValueError
    for a negative limit.
    """
    if budget.limit < 0:
        raise ValueError("예산은 음수일 수 없습니다 / a budget cannot be negative")
    with writing(engine).begin() as connection:
        raise_revision(connection)
        in_won = budget.measure is Measure.WON
        before: dict[str, Any] = {}
        for other in read_budgets(connection):
            if _kind(other) == _kind(budget):
                _end(connection, other.id, now, by, reason)
                before = described(other)
        connection.execute(
            insert(budgets).values(
                id=budget.id,
                scope_kind=budget.scope.kind,
                scope_id=budget.scope.id,
                every=str(budget.every),
                measure=str(budget.measure),
                limit_nano_krw=budget.limit if in_won else None,
                limit_count=None if in_won else budget.limit,
                hard=int(budget.hard),
                created_at_us=to_us(now),
                created_by=by,
                reason=reason,
            )
        )
        _forget_accounts(connection, budget.scope, budget.every)
        if trail is not None:
            subject = ":".join(budget.scope)
            after = described(budget)
            trail(connection, BudgetChange("budget.set", subject, before, after, now, by, reason))
    wait_until_in_force(engine)


def end_budget(
    engine: Engine, budget_id: str, *, now: datetime, by: str, reason: str, trail: Trail | None = None
) -> bool:
    """Take a budget out of force; False if there is none of that id in force."""
    with writing(engine).begin() as connection:
        raise_revision(connection)
        found = next((b for b in read_budgets(connection) if b.id == budget_id), None)
        if found is None:
            return False
        if trail is not None:
            subject = ":".join(found.scope)
            trail(connection, BudgetChange("budget.end", subject, described(found), {}, now, by, reason))
        ended = _end(connection, budget_id, now, by, reason)
    wait_until_in_force(engine)
    return ended


def _kind(budget: Budget) -> tuple[object, ...]:
    """What one budget at a time is in force of."""
    return budget.scope, budget.every, budget.hard, budget.measure


def described(budget: Budget) -> dict[str, Any]:
    """Return a budget as a trail shows it; won are exact and text."""
    in_won = budget.measure is Measure.WON
    limit = {"limit_krw": f"{won(budget.limit):f}"} if in_won else {f"limit_{budget.measure}": budget.limit}
    return {
        "id": budget.id,
        "scope": ":".join(budget.scope),
        "every": str(budget.every),
        **limit,
        "hard": budget.hard,
    }


def budget_status(engine: Engine, now: datetime) -> list[BudgetStatus]:
    """Every budget in force, with what is spent and held in the period that `now` lies in."""
    with engine.connect() as connection:
        return _statuses(connection, read_budgets(connection), billing_month(now))


def budgets_over(engine: Engine, scopes: Collection[Scope], now: datetime) -> list[BudgetStatus]:
    """Every budget in force of these scopes, in the period that `now` lies in."""
    with engine.connect() as connection:
        theirs = [budget for budget in read_budgets(connection) if budget.scope in scopes]
        return _statuses(connection, theirs, billing_month(now))


def _statuses(connection: Connection, found: Iterable[Budget], month: str) -> list[BudgetStatus]:
    statuses = []
    for budget in sorted(found, key=lambda b: (b.scope, b.every, b.measure, b.id)):
        account = as_billed(connection, stored_account(connection, budget.account_key(month)))
        spent, held = account.spent.of(budget.measure), account.held.of(budget.measure)
        statuses.append(BudgetStatus(budget, account.key.period, spent, held))
    return statuses


def check_accounts(engine: Engine) -> list[str]:
    """Compare every stored account with the ledger; names of those that differ, of which there are none.

    Both as of one moment: a charge that is written meanwhile is in neither. Keeps no writer waiting.
    """
    with one_moment(engine).begin() as connection:
        differing = []
        in_force = {(b.scope, b.every) for b in read_budgets(connection)}
        for row in connection.execute(select(budget_accounts)).mappings().all():
            stored = account_of(dict(row))
            if (Scope(*stored.key[:2]), Every(stored.key.every)) not in in_force:
                continue  # nobody moves it any more; it is made anew when a budget is set again
            truth = computed(connection, stored.key)
            if row_of(truth) != row_of(stored):
                differing.append("/".join(stored.key))
        return differing


def _end(connection: Connection, budget_id: str, now: datetime, by: str, reason: str) -> bool:
    statement = (
        update(budgets)
        .where(budgets.c.id == budget_id, budgets.c.ended_at_us.is_(None))
        .values(ended_at_us=to_us(now), ended_by=by, end_reason=reason)
    )
    return connection.execute(statement).rowcount == 1


def wait_until_in_force(engine: Engine) -> None:
    """Wait until no writer of this machine goes by the budgets of before (billing.leases)."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            if somebody_writes(connection):
                time.sleep(FRESH_S)


def raise_revision(connection: Connection) -> None:
    """Wait for writers that still go by the old budgets, and keep others out until the commit."""
    raised = connection.execute(update(budget_revision).values(number=budget_revision.c.number + 1))
    if raised.rowcount == 0:
        connection.execute(insert(budget_revision).values(id=1, number=1))


def _forget_accounts(connection: Connection, scope: Scope, every: Every) -> None:
    """Accounts that stood still without a budget are wrong by now; the next writer makes them anew."""
    connection.execute(
        delete(budget_accounts).where(
            budget_accounts.c.scope_kind == scope.kind,
            budget_accounts.c.scope_id == scope.id,
            budget_accounts.c.every == str(every),
        )
    )
