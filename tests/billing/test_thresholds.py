from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.budgets import Every, Measure, Scope
from billing.thresholds import Occasion, Rules, Standing, forecast, occasions

NOON = datetime(2026, 11, 16, 3, tzinfo=UTC)
"""Monday the 16th, noon in Seoul: eleven of November's twenty-one working days have begun."""


def working(day: date) -> bool:
    return day.weekday() < 5


def standing(spent: int, limit: int = 1000, **more: Any) -> Standing:
    fields: dict[str, Any] = {
        "budget_id": "b",
        "scope": Scope("unit", "총무과"),
        "every": Every.MONTH,
        "period": "2026-11",
        "measure": Measure.WON,
        "hard": True,
        "limit": limit,
        "spent": spent,
    }
    return Standing(**(fields | more))


def said(spent: int, *noted: str, now: datetime = NOON, rules: Rules | None = None, **more: Any) -> list[str]:
    rules = rules or Rules(forecast=False)
    return [o.name for o in occasions(standing(spent, **more), rules, noted, now, working) if o.told]


@pytest.mark.parametrize(
    ("spent", "told"), [(0, []), (499, []), (500, ["50"]), (799, ["50"]), (800, ["80"]), (1000, ["100"])]
)
def test_a_threshold_is_told_from_the_unit_that_reaches_it(spent: int, told: list[str]) -> None:
    assert said(spent) == told


def test_what_was_said_is_not_said_again() -> None:
    assert said(600, "50") == []
    assert said(900, "50") == ["80"]


def test_thresholds_passed_at_once_are_noted_and_only_the_highest_is_told() -> None:
    found = occasions(standing(990), Rules(forecast=False), (), NOON, working)
    assert found == [Occasion("50", told=False), Occasion("80", told=True)]


def test_a_lower_threshold_that_is_added_later_is_not_told() -> None:
    assert said(990, "50", "80", rules=Rules((30, 50, 80), forecast=False)) == []


def test_a_budget_that_refused_is_used_up() -> None:
    assert said(970, "50", "80", refused=True) == ["100"]


def test_a_limit_of_nothing_is_used_up_by_the_first_refusal_and_not_before() -> None:
    assert said(0, limit=0) == []
    assert said(0, limit=0, refused=True) == ["100"]
    assert said(1, limit=0) == ["100"]


def test_a_pace_that_exceeds_the_limit_is_told_with_its_day() -> None:
    # 600 in 11 working days: the limit is reached with the 19th, on Thursday the 26th.
    found = occasions(standing(600), Rules(()), (), NOON, working)
    assert found == [Occasion("forecast", told=True, runs_out_on=date(2026, 11, 26))]
    assert occasions(standing(600), Rules(()), {"forecast"}, NOON, working) == []


def test_a_pace_that_lasts_is_not_told() -> None:
    assert forecast(standing(520), NOON, working) is None  # 21 days of 520/11 are 993


def test_holidays_carry_nothing() -> None:
    rest_of_month_off = date(2026, 11, 20)
    assert forecast(standing(600), NOON, lambda day: working(day) and day < rest_of_month_off) is None


@pytest.mark.parametrize(
    ("what", "now", "more"),
    [
        ("two working days say nothing", datetime(2026, 11, 3, 3, tzinfo=UTC), {}),
        ("hardly used", NOON, {"spent": 190}),
        ("no period", NOON, {"every": Every.ONCE, "period": ""}),
        ("another period", datetime(2026, 12, 10, tzinfo=UTC), {}),
    ],
)
def test_nothing_is_forecast_without_a_pace_to_go_by(what: str, now: datetime, more: dict[str, Any]) -> None:
    spent = more.pop("spent", 900)
    assert forecast(standing(spent, **more), now, working) is None


def test_a_used_up_budget_is_not_forecast() -> None:
    assert said(970, rules=Rules(()), refused=True) == []


def test_a_month_is_koreas() -> None:
    just_december_in_seoul = datetime(2026, 11, 30, 15, tzinfo=UTC)
    assert forecast(standing(900), just_december_in_seoul, working) is None


@given(
    spent=st.integers(0, 10**19),
    limit=st.integers(0, 9 * 10**18),
    days=st.integers(0, 400),
    period=st.sampled_from(["2026-11", "2026-Q4", "2026", ""]),
    refused=st.booleans(),
)
def test_said_once_each_and_a_forecast_lies_ahead(
    spent: int, limit: int, days: int, period: str, refused: bool
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)
    at = standing(spent, limit, period=period, refused=refused)
    found = occasions(at, Rules(), (), now, working)
    assert len({o.name for o in found}) == len(found)
    assert sum(o.told for o in found if o.name != "forecast") <= 1
    assert occasions(at, Rules(), {o.name for o in found}, now, working) == []
    for occasion in found:
        if occasion.runs_out_on is not None:
            assert occasion.runs_out_on > now.date()
