"""What haechi.toml says about the price book beside the prices themselves."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.prices import FxRule

if TYPE_CHECKING:
    from gateway.config_schema import PricingTable


@dataclass(frozen=True, slots=True)
class PricingRules:
    """`[pricing]`. `differs_percent`: a provider's stated cost further from ours is told of; 0: never."""

    in_database: bool = False
    """Prices that haechi.toml does not hold may come from the database."""
    four_eyes: bool = False
    fx_rule: FxRule = FxRule.LAST
    fx_most_days: int = 0
    differs_percent: Decimal = Decimal(10)


def rules_of(table: PricingTable) -> PricingRules:
    return PricingRules(
        in_database=table.in_database,
        four_eyes=table.four_eyes,
        fx_rule=FxRule(table.fx),
        fx_most_days=table.fx_most_days,
        differs_percent=Decimal(table.differs_percent),
    )
