"""Seats beside metered use, as the command line, the API and the console show it. No SQL, no HTTP.

The arithmetic is billing/plans.py's; here the plans of haechi.toml, the daily sums, the register of people
and the calendar come together. Everything is asked for once and kept: a page shows several views of it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Final

from billing.forecast import month_of
from billing.periods import billing_day, billing_month, months_between
from billing.plans import (
    Advice,
    Comparison,
    Mix,
    Term,
    Window,
    advise,
    best_mix,
    compare,
    merged,
    offers,
)
from billing.store.report_queries import months_summed, person_uses, sums_position
from gateway.organisation import places, valid_on
from gateway.store.organisation import load_organisation, read_revision
from gateway.working_days import is_working_day

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    from billing.plans import Offer, Plan, Use
    from gateway.store.database import Database

LEAST_WORKING_DAYS: Final = 5
"""Of the running month that must be over before advice counts it."""
MOST_KEPT: Final = 4
"""Reports that a worker keeps; each holds some megabytes at ten thousand people."""
MOST_MONTHS: Final = 12
"""That advice and comparisons go back unless told otherwise."""


@dataclass(frozen=True, slots=True)
class DepartmentLine:
    department_id: str
    comparisons: tuple[Comparison, ...]
    """One for each offer."""

    @property
    def cheapest(self) -> Comparison | None:
        """The offer that is cheaper for who used anything than metered use, if one is."""
        best = min(self.comparisons, key=lambda one: one.active_nano)
        return best if best.active_nano < best.metered_nano else None


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person over all months of the question, every cost in nano-won."""

    person_id: str
    department_id: str
    """Where they used last."""
    months: int
    """In which they used anything."""
    requests: int
    metered_nano: int
    cost_nano: tuple[int, ...]
    """With a seat of each offer in every month: seats, and what stays metered."""
    cheapest: Offer | None
    """None: metered use."""


class SeatReport:
    """One question: these months, these plans, one department or all."""

    def __init__(
        self,
        database: Database,
        plans: Sequence[Plan],
        now: datetime,
        *,
        months: Sequence[str] | None = None,
        term: Term = Term.MONTHLY,
        department_id: str | None = None,
    ) -> None:
        """`months`: billing months; from the first with use to the last, a year at most, if None."""
        self._database = database
        self._now = now
        self._department = department_id
        self.offers = offers(plans, term)
        used = () if months is not None else months_summed(database)
        recorded = months_between(used[0], used[-1])[-MOST_MONTHS:] if used else (billing_month(now),)
        self.months = recorded if months is None else tuple(months)

    @cached_property
    def uses(self) -> list[Use]:
        plans = [offer.plan for offer in self.offers]
        return person_uses(self._database, self.months, plans, self._department)

    @cached_property
    def staff(self) -> Mapping[str, int]:
        """How many people sit in each department today."""
        return staff_of(self._database, billing_day(self._now))

    @property
    def everybody(self) -> int:
        """People in the register today: of the department asked for, or of all."""
        return self.staff.get(self._department, 0) if self._department else sum(self.staff.values())

    @cached_property
    def comparisons(self) -> list[Comparison]:
        return compare(self.uses, self.offers, len(self.months), self.everybody)

    @cached_property
    def mix(self) -> Mix:
        return best_mix(self.uses, self.offers, len(self.months))

    @cached_property
    def advice(self) -> list[Advice]:
        return advise(self.uses, self.offers, self.window)

    @property
    def window(self) -> Window:
        today = billing_day(self._now)
        running = billing_month(self._now)
        return Window(self.months, running, elapsed_of_month(today, is_working_day))

    def departments(self) -> list[DepartmentLine]:
        """Return departments with use or people in them, the dearest first."""
        mine: dict[str, list[Use]] = defaultdict(list)
        for use in self.uses:
            mine[use.department_id].append(use)
        wanted = {*mine, *self.staff} if self._department is None else {self._department}
        lines = [
            DepartmentLine(
                id_, tuple(compare(mine[id_], self.offers, len(self.months), self.staff.get(id_, 0)))
            )
            for id_ in wanted
        ]
        return sorted(lines, key=lambda line: (-line.comparisons[0].metered_nano, line.department_id))

    def people(self) -> list[PersonLine]:
        """Return who used anything, the dearest first."""
        lines = [self._person(by_month) for by_month in merged(self.uses).values()]
        return sorted(lines, key=lambda line: (-line.metered_nano, line.person_id))

    def _person(self, by_month: Mapping[str, Use]) -> PersonLine:
        uses = list(by_month.values())
        metered = sum(use.nano_krw for use in uses)
        costs = tuple(
            offer.seat_nano * len(self.months) + metered - sum(use.replaced(offer) for use in uses)
            for offer in self.offers
        )
        least = min(costs)
        latest = by_month[max(by_month)]
        return PersonLine(
            person_id=latest.person_id,
            department_id=latest.department_id,
            months=len(uses),
            requests=sum(use.requests for use in uses),
            metered_nano=metered,
            cost_nano=costs,
            cheapest=self.offers[costs.index(least)] if least < metered else None,
        )


class SeatReports:
    """Reports kept for as long as the sums and the register behind them stay as they are: one per worker."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], SeatReport] = OrderedDict()
        self._lock = Lock()

    def report(
        self,
        database: Database,
        plans: Sequence[Plan],
        now: datetime,
        *,
        months: int | None = None,
        term: Term = Term.MONTHLY,
        department_id: str | None = None,
    ) -> SeatReport:
        """Return the report of the last `months` months, the running one included; of all if None."""
        state = (sums_position(database), read_revision(database), billing_day(now))
        question = (id(database), *state, tuple(plans), months, term, department_id)
        with self._lock:
            kept = self._kept.get(question)
            if kept is None:
                chosen = None if months is None else last_months(billing_month(now), months)
                kept = SeatReport(database, plans, now, months=chosen, term=term, department_id=department_id)
                self._kept[question] = kept
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(question)
        return kept


def last_months(month: str, count: int) -> tuple[str, ...]:
    """Return `count` months, `month` the last."""
    year, number = map(int, month.split("-"))
    total = year * 12 + number - count
    return months_between(f"{total // 12:04d}-{total % 12 + 1:02d}", month)


def staff_of(database: Database, day: date) -> dict[str, int]:
    """Count the people of each department on a day."""
    known = load_organisation(database)
    where = places(known.units, day)
    seated = (where.get(person.unit_code) for person in valid_on(known.people, day))
    return dict(Counter(place.department_id for place in seated if place is not None))


def elapsed_of_month(today: date, works: Callable[[date], bool]) -> Decimal | None:
    """Return the share of the month's working days that are over; None while too few are.

    Today counts half: nobody knows when the report is read.
    """
    first, end = month_of(today)
    days = [first + timedelta(days=n) for n in range((end - first).days)]
    whole = sum(map(works, days))
    over = sum(works(day) for day in days if day < today)
    if over < LEAST_WORKING_DAYS:
        return None
    return min(Decimal(1), (over + Decimal(int(works(today))) / 2) / whole)
