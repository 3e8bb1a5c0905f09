"""A month three ways: what the journal sent out, what the ledger charged, what its sums say. Reads only.

The third side, what providers billed, is billing.store.bill_matches; gateway.reconciliation joins them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from billing.ledger import CHARGE_TABLE, Kind
from billing.money import NANO
from billing.segments import Segments
from billing.store.months import open_attempts
from billing.store.rollups import bring_up_to_date
from billing.tables import charges, dispatches, usage_days

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine


class BookSides(NamedTuple):
    """Counts and nano-won of a billing month. Equal books: `problems` is 0."""

    dispatched: int
    """Attempts that the journal wrote before their provider was called."""
    charged: int
    open_attempts: int
    waiting: int
    """Charges on local disks of processes that died while the database was away."""
    rows: int
    ledger_nano_krw: int
    sums_nano_krw: int

    @property
    def agree(self) -> bool:
        settled = self.dispatched == self.charged + self.open_attempts
        return settled and not self.open_attempts and not self.waiting and self.same_sums

    @property
    def same_sums(self) -> bool:
        return self.ledger_nano_krw == self.sums_nano_krw


def book_sides(engine: Engine, month: str, journal_dir: Path | None = None) -> BookSides:
    """Count and add a month in the journal's rows, the ledger's and the daily sums', each by itself."""
    bring_up_to_date(engine)
    with engine.connect() as connection:
        dispatched = _count(connection, month)
        whole, rest = charges.c.amount_nano_krw.op("/")(NANO), charges.c.amount_nano_krw % NANO
        is_charge = charges.c.kind == Kind.CHARGE
        statement = select(
            func.count(), func.count().filter(is_charge), func.sum(whole), func.sum(rest)
        ).where(charges.c.billing_period == month)
        rows, charged, won, nano = connection.execute(statement).one()
        added = select(func.sum(usage_days.c.won), func.sum(usage_days.c.nano_rest)).where(
            usage_days.c.billing_period == month
        )
        sums = connection.execute(added).one()
        still_open = len(open_attempts(connection, month))
    return BookSides(
        dispatched=dispatched,
        charged=int(charged),
        open_attempts=still_open,
        waiting=0 if journal_dir is None else waiting(journal_dir),
        rows=int(rows),
        ledger_nano_krw=int(won or 0) * NANO + int(nano or 0),
        sums_nano_krw=int(sums[0] or 0) * NANO + int(sums[1] or 0),
    )


def providers_billed(engine: Engine, month: str) -> dict[str, int]:
    """Return what each provider comes to in a billing month, in nano-won, from the daily sums."""
    table = usage_days
    statement = select(table.c.provider, func.sum(table.c.won), func.sum(table.c.nano_rest))
    statement = statement.where(table.c.billing_period == month).group_by(table.c.provider)
    with engine.connect() as connection:
        return {name: int(won) * NANO + int(rest) for name, won, rest in connection.execute(statement)}


def waiting(journal_dir: Path) -> int:
    """Count charges that dead processes left on this machine's disk; a gateway ships them when it starts."""
    count = 0
    for orphan in Segments(journal_dir).orphans():
        try:
            count += sum(record.table == CHARGE_TABLE for records in orphan.read() for record in records)
        finally:
            orphan.release()
    return count


def _count(connection: Connection, month: str) -> int:
    statement = select(func.count()).select_from(dispatches).where(dispatches.c.billing_period == month)
    return connection.execute(statement).scalar_one()
