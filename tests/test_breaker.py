"""When a deployment is left alone, and that it is never left alone for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.breaker import Breaker, BreakerRules, State

RULES = BreakerRules(failures_in_a_row=3, open_s=4.0, open_most_s=20.0, alone_s=1.0)


def opened(at: float = 100.0) -> Breaker:
    breaker = Breaker(RULES)
    results = [breaker.failed(at) for _ in range(3)]
    assert results == [False, False, True]
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not():
    breaker = Breaker(RULES)
    for _ in range(5):
        breaker.failed(0.0)
        breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.closed
    assert opened().state(100.0) is State.OPEN


def test_more_than_half_of_the_last_twenty_open_it_without_any_row():
    breaker = Breaker(BreakerRules(failures_in_a_row=100))
    for _ in range(10):
        assert not breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.closed
    assert [breaker.failed(0.0), breaker.failed(0.0)] == [False, True]


def test_after_the_wait_one_probe_goes_and_nobody_beside_it():
    breaker = opened()
    assert not breaker.allows(103.9)
    assert breaker.allows(104.0)
    assert breaker.state(104.0) is State.HALF_OPEN
    assert breaker.enter()
    assert not breaker.allows(104.0)
    breaker.succeeded()
    assert breaker.state(104.1) is State.CLOSED
    assert breaker.allows(104.1)


def test_each_failed_probe_doubles_the_wait_up_to_the_most():
    breaker, now = opened(), 100.0
    waits = []
    for _ in range(5):
        waits.append(breaker.wait_s(now))
        now += waits[-1]
        assert breaker.enter()
        breaker.failed(now)
    assert waits == [4.0, 8.0, 16.0, 20.0, 20.0]


def test_a_probe_that_says_nothing_lets_another_one_go():
    breaker = opened()
    breaker.enter()
    breaker.abandoned()
    assert breaker.allows(104.0)


def test_the_only_deployment_is_asked_again_sooner():
    breaker = opened()
    assert not breaker.allows(100.9, alone=True)
    assert breaker.allows(101.0, alone=True)
    assert not breaker.allows(101.0)


def test_a_pause_that_was_asked_for_is_kept_also_by_the_only_deployment_and_is_not_for_ever():
    breaker = Breaker(RULES)
    assert breaker.failed(100.0, rest_s=7.0)
    assert not breaker.allows(106.9, alone=True)
    assert breaker.allows(107.0)
    breaker.enter()
    breaker.failed(107.0, rest_s=86_400.0)
    assert not breaker.allows(126.9, alone=True)
    assert breaker.allows(127.0)


def test_what_fails_late_does_not_lengthen_the_wait():
    breaker = opened()
    breaker.failed(103.0)
    assert breaker.allows(104.0)


@given(st.lists(st.tuples(st.sampled_from(["ok", "fail", "rest", "abandon", "wait"]), st.floats(0, 100))))
def test_whatever_happens_somebody_may_go_within_the_longest_wait(events):
    breaker, now, probing = Breaker(RULES), 0.0, False
    for event, amount in events:
        if event == "wait":
            now += amount
        elif breaker.allows(now):
            probing = breaker.enter()
        if event == "ok":
            breaker.succeeded()
        elif event == "fail":
            breaker.failed(now)
        elif event == "rest":
            breaker.failed(now, rest_s=amount * 1000)
        elif probing:
            breaker.abandoned()
        assert breaker.wait_s(now) <= RULES.open_most_s + 1e-6  # (now + wait) - now is not exactly wait
        assert breaker.wait_s(now, alone=True) <= breaker.wait_s(now) or breaker.state(now) is State.HALF_OPEN
    breaker.abandoned()
    assert breaker.allows(now + RULES.open_most_s)
