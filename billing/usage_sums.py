"""What is asked of the daily sums, and what they answer. Pure values: the SQL is in billing/store.

Two ways to say when: `months` are billing periods, what an invoice covers; `first_day` and `last_day`
are the Korean days on which attempts started, what a chart covers. They differ where a month was
locked before its last charges were known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from billing.money import won
from billing.usage import INPUT_TOKEN_CLASSES, OUTPUT_TOKEN_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from decimal import Decimal


class Dimension(StrEnum):
    """What sums are grouped by."""

    DAY = "day"
    MONTH = "month"
    """The billing period."""
    DEPARTMENT = "department"
    UNIT = "unit"
    """The whole path of units at that moment, codes joined by `/`."""
    PERSON = "person"
    KEY = "key"
    SERVICE = "service"
    """The shared chat client that spoke for the person; empty for the person's own key."""
    MODEL = "model"
    PROVIDER = "provider"
    DEPLOYMENT = "deployment"
    TASK = "task"
    """What chat clients asked by themselves (`title_generation`); empty for people's requests."""


class Order(StrEnum):
    """What a page of sums is sorted by."""

    COST = "cost"
    REQUESTS = "requests"
    TOKENS = "tokens"
    KEY = "key"
    """The dimensions themselves, in the order in which they were asked for."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sums count. None means any; an empty tuple means none at all.

    `under`: units whose subtree counts, whatever their level, at the moment of each attempt.
    """

    months: tuple[str, ...] | None = None
    first_day: date | None = None
    last_day: date | None = None
    """Included."""
    departments: tuple[str, ...] | None = None
    under: tuple[str, ...] | None = None
    persons: tuple[str, ...] | None = None
    keys: tuple[str, ...] | None = None
    services: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    deployments: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of sorted sums. `limit` None: all of them."""

    order: Order = Order.COST
    descending: bool = True
    offset: int = 0
    limit: int | None = None


EVERYTHING: Final = Page()


@dataclass(frozen=True, slots=True)
class UsageSum:
    """The sum of one group.

    `requests` counts a request once, however many attempts it took; grouped by model, provider or
    deployment it counts for each of those that were asked. `failed` counts attempts without a usable
    answer, `estimated` those whose usage nobody reported. `tokens` holds the classes of Usage that are
    not zero (images, searches and milliseconds among them).
    """

    key: tuple[str | date, ...]
    """One value for each dimension, in their order; a `date` for DAY."""
    requests: int = 0
    attempts: int = 0
    failed: int = 0
    estimated: int = 0
    cache_hits: int = 0
    tokens: Mapping[str, int] = field(default_factory=dict)
    cost_nano_krw: int = 0

    @property
    def input_tokens(self) -> int:
        return sum(self.tokens.get(name, 0) for name in INPUT_TOKEN_CLASSES)

    @property
    def output_tokens(self) -> int:
        return sum(self.tokens.get(name, 0) for name in OUTPUT_TOKEN_CLASSES)

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def cost_won(self) -> Decimal:
        """Exact."""
        return won(self.cost_nano_krw)
