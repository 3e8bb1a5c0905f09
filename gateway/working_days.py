"""Days on which offices in Korea work, and moments counted in them. Pure but for the calendar's data."""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from billing.periods import billing_day, day_start

if TYPE_CHECKING:
    from datetime import date, datetime

CLOSING: Final = timedelta(hours=18)
"""From midnight in Seoul to the end of the working day (국가공무원 복무규정 제9조: 09:00 to 18:00)."""


def is_working_day(day: date) -> bool:
    """Whether offices in Korea work on a day: no weekend, no public holiday."""
    return day.weekday() < 5 and day not in _holidays()


def working_days_later(at: datetime, days: int) -> datetime:
    """Return the closing time, in UTC, of the working day that many working days after `at`.

    The day of `at` is day 0, if offices work on it and are still open; else the next working day is.
    """
    day = billing_day(at)
    if at >= day_start(day) + CLOSING:
        day += timedelta(days=1)
    while not is_working_day(day):
        day += timedelta(days=1)
    for _ in range(days):
        day += timedelta(days=1)
        while not is_working_day(day):
            day += timedelta(days=1)
    return (day_start(day) + CLOSING).astimezone(UTC)


def working_days_between(start: datetime, end: datetime) -> int:
    """Count the working days after the date of `start` up to that of `end`; negative if it is before."""
    if end < start:
        return -working_days_between(end, start)
    first, last = billing_day(start), billing_day(end)
    days = (first + timedelta(days=n) for n in range(1, (last - first).days + 1))
    return sum(map(is_working_day, days))


@cache
def _holidays() -> dict[date, str]:
    import holidays

    return holidays.country_holidays("KR")
