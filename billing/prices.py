"""The price book: which price and which FX rate were in force at an instant.

    [[prices]]
    key = "openai/gpt-5.1"
    from = 2026-01-01            # a Korean day, or an instant with an offset; `until` is optional
    currency = "USD"
    input = "1.25"               # money is text, never a float
    cache_read = "0.125"
    output = "10"
    source = "https://openai.com/api/pricing/"
    checked = 2026-11-22
    verified = true
    [[prices.tiers]]             # optional: a request with more input than this pays these prices
    above_input_tokens = 272000
    input = "2.50"
    [prices.service_tiers]       # optional: factors
    flex = "0.5"
    [[prices.variants]]          # optional: pictures by size and quality, films by size; one may be left out
    size = "1024x1536"
    quality = "high"
    images = "0.25"              # other sizes and qualities cost what the entry itself says of `images`

    [[fx]]
    base = "USD"
    quote = "KRW"
    date = 2026-11-21
    rate = "1391.20"
    source = "하나은행 매매기준율"
    kind = "daily"               # or "monthly" (holds for the month of `date`), "manual"

Prices are per 1,000,000 for the token classes of `billing.usage.Usage` and for `characters`, and per
one for `requests`, `searches`, `images`, `audio_seconds`, `video_seconds`. `billing.price_tables`
reads the tables and says what is wrong with them; `billing.quotes` does the arithmetic.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from billing.periods import billing_day, billing_month
from billing.price_tables import FX_MONTHLY, PriceTableError, read_fx, read_prices
from billing.quotes import FxRate, Line, Price, Quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

__all__ = ["FxRate", "FxRule", "Line", "NoPrice", "Price", "PriceBook", "PriceTableError", "Quote"]


class FxRule(StrEnum):
    """Which of the known rates a charge is converted by."""

    LAST = "last"
    """The last one published before it."""
    MONTHLY = "monthly"
    """The one that was fixed for its Korean month, and no other."""


class NoPrice(LookupError):
    """No price, or no FX rate for its currency, is in force: there is no service without one."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(f"{korean} / {english}")
        self.korean = korean
        self.english = english


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Effective-dated prices by key and FX rates by currency, each sorted by time."""

    prices: Mapping[str, tuple[Price, ...]]
    fx: Mapping[str, tuple[FxRate, ...]]
    fx_rule: FxRule = FxRule.LAST
    fx_most_days: int = 0
    """How old the last rate may be; 0: any age will do."""
    _quotes: dict[tuple[str, datetime, datetime | None], Quote] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def from_tables(
        cls,
        prices: Sequence[Mapping[str, Any]],
        fx: Sequence[Mapping[str, Any]],
        fx_rule: FxRule = FxRule.LAST,
        fx_most_days: int = 0,
    ) -> PriceBook:
        """Read the `[[prices]]` and `[[fx]]` tables of haechi.toml.

        Raises PriceTableError, naming every entry that is wrong.
        """
        price_problems, fx_problems = [], []
        try:
            read = read_prices(prices)
        except PriceTableError as error:
            price_problems = list(error.problems)
        try:
            rates = read_fx(fx, only=FX_MONTHLY if fx_rule is FxRule.MONTHLY else None)
        except PriceTableError as error:
            fx_problems = list(error.problems)
        if price_problems or fx_problems:
            raise PriceTableError([*price_problems, *fx_problems])
        return cls(read, rates, fx_rule, fx_most_days)

    def quote(self, price_key: str, at: datetime) -> Quote:
        """Freeze the price and the rate in force at an instant.

        Raises NoPrice.
        """
        price = self._price_at(price_key, at)
        fx = None if price.currency == "KRW" else self.fx_at(price.currency, at)
        cache_key = (price_key, price.starts_at, fx.published_at if fx else None)
        quote = self._quotes.get(cache_key)
        if quote is None:
            quote = self._quotes[cache_key] = Quote(price, fx)
        return quote

    def fx_at(self, base: str, at: datetime) -> FxRate:
        """Return the rate that the rule chooses for an instant. Raises NoPrice."""
        rates = self.fx.get(base, ())
        index = bisect_right(rates, at, key=lambda rate: rate.published_at)
        if index == 0:
            raise _no_rate(base, f"{billing_day(at)}까지", f"by {billing_day(at)}")
        rate = rates[index - 1]
        if self.fx_rule is FxRule.MONTHLY and f"{rate.day:%Y-%m}" != billing_month(at):
            raise _no_rate(base, f"{billing_month(at)}의 월", f"for the month {billing_month(at)}")
        if self.fx_most_days and (billing_day(at) - rate.day).days > self.fx_most_days:
            days = self.fx_most_days
            raise _no_rate(
                base, f"{billing_day(at)} 앞 {days}일 안의", f"within {days} days of {billing_day(at)}"
            )
        return rate

    def _price_at(self, price_key: str, at: datetime) -> Price:
        versions = self.prices.get(price_key, ())
        index = bisect_right(versions, at, key=lambda version: version.starts_at)
        price = versions[index - 1] if index else None
        if price is None or (price.ends_at is not None and at >= price.ends_at):
            when = at.isoformat()
            raise NoPrice(
                f"'{price_key}'에 {when} 기준 단가가 없습니다."
                " `haechi prices propose`로 올리거나 haechi.toml의 [[prices]]에 추가하세요.",
                f"'{price_key}' has no price in force at {when};"
                " propose one with `haechi prices propose`, or add it to [[prices]] of haechi.toml",
            )
        return price


def _no_rate(base: str, korean: str, english: str) -> NoPrice:
    return NoPrice(
        f"{korean} {base}/KRW 환율이 없습니다."
        " `haechi fx import`로 넣거나 haechi.toml의 [[fx]]에 추가하세요.",
        f"there is no {base}/KRW rate {english}; add one with `haechi fx import` or to [[fx]] of haechi.toml",
    )
