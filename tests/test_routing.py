"""Who is asked next: a pure choice, the same for the same snapshot and pick, never outside the zones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue import Deployment, Model, Strategy
from gateway.domain import Zone
from gateway.routing import Standing, allowed, choose


def place(name: str, weight: int = 1, zone: Zone = Zone.EXTERNAL) -> Deployment:
    return Deployment(name, "m", "p", "openai", "generic", "http://x", "m", zone, "k", weight=weight)


A, B, C = place("a", 3), place("b", 1), place("c", 2)


def test_only_deployments_inside_the_verdicts_zones_with_a_weight_are_allowed():
    inside = place("inside", zone=Zone.IN_HOUSE)
    model = Model("m", "m", "p", (A, place("off", 0), inside))
    assert allowed(model, {Zone.EXTERNAL}) == (A,)
    assert allowed(model, {Zone.IN_HOUSE}) == (inside,)
    assert allowed(model, set(Zone)) == (A, inside)
    assert allowed(model, set()) == ()


def test_weights_are_proportions_of_the_picks():
    standings = [Standing(d) for d in (A, B, C)]
    counts = Counter(choose(standings, Strategy.WEIGHTED, i / 600).id for i in range(600))
    assert counts == {"a": 300, "b": 100, "c": 200}


def test_the_open_go_before_the_rest_and_those_with_room_before_the_full():
    assert choose([Standing(A, open=False), Standing(B)], Strategy.WEIGHTED, 0.0) is B
    assert choose([Standing(A, free=False), Standing(B)], Strategy.WEIGHTED, 0.0) is B
    assert choose([Standing(A, free=False)], Strategy.WEIGHTED, 0.0) is A
    assert (
        choose(
            [Standing(A, open=False, open_alone=True), Standing(B, open=False, open_alone=False)],
            Strategy.WEIGHTED,
            0.9,
        )
        is A
    )
    assert choose([Standing(A, open=False, open_alone=False)], Strategy.WEIGHTED, 0.0) is None
    assert choose([], Strategy.CHEAPEST, 0.0) is None


def test_least_busy_counts_attempts_per_weight():
    assert choose([Standing(A, in_flight=4), Standing(B, in_flight=1)], Strategy.LEAST_BUSY, 0.0) is A
    assert choose([Standing(A, in_flight=6), Standing(B, in_flight=1)], Strategy.LEAST_BUSY, 0.0) is B


def test_lowest_latency_asks_first_whom_it_does_not_know():
    known = [Standing(A, first_token_s=0.2), Standing(B, first_token_s=0.1)]
    assert choose(known, Strategy.LOWEST_LATENCY, 0.0) is B
    assert choose([*known, Standing(C)], Strategy.LOWEST_LATENCY, 0.0) is C


def test_cheapest_is_the_lowest_bound():
    assert choose([Standing(A, cost_nano_krw=5), Standing(B, cost_nano_krw=4)], Strategy.CHEAPEST, 0.0) is B


standings_lists = st.lists(
    st.builds(
        Standing,
        st.integers(0, 9).map(lambda n: place(f"d{n}", n + 1)),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.integers(0, 5),
        st.none() | st.floats(0.001, 10),
        st.integers(0, 5),
    ),
    max_size=6,
)


@given(standings_lists, st.sampled_from(Strategy), st.floats(0, 1, exclude_max=True))
def test_a_choice_is_deterministic_and_somebody_is_chosen_whenever_somebody_takes_it(
    standings, strategy, pick
):
    chosen = choose(standings, strategy, pick)
    assert chosen == choose(list(standings), strategy, pick)
    takers = [s for s in standings if s.open] or [s for s in standings if s.open_alone]
    assert (chosen is None) == (not takers)
    if chosen is not None:
        best = [s for s in takers if s.free] or takers
        assert chosen in [s.deployment for s in best]


def test_a_policy_with_countries_keeps_deployments_elsewhere_out():
    here, there = replace(place("here"), country="KR"), replace(place("there"), country="US")
    unsaid, ours = place("unsaid"), place("ours", zone=Zone.IN_HOUSE)
    model = Model("m", "m", "p", (here, there, unsaid, ours))
    assert allowed(model, set(Zone), {"KR"}) == (here, ours)
    assert allowed(model, set(Zone)) == (here, there, unsaid, ours)
