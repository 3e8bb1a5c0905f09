"""A price frozen at admission, and what it makes of a usage. Pure integers on the hot path.

A quote holds one price version and one FX rate; whatever is published later, an attempt is charged
by the quote it was admitted with. `Quote.document` is the whole of it as text, stored once in the
ledger, so that every charge can be computed again from the records alone.

A class that has no price of its own is charged at the price of its nearest kin, never less than
these would cost (`KIN`); the line says so in `basis`. A report that does not add up (quarantined)
is charged at the dearest kin. Tokens of a model that has no token price at all (priced per image or
per second) make a line of 0 marked `unpriced`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from billing.money import EXACT, NANO, ceiling, half_even
from billing.usage import CLASSES, INPUT_TOKEN_CLASSES, OUTPUT_TOKEN_CLASSES, TOKEN_CLASSES, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PER_MILLION: Final = 1_000_000

PER: Final[Mapping[str, int]] = {
    **dict.fromkeys(TOKEN_CLASSES, PER_MILLION),
    "characters": PER_MILLION,
    "requests": 1,
    "searches": 1,
    "images": 1,
    "audio_ms": 1_000,
    "video_ms": 1_000,
}
"""How many units of each usage class one unit price buys."""

KIN: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("output",),
    "output": ("input",),
    "cache_read": ("input", "output"),
    "cache_write_5m": ("input", "cache_write_1h", "output"),
    "cache_write_1h": ("input", "cache_write_5m", "output"),
    "reasoning": ("output", "input"),
    "audio_input": ("input", "output"),
    "audio_output": ("output", "audio_input", "input"),
    "image_input": ("input", "output"),
    "image_output": ("output", "input"),
}
"""Whose price a class without its own takes: the first that is priced, except that a cache write
takes the dearest of what a cache write may cost."""

_ONE_REQUEST: Final = Usage(requests=1)

STATED: Final = "stated"
"""The class of the one line of a charge whose cost the provider stated."""


class Line(NamedTuple):
    """One priced quantity. The amount is rounded once, half-even, to the nano-won."""

    token_class: str
    """A class of Usage, or `stated`."""
    quantity: int
    unit_price: Decimal
    currency: str
    per: int
    price_version: str
    fx_rate: Decimal | None
    fx_date: date | None
    amount_nano_krw: int
    basis: str = "own"
    """`own`, `as:<class>` (priced at a kin's price), `dearest`, `unpriced`, `stated`."""


@dataclass(frozen=True, slots=True)
class FxRate:
    """Won for one unit of `base`, published at `published_at` for the Korean day `day`."""

    base: str
    day: date
    rate: Decimal
    published_at: datetime
    source: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """Prices of a request whose input exceeds `above_input_tokens`; they hold for all of its tokens."""

    above_input_tokens: int
    prices: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Price:
    """One version of one price: in force from `starts_at` until `ends_at` (exclusive; None: open).

    `prices` maps usage classes to the price of `PER[class]` units, in `currency`.
    `service_tiers` maps a service tier (`flex`, `priority`, `batch`) to its factor. `variants` maps what
    a picture or film was served as (`variant`) to prices of its own; the rest costs what `prices` says.
    """

    key: str
    version: str
    starts_at: datetime
    currency: str
    prices: Mapping[str, Decimal]
    ends_at: datetime | None = None
    tiers: tuple[Tier, ...] = ()
    service_tiers: Mapping[str, Decimal] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    source: str = ""
    checked: date | None = None
    verified: bool = False


ANY: Final = "*"


def variant(size: str | None, quality: str | None) -> str:
    """Name what was served: `1024x1024/high`; `*` stands for what nobody said."""
    return f"{size or ANY}/{quality or ANY}"


class _Rate(NamedTuple):
    """Nano-won of a quantity q is q × numerator ÷ denominator."""

    numerator: int
    denominator: int
    unit_price: Decimal
    per: int
    basis: str


@dataclass(frozen=True, slots=True)
class Quote:
    """One price version and the FX rate that was frozen with it; None where the price is in won."""

    price: Price
    fx: FxRate | None
    id: str = field(init=False)
    """Hash of `document`: equal content, equal id."""
    document: str = field(init=False, repr=False)
    """Everything that a charge depends on, as canonical JSON."""
    _tables: dict[tuple[int, str, bool], dict[str, _Rate]] = field(init=False, repr=False, compare=False)

    _bounds: dict[int, dict[str, _Rate]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tables", {})
        object.__setattr__(self, "_bounds", {})
        object.__setattr__(self, "document", _document(self.price, self.fx))
        object.__setattr__(self, "id", document_id(self.document))

    @property
    def price_key(self) -> str:
        return self.price.key

    @property
    def price_version(self) -> str:
        return self.price.version

    @property
    def verified(self) -> bool:
        return self.price.verified

    def rate(self, usage: Usage, service_tier: str | None = None) -> tuple[Line, ...]:
        """Charge lines of a usage: one for every class that is stated and not zero."""
        rates = self._rates(usage.input_tokens, service_tier, usage.quarantined)
        price, fx = self.price, self.fx
        fx_rate, fx_day = (fx.rate, fx.day) if fx else (None, None)
        return tuple(
            Line(
                token_class,
                quantity,
                rate.unit_price,
                price.currency,
                rate.per,
                price.version,
                fx_rate,
                fx_day,
                half_even(quantity * rate.numerator, rate.denominator),
                rate.basis,
            )
            for token_class, quantity in usage.classes()
            for rate in (rates[token_class],)
        )

    def rate_stated(self, cost: Decimal, currency: str) -> tuple[Line, ...]:
        """The one line of a cost that the provider stated, e.g. 0.00021 USD.

        Raises ValueError where the quote froze no rate for that currency, or the cost is negative
        or not a number.
        """
        if not cost.is_finite() or cost < 0:
            raise ValueError(f"stated cost {cost} is not an amount")
        fx = self.fx
        if currency != "KRW" and (fx is None or fx.base != currency):
            raise ValueError(f"no {currency} rate was frozen with quote {self.id}")
        used = None if currency == "KRW" else fx
        numerator, denominator = _won_ratio(cost, used, 1)
        return (
            Line(
                STATED,
                1,
                cost,
                currency,
                1,
                self.price.version,
                used.rate if used else None,
                used.day if used else None,
                half_even(numerator, denominator),
                STATED,
            ),
        )

    def upper_bound(
        self,
        input_bytes: int,
        max_output_tokens: int,
        choices: int = 1,
        maxima: Usage | None = None,
    ) -> int:
        """Nano-won that one attempt cannot exceed (DESIGN, invariant 5).

        Each token stands for at least one UTF-8 byte of the upstream body, so `input_bytes` bounds
        the text input. `max_output_tokens` bounds one choice, reasoning included. `maxima` declares
        what else may be counted: tokens of images and tools, searches, seconds, ….
        """
        extra = maxima or _ONE_REQUEST
        dearest = self._dearest_rates(input_bytes + extra.input_tokens)
        bound = _at_most(input_bytes, dearest["text_input"])
        bound += _at_most(choices * max_output_tokens, dearest["text_output"])
        return bound + sum(_at_most(quantity, dearest[name]) for name, quantity in extra.classes())

    @classmethod
    def from_document(cls, document: str) -> Quote:
        """Rebuild a quote from the text that `document` holds."""
        content = json.loads(document)
        price = Price(
            key=content["key"],
            version=content["version"],
            starts_at=datetime.fromisoformat(content["starts_at"]),
            currency=content["currency"],
            prices=_decimals(content["prices"]),
            tiers=tuple(Tier(above, _decimals(prices)) for above, prices in content["tiers"]),
            service_tiers=_decimals(content["service_tiers"]),
            variants={name: _decimals(prices) for name, prices in content.get("variants", {}).items()},
            source=content["source"],
            checked=date.fromisoformat(content["checked"]) if content["checked"] else None,
            verified=content["verified"],
        )
        return cls(price, _fx_from(content["fx"]))

    def _dearest_rates(self, most_input: int) -> dict[str, _Rate]:
        """Return the dearest rate by class over every tier that a bounded request may be charged by."""
        reachable = sum(tier.above_input_tokens < most_input for tier in self.price.tiers)
        cached = self._bounds.get(reachable)
        if cached is None:
            cached = self._bounds[reachable] = _dearest_of(tuple(self._reachable(reachable)))
        return cached

    def _reachable(self, tiers: int) -> Iterator[dict[str, _Rate]]:
        for index in range(-1, tiers):
            for service_tier in ("", *self.price.service_tiers, *self.price.variants):
                for quarantined in (False, True):
                    yield self._table(index, service_tier, quarantined)

    def _rates(self, input_tokens: int, service_tier: str | None, quarantined: bool) -> dict[str, _Rate]:  # noqa: FBT001 - a dictionary key, not a mode
        index = -1
        for i, tier in enumerate(self.price.tiers):
            if input_tokens > tier.above_input_tokens:
                index = i
        return self._table(index, self._known(service_tier or ""), quarantined)

    def _known(self, served: str) -> str:
        """Return the name under which the price knows what was served, the narrowest first; "" if none."""
        if served in self.price.service_tiers or served in self.price.variants:
            return served
        size, _, quality = served.partition("/")
        candidates = (variant(size, None), variant(None, quality)) if self.price.variants else ()
        return next((name for name in candidates if name in self.price.variants), "")

    def _table(self, index: int, service_tier: str, quarantined: bool) -> dict[str, _Rate]:  # noqa: FBT001 - see _rates
        cached = self._tables.get((index, service_tier, quarantined))
        if cached is None:
            cached = self._built(index, service_tier, quarantined)
            self._tables[index, service_tier, quarantined] = cached
        return cached

    def _built(self, index: int, service_tier: str, quarantined: bool) -> dict[str, _Rate]:  # noqa: FBT001 - see _rates
        prices = dict(self.price.prices)
        if index >= 0:
            prices |= self.price.tiers[index].prices
        prices |= self.price.variants.get(service_tier, {})
        factor = self.price.service_tiers.get(service_tier, Decimal(1))
        with localcontext(EXACT):
            prices = {name: price * factor for name, price in prices.items()}
        rates = {}
        for name in CLASSES:
            unit_price, basis = _price_of(name, prices, quarantined)
            rates[name] = _Rate(*_won_ratio(unit_price, self.fx, PER[name]), unit_price, PER[name], basis)
        return rates


def document_id(document: str) -> str:
    """Name a quote by its content."""
    return hashlib.sha256(document.encode()).hexdigest()[:32]


def total(lines: Iterable[Line]) -> int:
    """Nano-won of all lines."""
    return sum(line.amount_nano_krw for line in lines)


def negated(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Lines that take others back, for corrections."""
    return tuple(
        line._replace(quantity=-line.quantity, amount_nano_krw=-line.amount_nano_krw) for line in lines
    )


def _price_of(name: str, prices: Mapping[str, Decimal], quarantined: bool) -> tuple[Decimal, str]:  # noqa: FBT001 - see Quote._rates
    kin = [other for other in KIN.get(name, ()) if other in prices]
    if quarantined and name in TOKEN_CLASSES:
        side = INPUT_TOKEN_CLASSES if name in INPUT_TOKEN_CLASSES else OUTPUT_TOKEN_CLASSES
        candidates = [prices[other] for other in (name, *kin) if other in prices and other in side]
        if candidates:
            return max(candidates), "dearest"
    if name in prices:
        return prices[name], "own"
    if not kin:
        return Decimal(0), "unpriced"
    if name.startswith("cache_write"):
        kin = [max((other for other in kin if other != "output" or len(kin) == 1), key=prices.__getitem__)]
    return prices[kin[0]], f"as:{kin[0]}"


def _won_ratio(unit_price: Decimal, fx: FxRate | None, per: int) -> tuple[int, int]:
    """Nano-won per unit as an exact fraction."""
    with localcontext(EXACT):
        numerator, denominator = (unit_price * (fx.rate if fx else 1) * NANO).as_integer_ratio()
    return numerator, denominator * per


def _dearest_of(tables: tuple[dict[str, _Rate], ...]) -> dict[str, _Rate]:
    """Rates by class, and of text, which may be read from or written to a cache and be reasoned about."""
    rates = {name: _dearest(tables, (name,)) for name in CLASSES}
    rates["text_input"] = _dearest(tables, ("input", "cache_read", "cache_write_5m", "cache_write_1h"))
    rates["text_output"] = _dearest(tables, ("output", "reasoning"))
    return rates


def _dearest(tables: tuple[dict[str, _Rate], ...], names: tuple[str, ...]) -> _Rate:
    rates = [table[name] for table in tables for name in names]
    best = rates[0]
    for rate in rates:
        if rate.numerator * best.denominator > best.numerator * rate.denominator:
            best = rate
    return best


def _at_most(quantity: int, rate: _Rate) -> int:
    """Bound of a quantity's cost; one nano-won more per class it may be split into and rounded apart."""
    return ceiling(quantity * rate.numerator, rate.denominator) + (len(TOKEN_CLASSES) if quantity else 0)


def _document(price: Price, fx: FxRate | None) -> str:
    content: dict[str, Any] = {
        "key": price.key,
        "version": price.version,
        "starts_at": price.starts_at.astimezone(UTC).isoformat(),
        "currency": price.currency,
        "prices": _texts(price.prices),
        "tiers": [[tier.above_input_tokens, _texts(tier.prices)] for tier in price.tiers],
        "service_tiers": _texts(price.service_tiers),
        "source": price.source,
        "checked": price.checked.isoformat() if price.checked else None,
        "verified": price.verified,
        "fx": _fx_content(fx),
    }
    if price.variants:  # absent otherwise, so that quotes from before there were any keep their ids
        content["variants"] = {name: _texts(prices) for name, prices in price.variants.items()}
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _fx_content(fx: FxRate | None) -> list[str] | None:
    if fx is None:
        return None
    return [fx.base, fx.day.isoformat(), str(fx.rate), fx.published_at.astimezone(UTC).isoformat(), fx.source]


def _texts(prices: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: str(price) for name, price in prices.items()}


def _decimals(prices: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(price) for name, price in prices.items()}


def _fx_from(content: list[str] | None) -> FxRate | None:
    if content is None:
        return None
    base, day, rate, published_at, source = content
    return FxRate(base, date.fromisoformat(day), Decimal(rate), datetime.fromisoformat(published_at), source)
