"""How a department's spending goes on: month-end and year-end with an interval; what is out of line. Pure.

    outlook     what a period comes to in the end, from the days so far
    unusual     days and weeks in which somebody used far more than ever before

The model is the textbook's local level (simple exponential smoothing), over working days; a weekend day
counts by what weekends were worth so far. Its error over the days to come is known in closed form (Hyndman
et al., Forecasting with Exponential Smoothing, 2008, ch. 6), so the interval widens with the days ahead.
Neither growth nor seasons are put in: what three months cannot show is not claimed, and the interval says
how sure the level is. When a budget runs out is billing.thresholds'.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from statistics import fmean, median
from typing import TYPE_CHECKING, Final

from billing.intervals import Interval, around, in_won, student_t
from billing.money import NANO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    IsWorkingDay = Callable[[date], bool]

LEAST_DAYS: Final = 3
"""Working days over before anything is forecast, as for a budget's notices."""
LEAST_FOR_INTERVAL: Final = 10
"""Working days over before an interval is given."""
HISTORY_DAYS: Final = 120
"""How far back a level looks; what was before says nothing of now."""
_ALPHAS: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a period comes to. `forecast` includes what was spent; None where too few days are over."""

    spent_nano: int
    working_days: int
    """That the forecast rests on."""
    forecast: Interval | None


@dataclass(frozen=True, slots=True)
class Level:
    """What a working day is worth now, nano-won; a day off is worth `off` of it."""

    nano_a_day: float
    off: float
    alpha: float
    deviation: float
    """Of a single day from the level before it."""
    days: int

    def ahead(self, weights: Sequence[float]) -> Interval:
        """Return the sum of days to come. `weights`: what each is worth in working days."""
        expected = self.nano_a_day * sum(weights)
        if self.days < LEAST_FOR_INTERVAL:
            return Interval(in_won(expected))
        error = self.deviation * sqrt(self._variance(weights))
        return around(expected, student_t(self.days - 1) * error)

    def _variance(self, weights: Sequence[float]) -> float:
        """Variance of the sum in a day's: of shocks to come, which move the level, and of the level."""
        total, variance = sum(weights), 0.0
        left = total
        for weight in weights:
            left -= weight
            variance += weight * (1 + self.alpha * left) ** 2
        known = min(self.days, (2 - self.alpha) / self.alpha)
        return variance + total**2 / known


def level_of(
    daily: Mapping[date, int], first: date, today: date, is_working_day: IsWorkingDay
) -> Level | None:
    """Return the level from `first` to the day before `today`; None if too few working days are over."""
    days = list(_days(max(first, today - timedelta(days=HISTORY_DAYS)), today))
    working = [float(daily.get(day, 0)) for day in days if is_working_day(day)]
    if len(working) < LEAST_DAYS:
        return None
    off = [float(daily.get(day, 0)) for day in days if not is_working_day(day)]
    mean = fmean(working)
    share = min(1.0, fmean(off) / mean) if off and mean > 0 else 0.0
    fits = [(*_smoothed(working, alpha), alpha) for alpha in _ALPHAS]
    squares, level, alpha = min(fits)
    deviation = sqrt(squares / (len(working) - 1))
    return Level(max(0.0, level), max(0.0, share), alpha, deviation, len(working))


def _smoothed(values: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the sum of squared one-day errors and the level behind the last day."""
    start = min(len(values), 5)
    level = fmean(values[:start])
    squares = 0.0
    for value in values:
        error = value - level
        squares += error * error
        level += alpha * error
    return squares, level


def outlook(
    daily: Mapping[date, int], period: tuple[date, date], today: date, is_working_day: IsWorkingDay
) -> Outlook:
    """Return what the period [first, end) comes to, from all days up to `today`, whose use is not over yet.

    `daily` may begin long before the period: the level is taken from what is there.
    """
    first, end = period
    spent = sum(nano for day, nano in daily.items() if first <= day < end)
    if not daily or today >= end:
        return Outlook(spent, 0, Interval(spent, spent, spent) if today >= end else None)
    level = level_of(daily, min(daily), today, is_working_day)
    if level is None:
        return Outlook(spent, sum(map(is_working_day, _days(min(daily), today))), None)
    weights = [1.0 if is_working_day(day) else level.off for day in _days(today + timedelta(days=1), end)]
    worth = 1.0 if is_working_day(today) else level.off
    if level.nano_a_day > 0:  # what is left of today
        weights.insert(0, max(0.0, worth - daily.get(today, 0) / level.nano_a_day))
    return Outlook(spent, level.days, level.ahead(weights).plus(spent))


def month_of(day: date) -> tuple[date, date]:
    """Return the first day of a day's month and of the next."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def year_of(day: date) -> tuple[date, date]:
    """Return the first day of the budget year (the calendar's: 국가재정법 제2조) and of the next."""
    return date(day.year, 1, 1), date(day.year + 1, 1, 1)


# --- what is out of line ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """When use is far above its own past. Spread is the median absolute deviation, made comparable."""

    times: int = 3
    """Of the usual day at least."""
    deviations: int = 6
    least_nano: int = 5_000 * NANO
    """Above the usual at least: what is smaller is not worth a call."""
    least_past: int = 8
    """Days of the same kind (working or off), or weeks, that there must be to compare with."""
    looks_back: int = 7
    """Days, today included, that are looked at."""


USUAL_RULE: Final = Rule()
_TO_DEVIATION: Final = 1.4826
"""A normal distribution's standard deviation in median absolute deviations."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """A day far above the own past. `usual_nano`: the median of the days before of the same kind."""

    subject: str
    day: date
    nano_krw: int
    usual_nano: int
    past: int
    """How many days it was compared with."""

    @property
    def times(self) -> int | None:
        """How many times the usual, rounded down; None where nothing was usual."""
        return self.nano_krw // self.usual_nano if self.usual_nano > 0 else None


def unusual(
    subjects: Mapping[str, Mapping[date, int]],
    today: date,
    is_working_day: IsWorkingDay,
    rule: Rule = USUAL_RULE,
) -> list[Unusual]:
    """Return the days of the last week that are far above the subject's own past, the largest excess first.

    A subject's past begins with its first day; who is new has none, and is not called unusual.
    """
    found = (
        one
        for subject, daily in subjects.items()
        if daily and max(daily.values()) > rule.least_nano
        for one in _of_one(subject, daily, today, is_working_day, rule)
    )
    return sorted(found, key=lambda one: (one.usual_nano - one.nano_krw, one.subject, one.day))


def _of_one(
    subject: str, daily: Mapping[date, int], today: date, is_working_day: IsWorkingDay, rule: Rule
) -> Iterator[Unusual]:
    first, recent = min(daily), today - timedelta(days=rule.looks_back - 1)
    past_end = max(first, recent)
    days = list(_days(max(first, today - timedelta(days=HISTORY_DAYS)), past_end))
    past = {
        works: [daily.get(day, 0) for day in days if is_working_day(day) is works] for works in (True, False)
    }
    for day in _days(past_end, today + timedelta(days=1)):
        values = past[is_working_day(day)]
        now = daily.get(day, 0)
        if len(values) >= rule.least_past and now > _most(values, rule):
            yield Unusual(subject, day, now, int(median(values)), len(values))


def _most(past: Sequence[int], rule: Rule) -> int:
    usual = median(past)
    spread = _TO_DEVIATION * median(abs(value - usual) for value in past)
    return int(max(rule.times * usual, usual + rule.deviations * spread, usual + rule.least_nano))


def _days(first: date, end: date) -> Iterable[date]:
    while first < end:
        yield first
        first += timedelta(days=1)
