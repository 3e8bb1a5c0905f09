"""The accounts that budgets are judged by, inside the transaction of the rows that move them.

`Accounts` belongs to one sink. For each group it looks whether budgets changed, locks the accounts
that the group touches, in one order, lets `billing.budgets.apply` decide, and writes them back. An
account that is not there yet is made from the ledger: what its charges sum to, and the holds of its
open attempts. On PostgreSQL a share lock on the revision keeps a budget from being set in between.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, case, func, literal, select

from billing.budgets import (
    HELD,
    UNTAKEN,
    Account,
    AccountKey,
    Amounts,
    Budget,
    Budgets,
    Every,
    Measure,
    Scope,
    ScopeKind,
    apply,
    held_by,
    months_of,
    scopes_of_payer,
)
from billing.ledger import CHARGE_TABLE, DISPATCH_TABLE, Kind
from billing.money import NANO
from billing.movements import hold_of, movements_of
from billing.store.leases import LeaseBook, largest_holds, set_aside
from billing.store.statements import insert_rows, run
from billing.submissions import NOTHING_BACK, Back
from billing.tables import budget_accounts, budget_transfers, budgets, charges, dispatches
from billing.usage import TOKEN_CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table

    from billing.budgets import BudgetExceeded
    from billing.ledger import Attribution, Record

_KEY: Final = ("scope_kind", "scope_id", "every", "period")
_SUMS: Final = (
    *("spent_nano_krw", "spent_tokens", "spent_requests"),
    *("held_nano_krw", "held_tokens", "held_requests"),
)
COLUMNS: Final = (*_KEY, *_SUMS)
_REVISION: Final = {
    "sqlite": "SELECT number FROM budget_revision",
    "postgresql": "SELECT number FROM budget_revision FOR SHARE",
}
MOST: Final = 2**63 - 1
_AT_ONCE: Final = 500
"""Accounts of one statement."""
_REPLACE: Final = f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in _SUMS
)


class Moving(NamedTuple):
    """`refusable`: budgets may say no. `grants`: more may be set aside for this writer."""

    refusable: bool
    back: Back = NOTHING_BACK
    grants: bool = True


class Accounts:
    """The budgets in force as this sink last read them."""

    def __init__(self) -> None:
        self._budgets = Budgets({})
        self._revision: int | None = None
        self._seen: dict[AccountKey, tuple[Account, int]] = {}
        """Accounts after this sink's last group, with what was added to them early until then."""
        self._counted: dict[AccountKey, int] = {}
        self.leases = LeaseBook()

    @property
    def revision(self) -> int | None:
        """The number that every change of budgets, and every lock of a month, raises; as last read."""
        return self._revision

    def needs_database(self, submission: Sequence[Record]) -> bool:
        """Whether a hard budget stands over a dispatch of this submission, or nobody knows."""
        if self._revision is None:
            return True
        movements = movements_of(submission, {}, refusable=True)
        return any(
            any(movement.held) and self._budgets.refuses_without_database(movement) for movement in movements
        )

    def refresh(self, connection: Connection) -> bool:
        """Read the budgets if they changed; whether there are any."""
        self.leases.looking()
        row = run(connection, _REVISION[connection.dialect.name]).fetchone()
        number = row[0] if row else 0
        if number != self._revision:
            self._budgets = Budgets.of(read_budgets(connection))
            self._revision = number
            self._seen.clear()
            self.leases.recall()
        return bool(self._budgets.by_scope)

    def move(
        self,
        connection: Connection,
        group: Sequence[Sequence[Record]],
        open_hold: Callable[[str], Amounts | None],
        how: Moving,
    ) -> list[BudgetExceeded | None]:
        """Take and give back holds, and add what was spent; inside the caller's transaction.

        `open_hold` knows the attempts that this writer has open. A submission that does not fit is
        refused, and moves nothing.
        """
        holds = _holds(connection, group, open_hold)
        moves = [movements_of(submission, holds, refusable=how.refusable) for submission in group]
        keys = sorted({key for movements in moves for m in movements for key in self._budgets.keys(m)})
        if not keys and not how.back.freed:
            return [None] * len(group)
        accounts = _locked(connection, keys)
        on_one_machine = connection.dialect.name == "sqlite"
        if on_one_machine:
            self.leases.count(connection, accounts, how.back.freed)
        refusals = [apply(movements, self._budgets, accounts) for movements in moves]
        insert_rows(connection, budget_accounts, COLUMNS, [*map(row_of, accounts.values())], _REPLACE)
        self._counted |= how.back.sums
        self._seen |= {key: (account, self._counted.get(key, 0)) for key, account in accounts.items()}
        if on_one_machine and how.grants:
            self.leases.grant(connection, accounts.values(), largest_holds(moves, self._budgets))
        return refusals

    def committed(self) -> None:
        """Say that the transaction of `refresh` and `move` is in the database."""
        self.leases.committed(self._budgets)

    def left_nano_krw(self, payer: Attribution, billing_period: str) -> int | None:
        """Nano-won that the tightest hard budget over a payer leaves, as of this writer's last row.

        None: no hard budget in won, or none of its accounts was moved by this sink yet. Callable from
        any thread.
        """
        if not self._budgets.by_scope:
            return None
        keys = self._budgets.accounts_of(scopes_of_payer(payer), billing_period)
        lefts = []
        for key in keys:
            account, counted = self._seen.get(key, (None, 0))
            left = None if account is None else account.left(Measure.WON)
            if left is not None:
                lefts.append(left - self.leases.added(key) + counted)
        return min(lefts, default=None)


def _holds(
    connection: Connection, group: Sequence[Sequence[Record]], open_hold: Callable[[str], Amounts | None]
) -> Mapping[str, Amounts]:
    """Return the holds of all attempts that the group charges."""
    holds: dict[str, Amounts] = {}
    missing: set[str] = set()
    for record in (record for submission in group for record in submission):
        if record.table == DISPATCH_TABLE:
            holds[record.values[0]] = hold_of(record)
        elif record.table == CHARGE_TABLE:
            attempt_id = record.values[1]
            hold = open_hold(attempt_id)
            if hold is not None:
                holds[attempt_id] = hold
            elif attempt_id not in holds:
                missing.add(attempt_id)
    if missing:
        statement = select(*(dispatches.c[name] for name in ("attempt_id", *HELD)))
        found = connection.execute(statement.where(dispatches.c.attempt_id.in_(sorted(missing))))
        holds |= {attempt_id: held_by(*held) for attempt_id, *held in found}
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
            row.limit_nano_krw if row.measure == Measure.WON else row.limit_count,
            bool(row.hard),
            Measure(row.measure),
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
    tokens = sum((func.coalesce(charges.c[name], 0) for name in TOKEN_CLASSES), start=literal(0))
    taken = and_(charges.c.kind == Kind.CHARGE, charges.c.outcome.not_in(sorted(UNTAKEN)))
    spent = _summed(
        connection, _of_account(charges, key), charges.c.amount_nano_krw, tokens, case((taken, 1), else_=0)
    )
    its_charge = and_(charges.c.attempt_id == dispatches.c.attempt_id, charges.c.kind == Kind.CHARGE)
    is_open = ~select(charges.c.charge_id).where(its_charge).exists()
    held = _summed(
        connection,
        [*_of_account(dispatches, key), is_open],
        dispatches.c.hold_nano_krw,
        dispatches.c.input_bytes + func.coalesce(dispatches.c.max_output_tokens, 0),
        literal(1),
    )
    return Account(key, spent, held)


def stored_account(connection: Connection, key: AccountKey) -> Account:
    """Return an account as it stood a moment ago; locks nothing, for whoever only looks."""
    of_key = (budget_accounts.c[name] == part for name, part in zip(_KEY, key, strict=True))
    row = connection.execute(select(budget_accounts).where(*of_key)).mappings().first()
    account = computed(connection, key) if row is None else account_of(dict(row))
    account.leased = set_aside(connection, key)
    return account


def _locked(connection: Connection, keys: Sequence[AccountKey]) -> dict[AccountKey, Account]:
    """Lock accounts in the order of their keys; make those that are missing."""
    found = _read(connection, keys)
    missing = [key for key in keys if key not in found]
    if missing:
        rows = [row_of(computed(connection, key)) for key in missing]
        insert_rows(connection, budget_accounts, COLUMNS, rows, " ON CONFLICT DO NOTHING")
        found |= _read(connection, missing)
    return found


def _read(connection: Connection, keys: Sequence[AccountKey]) -> dict[AccountKey, Account]:
    found: dict[AccountKey, Account] = {}
    for start in range(0, len(keys), _AT_ONCE):
        wanted = keys[start : start + _AT_ONCE]
        statement = lock_of(len(wanted), connection.dialect.name)
        for row in run(connection, statement, tuple(chain.from_iterable(wanted))).fetchall():
            account = _account(row)
            found[account.key] = account
    return found


@cache
def lock_of(accounts: int, dialect: str) -> str:
    """Written out, since it runs with every group: building it took longer than all else of a group of one.

    A join, since SQLite reads the whole table for keys of several columns that stand in a list.
    """
    mark, suffix = ("%s", " FOR UPDATE OF a") if dialect == "postgresql" else ("?", "")
    wanted = ", ".join([f"({', '.join([mark] * len(_KEY))})"] * accounts)
    columns, order = (", ".join(f"a.{name}" for name in names) for names in (COLUMNS, _KEY))
    same = " AND ".join(f"a.{name} = wanted.{name}" for name in _KEY)
    return (
        f"WITH wanted ({', '.join(_KEY)}) AS (VALUES {wanted})"  # noqa: S608 - names of our own columns
        f" SELECT {columns} FROM wanted CROSS JOIN budget_account a WHERE {same} ORDER BY {order}{suffix}"
    )


def row_of(account: Account) -> tuple[Any, ...]:
    """Return an account as it is stored. What a column cannot hold (9.2 billion won) stays at its most.

    No limit is that high, so nothing is decided differently; a charge that cannot be counted would be lost.
    """
    sums = (*account.spent, *account.held)
    if max(sums) <= MOST and min(sums) >= -MOST:
        return (*account.key, *sums)
    return (*account.key, *(max(-MOST, min(amount, MOST)) for amount in sums))


def account_of(row: Mapping[str, Any]) -> Account:
    """Return an account from a row of `budget_account`."""
    return _account([row[name] for name in COLUMNS])


def _account(row: Sequence[Any]) -> Account:
    return Account(AccountKey(*row[:4]), Amounts(*row[4:7]), Amounts(*row[7:]))


def _summed(
    connection: Connection,
    conditions: Iterable[ColumnElement[bool]],
    amount: ColumnElement[int],
    tokens: ColumnElement[int],
    requests: ColumnElement[int],
) -> Amounts:
    """Sum each measure; of nano-won, won and rest apart: see billing.store.reports."""
    whole = amount.op("/", return_type=amount.type)(NANO)
    sums = [func.coalesce(func.sum(one), 0) for one in (whole, amount % NANO, tokens, requests)]
    row = connection.execute(select(*sums).where(*conditions)).one()
    won, rest, used, taken = map(int, row)
    return Amounts(won * NANO + rest, used, taken)


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
            path = "/" + table.c.unit_path + "/"  # not LIKE: SQLite's takes it for it with IT
            conditions.append(func.replace(path, f"/{unit}/", "") != path)
    return conditions
