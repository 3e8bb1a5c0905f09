"""The accounts that budgets are judged by, inside the transaction of the rows that move them.

`Accounts` belongs to one sink. For each group it looks whether budgets changed, locks the accounts
that the group touches, in one order, lets `billing.budgets.apply` decide, and writes them back. An
account that is not there yet is made from the ledger: what its charges sum to, and the holds of its
open attempts. On PostgreSQL a share lock on the revision keeps a budget from being set in between.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, func, select, tuple_

from billing.budgets import (
    Account,
    AccountKey,
    Budget,
    Budgets,
    Every,
    Movement,
    Scope,
    ScopeKind,
    apply,
    months_of,
    scopes_of,
)
from billing.ledger import CHARGE_COLUMNS, CHARGE_TABLE, DISPATCH_COLUMNS, DISPATCH_TABLE, Kind, Record
from billing.money import NANO
from billing.store.statements import insert_rows
from billing.tables import budget_accounts, budget_transfers, budgets, charges, dispatches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table

    from billing.budgets import BudgetExceeded

COLUMNS: Final = ("scope_kind", "scope_id", "every", "period", "spent_nano_krw", "held_nano_krw")
_REVISION: Final = {
    "sqlite": "SELECT number FROM budget_revision",
    "postgresql": "SELECT number FROM budget_revision FOR SHARE",
}
_KEY: Final = ("scope_kind", "scope_id", "every", "period")
_REPLACE: Final = (
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET"
    " spent_nano_krw = excluded.spent_nano_krw, held_nano_krw = excluded.held_nano_krw"
)


class Accounts:
    """The budgets in force as this sink last read them."""

    def __init__(self) -> None:
        self._budgets = Budgets({})
        self._revision: int | None = None

    def needs_database(self, submission: Sequence[Record]) -> bool:
        """Whether a hard budget stands over a dispatch of this submission, or nobody knows."""
        if self._revision is None:
            return True
        movements = _movements(submission, {}, refusable=True)
        return any(
            movement.held > 0 and self._budgets.refuses_without_database(movement) for movement in movements
        )

    def refresh(self, connection: Connection) -> bool:
        """Read the budgets if they changed; whether there are any."""
        row = connection.exec_driver_sql(_REVISION[connection.dialect.name]).first()
        number = row[0] if row else 0
        if number != self._revision:
            self._budgets = Budgets.of(read_budgets(connection))
            self._revision = number
        return bool(self._budgets.by_scope)

    def move(
        self,
        connection: Connection,
        group: Sequence[Sequence[Record]],
        holds: Mapping[str, int],
        *,
        refusable: bool,
    ) -> list[BudgetExceeded | None]:
        """Take and give back holds, and add what was spent; inside the caller's transaction.

        `holds` are those of open attempts that this writer knows. A submission that does not fit is
        refused, and moves nothing.
        """
        holds = self._holds(connection, group, holds)
        moves = [_movements(submission, holds, refusable=refusable) for submission in group]
        keys = sorted({key for movements in moves for m in movements for key in self._budgets.keys(m)})
        if not keys:
            return [None] * len(group)
        accounts = _locked(connection, keys)
        refusals = [apply(movements, self._budgets, accounts) for movements in moves]
        rows = [(*a.key, a.spent_nano_krw, a.held_nano_krw) for a in accounts.values()]
        insert_rows(connection, budget_accounts, COLUMNS, rows, _REPLACE)
        return refusals

    def _holds(
        self, connection: Connection, group: Sequence[Sequence[Record]], known: Mapping[str, int]
    ) -> dict[str, int]:
        """Return the holds of all attempts that the group charges."""
        holds = dict(known)
        records = [record for submission in group for record in submission]
        for record in records:
            if record.table == DISPATCH_TABLE:
                holds[record.values[0]] = record.values[_HOLD]
        missing = {r.values[1] for r in records if r.table == CHARGE_TABLE} - holds.keys()
        if missing:
            statement = select(dispatches.c.attempt_id, dispatches.c.hold_nano_krw)
            found = connection.execute(statement.where(dispatches.c.attempt_id.in_(sorted(missing))))
            holds |= {row.attempt_id: row.hold_nano_krw for row in found}
        return holds


def read_budgets(connection: Connection) -> list[Budget]:
    """Budgets that are in force."""
    rows = connection.execute(select(budgets).where(budgets.c.ended_at_us.is_(None))).all()
    moved = _transferred(connection)
    return [
        Budget(
            row.id,
            Scope(row.scope_kind, row.scope_id),
            Every(row.every),
            row.limit_nano_krw,
            bool(row.hard),
            moved.get(row.id, {}),
        )
        for row in rows
    ]


def _transferred(connection: Connection) -> dict[str, Counter[str]]:
    """What transfers moved, by budget in force and period."""
    in_force = select(budgets.c.id).where(budgets.c.ended_at_us.is_(None))
    moved: dict[str, Counter[str]] = defaultdict(Counter)
    for side, period, sign in (
        (budget_transfers.c.from_budget_id, budget_transfers.c.from_period, -1),
        (budget_transfers.c.to_budget_id, budget_transfers.c.to_period, 1),
    ):
        statement = select(side, period, budget_transfers.c.amount_nano_krw).where(side.in_(in_force))
        for budget_id, in_period, amount in connection.execute(statement):
            moved[budget_id][in_period] += sign * amount
    return moved


def computed(connection: Connection, key: AccountKey) -> Account:
    """An account as the ledger says: the truth that the stored one is a projection of."""
    spent = _total(connection, charges.c.amount_nano_krw, _of_account(charges, key))
    its_charge = and_(charges.c.attempt_id == dispatches.c.attempt_id, charges.c.kind == Kind.CHARGE)
    is_open = ~select(charges.c.charge_id).where(its_charge).exists()
    held = _total(connection, dispatches.c.hold_nano_krw, [*_of_account(dispatches, key), is_open])
    return Account(key, spent, held)


def _locked(connection: Connection, keys: Sequence[AccountKey]) -> dict[AccountKey, Account]:
    """Lock accounts in the order of their keys; make those that are missing."""
    found = _read(connection, keys)
    missing = [key for key in keys if key not in found]
    if missing:
        made = [computed(connection, key) for key in missing]
        rows = [(*a.key, a.spent_nano_krw, a.held_nano_krw) for a in made]
        insert_rows(connection, budget_accounts, COLUMNS, rows, " ON CONFLICT DO NOTHING")
        found |= _read(connection, missing)
    return found


def _read(connection: Connection, keys: Sequence[AccountKey]) -> dict[AccountKey, Account]:
    columns = [budget_accounts.c[name] for name in _KEY]
    found: dict[AccountKey, Account] = {}
    for start in range(0, len(keys), 500):
        wanted = [tuple(key) for key in keys[start : start + 500]]
        statement = select(budget_accounts).where(tuple_(*columns).in_(wanted)).order_by(*columns)
        for *key, spent, held in connection.execute(statement.with_for_update()):
            account_key = AccountKey(*key)
            found[account_key] = Account(account_key, spent, held)
    return found


def _total(
    connection: Connection, amount: ColumnElement[int], conditions: Iterable[ColumnElement[bool]]
) -> int:
    """Sum of nano-won, won and rest apart: see billing.store.reports."""
    whole = amount.op("/", return_type=amount.type)(NANO)
    statement = select(func.coalesce(func.sum(whole), 0), func.coalesce(func.sum(amount % NANO), 0))
    won, rest = connection.execute(statement.where(*conditions)).one()
    return int(won) * NANO + int(rest)


def _of_account(table: Table, key: AccountKey) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    months = months_of(key.period)
    if months is not None:
        conditions.append(table.c.billing_period.in_(months))
    match key.scope_kind:
        case ScopeKind.KEY:
            conditions.append(table.c.key_id == key.scope_id)
        case ScopeKind.PERSON:
            conditions.append(table.c.person_id == key.scope_id)
        case _:
            unit = key.scope_id.replace("/", "%2F")
            conditions.append(("/" + table.c.unit_path + "/").contains(f"/{unit}/", autoescape=True))
    return conditions


_HOLD: Final = DISPATCH_COLUMNS.index("hold_nano_krw")


def _movements(submission: Sequence[Record], holds: Mapping[str, int], *, refusable: bool) -> list[Movement]:
    movements = []
    for record in submission:
        if record.table == DISPATCH_TABLE:
            row = dict(zip(DISPATCH_COLUMNS, record.values, strict=True))
            hold = row["hold_nano_krw"]
            movements.append(Movement(scopes_of(row), row["billing_period"], hold, 0, refusable))
        elif record.table == CHARGE_TABLE:
            row = dict(zip(CHARGE_COLUMNS, record.values, strict=True))
            hold = holds.get(row["attempt_id"], 0) if row["kind"] == Kind.CHARGE else 0
            spent = row["amount_nano_krw"]
            movements.append(Movement(scopes_of(row), row["billing_period"], -hold, spent, refusable=False))
    return movements
