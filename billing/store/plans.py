"""Gives rows their places in the chain of their writer, before anything is written. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from billing.errors import RowRefused
from billing.ledger import (
    CHARGE_COLUMNS,
    CHARGE_TABLE,
    DISPATCH_COLUMNS,
    DISPATCH_TABLE,
    LINE_COLUMNS,
    LINE_TABLE,
    Record,
    canonical,
    chain,
)
from billing.movements import hold_of
from billing.store.slots import Head

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Table

    from billing.budgets import Amounts

CHAIN_COLUMNS: Final = ("slot", "epoch", "seq", "key_version", "mac")
CHAINED: Final = {
    DISPATCH_TABLE: DISPATCH_COLUMNS + CHAIN_COLUMNS,
    CHARGE_TABLE: CHARGE_COLUMNS + CHAIN_COLUMNS,
}


class Open(NamedTuple):
    """An attempt without a charge: its place in the chain and what is held for it."""

    seq: int
    hold: Amounts


class Plan(NamedTuple):
    """Rows by table with their places in the chain, and the head after them."""

    rows: dict[str, list[tuple[Any, ...]]]
    columns: dict[str, tuple[str, ...]]
    quotes: dict[str, str]
    head: Head
    opened: dict[str, Open]
    settled: list[str]


class Planner:
    """`key` signs the chain; `tables` are those whose rows are taken."""

    def __init__(self, key: bytes, key_version: int, tables: Mapping[str, Table]) -> None:
        self._key = key
        self._key_version = key_version
        self._tables = tables

    def plan(self, own: Head, group: Iterable[Sequence[Record]]) -> Plan:
        """Plan a group behind the head of a chain. Raises RowRefused for a table that is not taken."""
        seq, mac = own.seq, own.mac
        plan = Plan({}, {}, {}, own, {}, [])
        for record in (record for submission in group for record in submission):
            columns = CHAINED.get(record.table)
            if columns is None:
                self._plan_other(plan, record)
                continue
            seq += 1
            mac = chain(mac, seq, canonical(record, own.slot, own.epoch), self._key)
            values = (*record.values, own.slot, own.epoch, seq, self._key_version, mac.hex())
            plan.columns[record.table] = columns
            plan.rows.setdefault(record.table, []).append(values)
            if record.table == DISPATCH_TABLE:
                plan.opened[record.values[0]] = Open(seq, hold_of(record))
                if record.quote_id is not None and record.quote_document is not None:
                    plan.quotes[record.quote_id] = record.quote_document
            else:
                plan.settled.append(record.values[1])
                _plan_lines(plan, record)
        return plan._replace(head=Head(own.slot, own.epoch, seq, own.low_seq, mac))

    def _plan_other(self, plan: Plan, record: Record) -> None:
        table = self._tables.get(record.table)
        if table is None or record.columns is None or not set(record.columns) <= set(table.columns.keys()):
            raise RowRefused(f"the journal was given no table {record.table!r} with these columns")
        name = f"{record.table}:{','.join(record.columns)}"
        plan.columns[name] = record.columns
        plan.rows.setdefault(name, []).append(record.values)


def _plan_lines(plan: Plan, record: Record) -> None:
    if not record.lines:
        return
    plan.columns[LINE_TABLE] = ("charge_id", "line_no", *LINE_COLUMNS)
    charge_id = record.values[0]
    plan.rows.setdefault(LINE_TABLE, []).extend(
        (charge_id, number, *line) for number, line in enumerate(record.lines, start=1)
    )
