"""Room at a deployment: so many attempts at once and a minute, a short queue, a fair turn for departments.

A place that becomes free goes to the waiting department that has the fewest places now, and among
equals to the one that has waited longest. In a full queue the department with the most waiters gives
way: its newest waiter is refused for somebody else's first. So one department can fill neither the
deployment nor its queue against another. Belongs to one event loop; no lock.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Final

LONGEST_ADVICE_S: Final = 30
_WEIGHT_OF_NEW: Final = 0.1


class NoRoom(Exception):
    """The queue is full, or the wait was too long. `retry_after_s` is when to come again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("no room")
        self.retry_after_s = retry_after_s


class Rate:
    """At most `per_min` attempts a minute, a tenth of them at once; 0: no limit. Told the time, in seconds.

    The generic cell rate algorithm (ITU-T I.371): one number, the time at which the bucket is full again.
    """

    __slots__ = ("_burst_s", "_each_s", "_full_at")

    def __init__(self, per_min: int) -> None:
        self._each_s = 60 / per_min if per_min else 0.0
        self._burst_s = self._each_s * (max(1, per_min // 10) - 1)
        self._full_at = 0.0

    def wait_s(self, now: float) -> float:
        """Return in how many seconds an attempt may begin; 0 if it may now."""
        return max(0.0, self._full_at - self._burst_s - now) if self._each_s else 0.0

    def take(self, now: float) -> None:
        self._full_at = max(self._full_at, now) + self._each_s


class Room:
    """`places` 0: no limit. `queue_length` bounds all waiters together, `queue_s` the wait of each."""

    def __init__(self, places: int, queue_length: int, queue_s: float) -> None:
        self._places = places
        self._queue_length = queue_length
        self._queue_s = queue_s
        self._inside: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # in the order of who waits longest
        self._stay_s = 1.0
        self.in_flight = 0
        self.queued = 0

    @property
    def free(self) -> bool:
        return not self._places or (self.in_flight < self._places and not self.queued)

    def enter(self, department: str) -> None:
        """Take a place. Call it only while `free`."""
        self.in_flight += 1
        if self._places:
            self._inside[department] += 1

    def leave(self, department: str, stayed_s: float) -> None:
        self.in_flight -= 1
        if not self._places:
            return
        self._stay_s += _WEIGHT_OF_NEW * (stayed_s - self._stay_s)
        self._inside[department] -= 1
        if not self._inside[department]:
            del self._inside[department]
        self._call_next()

    async def wait(self, department: str) -> None:
        """Wait for a place and take it. Raises NoRoom at once if the queue is full, or after `queue_s`."""
        self._make_room_for(department)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(department, deque()).append(turn)
        self.queued += 1
        alarm = asyncio.get_running_loop().call_later(self._queue_s, self._refuse, turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave(department, 0.0)  # called and cancelled in the same moment: pass the place on
            raise
        finally:
            alarm.cancel()
            self._forget(department, turn)

    def _call_next(self) -> None:
        while self._waiting and self.in_flight < self._places:
            department = min(self._waiting, key=lambda d: self._inside[d])
            turn = self._waiting[department].popleft()
            self.queued -= 1
            if self._waiting[department]:
                self._waiting[department] = self._waiting.pop(department)  # to the end of the line
            else:
                del self._waiting[department]
            if not turn.done():
                self.enter(department)
                turn.set_result(None)

    def _make_room_for(self, department: str) -> None:
        if self.queued < self._queue_length:
            return
        crowd = max(self._waiting, key=lambda d: len(self._waiting[d]), default=department)
        if len(self._waiting.get(crowd, ())) <= len(self._waiting.get(department, ())) + 1:
            raise NoRoom(self.advice_s())
        newest = self._waiting[crowd][-1]
        self._forget(crowd, newest)
        self._refuse(newest)

    def _refuse(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            turn.set_exception(NoRoom(self.advice_s()))

    def _forget(self, department: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(department)
        if line is not None and turn in line:
            line.remove(turn)
            self.queued -= 1
            if not line:
                del self._waiting[department]

    def advice_s(self) -> int:
        """Return when a place is likely, from how long attempts stay and how many wait."""
        expected = self._stay_s * (self.queued + 1) / max(self._places, 1)
        return max(1, min(round(expected), LONGEST_ADVICE_S))
