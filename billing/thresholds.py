"""When to speak of a budget: thresholds it has reached, and whether it is forecast to run out. Pure.

    Standing   a budget in a period as it stands now
    Rules      at how many per cent to speak, and whether to forecast
    Occasion   one thing to say, once in a period

Of several thresholds passed at once only the highest is told; the others are noted, so that they are
never told later. A hard budget refuses what does not fit and so seldom reaches its limit to the unit:
once it has refused a request it is used up, and that is its 100 %.

A forecast is the plain one that a reader can check: what a working day has cost so far, times the
working days to come. Weekends and holidays carry nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from billing.budgets import ends_on, months_of
from billing.periods import billing_day

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from billing.budgets import Every, Measure, Scope

FORECAST: Final = "forecast"
USED_UP: Final = 100
LEAST_DAYS: Final = 3
"""Working days that must have passed before anything is forecast."""
LEAST_PERCENT: Final = 20
"""Of a limit that must be spent: below it a busy morning looks like a trend."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Amounts in the unit of the measure; `refused` says that a request did not fit any more."""

    budget_id: str
    scope: Scope
    every: Every
    period: str
    measure: Measure
    hard: bool
    limit: int
    spent: int
    refused: bool = False

    @property
    def percent(self) -> int:
        """Whole per cent that are spent, rounded down; a limit of 0 is spent by the first unit."""
        if self.limit > 0:
            return max(0, self.spent) * 100 // self.limit
        return USED_UP if self.spent > 0 else 0


@dataclass(frozen=True, slots=True)
class Rules:
    thresholds: tuple[int, ...] = (50, 80, 100)
    forecast: bool = True


class Occasion(NamedTuple):
    """`name` is the per cent as text, or `forecast`; one that is not `told` is only noted."""

    name: str
    told: bool
    runs_out_on: date | None = None


def occasions(
    standing: Standing,
    rules: Rules,
    noted: Collection[str],
    now: datetime,
    is_working_day: Callable[[date], bool],
) -> list[Occasion]:
    """Return what is to be said of a budget now; `noted` are names that were said in this period."""
    reached = _reached(standing, rules)
    fresh = [percent for percent in reached if str(percent) not in noted]
    found = [Occasion(str(percent), told=percent == reached[-1]) for percent in fresh]
    if rules.forecast and FORECAST not in noted and not used_up(standing):
        runs_out_on = forecast(standing, now, is_working_day)
        if runs_out_on is not None:
            found.append(Occasion(FORECAST, told=True, runs_out_on=runs_out_on))
    return found


def used_up(standing: Standing) -> bool:
    return standing.refused or standing.percent >= USED_UP


def forecast(standing: Standing, now: datetime, is_working_day: Callable[[date], bool]) -> date | None:
    """Return the Korean day on which the limit is reached at the pace so far; None if it lasts.

    Also None where there is no pace to go by: a budget without a period, a new one, one hardly used.
    """
    first, end, today = begins_on(standing.period), ends_on(standing.period), billing_day(now)
    if first is None or end is None or not first <= today < end or standing.percent < LEAST_PERCENT:
        return None
    passed = sum(map(is_working_day, _days(first, today + timedelta(days=1))))
    if passed < LEAST_DAYS:
        return None
    to_come = (day for day in _days(today + timedelta(days=1), end) if is_working_day(day))
    for number, day in enumerate(to_come, start=1):
        if standing.spent * (passed + number) >= standing.limit * passed:
            return day
    return None


def begins_on(period: str) -> date | None:
    """First Korean day of a period; None for the one that has no end."""
    months = months_of(period)
    return date.fromisoformat(f"{months[0]}-01") if months else None


def _reached(standing: Standing, rules: Rules) -> list[int]:
    percent = max(standing.percent, USED_UP) if standing.refused else standing.percent
    return sorted({threshold for threshold in rules.thresholds if threshold <= percent})


def _days(first: date, end: date) -> Iterator[date]:
    while first < end:
        yield first
        first += timedelta(days=1)
