"""The leases of writers in the database (billing.leases). SQLite only; nothing here commits."""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from billing.budgets import NO_LIMITS, NOTHING, AccountKey, Amounts, minus, plus
from billing.leases import FRESH_S, REPEATED, Purse, Terms, share_of
from billing.store.statements import insert_rows, run
from billing.tables import budget_leases

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import Connection

    from billing.budgets import Account, Budgets, Movement

_KEY: Final = ("scope_kind", "scope_id", "every", "period")
_SUMS: Final = ("nano_krw", "tokens", "requests")
_COLUMNS: Final = ("owner", *_KEY, *_SUMS)
_REPLACE: Final = f" ON CONFLICT (owner, {', '.join(_KEY)}) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in _SUMS
)


class LeaseBook:
    """The leases of one writer, as its journal's thread knows them: what is theirs, and what to grant."""

    def __init__(self) -> None:
        self.wants_recall = False
        self._owner = ""
        self._purse: Purse | None = None
        self._in_doubt = False
        """A commit that may have happened: what came back with it is not taken off a second time."""
        self._own: dict[AccountKey, Amounts] = {}
        self._granted: set[AccountKey] = set()
        self._grants: list[tuple[AccountKey, Amounts]] = []
        self._used: set[AccountKey] = set()
        self._asked: Counter[AccountKey] = Counter()
        self._read_at = 0.0

    def lease_as(self, owner: str) -> Purse:
        """Grant leases under this name from now on."""
        self._owner, self._purse = owner, Purse()
        return self._purse

    def lease_no_more(self) -> None:
        """Grant nothing from now on: there is no log to take it by."""
        self._owner, self._purse = "", None

    def added(self, key: AccountKey) -> int:
        """What was ever added early to an account, in nano-won. From any thread."""
        return 0 if self._purse is None else self._purse.added.get(key, 0)

    # --- what the budgets are ---

    def looking(self) -> None:
        """A transaction begins, and budgets are read now; what is granted in it goes by them."""
        self._read_at = time.monotonic()
        self._grants.clear()  # of a transaction that did not come to its end

    def recall(self) -> None:
        """Let nobody take anything any more until all leases have ended."""
        if self._purse is not None and (self._granted or self._in_doubt):
            self.wants_recall = True
            self._purse.terms = Terms(self._purse.terms.budgets, 0.0)

    def doubt(self) -> None:
        """Take note of a transaction of which nobody knows whether it happened."""
        self._in_doubt = self._purse is not None
        self._grants.clear()
        self.recall()

    def end(self, connection: Connection, owner: str) -> None:
        """End the leases of a writer whose rows are all written; inside the caller's transaction."""
        run(connection, "DELETE FROM budget_lease WHERE owner = ?", (owner,))

    def ended(self, owner: str) -> None:
        """Begin anew if these were ours."""
        if owner == self._owner:
            self._granted.clear()
            self.wants_recall = self._in_doubt = False

    def sweep(self, connection: Connection, *, alone: bool) -> None:
        """Recall where something is not used; end what writers left that are gone, files and all."""
        if self._granted - self._used:
            self.recall()
        self._used.clear()
        self._asked.clear()
        if alone and self._owner:
            run(connection, "DELETE FROM budget_lease WHERE owner <> ?", (self._owner,))

    # --- inside a transaction that moves accounts ---

    def count(
        self,
        connection: Connection,
        accounts: Mapping[AccountKey, Account],
        freed: Mapping[AccountKey, Amounts],
    ) -> None:
        """Set what is set aside in each account, for all writers; `freed` came back to this one."""
        keys = accounts.keys() | freed.keys()
        found = run(connection, _sums_of(len(keys)), (*chain.from_iterable(keys), self._owner)).fetchall()
        sums = {AccountKey(*row[:4]): (Amounts(*row[4:7]), Amounts(*row[7:])) for row in found}
        self._own.clear()
        changed = {}
        for key in keys:
            total, own = sums.get(key, (NOTHING, NOTHING))
            back = freed.get(key, NOTHING) if not self._in_doubt else NOTHING
            if key in accounts:
                accounts[key].leased = minus(total, back)
            self._own[key] = minus(own, back)
            if any(back):
                changed[key] = self._own[key]
        self._used |= freed.keys()
        self._write(connection, changed)

    def grant(
        self, connection: Connection, accounts: Iterable[Account], largest: Mapping[AccountKey, Amounts]
    ) -> None:
        """Set more aside where dispatches repeat; given to the purse when the transaction is committed."""
        if self._purse is None or self.wants_recall:
            return
        changed = {}
        for account in accounts:
            key, hold = account.key, largest.get(account.key, NOTHING)
            if account.limits == NO_LIMITS or not any(hold):
                continue
            self._asked[key] += 1
            own = self._own.get(key, NOTHING)
            more = share_of(account, own, hold)
            if any(more) and self._asked[key] >= REPEATED:
                changed[key] = plus(own, more)
                self._grants.append((key, more))
        self._write(connection, changed)

    def committed(self, budgets: Budgets) -> None:
        """Give the purse what was granted, and say that the budgets were read."""
        if self._purse is None or self.wants_recall:
            return
        self._granted.update(key for key, _ in self._grants)
        self._used.update(key for key, _ in self._grants)
        self._purse.grants.extend(self._grants)
        self._purse.terms = Terms(budgets, self._read_at + FRESH_S)
        self._grants.clear()

    def undone(self) -> None:
        self._grants.clear()

    def _write(self, connection: Connection, leases: Mapping[AccountKey, Amounts]) -> None:
        rows = [(self._owner, *key, *lease) for key, lease in leases.items() if any(lease)]
        insert_rows(connection, budget_leases, _COLUMNS, rows, _REPLACE)
        for key in (key for key, lease in leases.items() if not any(lease)):
            run(connection, _END, (self._owner, *key))


def set_aside(connection: Connection, key: AccountKey) -> Amounts:
    """Return what is set aside in an account for all writers."""
    sums = (func.coalesce(func.sum(budget_leases.c[name]), 0) for name in _SUMS)
    of_key = (budget_leases.c[name] == part for name, part in zip(_KEY, key, strict=True))
    return Amounts(*map(int, connection.execute(select(*sums).where(*of_key)).one()))


def largest_holds(moves: Iterable[Collection[Movement]], budgets: Budgets) -> dict[AccountKey, Amounts]:
    """Return the largest hold that a group takes from each account."""
    largest: dict[AccountKey, Amounts] = {}
    for movement in chain.from_iterable(moves):
        if movement.held[2] > 0:
            for key in budgets.keys(movement):
                known = largest.get(key, NOTHING)
                largest[key] = Amounts._make(map(max, known, movement.held))
    return largest


_END: Final = (
    "DELETE FROM budget_lease WHERE owner = ?"
    " AND scope_kind = ? AND scope_id = ? AND every = ? AND period = ?"
)


@cache
def _sums_of(accounts: int) -> str:
    """What is set aside in accounts: for all writers, and for one."""
    wanted = ", ".join([f"({', '.join('?' * len(_KEY))})"] * accounts)
    same = " AND ".join(f"l.{name} = wanted.{name}" for name in _KEY)
    columns = ", ".join(f"wanted.{name}" for name in _KEY)
    sums = ", ".join(f"sum(l.{name})" for name in _SUMS)
    own = ", ".join(f"sum(l.{name} * (l.owner = own.owner))" for name in _SUMS)
    return (
        f"WITH wanted ({', '.join(_KEY)}) AS (VALUES {wanted}), own (owner) AS (VALUES (?))"  # noqa: S608 - names of our own columns
        f" SELECT {columns}, {sums}, {own} FROM own CROSS JOIN wanted CROSS JOIN budget_lease l"
        f" WHERE {same} GROUP BY {columns}"
    )
