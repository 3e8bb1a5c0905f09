"""Computes every row of a month again, from what the ledger itself holds; or by other prices, to compare.

A charge is a usage rated by a quote; both are in the ledger. If the same arithmetic no longer gives the same
won, either a row or the arithmetic was changed. A correction holds differences, so it is computed again line
by line. `what_if` rates the same usage by quotes that somebody else chooses. Nothing here writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import select

from billing.ledger import CostBasis, Kind
from billing.money import EXACT, NANO, half_even
from billing.periods import from_us
from billing.quotes import Quote, total
from billing.store.corrections import rows_of_attempt
from billing.store.rows import line_of, read_lines, read_quote
from billing.tables import charges
from billing.usage import CLASSES, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Engine

    from billing.quotes import Line

RATED: Final = (Kind.CHARGE, Kind.CACHE_HIT)
"""Kinds whose amount is their usage times their quote; the others are differences."""

_COLUMNS: Final = (
    *("charge_id", "attempt_id", "kind", "cost_basis", "quote_id", "model_id", "department_id"),
    *("started_at_us", "settled_at_us", "quarantined", "service_tier", "amount_nano_krw"),
    *("stated_cost", "stated_currency", *CLASSES),
)


@dataclass(frozen=True, slots=True)
class Rerating:
    """`differing` names rows whose recomputed amount is not the one charged; amounts are of all rows."""

    month: str
    charges: int
    charged_nano_krw: int
    rerated_nano_krw: int
    differing: tuple[str, ...]
    corrections: int = 0
    """Corrections and reconciliations among the rows, beside `charges`."""

    @property
    def ok(self) -> bool:
        return not self.differing


def rerate(engine: Engine, month: str) -> Rerating:
    """Rate every charge of a billing month by the quote it names, and every correction line by line."""
    count = corrections = charged = rerated = 0
    differing: list[str] = []
    with engine.connect() as reading, engine.connect() as looking_up:
        quotes = _Quotes(looking_up)
        for row in _rows(reading, month):
            is_rated = row["kind"] in RATED
            amount = amount_of(row, quotes[row["quote_id"]]) if is_rated else _by_lines(looking_up, row)
            count += is_rated
            corrections += not is_rated
            charged += row["amount_nano_krw"]
            rerated += amount
            if amount != row["amount_nano_krw"]:
                differing.append(row["charge_id"])
    return Rerating(month, count, charged, rerated, tuple(differing), corrections)


def amount_of(row: Mapping[str, Any], quote: Quote) -> int:
    """Return what a charge comes to by a quote, in nano-won; what the provider stated is not ours to rate."""
    if row["kind"] == Kind.CACHE_HIT:
        return 0
    if row["cost_basis"] == CostBasis.STATED:
        return total(quote.rate_stated(Decimal(row["stated_cost"]), row["stated_currency"]))
    return total(quote.rate(_usage(row), row["service_tier"]))


def line_amount(line: Line) -> int:
    """Return what a line comes to by the price and the rate that it names."""
    with localcontext(EXACT):
        rate = Decimal(1) if line.fx_rate is None else line.fx_rate
        numerator, denominator = (line.unit_price * rate * NANO).as_integer_ratio()
    return half_even(line.quantity * numerator, denominator * line.per)


def _by_lines(connection: Connection, row: Mapping[str, Any]) -> int:
    return sum(line_amount(line_of(line)) for line in read_lines(connection, row["charge_id"]))


# --- by other prices -----------------------------------------------------------------------------

Chooser = Callable[[Quote, datetime], Quote | None]
"""(the quote that was frozen, when it was) -> the quote to rate by instead; None: there is no other."""


class Group(NamedTuple):
    """A model's or department's rows: as charged, and as they would have been."""

    rows: int
    charged_nano_krw: int
    rerated_nano_krw: int

    @property
    def difference_nano_krw(self) -> int:
        return self.rerated_nano_krw - self.charged_nano_krw


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A month by other prices. `kept` rows have no other price, or a cost that the provider stated."""

    month: str
    whole: Group
    kept: int
    kept_nano_krw: int
    by_model: Mapping[str, Group] = field(default_factory=dict)
    by_department: Mapping[str, Group] = field(default_factory=dict)


def what_if(engine: Engine, month: str, chosen: Chooser) -> WhatIf:
    """Rate a month by the quotes that `chosen` names. Raises what it raises; changes nothing."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    kept = kept_nano = 0
    with engine.connect() as reading, engine.connect() as looking_up:
        quotes = _Quotes(looking_up)
        for row in _rows(reading, month):
            amount = _otherwise(looking_up, row, quotes[row["quote_id"]], chosen)
            charged = row["amount_nano_krw"]
            if amount is None:
                kept, kept_nano, amount = kept + 1, kept_nano + charged, charged
            for place in (("", ""), ("model", row["model_id"]), ("department", row["department_id"])):
                found = sums[place]
                found[0] += 1
                found[1] += charged
                found[2] += amount

    def groups(what: str) -> dict[str, Group]:
        return {name: Group(*found) for (kind, name), found in sorted(sums.items()) if kind == what}

    whole = groups("").get("", Group(0, 0, 0))
    return WhatIf(month, whole, kept, kept_nano, groups("model"), groups("department"))


def _otherwise(connection: Connection, row: Mapping[str, Any], quote: Quote, chosen: Chooser) -> int | None:
    """Return what a row would have come to; None where it stays as it was charged."""
    if row["kind"] == Kind.CACHE_HIT:
        return 0
    if row["cost_basis"] == CostBasis.STATED or row["kind"] == Kind.RECONCILIATION:
        return None
    other = chosen(quote, from_us(row["started_at_us"]))
    if other is None:
        return None
    if row["kind"] == Kind.CHARGE:
        return amount_of(row, other)
    return _corrected(connection, row, other)


def _corrected(connection: Connection, row: Mapping[str, Any], other: Quote) -> int | None:
    """Return the difference that a correction's usage makes: its attempt with it, less without it."""
    before: dict[str, int | None] = dict.fromkeys(CLASSES)
    for earlier in rows_of_attempt(connection, row["attempt_id"]):
        if earlier["charge_id"] == row["charge_id"]:
            break
        if earlier["cost_basis"] == CostBasis.STATED:
            return None
        before = _added(before, earlier)
    after = _added(before, row)
    if any((quantity or 0) < 0 for quantity in (*before.values(), *after.values())):
        return None  # what was made right before is no usage of its own
    tier, quarantined = row["service_tier"], bool(row["quarantined"])
    costs = [total(other.rate(Usage(**used, quarantined=quarantined), tier)) for used in (before, after)]
    return costs[1] - costs[0]


def _added(used: Mapping[str, int | None], row: Mapping[str, Any]) -> dict[str, int | None]:
    return {
        name: quantity if row[name] is None else (quantity or 0) + row[name]
        for name, quantity in used.items()
    }


# --- rows ----------------------------------------------------------------------------------------


class _Quotes(dict[str, Quote]):
    """Quotes by id, each read once."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, quote_id: str) -> Quote:
        found = self[quote_id] = read_quote(self._connection, quote_id)
        return found


def _rows(connection: Connection, month: str) -> Iterator[Mapping[str, Any]]:
    statement = select(*(charges.c[name] for name in _COLUMNS)).where(charges.c.billing_period == month)
    for row in connection.execution_options(yield_per=2_000).execute(statement):
        yield dict(zip(_COLUMNS, row, strict=True))


def _usage(row: Mapping[str, Any]) -> Usage:
    return Usage(**{name: row[name] for name in CLASSES}, quarantined=bool(row["quarantined"]))
