from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from billing.usage_sums import UsageSum
from gateway.console.spending import MonthUse, cost_by_day, month_asked, months_offered

NOW = datetime(2026, 3, 31, 3, 0, tzinfo=UTC)


def test_thirteen_months_are_offered_the_running_one_first():
    months = months_offered(NOW)
    assert months[0] == "2026-03"
    assert months[-1] == "2025-03"
    assert len(months) == len(set(months)) == 13


@pytest.mark.parametrize("text", [None, "", "2019-01", "2026-04", "'; DROP TABLE", "2026-3"])
def test_an_address_with_another_month_shows_the_running_one(text):
    assert month_asked(text, NOW).name == "2026-03"


def test_the_running_month_ends_today_in_korea():
    late = datetime(2026, 3, 30, 15, 30, tzinfo=UTC)  # already the 31st there
    assert month_asked(None, late).last == date(2026, 3, 31)


def test_a_running_month_is_compared_with_as_many_days_of_the_month_before():
    before = month_asked(None, NOW).before()
    assert (before.first, before.last) == (date(2026, 2, 1), date(2026, 2, 28))
    early = month_asked(None, datetime(2026, 3, 10, tzinfo=UTC)).before()
    assert early.last == date(2026, 2, 10)


def test_a_finished_month_is_compared_with_the_whole_month_before():
    month = month_asked("2026-02", NOW)
    assert month.last == date(2026, 2, 28)
    assert month.before().last == date(2026, 1, 31)


def test_the_dearest_models_have_series_of_their_own_and_nothing_is_lost():
    month = month_asked("2026-02", NOW)
    rows = [UsageSum(key=(f"m{n}", date(2026, 2, n + 1)), requests=1, cost_nano_krw=n) for n in range(8)]
    use = MonthUse(month, UsageSum(()), UsageSum(()), tuple(rows))
    series, days = cost_by_day(use, "그 밖")
    assert [one.name for one in series] == ["m7", "m6", "m5", "m4", "m3", "그 밖"]
    assert sum(value or 0 for one in series for value in one.values) == sum(range(8))
    assert sum(cost for _, _, cost in days) == sum(range(8))
    assert len(days) == 28
