from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.periods import (
    billing_day,
    billing_month,
    day_start,
    from_us,
    month_bounds,
    months_between,
    next_month,
    to_us,
)

INSTANTS = st.datetimes(
    min_value=datetime(1990, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.just(UTC),
)


def test_the_month_turns_at_midnight_in_seoul_and_not_in_london() -> None:
    before = datetime(2026, 10, 31, 14, 59, 59, 999_999, tzinfo=UTC)
    assert billing_month(before) == "2026-10"
    assert billing_month(before + timedelta(microseconds=1)) == "2026-11"
    assert billing_day(before + timedelta(microseconds=1)) == date(2026, 11, 1)


@given(INSTANTS)
def test_days_and_months_are_those_of_the_time_zone_database(at: datetime) -> None:
    seoul = at.astimezone(ZoneInfo("Asia/Seoul"))
    assert billing_day(at) == seoul.date()
    assert billing_month(at) == f"{seoul:%Y-%m}"


@given(INSTANTS)
def test_an_instant_lies_within_the_bounds_of_its_month(at: datetime) -> None:
    start, end = month_bounds(billing_month(at))
    assert start <= at < end
    assert billing_month(end) == next_month(billing_month(at))


@given(INSTANTS)
def test_microseconds_are_exact_both_ways(at: datetime) -> None:
    assert from_us(to_us(at)) == at


def test_a_year_of_months_is_counted_over_its_end() -> None:
    assert months_between("2026-11", "2027-02") == ("2026-11", "2026-12", "2027-01", "2027-02")
    assert months_between("2027-01", "2026-11") == ()


def test_a_day_starts_at_its_korean_midnight() -> None:
    assert day_start(date(2026, 1, 1)) == datetime(2025, 12, 31, 15, tzinfo=UTC)


@pytest.mark.parametrize("wrong", ["2026-13", "2026-1", "26-01", "2026-01-01", "", "0000-01"])
def test_what_is_no_month_is_refused_with_a_model(wrong: str) -> None:
    with pytest.raises(ValueError, match="2026-11"):
        month_bounds(wrong)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        billing_month(datetime(2026, 1, 1))
