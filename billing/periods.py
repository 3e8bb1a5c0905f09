"""Billing days and months. They are Korea's (Asia/Seoul), whatever the server's clock is set to.

Korea has had no daylight saving time since 1988, so the offset is a constant; instants before that
do not occur in a ledger.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

KST: Final = timezone(timedelta(hours=9), "KST")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def billing_day(at: datetime) -> date:
    """Korean calendar day of an aware instant."""
    return _aware(at).astimezone(KST).date()


def billing_month(at: datetime) -> str:
    """Korean calendar month of an aware instant, `2026-11`."""
    local = _aware(at).astimezone(KST)
    return f"{local.year:04d}-{local.month:02d}"


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """First instant of a month `2026-11` and of the next, both aware UTC.

    Raises ValueError for anything that is not a month.
    """
    year, number = _parsed(month)
    following = (year + number // 12, number % 12 + 1)
    start = datetime(year, number, 1, tzinfo=KST)
    end = datetime(*following, 1, tzinfo=KST)
    return start.astimezone(UTC), end.astimezone(UTC)


def next_month(month: str) -> str:
    year, number = _parsed(month)
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def months_between(first: str, last: str) -> tuple[str, ...]:
    """Every month from `first` to `last`, both included."""
    months = []
    month = first
    _parsed(last)
    while month <= last:
        months.append(month)
        month = next_month(month)
    return tuple(months)


def day_start(day: date) -> datetime:
    """First instant of a Korean day, aware UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=KST).astimezone(UTC)


def to_us(at: datetime) -> int:
    """Microseconds since 1970 UTC of an aware instant; exact, unlike `timestamp()`."""
    return (_aware(at) - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Aware UTC instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _parsed(month: str) -> tuple[int, int]:
    match = _MONTH.fullmatch(month)
    if match is None or match[1] == "0000":
        raise ValueError(
            f"{month!r}은(는) 달이 아닙니다. 2026-11처럼 쓰세요. / not a month; write it like 2026-11"
        )
    return int(match[1]), int(match[2])


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("시간대 없는 시각은 쓸 수 없습니다. / a naive datetime has no place in a ledger")
    return at
