"""A month by the prices of another version: which quote a charge gets instead of its own. No SQL, no HTTP.

A version's price counts as if it had been in force: the one that is in force at the charge's instant, else
the version's first one. What the version does not name stays as it was charged. The exchange rate stays the
one that was frozen with the charge; only a price in another currency takes one from the book.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.periods import billing_day
from billing.pricebook import FIRST, PriceRefused
from billing.quotes import Quote
from billing.store import rerating

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime

    from billing.prices import PriceBook
    from billing.quotes import FxRate, Price
    from billing.store.rerating import WhatIf
    from gateway.pricing import PriceDesk


@dataclass(frozen=True, slots=True)
class Alternative:
    """The prices to rate by, and what they are called."""

    name: str
    prices: Mapping[str, tuple[Price, ...]]


def version_of(desk: PriceDesk, text: str) -> Alternative:
    """Return the prices that `--prices` names: `3` or `v3`; `0` or `haechi.toml`; a price's own version name.

    Raises PriceRefused.
    """
    number = text.removeprefix("v")
    if number.isdigit() and int(number) != FIRST:
        found = desk.version(int(number))
        return Alternative(f"v{found.number}", found.prices)
    if number == str(FIRST) or text == "haechi.toml":
        return Alternative("haechi.toml", desk.base.prices)
    if text == "current":
        return Alternative("current", desk.book().prices)
    named = {
        key: tuple(price for price in versions if price.version == text)
        for key, versions in desk.book().prices.items()
    }
    prices = {key: versions for key, versions in named.items() if versions}
    if not prices:
        raise PriceRefused(
            f"'{text}'이라는 판은 없습니다. `haechi prices list`의 번호나 단가의 버전 이름을 쓰세요.",
            f"There is no version '{text}'; use a number of `haechi prices list` or a price's version name.",
        )
    return Alternative(text, prices)


def what_if(desk: PriceDesk, month: str, alternative: Alternative) -> WhatIf:
    """Rate a month by other prices. Raises billing.prices.NoPrice where a currency has no rate on a day."""
    return rerating.what_if(desk.database, month, _chooser(alternative.prices, desk.book()))


def _chooser(
    prices: Mapping[str, tuple[Price, ...]], book: PriceBook
) -> Callable[[Quote, datetime], Quote | None]:
    made: dict[tuple[str, date], Quote | None] = {}

    def chosen(quote: Quote, at: datetime) -> Quote | None:
        place = (quote.id, billing_day(at))
        if place not in made:
            price = _price_at(prices.get(quote.price_key, ()), at)
            made[place] = None if price is None else Quote(price, _fx(quote, price, book, at))
        return made[place]

    return chosen


def _price_at(versions: tuple[Price, ...], at: datetime) -> Price | None:
    if not versions:
        return None
    return versions[max(bisect_right(versions, at, key=lambda price: price.starts_at) - 1, 0)]


def _fx(quote: Quote, price: Price, book: PriceBook, at: datetime) -> FxRate | None:
    if price.currency == "KRW":
        return None
    if quote.fx is not None and quote.fx.base == price.currency:
        return quote.fx
    return book.fx_at(price.currency, at)
