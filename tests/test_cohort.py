"""Requests side by side take each step together; one that is alone never waits."""

import asyncio

import pytest

from gateway.cohort import Cohort

STEPS = ("inspect", "price", "settle")


def taken(number: int) -> list[str]:
    """The steps of so many requests, in the order in which they were taken."""
    cohort, order = Cohort(), []

    async def request() -> None:
        with cohort:
            await asyncio.sleep(0)  # all arrive in one turn of the loop
            for step in STEPS:
                await cohort.step()
                order.append(step)

    async def story() -> None:
        await asyncio.gather(*(request() for _ in range(number)))

    asyncio.run(story())
    return order


def test_all_take_one_step_before_anybody_takes_the_next():
    assert taken(3) == [step for step in STEPS for _ in range(3)]


def test_who_is_alone_goes_on_at_once():
    cohort = Cohort()
    with cohort:
        assert list(cohort.step().__await__()) == []
        with cohort:
            assert list(cohort.step().__await__()) == [None]
        assert list(cohort.step().__await__()) == []


def test_who_failed_is_no_company():
    cohort = Cohort()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), cohort:
            _ = 1 / 0
    with cohort:
        assert list(cohort.step().__await__()) == []
