"""Month-end and year-end with intervals that hold, and days that stick out."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.forecast import Rule, level_of, month_of, outlook, unusual, year_of
from billing.intervals import Interval, Spreads, around, predicted, student_t
from billing.money import NANO

FIRST = date(2026, 9, 1)
TODAY = date(2026, 11, 16)
NOVEMBER = month_of(TODAY)


def works(day):
    return day.weekday() < 5


def days(until=TODAY, first=FIRST):
    return [first + timedelta(days=n) for n in range((until - first).days)]


def steady(won=1_000):
    return {day: won * NANO for day in days() if works(day)}


def test_steady_use_goes_on_as_it_was():
    found = outlook(steady(), NOVEMBER, TODAY, works)
    working = sum(works(day) for day in days(date(2026, 12, 1), date(2026, 11, 1)))
    assert found.spent_nano == 10 * 1_000 * NANO
    assert found.forecast == Interval(*[working * 1_000 * NANO] * 3)
    assert outlook(steady(), year_of(TODAY), TODAY, works).forecast.expected > found.forecast.expected


def test_what_today_holds_already_is_not_counted_twice():
    daily = steady() | {TODAY: 400 * NANO}
    assert (
        outlook(daily, NOVEMBER, TODAY, works).forecast == outlook(steady(), NOVEMBER, TODAY, works).forecast
    )
    busy = outlook(steady() | {TODAY: 5_000 * NANO}, NOVEMBER, TODAY, works)
    assert busy.forecast.expected == 25_000 * NANO


def test_weekends_count_by_what_they_were_worth():
    daily = {day: (1_000 if works(day) else 100) * NANO for day in days()}
    off = sum(not works(day) for day in days(date(2026, 12, 1), date(2026, 11, 1)))
    working = 30 - off
    assert outlook(daily, NOVEMBER, TODAY, works).forecast.expected == (working * 1_000 + off * 100) * NANO


def test_a_period_that_is_over_is_certain_and_an_unused_one_says_nothing():
    over = outlook(steady(), month_of(date(2026, 10, 1)), TODAY, works)
    assert over.forecast == Interval(*[22 * 1_000 * NANO] * 3)
    assert outlook({}, NOVEMBER, TODAY, works).forecast is None


def test_little_data_gives_no_forecast_then_one_without_interval():
    two = dict.fromkeys(days(first=date(2026, 11, 12)), NANO * 1000)
    assert outlook(two, NOVEMBER, TODAY, works).forecast is None
    week = {day: NANO * 1_000 for day in days(first=date(2026, 11, 6)) if works(day)}
    found = outlook(week, NOVEMBER, TODAY, works)
    assert found.working_days == 6
    assert found.forecast is not None
    assert found.forecast.low is None


def test_intervals_hold_the_real_month_end_about_four_times_in_five():
    """Two hundred departments with noisy days, some growing: the share is what it says, or a little more."""
    random, inside = Random(7), 0
    for _ in range(200):
        level, growth = random.uniform(500, 50_000), random.choice((1.0, 1.0, 1.006))
        daily = {
            day: int(level * growth**n * random.lognormvariate(0, 0.5)) * NANO
            for n, day in enumerate(days(date(2026, 12, 1)))
            if works(day)
        }
        known = {day: nano for day, nano in daily.items() if day < TODAY}
        forecast = outlook(known, NOVEMBER, TODAY, works).forecast
        real = sum(nano for day, nano in daily.items() if day >= NOVEMBER[0])
        inside += forecast.low <= real <= forecast.high
    assert 140 <= inside <= 196


@given(st.lists(st.integers(0, 10**15), min_size=3, max_size=70))
def test_a_forecast_is_at_least_what_was_spent_and_in_whole_won(values):
    daily = dict(zip(days(), values, strict=False))
    found = outlook(daily, NOVEMBER, TODAY, works)
    if found.forecast and found.forecast.low is not None:
        assert found.spent_nano <= found.forecast.low <= found.forecast.expected <= found.forecast.high


def test_the_interval_widens_with_the_days_ahead():
    random = Random(1)
    daily = {day: int(random.lognormvariate(7, 0.4)) * NANO for day in days() if works(day)}
    level = level_of(daily, FIRST, TODAY, works)
    near, far = level.ahead([1.0] * 5), level.ahead([1.0] * 20)
    assert far.high - far.low > 2 * (near.high - near.low)


def test_a_day_far_above_the_own_past_is_found_and_a_busy_one_is_not():
    random = Random(3)
    daily = {day: int(10_000 * random.lognormvariate(0, 0.3)) * NANO for day in days() if works(day)}
    busy, yesterday = daily | {}, TODAY - timedelta(days=3)
    busy[yesterday] = 18_000 * NANO
    assert unusual({"d": busy}, TODAY, works) == []
    wild = daily | {yesterday: 90_000 * NANO}
    (found,) = unusual({"d": wild, "e": daily}, TODAY, works)
    assert (found.subject, found.day, found.times) == (
        "d",
        yesterday,
        8 if found.usual_nano > 10_000 * NANO else 9,
    )


def test_a_quiet_weekend_is_compared_with_weekends():
    daily = {day: (50_000 if works(day) else 0) * NANO for day in days()}
    sunday = date(2026, 11, 15)
    (found,) = unusual({"d": daily | {sunday: 40_000 * NANO}}, TODAY, works)
    assert (found.day, found.usual_nano, found.times) == (sunday, 0, None)


def test_who_is_new_or_small_is_never_unusual():
    new = {TODAY - timedelta(days=n): 10**6 * NANO for n in range(3)}
    small = dict.fromkeys(days(), 1) | {TODAY: 4_000 * NANO}
    assert unusual({"new": new, "small": small, "none": {}}, TODAY, works) == []
    assert unusual({"small": small}, TODAY, works, Rule(least_nano=1_000 * NANO)) != []


def test_the_interval_of_one_series_is_wider_than_that_of_many_values():
    assert student_t(1) > student_t(2) > student_t(10) > student_t(1_000) > 1.28
    with pytest.raises(ValueError, match="degree"):
        student_t(0)
    assert predicted([], 0.5) == Interval(0)
    assert predicted([5 * NANO], None) == Interval(5 * NANO)
    assert predicted([0, 0], 0.5) == Interval(0, 0, 0)
    few, many = predicted([100 * NANO] * 2, 0.5), predicted([100 * NANO] * 20, 0.5)
    assert few.high > many.high > 100 * NANO


def test_spread_is_shared_by_all_who_have_more_than_one_value():
    assert Spreads([[5], [0, 0]]).about(10.0) is None
    assert Spreads([[90, 110], [9, 11]]).about(10.0) == pytest.approx(0.1414, abs=1e-3)


def test_who_uses_much_is_not_judged_by_who_uses_little():
    little = [[1, 199]] * 50
    much = [[9_000, 11_000]] * 50
    spreads = Spreads([*little, *much])
    assert spreads.about(100.0) > 1
    assert spreads.about(10_000.0) == pytest.approx(0.1414, abs=1e-3)
    assert spreads.about(10.0**9) == pytest.approx(0.1414, abs=1e-3), "the next smaller ones"
    assert spreads.about(0.0) is None


def test_estimates_are_whole_won_and_not_below_nothing():
    assert around(10.0 * NANO, 30.0 * NANO) == Interval(10 * NANO, 0, 40 * NANO)
