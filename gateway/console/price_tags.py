"""Prices as people read them: won for a million tokens, a picture, a second. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import TYPE_CHECKING, Final

from billing.money import EXACT
from gateway.console.i18n import N_

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from billing.quotes import Quote

CLASSES: Final[Mapping[str, str]] = {
    "input": N_("입력"),
    "cache_read": N_("캐시 읽기"),
    "cache_write_5m": N_("캐시 쓰기(5분)"),
    "cache_write_1h": N_("캐시 쓰기(1시간)"),
    "output": N_("출력"),
    "reasoning": N_("추론"),
    "audio_input": N_("소리 입력"),
    "audio_output": N_("소리 출력"),
    "image_input": N_("그림 입력"),
    "image_output": N_("그림 출력"),
    "characters": N_("글자"),
    "requests": N_("요청"),
    "searches": N_("검색"),
    "images": N_("그림"),
    "audio_ms": N_("소리"),
    "video_ms": N_("영상"),
}
UNITS: Final[Mapping[str, str]] = {
    "characters": N_("100만 자"),
    "requests": N_("1건"),
    "searches": N_("1회"),
    "images": N_("1장"),
    "audio_ms": N_("1초"),
    "video_ms": N_("1초"),
}
TOKENS: Final = N_("100만 토큰")

SMALL: Final = Decimal(100)
"""Below this many won a price is shown with two digits behind the point."""


@dataclass(frozen=True, slots=True)
class PriceRow:
    """`label` and `unit` are Korean, marked for the catalogue; `where` is a tier or variant."""

    usage_class: str
    label: str
    unit: str
    where: str
    won: Decimal
    stated: Decimal


@dataclass(frozen=True, slots=True)
class PriceTag:
    """One price version with the rate of today."""

    currency: str
    rows: tuple[PriceRow, ...]
    fx: Decimal | None
    fx_day: date | None
    source: str
    checked: date | None
    verified: bool

    @property
    def main(self) -> tuple[PriceRow, ...]:
        """What a list has room for: input and output, or else the first price without a condition."""
        plain = [row for row in self.rows if not row.where]
        return tuple(row for row in plain if row.usage_class in {"input", "output"}) or tuple(plain[:1])

    @property
    def text(self) -> str:
        """The main prices in one line, for a CSV."""
        return " / ".join(f"{row.label} {row.won:f}" for row in self.main)


def price_tags(quote: Quote) -> PriceTag:
    """Return the price of a quote in won, at its rate."""
    price, fx = quote.price, quote.fx
    tables = [("", price.prices)]
    tables += [(f"> {tier.above_input_tokens:,}", tier.prices) for tier in price.tiers]
    tables += [(name.strip("*").strip("/"), prices) for name, prices in price.variants.items()]
    rate = fx.rate if fx else Decimal(1)
    return PriceTag(
        currency=price.currency,
        rows=tuple(
            PriceRow(
                name, CLASSES.get(name, name), UNITS.get(name, TOKENS), where, _won(amount, rate), amount
            )
            for where, prices in tables
            for name, amount in prices.items()
        ),
        fx=fx.rate if fx else None,
        fx_day=fx.day if fx else None,
        source=price.source,
        checked=price.checked,
        verified=price.verified,
    )


def _won(amount: Decimal, rate: Decimal) -> Decimal:
    with localcontext(EXACT):
        whole = amount * rate
        step = Decimal(1) if whole >= SMALL else Decimal("0.01")
        return whole.quantize(step, rounding=ROUND_HALF_EVEN)
