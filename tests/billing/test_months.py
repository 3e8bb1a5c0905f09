from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.months import BEFORE, MonthRefused, MonthState, MonthStep, check_four_eyes, check_step

OVER = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)
"""The first instant of December in Korea."""


def at(state: MonthState) -> MonthStep | None:
    return None if state is MonthState.OPEN else MonthStep("2026-11", 1, state, OVER, "finance1")


@given(st.sampled_from(MonthState), st.sampled_from(MonthState))
def test_a_step_follows_only_the_states_before_it(state: MonthState, wanted: MonthState) -> None:
    if state in BEFORE[wanted]:
        check_step(at(state), wanted, "2026-11", OVER)
    else:
        with pytest.raises(MonthRefused):
            check_step(at(state), wanted, "2026-11", OVER)


@pytest.mark.parametrize("wanted", MonthState)
def test_nothing_follows_a_lock(wanted: MonthState) -> None:
    with pytest.raises(MonthRefused):
        check_step(at(MonthState.LOCKED), wanted, "2026-11", OVER)


def test_a_month_is_approved_once_it_is_over_in_korea() -> None:
    early = datetime(2026, 11, 30, 14, 59, 59, tzinfo=UTC)
    with pytest.raises(MonthRefused, match="not over"):
        check_step(at(MonthState.PREVIEW), MonthState.APPROVED, "2026-11", early)
    check_step(at(MonthState.PREVIEW), MonthState.APPROVED, "2026-11", OVER)


def test_a_month_that_has_not_begun_in_korea_is_not_previewed() -> None:
    with pytest.raises(MonthRefused, match="not begun"):
        check_step(None, MonthState.PREVIEW, "2026-12", datetime(2026, 11, 30, 14, 59, 59, tzinfo=UTC))
    check_step(None, MonthState.PREVIEW, "2026-12", OVER)


def test_four_eyes_see_a_month() -> None:
    with pytest.raises(MonthRefused, match="Somebody else"):
        check_four_eyes(at(MonthState.PREVIEW), "finance1")
    check_four_eyes(at(MonthState.PREVIEW), "finance2")
