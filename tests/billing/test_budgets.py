from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.budgets import (
    Account,
    AccountKey,
    Amounts,
    Budget,
    BudgetExceeded,
    Budgets,
    Every,
    Limits,
    Measure,
    Movement,
    Scope,
    apply,
    months_of,
    period_of,
    scopes_of,
)
from billing.money import NANO

UNIT = Scope("unit", "총무과")
PERSON = Scope("person", "p1")
KEY = AccountKey("unit", "총무과", "month", "2026-11")


def account(spent: int = 0, held: int = 0) -> Account:
    return Account(KEY, Amounts(spent), Amounts(held))


def hold(amount: int, *scopes: Scope, refusable: bool = True) -> Movement:
    return Movement(frozenset(scopes or (UNIT,)), "2026-11", Amounts(amount), Amounts(), refusable)


def budgets(limit: int, *, hard: bool = True, scope: Scope = UNIT) -> Budgets:
    return Budgets.of([Budget("b", scope, Every.MONTH, limit, hard)])


def test_a_hold_that_fits_is_taken_to_the_last_nano_won() -> None:
    at = account(spent=60, held=30)
    assert apply([hold(10)], budgets(100), {KEY: at}) is None
    assert (at.held.nano_krw, at.left(Measure.WON)) == (40, 0)


def test_a_hold_that_does_not_fit_takes_nothing_from_any_account() -> None:
    person = AccountKey("person", "p1", "month", "2026-11")
    both = Budgets.of([Budget("a", PERSON, Every.MONTH, 1000), Budget("b", UNIT, Every.MONTH, 100)])
    accounts = {KEY: account(spent=95), person: Account(person)}
    refusal = apply([hold(10, UNIT, PERSON)], both, accounts)
    assert isinstance(refusal, BudgetExceeded)
    assert refusal.account.key == KEY
    assert (accounts[KEY].held.nano_krw, accounts[person].held.nano_krw) == (0, 0)


def test_two_holds_of_one_submission_must_fit_together() -> None:
    assert apply([hold(60), hold(60)], budgets(100), {KEY: account()}) is not None


def test_a_charge_gives_its_hold_back_and_is_never_refused() -> None:
    at = account(spent=0, held=100)
    settled = Movement(frozenset([UNIT]), "2026-11", Amounts(-100), Amounts(130), refusable=False)
    assert apply([settled], budgets(100), {KEY: at}) is None
    assert (at.spent.nano_krw, at.held.nano_krw, at.left(Measure.WON)) == (130, 0, -30)


def test_a_soft_budget_counts_and_refuses_nothing() -> None:
    at = account(spent=99)
    assert apply([hold(50)], budgets(100, hard=False), {KEY: at}) is None
    assert at.held.nano_krw == 50


def test_the_tightest_of_two_hard_limits_counts() -> None:
    two = Budgets.of([Budget("a", UNIT, Every.MONTH, 100), Budget("b", UNIT, Every.MONTH, 40)])
    assert two.keys(hold(1)) == {KEY: Limits(40)}
    softened = Budgets.of(
        [Budget("a", UNIT, Every.MONTH, 10, hard=False), Budget("b", UNIT, Every.MONTH, 40)]
    )
    assert softened.keys(hold(1)) == {KEY: Limits(40)}


@pytest.mark.parametrize(
    ("measure", "held"), [("tokens", Amounts(tokens=101)), ("requests", Amounts(requests=101))]
)
def test_a_budget_in_another_measure_refuses_by_that_measure_alone(measure: str, held: Amounts) -> None:
    rules = Budgets.of([Budget("b", UNIT, Every.MONTH, 100, measure=Measure(measure))])
    at = account(spent=10**18)
    movement = Movement(frozenset([UNIT]), "2026-11", held, Amounts(), refusable=True)
    refusal = apply([movement], rules, {KEY: at})
    assert refusal is not None
    assert (refusal.measure, refusal.needed, refusal.left) == (measure, 101, 100)
    assert apply([hold(10**18)], rules, {KEY: at}) is None


def test_budgets_of_different_measures_stand_side_by_side() -> None:
    rules = Budgets.of(
        [
            Budget("a", UNIT, Every.MONTH, 1_000),
            Budget("b", UNIT, Every.MONTH, 50, measure=Measure.TOKENS),
            Budget("c", UNIT, Every.MONTH, 2, measure=Measure.REQUESTS),
        ]
    )
    at = {KEY: account()}
    taken = [
        apply(
            [Movement(frozenset([UNIT]), "2026-11", Amounts(300, 10, 1), Amounts(), refusable=True)],
            rules,
            at,
        )
        for _ in range(3)
    ]
    assert taken[:2] == [None, None]
    assert taken[2] is not None
    assert taken[2].measure is Measure.REQUESTS
    assert "2건" in taken[2].korean


def test_a_refusal_says_whose_budget_and_what_is_left_and_what_to_do() -> None:
    refusal = apply([hold(500 * NANO)], budgets(1_000 * NANO), {KEY: account(spent=700 * NANO)})
    assert refusal is not None
    for shown in ("총무과", "1,000원", "300원", "500원", "2026-12-01", "max_tokens"):
        assert shown in refusal.korean
    assert "300원 left" in refusal.english


@pytest.mark.parametrize(
    ("every", "period"), [("month", "2026-11"), ("quarter", "2026-Q4"), ("year", "2026"), ("once", "")]
)
def test_a_month_lies_in_its_periods(every: str, period: str) -> None:
    assert period_of(Every(every), "2026-11") == period
    months = months_of(period)
    assert months is None or "2026-11" in months


@given(st.integers(1, 12), st.sampled_from(list(Every)))
def test_the_months_of_a_period_are_those_that_lie_in_it(month: int, every: Every) -> None:
    period = period_of(every, f"2026-{month:02d}")
    for other in months_of(period) or ():
        assert period_of(every, other) == period


def test_everybody_in_the_chain_pays() -> None:
    assert scopes_of("k1", "p1", "서울특별시/행정국/a%2Fb") == {
        Scope("key", "k1"),
        Scope("person", "p1"),
        Scope("unit", "서울특별시"),
        Scope("unit", "행정국"),
        Scope("unit", "a/b"),
    }


@given(
    st.integers(0, 1_000),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 100)), max_size=30),
    st.randoms(use_true_random=False),
)
def test_what_is_spent_never_exceeds_the_limit_in_any_order(
    limit: int, wanted: list[tuple[int, int]], dice: object
) -> None:
    """Attempts hold an upper bound and later cost a share of it, in any interleaving."""
    at = {KEY: account()}
    rules = budgets(limit)
    in_flight: list[tuple[int, int]] = []
    for bound, percent in wanted:
        if apply([hold(bound)], rules, at) is None:
            in_flight.append((bound, bound * percent // 100))
        if in_flight and dice.random() < 0.5:  # type: ignore[attr-defined]
            held, cost = in_flight.pop(dice.randrange(len(in_flight)))  # type: ignore[attr-defined]
            charged = Movement(frozenset([UNIT]), "2026-11", Amounts(-held), Amounts(cost), refusable=False)
            apply([charged], rules, at)
        assert at[KEY].spent.nano_krw + at[KEY].held.nano_krw <= limit
        assert at[KEY].held.nano_krw == sum(held for held, _ in in_flight)
