from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.budgets import Every, Measure, Scope
from billing.money import NANO, whole_won
from gateway.console.budget_lines import BudgetLine


def line(limit, spent, held=0, measure=Measure.WON):
    return BudgetLine(
        Scope("unit", "CM"), "총무과", Every.MONTH, measure, "2026-11", True, limit, spent, held
    )


@pytest.mark.parametrize(
    ("limit", "spent", "held", "state"),
    [
        (100, 0, 0, "calm"),
        (100, 79, 0, "calm"),
        (100, 70, 10, "near"),
        (100, 100, 0, "full"),
        (100, 40, 60, "full"),
        (0, 0, 0, "full"),
    ],
)
def test_a_budget_is_judged_by_what_is_spent_and_promised(limit, spent, held, state):
    assert line(limit, spent, held).state == state


@given(st.integers(0, 10**20), st.integers(0, 10**20), st.integers(0, 10**18))
def test_the_won_that_are_shown_add_up(limit, spent, held):
    shown = line(limit * NANO, spent, held)
    assert whole_won(shown.used) + whole_won(shown.left) == limit


def test_tokens_are_counted_exactly():
    assert line(5_000, 1_234, 6, Measure.TOKENS).left == 3_760
