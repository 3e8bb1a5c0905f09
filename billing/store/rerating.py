"""Computes every charge of a month again, from what the ledger itself holds.

A charge is a usage rated by a quote; both are in the ledger. If the same arithmetic no longer gives
the same won, either a row or the arithmetic was changed. Corrections hold differences, so they are
checked by their lines alone (`billing.store.verification`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from billing.ledger import CostBasis, Kind
from billing.quotes import total
from billing.store.rows import CHARGE_SELECT, read_quote
from billing.tables import charges
from billing.usage import CLASSES, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from billing.quotes import Quote


@dataclass(frozen=True, slots=True)
class Rerating:
    """`differing` names charges whose recomputed amount is not the one charged."""

    month: str
    charges: int
    charged_nano_krw: int
    rerated_nano_krw: int
    differing: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.differing


def rerate(engine: Engine, month: str) -> Rerating:
    """Rate every charge of a billing month by the quote it names. Changes nothing."""
    statement = select(*CHARGE_SELECT).where(
        charges.c.billing_period == month, charges.c.kind.in_((Kind.CHARGE, Kind.CACHE_HIT))
    )
    count = charged = rerated = 0
    differing: list[str] = []
    quotes: dict[str, Quote] = {}
    with engine.connect() as reading, engine.connect() as looking_up:
        for row in reading.execution_options(yield_per=2_000).execute(statement).mappings():
            if row["quote_id"] not in quotes:
                quotes[row["quote_id"]] = read_quote(looking_up, row["quote_id"])
            amount = _amount(dict(row), quotes[row["quote_id"]])
            count += 1
            charged += row["amount_nano_krw"]
            rerated += amount
            if amount != row["amount_nano_krw"]:
                differing.append(row["charge_id"])
    return Rerating(month, count, charged, rerated, tuple(differing))


def _amount(row: Mapping[str, Any], quote: Quote) -> int:
    if row["kind"] == Kind.CACHE_HIT:
        return 0
    if row["cost_basis"] == CostBasis.STATED:
        return total(quote.rate_stated(Decimal(row["stated_cost"]), row["stated_currency"]))
    usage = Usage(**{name: row[name] for name in CLASSES}, quarantined=bool(row["quarantined"]))
    return total(quote.rate(usage, row["service_tier"]))
