"""Keeps the ledger out of locked months: whatever is written later goes to the next open one.

In the transaction of each group `Accounts.refresh` takes a share lock on the budgets' revision; whoever
locks a month raises that revision in the same transaction (`billing.store.months`), and writers that see
another number read the locked months anew. So a group is wholly before a lock, and then the lock sees its
open attempts, or wholly after it, and then nothing of it lands in the month. SQLite has one writer at a
time anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing.ledger import CHARGE_COLUMNS, CHARGE_TABLE, DISPATCH_COLUMNS, DISPATCH_TABLE
from billing.periods import next_month

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from sqlalchemy import Connection

    from billing.ledger import Record

_LOCKED: Final = "SELECT month FROM billing_month_step WHERE state = 'locked'"
PERIOD: Final = {
    DISPATCH_TABLE: DISPATCH_COLUMNS.index("billing_period"),
    CHARGE_TABLE: CHARGE_COLUMNS.index("billing_period"),
}
"""Where the ledger's records hold their billing period."""


class LockedMonths:
    """The locked months as one sink last read them."""

    def __init__(self) -> None:
        self._months: frozenset[str] = frozenset()
        self._revision: int | None = None

    def opened(
        self, connection: Connection, revision: int | None, group: Sequence[Sequence[Record]]
    ) -> Sequence[Sequence[Record]]:
        """Return a group as it may be written. `revision` was read, and locked, in the same transaction."""
        if revision is None or revision != self._revision:
            self._months, self._revision = locked_months(connection), revision
        if not self._months:
            return group
        return [[out_of_locked(record, self._months) for record in submission] for submission in group]


def locked_months(connection: Connection) -> frozenset[str]:
    return frozenset(row[0] for row in connection.exec_driver_sql(_LOCKED))


def open_month(month: str, locked: AbstractSet[str]) -> str:
    """Return the first month from `month` on that is not locked."""
    while month in locked:
        month = next_month(month)
    return month


def out_of_locked(record: Record, locked: AbstractSet[str]) -> Record:
    """Return a record as it may be written: a row for a locked month goes to the next open one."""
    index = PERIOD.get(record.table)
    if index is None or record.values[index] not in locked:
        return record
    period = open_month(record.values[index], locked)
    return record._replace(values=(*record.values[:index], period, *record.values[index + 1 :]))


def same_dispatch(stored: tuple[object, ...], record: Record) -> bool:
    """Whether a dispatch is the stored one; its month may have been locked between the two writes."""
    index = PERIOD[DISPATCH_TABLE]
    return stored[:index] == record.values[:index] and stored[index + 1 :] == record.values[index + 1 :]
