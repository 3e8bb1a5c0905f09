"""What a provider's monthly bill says, as values: rows by day, model, key and bucket. Pure.

Who reads files is billing.bill_formats; how each provider writes them billing.bill_layouts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, NamedTuple

from billing.provider_bills import BillError, BillMistake

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

MOST_QUANTITY: Final = Decimal(2**53)
MOST_COST: Final = Decimal(10**12)
COST: Final = ""
"""The bucket of a cost that the bill does not break down."""

BUCKETS: Final[Mapping[str, str]] = {
    "reasoning": "output",
    "cache_write_5m": "cache_write",
    "cache_write_1h": "cache_write",
}
"""Classes of billing.usage that providers do not tell apart on their bills; every other one is a bucket."""


def bucket_of(token_class: str) -> str:
    return BUCKETS.get(token_class, token_class)


class BilledRow(NamedTuple):
    """What a provider says of one day, model, key and bucket. Quantity or cost may be None, not both."""

    number: int
    """Of the row in the file, from 1."""
    day: date
    """In the provider's billing time zone."""
    model: str
    key: str
    """The API key, project or resource, as the provider names it; empty where the file has none."""
    bucket: str
    quantity: int | None
    cost: Decimal | None
    currency: str
    fx_rate: Decimal | None = None
    """Won for one unit of the price's currency, where the bill says by what it converted."""
    parts: int = 1
    """Rows of the file that were summed; each is rounded by itself."""


@dataclass(frozen=True, slots=True)
class Bill:
    """A file that was read. `exact`: it names models by their ids; else in descriptions that hold a name."""

    layout: str
    timezone: str
    rows: tuple[BilledRow, ...]
    exact: bool
    buckets: frozenset[str] = frozenset()
    """What it tells apart; a bucket of these that it does not mention was not used."""
    more_pages: bool = False

    @property
    def states_quantities(self) -> bool:
        return any(row.quantity is not None for row in self.rows)

    @property
    def states_costs(self) -> bool:
        return any(row.cost is not None for row in self.rows)


class Wrong(Exception):
    """A mistake of one row."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


def refusal(korean: str, english: str) -> BillError:
    """Return the refusal of a whole file."""
    return BillError([BillMistake(0, korean, english)])


def name_of(column: str) -> str:
    """Return a column's name as it is compared: `lineItem/UsageType` and `line_item_usage_type` are one."""
    return re.sub(r"[^0-9a-z가-힣]", "", column.lower())


def number_of(value: str | Decimal | None, korean: str, most: Decimal) -> Decimal:
    """Read `260,580`, `$0.50`, `-1.2E-7`. Raises Wrong."""
    text = str(value).strip().replace(",", "").strip("$₩€£\\ ")
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) > most:
        raise Wrong(f"{korean}이(가) 수가 아닙니다: {text[:30]}", f"not a number: {text[:30]}")
    return number


ALL_BUCKETS: Final = (
    *("input", "cache_read", "cache_write", "output", "audio_input", "audio_output", "image_input"),
    *("image_output", "requests", "searches", "images", "characters", "audio_ms", "video_ms"),
)
