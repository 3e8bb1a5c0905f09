"""A provider's bill against the ledger, by day, model and key; every difference has its class. Pure.

    missing_here    the provider billed what the ledger does not hold (a key that is used past the gateway)
    missing_there   the ledger holds what the provider did not bill
    quantity        both know of it and count differently; what that comes to at our price
    price           the same quantity at another price
    fx              the same cost converted at another rate
    rounding        within what the bill's own decimals can say

The provider's day is in its billing time zone. A request near midnight may stand on the day before there, so
the verdict sums the differences of a month by key and model before it compares them with the tolerance.
Amounts are nano-won, above zero where the provider asks for more than the ledger holds.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from billing.bill_models import ModelNames
from billing.bill_rows import COST
from billing.money import NANO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from billing.bill_rows import Bill, BilledRow

DUST: Final = Decimal("1e-9")
"""Of a currency's unit: what binary fractions in a JSON export leave."""
ALIKE: Final = Decimal("0.005")
"""Two ratios that differ by no more than this are one rate of exchange."""
PARENTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("cache_read", "cache_write", "audio_input", "image_input"), "input"),
    **dict.fromkeys(("audio_output", "image_output"), "output"),
}
"""Where a bill counts a bucket that it does not tell apart."""


class DifferenceKind(StrEnum):
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    QUANTITY = "quantity"
    PRICE = "price"
    FX = "fx"
    ROUNDING = "rounding"


class LedgerCost(NamedTuple):
    """What a bucket cost: exactly in the price's currency, and as it was charged."""

    bucket: str
    currency: str
    cost: Decimal
    nano_krw: int


class LedgerDay(NamedTuple):
    """What the ledger holds of a day in the provider's time zone, a provider of haechi.toml and a model."""

    day: date
    provider: str
    model: str
    quantities: Mapping[str, int]
    costs: tuple[LedgerCost, ...]


@dataclass(frozen=True, slots=True)
class MatchTerms:
    """What finance agrees to. `keys` maps a provider's keys to providers of haechi.toml."""

    tolerance_percent: Decimal = Decimal("0.5")
    tolerance_krw: int = 1_000
    keys: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)


class Difference(NamedTuple):
    """`nano_krw` is None where nobody knows a price for it. Costs are in `currency`, None if not stated."""

    kind: DifferenceKind
    day: date
    key: str
    model: str
    bucket: str
    here_quantity: int | None
    there_quantity: int | None
    here_cost: Decimal | None
    there_cost: Decimal | None
    currency: str
    nano_krw: int | None


@dataclass(frozen=True, slots=True)
class Match:
    """What came of a month. `there_nano_krw` is None for a bill without costs."""

    here_nano_krw: int
    there_nano_krw: int | None
    there_costs: Mapping[str, Decimal]
    places: int
    """Days × keys × models that were compared."""
    differences: tuple[Difference, ...]
    outside_nano_krw: int
    """Differences of a month by key and model, each without its sign, summed."""
    allowed_nano_krw: int

    @property
    def unpriced(self) -> int:
        return sum(one.nano_krw is None for one in self.differences)

    @property
    def agrees(self) -> bool:
        return not self.unpriced and self.outside_nano_krw <= self.allowed_nano_krw

    def by_kind(self) -> dict[DifferenceKind, tuple[int, int]]:
        """Return how many there are of each class, and what they come to."""
        found: dict[DifferenceKind, tuple[int, int]] = {}
        for one in self.differences:
            count, nano = found.get(one.kind, (0, 0))
            found[one.kind] = (count + 1, nano + (one.nano_krw or 0))
        return found


Place = tuple["date", str, str]
"""Day, key and model."""


@dataclass(slots=True)
class _There:
    """What bills say of a place."""

    quantities: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    costs: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    currency: str = ""
    rounding: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    fx_rate: Decimal | None = None


@dataclass(slots=True)
class _Here:
    """What the ledger says of a place."""

    quantities: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    costs: dict[str, dict[str, Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Decimal))
    )
    nano: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def is_empty(self) -> bool:
        return not any(self.nano.values()) and not any(self.quantities.values())


class _Ours(NamedTuple):
    """Our side of a cost: currency and amount, what was charged, and what a quantity explains of it."""

    costs: tuple[str, Decimal] | None
    nano_krw: int
    explained: int


def match(bills: Sequence[Bill], ledger: Iterable[LedgerDay], terms: MatchTerms) -> Match:
    """Hold all bills of one provider and month against the ledger's days of the same month."""
    days = list(ledger)
    with_keys = bool(terms.keys) and all(row.key for bill in bills for row in bill.rows)
    buckets = frozenset(chain.from_iterable(bill.buckets for bill in bills))
    there = _there(bills, ModelNames({day.model for day in days}, terms.models), terms, with_keys=with_keys)
    here = _here(days, buckets, with_keys=with_keys)
    compared = _Comparison(bills, here, _rates(here))
    found = [
        one for place in sorted(here.keys() | there.keys()) for one in compared.at(place, there.get(place))
    ]
    found = list(compared.with_fx(found))
    there_nano = compared.in_won(there.values())
    allowed = max(
        Decimal(terms.tolerance_krw) * NANO, Decimal(abs(there_nano or 0)) * terms.tolerance_percent / 100
    )
    return Match(
        here_nano_krw=sum(sum(one.nano.values()) for one in here.values()),
        there_nano_krw=there_nano,
        there_costs=_totals(there.values()),
        places=len(here.keys() | there.keys()),
        differences=tuple(found),
        outside_nano_krw=_outside(found),
        allowed_nano_krw=int(allowed),
    )


def _outside(differences: Iterable[Difference]) -> int:
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for one in differences:
        sums[one.key, one.model] += one.nano_krw or 0
    return sum(map(abs, sums.values()))


# --- both sides by place -------------------------------------------------------------------------


def _there(
    bills: Sequence[Bill], names: ModelNames, terms: MatchTerms, *, with_keys: bool
) -> dict[Place, _There]:
    found: dict[Place, _There] = defaultdict(_There)
    for bill in bills:
        quantum = _quantum(bill.rows)
        for row in bill.rows:
            key = terms.keys.get(row.key, row.key) if with_keys else ""
            side = found[row.day, key, names.find(row.model, exact=bill.exact)]
            if row.quantity is not None:
                side.quantities[row.bucket] += row.quantity
            if row.cost is not None:
                side.costs[row.bucket] += row.cost
                side.currency = row.currency
                side.rounding[row.bucket] += row.parts * quantum / 2
                side.fx_rate = row.fx_rate or side.fx_rate
    return dict(found)


def _quantum(rows: Iterable[BilledRow]) -> Decimal:
    """Return the finest step in which a bill states its costs."""
    exponents = [int(row.cost.normalize().as_tuple().exponent) for row in rows if row.cost]
    return Decimal(1).scaleb(max(-9, min(exponents, default=0)))


def _here(days: Iterable[LedgerDay], buckets: frozenset[str], *, with_keys: bool) -> dict[Place, _Here]:
    found: dict[Place, _Here] = defaultdict(_Here)
    for day in days:
        side = found[day.day, day.provider if with_keys else "", day.model]
        for bucket, quantity in day.quantities.items():
            side.quantities[_told_apart(bucket, buckets)] += quantity
        for one in day.costs:
            bucket = _told_apart(one.bucket, buckets)
            side.costs[bucket][one.currency] += one.cost
            side.nano[bucket] += one.nano_krw
    return {place: side for place, side in found.items() if not side.is_empty}


def _told_apart(bucket: str, buckets: frozenset[str]) -> str:
    parent = PARENTS.get(bucket)
    return parent if parent in buckets and bucket not in buckets else bucket


def _rates(here: Mapping[Place, _Here]) -> dict[str, Decimal]:
    """Return won for one unit of each currency, as the ledger charged this month on the whole."""
    costs: dict[str, Decimal] = defaultdict(Decimal)
    nano: dict[str, int] = defaultdict(int)
    for side in here.values():
        for bucket, by_currency in side.costs.items():
            if len(by_currency) == 1:
                ((currency, cost),) = by_currency.items()
                costs[currency] += cost
                nano[currency] += side.nano[bucket]
    rates = {
        name: Decimal(nano[name]) / NANO / cost for name, cost in costs.items() if cost > 0 and nano[name]
    }
    return rates | {"KRW": Decimal(1)}


def _totals(sides: Iterable[_There]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for side in sides:
        if side.costs:
            found[side.currency] += sum(side.costs.values())
    return dict(found)


# --- one place -----------------------------------------------------------------------------------


class _Comparison:
    """Compares place by place; what only the rates of exchange can explain waits for all of them."""

    def __init__(
        self, bills: Sequence[Bill], here: Mapping[Place, _Here], rates: Mapping[str, Decimal]
    ) -> None:
        self._here = here
        self._rates = rates
        self._buckets = frozenset(chain.from_iterable(bill.buckets for bill in bills))
        self._counted = any(bill.states_quantities for bill in bills)
        self._costed = any(bill.states_costs for bill in bills)
        self._prices = self._unit_prices()
        self._waiting: dict[int, tuple[Decimal, Decimal]] = {}
        """By id of a difference across currencies: what we charged and what they did, in nano-won."""

    def at(self, place: Place, there: _There | None) -> Iterator[Difference]:
        here = self._here.get(place)
        if there is None or here is None:
            yield self._missing(place, here, there or _There())
            return
        explained: dict[str, int] = {}
        if self._counted:
            for one in self._quantities(place, here, there):
                explained[one.bucket] = one.nano_krw or 0
                yield one
        if self._costed:
            yield from self._costs(place, here, there, explained)

    def _missing(self, place: Place, here: _Here | None, there: _There) -> Difference:
        nano: int | None
        if here is not None:
            nano, quantity = -sum(here.nano.values()), sum(here.quantities.values())
            costs = _one_currency(here.costs.values())
            cost, currency = (None, "") if costs is None else (costs[1], costs[0])
            kind = DifferenceKind.MISSING_THERE
            return Difference(kind, *place, COST, quantity, None, cost, None, currency, nano)
        billed = sum(there.quantities.values()) or None
        cost = sum(there.costs.values(), Decimal(0)) if there.costs else None
        nano = self._priced(place, there) if cost is None else self._there_nano(cost, there.currency)
        kind = DifferenceKind.MISSING_HERE
        return Difference(kind, *place, COST, None, billed, None, cost, there.currency, nano)

    def _priced(self, place: Place, there: _There) -> int | None:
        """Return what quantities come to at the ledger's prices of this month; None where it has none."""
        prices = [self._prices.get((place[2], bucket)) for bucket in there.quantities]
        if any(price is None for price in prices):
            return None
        pairs = zip(there.quantities.values(), prices, strict=True)
        return int(sum((quantity * (price or Decimal(0)) for quantity, price in pairs), Decimal(0)))

    def _quantities(self, place: Place, here: _Here, there: _There) -> Iterator[Difference]:
        for bucket in sorted(self._buckets):
            ours, theirs = here.quantities.get(bucket, 0), there.quantities.get(bucket, 0)
            if ours == theirs or not (there.quantities or not there.costs):
                continue
            price = self._price(place, here, bucket)
            nano = None if price is None else int((theirs - ours) * price)
            yield Difference(
                DifferenceKind.QUANTITY, *place, bucket, ours, theirs, None, None, there.currency, nano
            )

    def _price(self, place: Place, here: _Here, bucket: str) -> Decimal | None:
        """Return nano-won for one, of this day or else of the month; nothing was paid for: 0."""
        if here.quantities.get(bucket) and here.nano.get(bucket):
            return Decimal(here.nano[bucket]) / here.quantities[bucket]
        known = self._prices.get((place[2], bucket))
        return Decimal(0) if known is None and not sum(here.nano.values()) else known

    def _costs(
        self, place: Place, here: _Here, there: _There, explained: Mapping[str, int]
    ) -> Iterator[Difference]:
        if not there.costs:
            return
        whole = COST in there.costs or bool(here.costs.keys() - self._buckets)
        if whole:
            ours = _Ours(_one_currency(here.costs.values()), sum(here.nano.values()), sum(explained.values()))
            step = sum(there.rounding.values(), Decimal(0))
            yield from self._cost((*place, COST), there, sum(there.costs.values(), Decimal(0)), ours, step)
            return
        for bucket in sorted({*there.costs, *here.costs}):
            costs = _one_currency([here.costs.get(bucket, {})])
            ours = _Ours(costs, here.nano.get(bucket, 0), explained.get(bucket, 0))
            theirs, step = there.costs.get(bucket, Decimal(0)), there.rounding.get(bucket, Decimal(0))
            yield from self._cost((*place, bucket), there, theirs, ours, step)

    def _cost(
        self, where: tuple[date, str, str, str], there: _There, theirs: Decimal, ours: _Ours, step: Decimal
    ) -> Iterator[Difference]:
        """Compare a cost, less what a difference in quantity explains already."""
        currency, mine = ours.costs or (there.currency, Decimal(0))

        def found(kind: DifferenceKind, nano: int | None) -> Difference:
            return Difference(kind, *where, None, None, mine, theirs, there.currency, nano)

        if currency == there.currency:
            rate = Decimal(ours.nano_krw) / mine if mine else self._rates.get(currency, Decimal(0)) * NANO
            left = theirs - mine - (Decimal(ours.explained) / rate if rate else Decimal(0))
            if abs(left) > DUST:
                within = abs(left) <= step + DUST
                kind = DifferenceKind.ROUNDING if within else DifferenceKind.PRICE
                yield found(kind, int(left * rate) if rate else None)
            return
        their_nano = self._there_nano(theirs, there.currency)
        if their_nano is None:
            yield found(DifferenceKind.PRICE, None)
            return
        step_nano = step * self._rates[there.currency] * NANO
        yield from self._across(found, ours, their_nano, (step_nano, there.fx_rate))

    def _across(
        self,
        found: Callable[[DifferenceKind, int | None], Difference],
        ours: _Ours,
        their_nano: int,
        said: tuple[Decimal, Decimal | None],
    ) -> Iterator[Difference]:
        """Compare costs in two currencies by what they come to in won."""
        step_nano, their_rate = said
        left = their_nano - ours.nano_krw - ours.explained
        if abs(left) <= step_nano + NANO // 1000:
            if left:
                yield found(DifferenceKind.ROUNDING, left)
            return
        if their_rate is None:
            waits = found(DifferenceKind.FX, left)
            self._waiting[id(waits)] = (Decimal(ours.nano_krw), Decimal(their_nano - ours.explained))
            yield waits
            return
        our_rate = (
            Decimal(ours.nano_krw) / NANO / ours.costs[1] if ours.costs and ours.costs[1] else Decimal(0)
        )
        by_rate = int(ours.nano_krw * (their_rate / our_rate - 1)) if our_rate else 0
        if by_rate:
            yield found(DifferenceKind.FX, by_rate)
        if abs(left - by_rate) > step_nano + NANO // 1000:
            yield found(DifferenceKind.PRICE, left - by_rate)

    def with_fx(self, found: Iterable[Difference]) -> Iterator[Difference]:
        """Tell rates of exchange from prices: a rate moves all costs of a bill by one ratio."""
        ratios = [theirs / ours for ours, theirs in self._waiting.values() if ours]
        usual = median(ratios) if ratios else Decimal(1)
        for one in found:
            ours, theirs = self._waiting.get(id(one), (Decimal(0), Decimal(0)))
            if one.kind is not DifferenceKind.FX or not ours:
                yield one
                continue
            if abs(theirs / ours / usual - 1) <= ALIKE:
                yield one
                continue
            by_rate = int(ours * (usual - 1))
            if by_rate:
                yield one._replace(nano_krw=by_rate)
            yield one._replace(kind=DifferenceKind.PRICE, nano_krw=(one.nano_krw or 0) - by_rate)

    def _there_nano(self, cost: Decimal, currency: str) -> int | None:
        rate = self._rates.get(currency)
        return None if rate is None else int(cost * rate * NANO)

    def in_won(self, sides: Iterable[_There]) -> int | None:
        """Return what the bills come to; None where none states costs, or in a currency without a rate."""
        totals = _totals(sides)
        amounts = [self._there_nano(cost, currency) for currency, cost in totals.items()]
        if not amounts or any(amount is None for amount in amounts):
            return None
        return sum(amount or 0 for amount in amounts)

    def _unit_prices(self) -> dict[tuple[str, str], Decimal]:
        """Return nano-won for one of each model and bucket, over the whole month."""
        nano: dict[tuple[str, str], int] = defaultdict(int)
        counted: dict[tuple[str, str], int] = defaultdict(int)
        for (_, _, model), side in self._here.items():
            for bucket, amount in side.nano.items():
                nano[model, bucket] += amount
                counted[model, bucket] += side.quantities.get(bucket, 0)
        return {where: Decimal(nano[where]) / count for where, count in counted.items() if count > 0}


def _one_currency(costs: Iterable[Mapping[str, Decimal]]) -> tuple[str, Decimal] | None:
    """Return currency and sum of costs; None where there are none. Several are said to be one, `+`."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for by_currency in costs:
        for currency, cost in by_currency.items():
            sums[currency] += cost
    if not sums:
        return None
    name = next(iter(sums)) if len(sums) == 1 else "+"
    return name, sum(sums.values(), Decimal(0))
