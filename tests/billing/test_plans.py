"""Seats beside metered use: the published case, coverage, allowances, minimum seats, mixes, advice."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import NANO
from billing.plans import (
    Plan,
    Term,
    Use,
    Verdict,
    Window,
    advise,
    best_mix,
    compare,
    merged,
    offers,
)

ALL = Plan("all", "모든 모델", 30_000)
SOME = Plan("some", "일부", 20_000, models=("gpt-*",), requests=100, minimum_seats=5)
MONTHS = ("2026-08", "2026-09", "2026-10")


def use(person, won, month="2026-10", requests=10, covered=None, department="d"):
    """Of `covered`: won that the second plan replaces; the first replaces all."""
    second = won if covered is None else covered
    return Use(
        person,
        department,
        month,
        requests,
        won * NANO,
        ((requests, won * NANO), (requests, second * NANO)),
    )


ONE = offers((ALL,), Term.MONTHLY)
TWO = offers((ALL, SOME), Term.MONTHLY)


def test_the_published_case_comes_out_of_its_inputs():
    uses = [use("p", 55_000_000)]
    (found,) = compare(uses, ONE, 4, 6_318)
    seats = found.everybody * found.months * found.offer.plan.monthly_krw
    assert seats == 758_160_000
    assert (seats - 55_000_000, round((seats - 55_000_000) / seats * 100, 1)) == (703_160_000, 92.7)


def test_a_seat_costs_less_by_the_year_and_exactly_so():
    plan = Plan("y", "연간", 33_000, yearly_discount_percent=Decimal("16.67"))
    assert plan.seat_nano(Term.MONTHLY) == 33_000 * NANO
    assert plan.seat_nano(Term.YEARLY) == 27_498_900_000_000
    (offer,) = offers((ALL,), Term.YEARLY)
    assert offer.term is Term.MONTHLY, "a plan without a discount is had by the month"


@pytest.mark.parametrize(
    "wrong", [{"monthly_krw": 0}, {"minimum_seats": 0}, {"yearly_discount_percent": 100}]
)
def test_a_plan_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="plan"):
        Plan(**{"id": "x", "name": "x", "monthly_krw": 1, **wrong})


def test_a_plan_replaces_the_models_it_names():
    assert SOME.covers("gpt-5")
    assert not SOME.covers("claude-opus")
    assert ALL.covers("anything")


def test_what_is_beyond_the_allowance_stays_metered():
    _, some = TWO
    assert use("p", 1_000, requests=100).replaced(some) == 1_000 * NANO
    assert use("p", 1_000, requests=400).replaced(some) == 250 * NANO
    nothing = Use("p", "d", "2026-10", 0, -5, ((0, -5), (0, -5)))
    assert nothing.replaced(some) == -5, "a correction without a request"


def test_seats_of_active_people_are_those_of_the_months_in_which_they_were():
    uses = [use("a", 10), use("a", 10, "2026-09"), use("b", 10)]
    found, _ = compare(uses, TWO, 2, 10)
    assert (found.active, found.everybody, found.idle_seats) == (2, 10, 8)
    assert found.active_nano == 3 * 30_000 * NANO
    assert found.everybody_nano == 10 * 2 * 30_000 * NANO
    assert found.metered_nano == 30 * NANO


def test_minimum_seats_are_paid_for_even_if_nobody_sits_in_them():
    _, found = compare([use("a", 10)], TWO, 1, 1)
    assert found.active_nano == found.everybody_nano == 5 * 20_000 * NANO


def test_break_even_is_the_price_in_requests_unless_the_plan_ends_before():
    found, ends_before = compare([use("a", 100)], TWO, 1, 1)
    assert found.nano_a_request == 10 * NANO
    assert found.break_even_requests == 3_000
    assert ends_before.break_even_requests is None


def test_departments_of_one_person_are_put_together():
    people = merged([use("a", 10, department="x"), use("a", 20, department="y")])
    assert people["a"]["2026-10"].nano_krw == 30 * NANO


@st.composite
def usages(draw):
    count = draw(st.integers(0, 4))
    return [
        use(
            f"p{n}",
            draw(st.integers(0, 90_000)),
            draw(st.sampled_from(MONTHS)),
            covered=draw(st.integers(0, 90_000)),
        )
        for n in range(count)
    ]


@given(usages(), st.integers(1, 3))
def test_a_mix_is_the_cheapest_there_is_with_one_plan(uses, least):
    plan = Plan("m", "최소", 20_000, minimum_seats=least)
    (offer,) = offers((plan,), Term.MONTHLY)
    mix = best_mix(uses, (offer,), 1)
    people = merged(uses)
    metered = {person: sum(u.nano_krw for u in months.values()) for person, months in people.items()}
    costs = [sum(metered.values())]
    for seated in product((False, True), repeat=len(people)):
        rest = sum(cost for cost, seat in zip(metered.values(), seated, strict=True) if not seat)
        costs.append(rest + max(least, sum(seated)) * offer.seat_nano)
    assert mix.nano_krw == min(costs)


@given(usages())
def test_a_mix_is_never_dearer_than_metered_use_or_one_plan_alone(uses):
    mix = best_mix(uses, TWO, 3)
    assert mix.saved_nano >= 0
    for offer in TWO:
        assert mix.nano_krw <= best_mix(uses, (offer,), 3).nano_krw
    seats = {p.id: sum(o.plan.id == p.id for o in mix.seats.values()) for p in (ALL, SOME)}
    assert all(mix.bought.get(id_, 0) >= count for id_, count in seats.items())


@given(usages())
def test_what_a_mix_costs_can_be_added_up_by_hand(uses):
    mix = best_mix(uses, TWO, 3)
    price = {offer.plan.id: offer.seat_nano * 3 for offer in TWO}
    seats = sum(price[id_] * count for id_, count in mix.bought.items())
    left = sum(
        u.nano_krw - (u.replaced(mix.seats[u.person_id]) if u.person_id in mix.seats else 0) for u in uses
    )
    assert mix.nano_krw == seats + left


def many(extra=()):
    """Twenty people whose use hardly varies, around 10,000 won a month."""
    return [use(f"p{n:02}", 10_000 + 40 * n, month) for n in range(20) for month in MONTHS] + list(extra)


def advice_for(person, extra):
    return next(one for one in advise(many(extra), ONE, Window(MONTHS)) if one.person_id == person)


def test_steady_heavy_use_gets_a_seat_and_steady_light_use_none():
    heavy = advice_for("heavy", [use("heavy", 60_000 + n, month) for n, month in enumerate(MONTHS)])
    assert heavy.verdict is Verdict.SEAT
    assert heavy.forecast.low > 30_000 * NANO
    assert heavy.gain_nano == 30_001 * NANO
    assert advice_for("p00", []).verdict is Verdict.METERED


def test_use_that_comes_and_goes_is_watched():
    unsteady = advice_for(
        "u", [use("u", won, month) for won, month in zip((5_000, 90_000, 20_000), MONTHS, strict=True)]
    )
    assert unsteady.verdict is Verdict.WATCH
    assert unsteady.forecast.low < 30_000 * NANO < unsteady.forecast.high


def test_one_month_is_too_little_to_advise_anything():
    new = advice_for("new", [use("new", 500_000, "2026-10")])
    assert (new.verdict, new.months) == (Verdict.TOO_LITTLE, 1)
    alone = advise([use("x", 500_000, "2026-10")], ONE, Window(MONTHS))[0]
    assert alone.forecast.low is None, "nobody else's spread to go by"


def test_months_without_use_count_from_the_first_with_some():
    late = advice_for("late", [use("late", 30_000, "2026-09")])
    assert (late.months, late.mean_nano) == (2, 15_000 * NANO)


def test_the_running_month_counts_for_what_it_will_be_or_not_at_all():
    uses = [use("a", 10_000, "2026-09"), use("a", 5_000, "2026-10")]
    half = Window(MONTHS, "2026-10", Decimal("0.5"))
    assert advise(uses, ONE, half)[0].mean_nano == 10_000 * NANO
    left_out = advise(uses, ONE, Window(MONTHS, "2026-10"))[0]
    assert (left_out.months, left_out.mean_nano) == (1, 10_000 * NANO)
