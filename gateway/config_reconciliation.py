"""What haechi.toml says about holding providers' bills against the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from billing.bill_match import MatchTerms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.config_schema import ProviderTable, ReconciliationTable

Gate = Literal["off", "warn", "refuse"]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`external`: providers outside the institution, `in_house`: those within it.

    Those in `not_billed` send no bill (a free trial, …).
    """

    gate: Gate = "off"
    match: MatchTerms = field(default_factory=MatchTerms)
    external: frozenset[str] = frozenset()
    in_house: frozenset[str] = frozenset()
    not_billed: frozenset[str] = frozenset()


def reconciliation_of(table: ReconciliationTable, providers: Iterable[ProviderTable]) -> Reconciliation:
    providers = tuple(providers)
    return Reconciliation(
        gate=table.gate,
        match=MatchTerms(Decimal(table.tolerance_percent), table.tolerance_krw, table.keys, table.models),
        external=frozenset(one.name for one in providers if one.zone != "in_house"),
        in_house=frozenset(one.name for one in providers if one.zone == "in_house"),
        not_billed=frozenset(table.not_billed),
    )
