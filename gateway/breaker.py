"""When a deployment is left alone: a circuit breaker as a value that is told the time.

    closed     attempts go; `failures_in_a_row` failures, or more than half of the last 20, open it
    open       nobody goes until `probe_at`; each opening in a row doubles the wait, up to `open_most_s`
    half open  the wait is over: one attempt goes as the probe; it closes the breaker, or opens it again

A deployment that asked for a pause (Retry-After) rests as long, but never longer than `open_most_s`:
nothing is cut off for ever. Seconds are of any steady clock. Pure: no clock, no task, no lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WINDOW: Final = 20
_WINDOW_MASK: Final = (1 << WINDOW) - 1


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """`alone_s`: how long a breaker stays open while no other deployment could take its requests."""

    failures_in_a_row: int = 5
    open_s: float = 5.0
    open_most_s: float = 60.0
    alone_s: float = 2.0


class Breaker:
    __slots__ = ("_failed_last", "_in_a_row", "_opened_at", "_openings", "_probe_at", "_probing", "_rules")

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._in_a_row = 0
        self._failed_last = 0  # one bit per result, the newest lowest
        self._openings = 0
        self._opened_at = 0.0
        self._probe_at: float | None = None
        self._probing = False

    @property
    def failures_in_a_row(self) -> int:
        return self._in_a_row

    @property
    def closed(self) -> bool:
        return self._probe_at is None

    def state(self, now: float) -> State:
        if self._probe_at is None:
            return State.CLOSED
        return State.HALF_OPEN if self._probing or now >= self._probe_at else State.OPEN

    def allows(self, now: float, *, alone: bool = False) -> bool:
        """Whether an attempt may go now; `alone`: there is nowhere else to go."""
        return self.wait_s(now, alone=alone) <= 0

    def wait_s(self, now: float, *, alone: bool = False) -> float:
        """Seconds until an attempt may go, as far as is known; 0 if it may go now."""
        if self._probe_at is None:
            return 0.0
        if self._probing:
            return self._rules.alone_s
        probe_at = min(self._probe_at, self._opened_at + self._rules.alone_s) if alone else self._probe_at
        return max(0.0, probe_at - now)

    def enter(self) -> bool:
        """Note that an attempt goes; return whether it is the probe."""
        if self._probe_at is None:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self._in_a_row = self._openings = 0
        self._failed_last = 0 if self._probe_at is not None else (self._failed_last << 1) & _WINDOW_MASK
        self._probe_at = None
        self._probing = False

    def failed(self, now: float, rest_s: float | None = None) -> bool:
        """Note a failure; `rest_s` is the pause that was asked for. Return whether this opened it."""
        self._in_a_row += 1
        self._failed_last = (self._failed_last << 1 | 1) & _WINDOW_MASK
        was_closed = self._probe_at is None
        many = self._failed_last.bit_count() > WINDOW // 2
        if not was_closed and not self._probing:
            return False  # an attempt from before the opening: it says nothing new
        if was_closed and rest_s is None and self._in_a_row < self._rules.failures_in_a_row and not many:
            return False
        self._open(now, rest_s)
        return was_closed

    def abandoned(self) -> None:
        """The probe ended without saying anything about the deployment; another one may go."""
        self._probing = False

    def _open(self, now: float, rest_s: float | None) -> None:
        doubled = self._rules.open_s * 2 ** min(self._openings, 16)
        wait = doubled if rest_s is None else rest_s
        self._probing = False
        self._openings += rest_s is None
        self._opened_at = now
        self._probe_at = now + min(wait, self._rules.open_most_s)
        if rest_s is not None:  # a pause that was asked for is kept, also by the only deployment
            self._opened_at = max(now, self._probe_at - self._rules.alone_s)
