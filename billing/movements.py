"""What rows do to the accounts of budgets: the movements of a submission, from its columns. Pure."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from billing.budgets import HELD, NOTHING, Amounts, Movement, held_by, minus, scopes_of, spent_by
from billing.ledger import CHARGE_COLUMNS, CHARGE_TABLE, DISPATCH_COLUMNS, DISPATCH_TABLE, Kind, Record
from billing.usage import TOKEN_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _of(columns: Sequence[str], names: Sequence[str]) -> itemgetter[Any]:
    return itemgetter(*(columns.index(name) for name in names))


_PAYER: Final = ("billing_period", "key_id", "person_id", "unit_path")
_held: Final = _of(DISPATCH_COLUMNS, HELD)
_holder: Final = _of(DISPATCH_COLUMNS, _PAYER)
_payer: Final = _of(CHARGE_COLUMNS, _PAYER)
_charged: Final = _of(CHARGE_COLUMNS, ("attempt_id", "kind", "outcome", "amount_nano_krw"))
_tokens: Final = _of(CHARGE_COLUMNS, TOKEN_CLASSES)


def hold_of(dispatch: Record) -> Amounts:
    """Return what a dispatch holds, from its columns."""
    return held_by(*_held(dispatch.values))


def movements_of(
    submission: Sequence[Record], holds: Mapping[str, Amounts], *, refusable: bool
) -> list[Movement]:
    movements = []
    for record in submission:
        if record.table == DISPATCH_TABLE:
            period, *payer = _holder(record.values)
            movements.append(Movement(scopes_of(*payer), period, hold_of(record), NOTHING, refusable))
        elif record.table == CHARGE_TABLE:
            period, *payer = _payer(record.values)
            attempt_id, kind, outcome, amount = _charged(record.values)
            hold = holds.get(attempt_id, NOTHING) if kind == Kind.CHARGE else NOTHING
            spent = spent_by(kind, outcome, amount, _tokens(record.values))
            given_back = minus(NOTHING, hold)
            movements.append(Movement(scopes_of(*payer), period, given_back, spent, refusable=False))
    return movements
