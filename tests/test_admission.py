"""Room, turns and refusals at one deployment; nobody starves, and no place is ever lost."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admission import NoRoom, Rate, Room


def run(story):
    return asyncio.run(story)


def test_a_rate_lets_a_tenth_go_at_once_and_the_rest_evenly():
    rate, gone = Rate(60), []
    for tick in range(601):
        now = tick / 10
        while not rate.wait_s(now):
            rate.take(now)
            gone.append(now)
    assert gone[:6] == [0.0] * 6
    assert 60 <= len(gone) <= 66
    assert Rate(0).wait_s(0.0) == 0.0


@given(st.integers(1, 600), st.lists(st.floats(0, 5), max_size=200))
def test_in_no_minute_more_attempts_begin_than_the_rate_and_its_burst_allow(per_min, pauses):
    rate, now, begun = Rate(per_min), 1000.0, []
    for pause in pauses:
        now += pause
        if not rate.wait_s(now):
            rate.take(now)
            begun.append(now)
        else:
            assert rate.wait_s(now) <= 60 / per_min + 1e-6
    for start in begun:
        assert sum(start <= at < start + 60 for at in begun) <= per_min + max(1, per_min // 10)


def test_without_a_limit_everybody_enters():
    room = Room(0, 0, 0.0)
    for _ in range(1000):
        assert room.free
        room.enter("a")
    assert room.in_flight == 1000


def test_a_place_goes_to_the_department_that_has_the_fewest():
    async def story() -> list[str]:
        room, order = Room(2, 10, 5.0), []
        room.enter("big")
        room.enter("big")

        async def come(department: str) -> None:
            await room.wait(department)
            order.append(department)

        waiting = [asyncio.ensure_future(come(d)) for d in ("big", "big", "small", "big")]
        await asyncio.sleep(0)
        for _ in waiting:
            room.leave("big" if room.in_flight else "small", 0.1)
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        return order

    assert run(story())[0] == "small"


def test_a_full_queue_refuses_the_newest_of_the_crowd_for_somebody_elses_first():
    async def story() -> None:
        room = Room(1, 3, 5.0)
        room.enter("crowd")
        crowd = [asyncio.ensure_future(room.wait("crowd")) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(NoRoom) as refused:
            await room.wait("crowd")
        assert refused.value.retry_after_s >= 1
        other = asyncio.ensure_future(room.wait("other"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [task.done() for task in crowd] == [False, False, True]
        with pytest.raises(NoRoom):
            await crowd[2]
        room.leave("crowd", 0.1)  # nobody is inside now: the one who waits longest is called
        await crowd[0]
        room.leave("crowd", 0.1)
        await other
        assert room.queued == 1
        crowd[1].cancel()
        await asyncio.gather(crowd[1], return_exceptions=True)
        assert (room.in_flight, room.queued) == (1, 0)

    run(story())


def test_who_waits_too_long_is_told_when_to_come_again():
    async def story() -> None:
        room = Room(1, 3, 0.01)
        room.enter("a")
        with pytest.raises(NoRoom):
            await room.wait("b")
        assert room.queued == 0
        room.leave("a", 0.1)
        assert room.free

    run(story())


def test_a_place_given_to_a_task_that_is_cancelled_in_the_same_moment_is_passed_on():
    async def story() -> None:
        room = Room(1, 3, 5.0)
        room.enter("a")
        first, second = (asyncio.ensure_future(room.wait(d)) for d in ("b", "c"))
        await asyncio.sleep(0)
        room.leave("a", 0.1)
        first.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert first.cancelled()
        assert second.done()
        assert (room.in_flight, room.queued) == (1, 0)

    run(story())


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 3),
    st.integers(0, 4),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["come", "leave", "cancel", "tick"])), max_size=60
    ),
)
def test_never_more_inside_than_places_and_all_empty_in_the_end(places, length, steps):
    run(_days(Room(places, length, 5.0), places, length, steps))


async def _days(room, places, length, steps) -> None:
    inside, tasks = [], []

    async def come(department: str) -> None:
        if room.free:
            room.enter(department)
        else:
            await room.wait(department)
        inside.append(department)

    for department, step in steps:
        if step == "come":
            tasks.append(asyncio.ensure_future(come(department)))
        elif step == "leave" and inside:
            room.leave(inside.pop(0), 0.01)
        elif step == "cancel" and tasks:
            tasks[len(inside) % len(tasks)].cancel()
        await asyncio.sleep(0)
        assert room.in_flight <= places
        assert room.queued <= length
    while not all(task.done() for task in tasks):
        _empty(room, inside)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    _empty(room, inside)
    assert (room.in_flight, room.queued) == (0, 0)


def _empty(room, inside) -> None:
    while inside:
        room.leave(inside.pop(), 0.01)
