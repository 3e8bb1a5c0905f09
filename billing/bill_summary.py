"""What came of holding a bill against the ledger, as JSON holds it: won as exact decimal text. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from billing.bill_match import Difference, Match

MOST_KEPT: Final = 500
"""Differences in a summary, the largest; whoever wants all of them compares anew."""


def krw(nano_krw: int) -> str:
    return f"{Decimal(nano_krw).scaleb(-9).normalize():f}"


def difference_row(one: Difference) -> dict[str, Any]:
    """Return a difference by the names that the API, the command line and the CSV share."""
    return {
        "class": one.kind.value,
        "day": one.day.isoformat(),
        "key": one.key,
        "model": one.model,
        "item": one.bucket,
        "ledger_quantity": one.here_quantity,
        "billed_quantity": one.there_quantity,
        "ledger_cost": None if one.here_cost is None else f"{one.here_cost.normalize():f}",
        "billed_cost": None if one.there_cost is None else f"{one.there_cost.normalize():f}",
        "currency": one.currency,
        "difference_krw": None if one.nano_krw is None else krw(one.nano_krw),
    }


def largest_first(match: Match) -> list[Difference]:
    """Return differences, those that nobody can price first, then the largest."""
    return sorted(
        match.differences, key=lambda one: (one.nano_krw is not None, -abs(one.nano_krw or 0), one.day)
    )


def summary(match: Match) -> dict[str, Any]:
    """Return sums, classes and the largest differences. `difference_krw`: billed less ledger."""
    shown = largest_first(match)[:MOST_KEPT]
    there = match.there_nano_krw
    return {
        "ledger_krw": krw(match.here_nano_krw),
        "billed_krw": None if there is None else krw(there),
        "billed_costs": {currency: f"{cost.normalize():f}" for currency, cost in match.there_costs.items()},
        "difference_krw": None if there is None else krw(there - match.here_nano_krw),
        "outside_krw": krw(match.outside_nano_krw),
        "allowed_krw": krw(match.allowed_nano_krw),
        "agrees": match.agrees,
        "unpriced": match.unpriced,
        "places": match.places,
        "classes": {
            kind.value: {"count": count, "krw": krw(nano)}
            for kind, (count, nano) in sorted(match.by_kind().items())
        },
        "differences": [difference_row(one) for one in shown],
        "left_out": len(match.differences) - len(shown),
    }
