"""Requests and tokens a minute, over real Valkey, SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.periods import to_us
from gateway.domain import Caller
from gateway.limits.limiter import Admission, Limiter, LimitReached
from gateway.limits.rules import Per, Rule
from gateway.limits.shared import OwnWindows
from gateway.limits.windows import Moment, room
from tests.limits.conftest import CALLER, Clock, rule

Workers: TypeAlias = Callable[..., list[Limiter]]


async def tries(worker: Limiter, number: int, tokens: int = 0) -> list[Admission | LimitReached]:
    """Ask so many times at once."""

    async def one() -> Admission | LimitReached:
        try:
            admission = await worker.admit(CALLER, "m", tokens)
        except LimitReached as reached:
            return reached
        assert admission is not None, "a rule matches"
        return admission

    return await asyncio.gather(*(one() for _ in range(number)))


def admitted(results: list[Admission | LimitReached]) -> int:
    return sum(isinstance(result, Admission) for result in results)


@pytest.mark.anyio
async def test_exactly_the_limit_is_admitted_by_several_workers(workers: Workers) -> None:
    some = workers(3, rule(requests=50))
    results = await asyncio.gather(*(tries(worker, 40) for worker in some))
    assert sum(map(admitted, results)) == 50


@pytest.mark.anyio
async def test_tokens_are_counted_by_what_they_may_be_and_corrected_by_what_they_were(
    workers: Workers,
) -> None:
    (worker,) = workers(1, rule(tokens=1000))
    first, second, third = await tries(worker, 3, tokens=400)
    assert isinstance(first, Admission)
    assert isinstance(second, Admission)
    assert isinstance(third, LimitReached)
    first.settle(50)
    first.settle(0)  # a second time changes nothing
    assert second.standings()[0].left == 550
    assert admitted(await tries(worker, 3, tokens=275)) == 2


@pytest.mark.anyio
async def test_what_is_given_back_serves_other_workers(workers: Workers) -> None:
    one, other = workers(2, rule(tokens=1000))
    (first,) = await tries(one, 1, tokens=1000)
    assert isinstance(first, Admission)
    assert admitted(await tries(other, 1, tokens=10)) == 0
    first.settle(100)
    await one.tidy(idle_us=0)
    assert admitted(await tries(other, 1, tokens=900)) == 1
    assert admitted(await tries(other, 1, tokens=1)) == 0


@pytest.mark.anyio
async def test_a_refusal_says_when_there_is_room_and_then_there_is(workers: Workers, clock: Clock) -> None:
    (worker,) = workers(1, rule(requests=10))
    *_, reached = await tries(worker, 11)
    assert isinstance(reached, LimitReached)
    assert reached.wait_us is not None
    clock.on(reached.wait_us / 1e6 - 0.01)
    assert admitted(await tries(worker, 1)) == 0
    clock.on(0.01)
    assert admitted(await tries(worker, 1)) == 1


@pytest.mark.anyio
async def test_a_burst_does_not_double_at_the_border_of_a_minute(workers: Workers, clock: Clock) -> None:
    (worker,) = workers(1, rule(requests=60))
    clock.on(29)
    assert admitted(await tries(worker, 60)) == 60
    clock.on(2)  # one second into the next minute: 59/60 of the last one still weigh
    assert admitted(await tries(worker, 60)) == 1
    clock.on(10)
    assert admitted(await tries(worker, 60)) == 10


@pytest.mark.anyio
async def test_a_request_above_the_limit_is_told_that_waiting_does_not_help(workers: Workers) -> None:
    (worker,) = workers(1, rule(tokens=100))
    (reached,) = await tries(worker, 1, tokens=101)
    assert isinstance(reached, LimitReached)
    assert reached.wait_us is None
    assert admitted(await tries(worker, 1, tokens=100)) == 1


@pytest.mark.anyio
async def test_a_request_that_is_refused_by_one_rule_takes_nothing_of_another(workers: Workers) -> None:
    everyone = Rule("모두", (), requests_per_min=5)
    (worker,) = workers(1, everyone, rule(requests=3))
    assert admitted(await tries(worker, 10)) == 3
    await worker.tidy(idle_us=0)
    other = Caller("p2", "k2", "총무과", ("시", "총무과"))
    for _ in range(2):
        await worker.admit(other, "m", 0)
    with pytest.raises(LimitReached) as reached:
        await worker.admit(other, "m", 0)
    assert reached.value.standing.bucket.rule is everyone


@pytest.mark.anyio
async def test_each_combination_has_a_minute_of_its_own(workers: Workers) -> None:
    (worker,) = workers(1, Rule("r", (Per.DEPARTMENT, Per.MODEL), 1, models=frozenset({"m", "n"})))
    assert await worker.admit(CALLER, "m", 0)
    assert await worker.admit(CALLER, "n", 0)
    assert await worker.admit(CALLER, "other", 0) is None
    with pytest.raises(LimitReached):
        await worker.admit(CALLER, "n", 0)


@pytest.mark.anyio
async def test_how_a_caller_stands_is_told_without_counting(workers: Workers) -> None:
    one, other = workers(2, rule(requests=10, tokens=1000))
    await tries(one, 4, tokens=10)
    await one.tidy(idle_us=0)
    standings = await other.standings(CALLER, ["m", "n"])
    assert [standing.left for standing in standings] == [6, 960]
    assert all(60_000_000 < standing.fresh_us <= 90_000_000 for standing in standings)


@pytest.mark.anyio
async def test_a_share_that_a_minute_outlived_weighs_and_is_returned(workers: Workers, clock: Clock) -> None:
    (worker,) = workers(1, rule(tokens=1600))
    (admission,) = await tries(worker, 1, tokens=100)
    assert isinstance(admission, Admission)
    clock.on(31)
    admission.settle(0)
    await worker.tidy()
    assert admitted(await tries(worker, 1, tokens=1600)) == 1


@pytest.mark.anyio
async def test_a_request_that_is_cancelled_while_it_waits_leaves_nothing_wanted(workers: Workers) -> None:
    (worker,) = workers(1, rule(requests=2))
    waiting = asyncio.ensure_future(worker.admit(CALLER, "m", 0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert admitted(await tries(worker, 3)) == 2


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_order_of_events_exceeds_the_limit(data: st.DataObject) -> None:
    """Two workers admit, correct, tidy up and see the clock move; at any moment the sliding minute holds."""
    limit, clock = data.draw(st.integers(10, 200)), Clock()
    shared = OwnWindows(1)
    workers = [Limiter([rule(tokens=limit)], shared, clock) for _ in range(2)]
    counts: Counter[int] = Counter()  # what was admitted in each minute, corrected
    open_admissions: list[tuple[Admission, int, int]] = []

    async def one_step() -> None:
        worker = data.draw(st.sampled_from(workers))
        match data.draw(st.sampled_from(["ask", "ask", "ask", "settle", "tidy", "wait"])):
            case "ask":
                need = data.draw(st.integers(1, limit))
                try:
                    admission = await worker.admit(CALLER, "m", need)
                except LimitReached:
                    return
                assert admission is not None, "the rule matches"
                counts[admission.minute] += need
                open_admissions.append((admission, need, admission.minute))
            case "settle" if open_admissions:
                admission, need, minute = open_admissions.pop(
                    data.draw(st.integers(0, len(open_admissions) - 1))
                )
                used = data.draw(st.integers(0, need))
                admission.settle(used)
                counts[minute] -= need - used
            case "tidy":
                await worker.tidy(idle_us=0)
            case "wait":
                clock.on(data.draw(st.sampled_from([0.1, 5, 31, 90])))

    async def story() -> None:
        for _ in range(data.draw(st.integers(1, 40))):
            await one_step()
            at = Moment.of(to_us(clock()))
            assert counts[at.minute] <= room(limit, counts[at.minute - 1], at)

    asyncio.run(story())


@pytest.mark.anyio
async def test_another_limit_of_a_key_holds_at_once_and_keeps_what_was_counted(workers: Workers) -> None:
    (worker,) = workers(1)
    one = replace(CALLER, requests_per_min=10)
    for _ in range(4):
        assert await worker.admit(one, "m", 0) is not None
    await worker.tidy(idle_us=0)
    lower, higher = replace(one, requests_per_min=5), replace(one, requests_per_min=8)
    assert await worker.admit(lower, "m", 0) is not None
    with pytest.raises(LimitReached) as reached:
        await worker.admit(lower, "m", 0)
    assert reached.value.standing.bucket.limit == 5
    for _ in range(3):
        assert await worker.admit(higher, "m", 0) is not None
    with pytest.raises(LimitReached):
        await worker.admit(higher, "m", 0)
    assert await worker.admit(CALLER, "m", 0) is None, "without a limit nothing is counted"
