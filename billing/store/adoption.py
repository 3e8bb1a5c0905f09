"""Charges for attempts whose writer died: one each, estimated, never above the hold.

Nobody knows how far a dead process's attempt came, so the estimate is the usual one for its model
(`billing.estimates`), learned from the reported charges that are in the ledger, priced by the quote
that was frozen at its dispatch, and labelled: outcome `adopted`, source `estimated`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, select

from billing.budgets import HELD, held_by
from billing.estimates import WINDOW, Sample, estimate, within
from billing.ledger import Charge, Kind, Outcome, Record, derived_id, record_of
from billing.store.rows import DISPATCH_SELECT, dispatch_of, read_quote
from billing.tables import charges, dispatches
from billing.usage import INPUT_TOKEN_CLASSES, OUTPUT_TOKEN_CLASSES, UsageSource

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Select

    from billing.budgets import Amounts
    from billing.quotes import Quote


def adopt_slot(connection: Connection, slot: int, low_seq: int, now: datetime, reason: str) -> list[Record]:
    """Charges for the open dispatches of a slot, from `low_seq` on."""
    statement = _open_dispatches().where(dispatches.c.slot == slot, dispatches.c.seq >= low_seq)
    rows = [dict(row) for row in connection.execute(statement).mappings()]
    return _charges(connection, rows, now, reason)


def adopt_attempts(
    connection: Connection, attempt_ids: Sequence[str], now: datetime, reason: str
) -> list[Record]:
    """Charges for those of these attempts that are open."""
    rows: list[dict[str, Any]] = []
    for start in range(0, len(attempt_ids), 500):
        statement = _open_dispatches().where(dispatches.c.attempt_id.in_(attempt_ids[start : start + 500]))
        rows.extend(dict(row) for row in connection.execute(statement).mappings())
    return _charges(connection, rows, now, reason)


def open_of_slot(connection: Connection, slot: int, low_seq: int) -> list[tuple[str, int, Amounts]]:
    """Open attempts of a slot from `low_seq` on, in the order of their numbers, with what they hold."""
    here = (dispatches.c.slot == slot, dispatches.c.seq >= low_seq)
    statement = _open_dispatches().add_columns(dispatches.c.seq).where(*here)
    rows = connection.execute(statement).mappings()
    return [(row["attempt_id"], row["seq"], held_by(*(row[name] for name in HELD))) for row in rows]


def unsettled(connection: Connection, attempt_ids: Collection[str]) -> set[str]:
    """Return those of these attempts that are dispatched and have no charge but an adopter's estimate."""
    theirs = and_(
        charges.c.attempt_id == dispatches.c.attempt_id,
        charges.c.kind == Kind.CHARGE,
        charges.c.outcome != Outcome.ADOPTED,
    )
    ids = sorted(attempt_ids)
    found: set[str] = set()
    for start in range(0, len(ids), 500):
        statement = select(dispatches.c.attempt_id).where(
            dispatches.c.attempt_id.in_(ids[start : start + 500]),
            ~select(charges.c.charge_id).where(theirs).exists(),
        )
        found.update(connection.execute(statement).scalars())
    return found


def _open_dispatches() -> Select[tuple[Any, ...]]:
    its_charge = and_(charges.c.attempt_id == dispatches.c.attempt_id, charges.c.kind == Kind.CHARGE)
    return (
        select(*DISPATCH_SELECT)
        .join_from(dispatches, charges, its_charge, isouter=True)
        .where(charges.c.charge_id.is_(None))
        .order_by(dispatches.c.slot, dispatches.c.seq)
    )


def _charges(
    connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime, reason: str
) -> list[Record]:
    quotes: dict[str, Quote] = {}
    samples: dict[str, list[Sample]] = {}
    records = []
    for row in rows:
        quote_id, model_id = row["quote_id"], row["model_id"]
        if quote_id not in quotes:
            quotes[quote_id] = read_quote(connection, quote_id)
        if model_id not in samples:
            samples[model_id] = _experience(connection, model_id)
        records.append(record_of(_adopted(row, quotes[quote_id], samples[model_id], now, reason)))
    return records


def _adopted(
    row: Mapping[str, Any], quote: Quote, samples: list[Sample], now: datetime, reason: str
) -> Charge:
    dispatch = dispatch_of(row, quote)
    guess = estimate(samples, dispatch.input_bytes, None, dispatch.max_output_tokens)
    return Charge.settle(
        dispatch,
        charge_id=derived_id("adopted", dispatch.attempt_id),
        settled_at=now,
        outcome=Outcome.ADOPTED,
        source=UsageSource.ESTIMATED,
        usage=within(quote, guess, dispatch.hold_nano_krw),
        reason=reason,
    )


def _experience(connection: Connection, model_id: str) -> list[Sample]:
    """Recent exchanges of a model whose usage was reported."""
    recent = (
        select(charges, dispatches.c.input_bytes)
        .join_from(charges, dispatches, charges.c.attempt_id == dispatches.c.attempt_id)
        .where(
            charges.c.model_id == model_id,
            charges.c.kind == Kind.CHARGE,
            charges.c.source == UsageSource.REPORTED,
            dispatches.c.input_bytes > 0,
        )
        .order_by(dispatches.c.attempt_id.desc())
        .limit(WINDOW)
    )
    return [
        Sample(
            row["input_bytes"],
            sum(row[name] or 0 for name in INPUT_TOKEN_CLASSES),
            sum(row[name] or 0 for name in OUTPUT_TOKEN_CLASSES),
        )
        for row in connection.execute(recent).mappings()
    ]
