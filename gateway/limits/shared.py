"""Where a worker takes its shares from: Valkey, else the database, else its own part of the limit.

Whoever cannot be reached is left alone for a moment and the next in line counts, from nothing: where one
is lost, a minute may admit twice its limit, never without bound. No charge depends on any of them.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import structlog
from limits.aio.storage import RedisStorage

from gateway.limits.windows import MINUTE_US, SHARE, Ask, Told, WindowsAway, share

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.limits.windows import Moment, Windows

log = structlog.get_logger("haechi.limits")
T = TypeVar("T")

LEFT_ALONE_S: Final = 5.0
VALKEY_TIMEOUT_S: Final = 0.25
KEY_PREFIX: Final = "HAECHI"
KEPT_S: Final = 180
"""How long Valkey keeps a minute: it weighs until the next one is over."""


_TAKE: Final = """
local function count(key) return math.max(0, tonumber(redis.call('GET', key) or '0')) end
local limit, need, want, rest_us = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local used, previous = count(KEYS[1]), count(KEYS[2])
local left = limit - math.ceil(previous * rest_us / tonumber(ARGV[5])) - used
if need == 0 or left < need then return {0, used, previous} end
local granted = math.max(need, math.min(left, want), math.floor(left / tonumber(ARGV[6])))
if granted > 0 then
  used = redis.call('INCRBY', KEYS[1], granted)
  redis.call('EXPIRE', KEYS[1], ARGV[7])
end
return {granted, used, previous}
"""
"""`windows.share`, decided where the counts are; exact below 150 million a minute (a product below 2^53)."""


class ValkeyWindows:
    """Counts in Valkey or Redis, through the storage of `limits`: `valkey://[:password@]host:port/db`.

    Its strategies count a refused request's tokens (fixed windows), store an entry for each token
    (moving windows) or cannot take back what was not used (sliding windows), so the decision is a script.
    """

    def __init__(self, url: str) -> None:
        self._storage = RedisStorage(
            f"async+{url}",
            implementation="valkey",
            key_prefix=KEY_PREFIX,
            socket_timeout=VALKEY_TIMEOUT_S,
            socket_connect_timeout=VALKEY_TIMEOUT_S,
        )
        self._client: Any = self._storage.bridge.get_connection()  # type: ignore[attr-defined]  # of every bridge
        self._script = self._client.register_script(_TAKE)
        self._errors: tuple[type[BaseException], ...] = (OSError, *_classes(self._storage.base_exceptions))

    async def take(self, asks: list[Ask], at: Moment) -> list[Told]:
        return await self._reached(asyncio.gather(*(self._take(ask, at) for ask in asks)))

    async def give(self, back: list[tuple[str, int, int]]) -> None:
        changes = (
            self._storage.incr(_key(counter, minute), KEPT_S, -amount) for counter, minute, amount in back
        )
        await self._reached(asyncio.gather(*changes))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _take(self, ask: Ask, at: Moment) -> Told:
        keys = [f"{KEY_PREFIX}:{_key(ask.counter, minute)}" for minute in (at.minute, at.minute - 1)]
        arguments = [ask.limit, ask.need, ask.want, at.rest_us, MINUTE_US, SHARE, KEPT_S]
        return Told(*await self._script(keys, arguments))

    async def _reached(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except self._errors as error:
            raise WindowsAway(type(error).__name__) from error


def _classes(found: type[BaseException] | tuple[type[BaseException], ...]) -> tuple[type[BaseException], ...]:
    return found if isinstance(found, tuple) else (found,)


def _key(counter: str, minute: int) -> str:
    return f"{{{counter}}}@{minute}"  # braces: all minutes of a counter in one slot of a cluster


class Table(Protocol):
    """What gateway.store.rates.RateTable does, on the thread that opened it."""

    def take(self, asks: Sequence[Ask], at: Moment) -> list[Told]: ...

    def give(self, back: Sequence[tuple[str, int, int]]) -> None: ...

    def close(self) -> None: ...


class DatabaseWindows:
    """Counts in the database, from a thread of its own. `open_table` is called on that thread, once."""

    def __init__(self, open_table: Callable[[], Table]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rates")
        self._open_table = open_table
        self._table: Table | None = None

    async def take(self, asks: list[Ask], at: Moment) -> list[Told]:
        return await self._on_thread(lambda table: table.take(asks, at))

    async def give(self, back: list[tuple[str, int, int]]) -> None:
        await self._on_thread(lambda table: table.give(back))

    async def aclose(self) -> None:
        if self._table is not None:
            await self._on_thread(lambda table: table.close())
        self._thread.shutdown(wait=False)

    async def _on_thread(self, work: Callable[[Table], T]) -> T:
        def run() -> T:
            if self._table is None:
                self._table = self._open_table()
            return work(self._table)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)


class OwnWindows:
    """Counts of this worker alone, which gets one part in `workers` of each limit, and at least 1."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._counts: dict[tuple[str, int], int] = {}

    async def take(self, asks: list[Ask], at: Moment) -> list[Told]:
        self._counts = {key: used for key, used in self._counts.items() if key[1] >= at.minute - 1}
        return [self._take(ask, at) for ask in asks]

    async def give(self, back: list[tuple[str, int, int]]) -> None:
        for counter, minute, amount in back:
            if (counter, minute) in self._counts:
                self._counts[counter, minute] = max(0, self._counts[counter, minute] - amount)

    async def aclose(self) -> None:
        self._counts.clear()

    def _take(self, ask: Ask, at: Moment) -> Told:
        own = ask._replace(limit=max(1, ask.limit // self._workers))
        used = self._counts.get((ask.counter, at.minute), 0)
        previous = self._counts.get((ask.counter, at.minute - 1), 0)
        granted = share(own, used, previous, at)
        self._counts[ask.counter, at.minute] = used + granted
        elsewhere = ask.limit - own.limit  # shown as used: nobody here may have it
        return Told(granted, used + granted + elsewhere, previous)


class InLine:
    """The first of several that can be reached."""

    def __init__(self, line: Sequence[tuple[str, Windows]], clock_s: Callable[[], float]) -> None:
        self._line = line
        self._clock_s = clock_s
        self._alone_until_s = dict.fromkeys((name for name, _ in line), 0.0)

    async def take(self, asks: list[Ask], at: Moment) -> list[Told]:
        for name, windows in self._reachable():
            try:
                return await windows.take(asks, at)
            except WindowsAway as away:
                self._lost(name, away)
        raise WindowsAway("none of them")

    async def give(self, back: list[tuple[str, int, int]]) -> None:
        """Lower the counts of whoever counts now; another one's fade by themselves."""
        for name, windows in self._reachable():
            try:
                await windows.give(back)
            except WindowsAway as away:
                self._lost(name, away)
            else:
                return

    async def aclose(self) -> None:
        for _, windows in self._line:
            await windows.aclose()

    def _reachable(self) -> list[tuple[str, Windows]]:
        now = self._clock_s()
        return [(name, windows) for name, windows in self._line if self._alone_until_s[name] <= now]

    def _lost(self, name: str, away: WindowsAway) -> None:
        log.warning("rate_limits_not_shared", through=name, reason=str(away))
        self._alone_until_s[name] = self._clock_s() + LEFT_ALONE_S
