"""What pages show of use and cost: a month against the one before it, day by day, model by model.

All of it from the daily sums of billing.store; who may see whose is decided by the page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from billing.money import NANO
from billing.periods import billing_day, billing_month, next_month
from billing.store import rollups
from billing.store.usage_queries import groups, totals, usage_by
from billing.usage_sums import Dimension, Filter, Order, Page, UsageSum
from gateway.console.charts import Series, bars
from gateway.console.formats import short_won
from gateway.console.i18n import N_, translations
from gateway.console.lists import Column, ListSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from markupsafe import Markup

    from gateway.console.i18n import Language
    from gateway.console.lists import ListQuery
    from gateway.store.database import Database

MONTHS_SHOWN: Final = 13
"""This month and a year before it."""

SHOWN_MODELS: Final = 5
"""Models with a colour of their own in a chart; the rest are one series."""

BATCHES_BEFORE_A_PAGE: Final = 2
"""How far a page itself brings the sums up to date; the rest is the workers' own."""


# --- months ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Month:
    """A month that is looked at, as far as it has come."""

    name: str
    """`2026-11`"""
    first: date
    last: date
    """The last day, or today while the month runs."""
    running: bool

    def before(self) -> Month:
        """Return the month before, as far as this one has come: what a comparison is fair with."""
        end = self.first - timedelta(days=1)
        last = date(end.year, end.month, min(self.last.day, end.day)) if self.running else end
        return Month(f"{end:%Y-%m}", end.replace(day=1), last, running=False)

    def within(self, where: Filter) -> Filter:
        return replace(where, first_day=self.first, last_day=self.last)

    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


def month_asked(text: str | None, now: datetime) -> Month:
    """Return the month that an address names; the running one for anything that is not offered."""
    running = billing_month(now)
    name = text if text in months_offered(now) else running
    assert name is not None
    first = date.fromisoformat(f"{name}-01")
    if name == running:
        return Month(name, first, billing_day(now), running=True)
    return Month(name, first, date.fromisoformat(f"{next_month(name)}-01") - timedelta(days=1), running=False)


def months_offered(now: datetime) -> list[str]:
    """Return the months that can be chosen, the latest first."""
    day = billing_day(now).replace(day=1)
    months = []
    for _ in range(MONTHS_SHOWN):
        months.append(f"{day:%Y-%m}")
        day = (day - timedelta(days=1)).replace(day=1)
    return months


# --- a month's use ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MonthUse:
    month: Month
    total: UsageSum
    before: UsageSum
    """The month before, as far as this one has come."""
    by_model_and_day: tuple[UsageSum, ...]


def month_use(engine: Database, where: Filter, month: Month) -> MonthUse:
    """Return what `where` lets through in a month, and in the one before."""
    rollups.bring_up_to_date(engine, most_batches=BATCHES_BEFORE_A_PAGE)
    return MonthUse(
        month=month,
        total=totals(engine, month.within(where)),
        before=totals(engine, month.before().within(where)),
        by_model_and_day=tuple(usage_by(engine, (Dimension.MODEL, Dimension.DAY), month.within(where))),
    )


def cost_by_day(use: MonthUse, others: str) -> tuple[list[Series], list[tuple[date, int, int]]]:
    """Return the cost of each day: as series of the dearest models, and as (day, requests, nano-won) rows.

    `others` names the series of the models that have no colour of their own.
    """
    days = use.month.days()
    cost: dict[str, dict[date, int]] = {}
    requests: dict[date, int] = dict.fromkeys(days, 0)
    for row in use.by_model_and_day:
        model, day = str(row.key[0]), row.key[1]
        assert isinstance(day, date)
        cost.setdefault(model, {})[day] = row.cost_nano_krw
        requests[day] += row.requests
    dearest = sorted(cost, key=lambda model: -sum(cost[model].values()))
    series = [Series(model, tuple(cost[model].get(d, 0) for d in days)) for model in dearest[:SHOWN_MODELS]]
    rest = dearest[SHOWN_MODELS:]
    if rest:
        series.append(Series(others, tuple(sum(cost[m].get(d, 0) for m in rest) for d in days)))
    table = [(d, requests[d], sum(by_day.get(d, 0) for by_day in cost.values())) for d in days]
    return series, table


def day_chart(series: Sequence[Series], days: Sequence[tuple[date, int, int]], language: Language) -> Markup:
    """Return the columns of `cost_by_day`."""
    title = translations(language).gettext(N_("날짜별 비용"))
    labels = [f"{day:%m-%d}" for day, _, _ in days]
    return bars(title, labels, series, lambda nano_krw: short_won(nano_krw, language), unit=NANO)


# --- lists --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Used:
    """One row of a list of uses: what it is of, its name, and the sum."""

    key: str
    name: str
    sum: UsageSum


_ORDERS: Final = {
    "key": Order.KEY,
    "requests": Order.REQUESTS,
    "tokens": Order.TOKENS,
    "cost": Order.COST,
}


def use_list(name: str, label: str, filters: Mapping[str, str]) -> ListSpec[Used]:
    """Return a list of uses; `label` heads its first column, `filters` stay in its address."""
    return ListSpec(
        name=name,
        columns=(
            Column("key", label, lambda row: row.name, sorts=True),
            Column("requests", N_("요청"), lambda row: row.sum.requests, sorts=True, number=True),
            Column("input", N_("입력 토큰"), lambda row: row.sum.input_tokens, number=True),
            Column("output", N_("출력 토큰"), lambda row: row.sum.output_tokens, number=True),
            Column("tokens", N_("토큰 합계"), lambda row: row.sum.total_tokens, sorts=True, number=True),
            Column("cost", N_("비용(원)"), lambda row: row.sum.cost_won, sorts=True, number=True),
        ),
        sort="cost",
        descending=True,
        filters=filters,
        size=25,
    )


def use_source(
    engine: Database, dimension: Dimension, where: Filter, names: Callable[[Sequence[str]], Mapping[str, str]]
) -> Callable[[ListQuery], tuple[Sequence[Used], int]]:
    """Return what answers a `use_list` from the daily sums; `names` is asked for the names of a page."""

    def source(query: ListQuery) -> tuple[Sequence[Used], int]:
        page = Page(_ORDERS[query.sort], query.descending, query.offset, query.size)
        sums = usage_by(engine, (dimension,), where, page)
        keys = [str(one.key[0]) for one in sums]
        known = names(keys)
        rows = [Used(key, known.get(key, key), one) for key, one in zip(keys, sums, strict=True)]
        return rows, groups(engine, (dimension,), where)

    return source


def as_they_are(keys: Iterable[str]) -> Mapping[str, str]:
    """Name things by their own ids."""
    return {key: key for key in keys}
