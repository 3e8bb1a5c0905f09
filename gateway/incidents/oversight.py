"""What the oversight shows of a period, as values. Pure; gateway/store/incident_statistics.py reads them.

Requests and findings come from daily sums of receipts, so a million of them answer at once; incidents are
counted where they stand. No value here is a person's data: people are numbers of the register, values are
keyed hashes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

from billing.periods import day_start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from gateway.incidents.precision import RulePrecision

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Period:
    """Korean days, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError("a period ends before it begins")

    @classmethod
    def last_days(cls, days: int, today: date) -> Period:
        return cls(today - timedelta(days=days - 1), today)

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))

    @property
    def start(self) -> datetime:
        """First instant, aware UTC."""
        return day_start(self.first)

    @property
    def end(self) -> datetime:
        """First instant behind it, aware UTC."""
        return day_start(self.last + timedelta(days=1))

    @property
    def numbers(self) -> tuple[int, int]:
        """First and last day as days since 1970, as the sums have them."""
        return (self.first - _EPOCH).days, (self.last - _EPOCH).days


def hours_shown(hours: float) -> int:
    """Return the hours that a duration is counted as: rounded up to one, from two days on to twelve."""
    step = 1 if hours <= 48 else 12
    return math.ceil(hours / step) * step


def day_of_number(number: int) -> date:
    return _EPOCH + timedelta(days=number)


@dataclass(frozen=True, slots=True)
class Totals:
    """Requests of a period by what the filter decided; `refused` reached no model at all."""

    requests: int = 0
    refused: int = 0
    masked: int = 0
    kept_inside: int = 0
    """Answered by an in-house model because they might not leave."""
    simulated: int = 0
    unscanned: int = 0
    degraded: int = 0
    findings: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    totals: Totals


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the heat map."""

    department_id: str
    type: str
    findings: int
    requests: int


@dataclass(frozen=True, slots=True)
class RuleCount:
    rule: str
    type: str
    findings: int
    requests: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether everything that left was read. What leaves the institution unread must be 0."""

    requests: int
    unscanned_external: int
    unscanned_in_house: int
    """Answered in house with a picture or file that policy opens and nobody reads."""

    @property
    def ok(self) -> bool:
        return self.unscanned_external == 0


@dataclass(frozen=True, slots=True)
class Resolving:
    """How incidents of the period were dealt with. Hours pass by the clock, deadlines by working days."""

    opened: int
    resolved: int
    open_now: int
    overdue_now: int
    resolved_late: int
    by_severity: Mapping[str, int]
    """Opened, by severity's word."""
    by_resolution: Mapping[str, int]
    median_hours: int | None
    """Half were resolved within so many hours, as `hours_shown` rounds them."""
    p90_hours: int | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """A person, or a value by its keyed hash, that more than one incident is about; the last in the period.

    `incidents` counts all that are kept, also those before the period.
    """

    kind: Literal["person", "value"]
    id: str
    type: str
    """The type of a value, empty for a person."""
    department_id: str
    """Of a person, as the latest incident has it."""
    incidents: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Oversight:
    period: Period
    totals: Totals
    days: tuple[Day, ...]
    heat: tuple[Cell, ...]
    rules: tuple[RuleCount, ...]
    coverage: Coverage
    resolving: Resolving
    repeats: tuple[Repeat, ...]
    precision: tuple[RulePrecision, ...]

    def as_record(self, pseudonym: Callable[[str], str]) -> dict[str, Any]:
        """Return it as plain JSON values; days and instants are ISO 8601, people under a pseudonym."""
        resolving = asdict(self.resolving)
        return {
            "from": self.period.first.isoformat(),
            "to": self.period.last.isoformat(),
            "totals": asdict(self.totals),
            "coverage": {**asdict(self.coverage), "ok": self.coverage.ok},
            "resolving": resolving,
            "days": [{"day": one.day.isoformat(), **asdict(one.totals)} for one in self.days],
            "heat": [asdict(cell) for cell in self.heat],
            "rules": [asdict(rule) for rule in self.rules],
            "repeats": [
                {
                    **asdict(one),
                    "id": pseudonym(one.id) if one.kind == "person" else one.id,
                    "first": one.first.isoformat(),
                    "last": one.last.isoformat(),
                }
                for one in self.repeats
            ],
            "precision": [one.as_record() for one in self.precision],
        }
