"""What a few figures of the past say of the next one, with an interval. Pure.

    Interval        expected, low and high, in nano-won
    predicted       the next value of a short series, its spread shared with others like it
    Spreads         how far such series scatter about their own means, by how large they are

Estimates, not money: they are reckoned in floating point and leave as whole won. All intervals are meant to
hold the real value four times in five.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from statistics import fmean
from typing import TYPE_CHECKING, Final

from billing.money import NANO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COVERAGE_PERCENT: Final = 80
POOL_WEIGHT: Final = 4
"""Degrees of freedom that what is known of everybody counts for beside a series of its own."""

LEAST_POOLED: Final = 20
"""Degrees of freedom that a pool should have."""

_T: Final = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356, 1.350, 1.345)
"""The 90th percentile of Student's t for 1 to 14 degrees of freedom (any table of it)."""
_T_BEYOND: Final = ((20, 1.341), (30, 1.325), (60, 1.310), (120, 1.296))
_NORMAL: Final = 1.282


@dataclass(frozen=True, slots=True)
class Interval:
    """Nano-won, each a whole number of won. `low` and `high` are None where too little is known."""

    expected: int
    low: int | None = None
    high: int | None = None

    def plus(self, nano_krw: int) -> Interval:
        """Return the interval with what is certain added."""
        moved = (None if end is None else end + nano_krw for end in (self.low, self.high))
        return Interval(self.expected + nano_krw, *moved)


def around(expected: float, spread: float) -> Interval:
    """Return `expected` ± `spread`, both nano-won, in whole won and not below 0."""
    return Interval(
        in_won(max(0.0, expected)), in_won(max(0.0, expected - spread)), in_won(max(0.0, expected + spread))
    )


def in_won(nano_krw: float) -> int:
    """Round an estimate to whole won; nano-won again."""
    return round(nano_krw / NANO) * NANO


def student_t(degrees: int) -> float:
    """Return what 80 % of Student's t lies within, either way of 0; between rows of a table the wider."""
    if degrees < 1:
        raise ValueError("Student's t needs a degree of freedom")
    if degrees <= len(_T):
        return _T[degrees - 1]
    return next((value for below, value in _T_BEYOND if degrees < below), _NORMAL)


class Spreads:
    """By what share of their mean values scatter about it, learnt from many short series.

    Who uses little scatters more, so series are pooled with those of their own size, a factor of four
    wide, and with the next smaller ones where these are too few. Series of one value and those of nothing
    but zeros tell nothing.
    """

    def __init__(self, series: Iterable[Sequence[int]]) -> None:
        self._classes: dict[int, tuple[float, int]] = {}
        self._about: dict[int, float | None] = {}
        for values in series:
            mean = fmean(values) if len(values) > 1 else 0.0
            if mean > 0:
                squares, degrees = self._classes.get(_size(mean), (0.0, 0))
                squares += sum((value / mean - 1) ** 2 for value in values)
                self._classes[_size(mean)] = squares, degrees + len(values) - 1

    def about(self, mean: float) -> float | None:
        """Return the spread of series with about this mean; None where nothing is known of any."""
        if mean <= 0:
            return None
        size = _size(mean)
        if size not in self._about:
            self._about[size] = self._pooled(size)
        return self._about[size]

    def _pooled(self, wanted: int) -> float | None:
        squares, degrees = 0.0, 0
        nearest = sorted(self._classes, key=lambda size: (size > wanted, abs(size - wanted)))
        for size in nearest:
            more_squares, more_degrees = self._classes[size]
            squares, degrees = squares + more_squares, degrees + more_degrees
            if degrees >= LEAST_POOLED:
                break
        return sqrt(squares / degrees) if degrees else None


def _size(mean: float) -> int:
    return int(log(max(mean, 1.0), 4))


def predicted(values: Sequence[int], pooled: float | None) -> Interval:
    """Return what follows `values`, none of them in the future: their mean, and how far off it may be.

    Three months say little of how one person's use varies; what that of others says (`pooled`) counts like
    POOL_WEIGHT further values. Without either there is no interval.
    """
    if not values:
        return Interval(0)
    mean, own = fmean(values), len(values) - 1
    if mean <= 0:
        return Interval(0, 0, 0) if own else Interval(0)
    squares = sum((value / mean - 1) ** 2 for value in values)
    shared = POOL_WEIGHT if pooled is not None else 0
    if own + shared == 0:
        return Interval(in_won(mean))
    variance = (squares + shared * (pooled or 0.0) ** 2) / (own + shared)
    spread = student_t(own + shared) * mean * sqrt(variance * (1 + 1 / len(values)))
    return around(mean, spread)
