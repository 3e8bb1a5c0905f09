"""The sliding minute: this minute's count, and what still weighs of the last one's. Pure integers.

At any moment `used + previous × rest of this minute ≤ limit`, the previous share rounded up: a minute
of the clock never admits more than the limit, and no burst doubles at its border. Counts are kept by the
minute they were taken in. A share that a worker took and did not spend by the minute's end is lost to
that minute and weighs in the next: never too much is admitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

MINUTE_US: Final = 60_000_000
SHARE: Final = 16
"""A worker takes what it needs, or this part of what is left: the fewer are left, the smaller the shares."""


class Moment(NamedTuple):
    """A minute since 1970 and how far it has come, in microseconds."""

    minute: int
    into_us: int

    @classmethod
    def of(cls, now_us: int) -> Moment:
        return cls(*divmod(now_us, MINUTE_US))

    @property
    def rest_us(self) -> int:
        return MINUTE_US - self.into_us


class Ask(NamedTuple):
    """What a worker wants of a counter: at least `need`, or nothing; `want` if that much is left.

    A need of 0 only looks.
    """

    counter: str
    limit: int
    need: int
    want: int = 0


class Told(NamedTuple):
    """What it got, and all workers' counts afterwards."""

    granted: int
    used: int
    previous: int


class Windows(Protocol):
    """Counts that workers share. Raises WindowsAway while they cannot be reached."""

    async def take(self, asks: list[Ask], at: Moment) -> list[Told]: ...

    async def give(self, back: list[tuple[str, int, int]]) -> None:
        """Lower counts: (counter, minute, amount)."""

    async def aclose(self) -> None: ...


class WindowsAway(Exception):
    """The shared counts cannot be reached now."""


def room(limit: int, previous: int, at: Moment) -> int:
    """Return how much this minute may count by now."""
    return limit + (-max(0, previous) * at.rest_us // MINUTE_US)


def share(ask: Ask, used: int, previous: int, at: Moment) -> int:
    """Return how much to take of what is left; 0 if the need does not fit."""
    left = room(ask.limit, previous, at) - max(0, used)
    return 0 if not ask.need or left < ask.need else max(ask.need, min(left, ask.want), left // SHARE)


def wait_us(limit: int, used: int, previous: int, need: int, at: Moment) -> int | None:
    """Return in how long `need` fits if nobody else takes anything; None: never, it is above the limit."""
    if need > limit:
        return None
    spare = limit - used - need
    if spare >= 0:  # it waits for the last minute to fade
        return max(0, at.rest_us - spare * MINUTE_US // previous) if previous else 0
    return at.rest_us + MINUTE_US - (limit - need) * MINUTE_US // used


@dataclass(slots=True)
class Share:
    """What this worker has of one counter in one minute."""

    limit: int
    minute: int
    spare: int = 0
    """Taken and not spent."""
    used: int = 0
    """Of all workers, when it was last told."""
    previous: int = 0
    moved_at_us: int = 0
    """When something was last taken or spent."""

    def left(self, at: Moment) -> int:
        """Return what could still be admitted, as far as this worker knows."""
        return max(0, room(self.limit, self.previous, at) - self.used + self.spare)

    def fresh_us(self, at: Moment) -> int:
        """Return in how long all of it is free again if nothing more is counted."""
        if self.used > self.spare:
            return at.rest_us + MINUTE_US
        return at.rest_us if self.previous else 0
