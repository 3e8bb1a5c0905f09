"""Tells where a provider's own statement of a cost is further from ours than the institution allows.

Looked at as a charge is settled, and only where the provider stated a cost; what is charged stays the same.
A price key is logged once an hour and noticed once a month, however many charges differ; the metric counts
all of them.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from billing.ledger import CostBasis
from billing.money import won
from billing.quotes import total
from gateway import metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from billing.ledger import Charge
    from billing.quotes import Quote

log = structlog.get_logger("haechi")

LEAST_NANO_KRW: Final = 10_000_000
"""A hundredth of a won: statements are rounded to a few digits, and tiny charges differ by that."""
SAID_EVERY: Final = timedelta(hours=1)


class PriceDifference(NamedTuple):
    """One charge whose stated cost is not what our price makes of its usage."""

    price_key: str
    price_version: str
    provider: str
    stated_nano_krw: int
    computed_nano_krw: int
    at: datetime

    @property
    def percent(self) -> Decimal | None:
        """How much more the provider states, of ours; None where ours is nothing."""
        if self.computed_nano_krw == 0:
            return None
        more = Decimal(self.stated_nano_krw - self.computed_nano_krw)
        return (more * 100 / self.computed_nano_krw).quantize(Decimal("0.1"))


class PriceWatch:
    """`look` is called on the event loop; `tell` only remembers. `percent` 0: nothing is told."""

    def __init__(self, percent: Decimal, tell: Callable[[PriceDifference], None]) -> None:
        self._percent = percent
        self._tell = tell
        self._said: dict[str, datetime] = {}

    def look(self, charge: Charge, quote: Quote) -> None:
        """Compare a charge whose cost the provider stated with what its quote makes of its usage."""
        if not self._percent or charge.cost_basis is not CostBasis.STATED:
            return
        computed = total(quote.rate(charge.usage, charge.service_tier))
        stated = charge.amount_nano_krw
        if not differs(stated, computed, self._percent):
            return
        found = PriceDifference(
            quote.price_key,
            quote.price_version,
            charge.attribution.provider,
            stated,
            computed,
            charge.settled_at,
        )
        metrics.count(metrics.price_differences, charge.attribution.deployment_id)
        self._tell(found)
        self._say(found)

    def _say(self, found: PriceDifference) -> None:
        last = self._said.get(found.price_key)
        if last is not None and found.at - last < SAID_EVERY:
            return
        self._said[found.price_key] = found.at
        log.warning(
            "price_differs",
            price_key=found.price_key,
            price_version=found.price_version,
            provider=found.provider,
            stated_krw=f"{won(found.stated_nano_krw):f}",
            computed_krw=f"{won(found.computed_nano_krw):f}",
            percent=None if found.percent is None else f"{found.percent:f}",
        )


def differs(stated: int, computed: int, percent: Decimal) -> bool:
    """Whether two amounts are further from each other than `percent` of the computed one."""
    apart = abs(stated - computed)
    return apart >= LEAST_NANO_KRW and apart * 100 > percent * computed
