"""Subscription plans against metered use: what seats would have cost, and who is better off with one. Pure.

    Plan, Offer      what a seat costs, by the month or by the year, and what it includes
    Use              what one person used in one department and month
    compare          metered cost beside seats for those who used anything, and for everybody
    best_mix         for each person the cheapest of metered use and the plans, minimum seats kept
    advise           who should be given a seat from what they used, and how sure that is

A seat replaces the metered use of the models that its plan names (all of them unless it names any), up to
the requests a month that it includes; the rest stays metered. Won of a year's contract are spread over its
months. Money is nano-won, exact; only forecasts are estimates (billing.intervals).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Final

from billing.intervals import Interval, Spreads, predicted
from billing.money import NANO, ceiling, half_even

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MOST_PLANS: Final = 8
"""A mix is sought among all sets of offers: two to the power of this many."""
LEAST_MONTHS: Final = 2
"""Months of somebody's use before anything is advised."""


class Term(StrEnum):
    MONTHLY = "monthly"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan as data. `models`: patterns of model ids that a seat replaces; empty for every model."""

    id: str
    name: str
    monthly_krw: int
    """Won for a seat and month, as contracted: with VAT if it is paid."""
    yearly_discount_percent: Decimal = Decimal(0)
    minimum_seats: int = 1
    models: tuple[str, ...] = ()
    requests: int | None = None
    """Requests a month that a seat includes; None for as many as one likes."""
    includes: str = ""
    """In words, for people."""

    def __post_init__(self) -> None:
        if self.monthly_krw <= 0 or self.minimum_seats < 1 or not 0 <= self.yearly_discount_percent < 100:
            raise ValueError(f"요금제 {self.id}의 값이 범위를 벗어났습니다 / plan {self.id} is out of range")

    def covers(self, model_id: str) -> bool:
        return not self.models or any(fnmatchcase(model_id, pattern) for pattern in self.models)

    def seat_nano(self, term: Term) -> int:
        """Nano-won of a seat and month, exact to a nano-won."""
        if term is Term.MONTHLY:
            return self.monthly_krw * NANO
        return half_even(
            *(self.monthly_krw * NANO * (100 - self.yearly_discount_percent) / 100).as_integer_ratio()
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan on one of its terms. `at` is its place among the plans that a Use was read for."""

    plan: Plan
    term: Term
    at: int

    @property
    def seat_nano(self) -> int:
        return self.plan.seat_nano(self.term)


def offers(plans: Sequence[Plan], term: Term) -> tuple[Offer, ...]:
    """Return what is on offer for a term: a plan without a yearly discount is had by the month."""
    terms = (term if plan.yearly_discount_percent else Term.MONTHLY for plan in plans)
    return tuple(Offer(plan, kept, at) for at, (plan, kept) in enumerate(zip(plans, terms, strict=True)))


@dataclass(frozen=True, slots=True)
class Use:
    """Of one person in one department and month. `covered`: (requests, nano-won) that each plan replaces."""

    person_id: str
    department_id: str
    month: str
    requests: int
    nano_krw: int
    covered: tuple[tuple[int, int], ...]

    def replaced(self, offer: Offer) -> int:
        """Return the nano-won that a seat of the offer saves in this month."""
        requests, nano_krw = self.covered[offer.at]
        included = offer.plan.requests
        if included is None or requests <= included:
            return nano_krw
        return nano_krw - ceiling(nano_krw * (requests - included), requests)


def merged(uses: Iterable[Use]) -> dict[str, dict[str, Use]]:
    """Map each person to their months, departments put together: an allowance is a person's."""
    people: dict[str, dict[str, Use]] = defaultdict(dict)
    for use in uses:
        months = people[use.person_id]
        before = months.get(use.month)
        months[use.month] = use if before is None else _sum(before, use)
    return dict(people)


def _sum(first: Use, second: Use) -> Use:
    covered = zip(first.covered, second.covered, strict=True)
    return Use(
        first.person_id,
        second.department_id,
        first.month,
        first.requests + second.requests,
        first.nano_krw + second.nano_krw,
        tuple((a + c, b + d) for (a, b), (c, d) in covered),
    )


# --- beside seats ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """One offer over some months. What seats leave metered is in both sums of seats."""

    offer: Offer
    months: int
    active: int
    """People who used anything."""
    everybody: int
    metered_nano: int
    active_nano: int
    """Seats for who used anything, in the months in which they did, and what stays metered."""
    everybody_nano: int
    """Seats for everybody in every month, and what stays metered."""
    better_off: int
    """People for whom a seat in every month costs less than their metered use did."""
    nano_a_request: int
    """Of what the plan replaces, on average; 0 without any."""

    @property
    def idle_seats(self) -> int:
        """Seats that nobody would have used."""
        return max(0, self.everybody - self.active)

    @property
    def break_even_requests(self) -> int | None:
        """Requests a month from which a seat pays, at what a request has cost; None where none was asked.

        Also None where the plan does not include so many.
        """
        if not self.nano_a_request:
            return None
        needed = ceiling(self.offer.seat_nano, self.nano_a_request)
        included = self.offer.plan.requests
        return needed if included is None or needed <= included else None


def compare(uses: Sequence[Use], offered: Sequence[Offer], months: int, everybody: int) -> list[Comparison]:
    """Put the metered cost of so many months beside each offer. `everybody`: who would have a seat."""
    people = merged(uses)
    return [_comparison(people, offer, months, max(everybody, len(people))) for offer in offered]


def _comparison(
    people: Mapping[str, Mapping[str, Use]], offer: Offer, months: int, everybody: int
) -> Comparison:
    uses = [use for by_month in people.values() for use in by_month.values()]
    metered = sum(use.nano_krw for use in uses)
    replaced = sum(use.replaced(offer) for use in uses)
    requests, covered = (sum(use.covered[offer.at][n] for use in uses) for n in (0, 1))
    in_month = Counter(use.month for use in uses)
    seats_active = sum(max(offer.plan.minimum_seats, count) for count in in_month.values())
    whole_price = offer.seat_nano * months
    saved = (sum(use.replaced(offer) for use in by_month.values()) for by_month in people.values())
    return Comparison(
        offer=offer,
        months=months,
        active=len(people),
        everybody=everybody,
        metered_nano=metered,
        active_nano=seats_active * offer.seat_nano + metered - replaced,
        everybody_nano=max(everybody, offer.plan.minimum_seats) * whole_price + metered - replaced,
        better_off=sum(one > whole_price for one in saved),
        nano_a_request=covered // requests if requests else 0,
    )


# --- the best mix ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mix:
    """Who would have had which seat; people who are in no seat pay for what they use."""

    seats: Mapping[str, Offer]
    """By person; those alone who have one."""
    bought: Mapping[str, int]
    """Seats by plan id: those in use, and empty ones up to the plan's minimum."""
    metered_nano: int
    """What everybody's metered use comes to without any seat."""
    nano_krw: int
    """What the mix comes to: seats and what stays metered."""

    @property
    def saved_nano(self) -> int:
        return self.metered_nano - self.nano_krw


def best_mix(uses: Iterable[Use], offered: Sequence[Offer], months: int) -> Mix:
    """Return the cheapest mix over `months` months, seats held for all of them. Never dearer than none.

    Every set of offers is tried. Within a set each person has what is cheapest; a plan short of its
    minimum is filled, one after the other, with those who save most in a seat that is paid for anyway.
    With one plan that is the optimum; with several that are short at once it may miss it by little.
    """
    people = merged(uses)
    metered = sum(use.nano_krw for by_month in people.values() for use in by_month.values())
    saved = {
        person: [sum(use.replaced(offer) for use in by_month.values()) for offer in offered]
        for person, by_month in people.items()
    }
    best = Mix({}, {}, metered, metered)
    for chosen in _subsets(range(len(offered))):
        mix = _mix(saved, offered, chosen, months, metered)
        best = min(best, mix, key=lambda one: one.nano_krw)
    return best


def _subsets(places: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for size in range(1, len(places) + 1):
        yield from combinations(places, size)


def _mix(
    saved: Mapping[str, Sequence[int]],
    offered: Sequence[Offer],
    chosen: Sequence[int],
    months: int,
    metered: int,
) -> Mix:
    price = {n: offered[n].seat_nano * months for n in chosen}
    seat: dict[str, int] = {}
    for person, values in saved.items():
        gain, place = max((values[n] - price[n], -n) for n in chosen)
        if gain > 0:
            seat[person] = -place
    for n in chosen:
        _fill(seat, saved, price, n, offered[n].plan.minimum_seats)
    taken = Counter(seat.values())
    bought = {n: max(taken[n], offered[n].plan.minimum_seats) for n in chosen}
    cost = metered + sum(price[n] * bought[n] for n in chosen) - sum(saved[p][n] for p, n in seat.items())
    return Mix(
        seats={person: offered[n] for person, n in seat.items()},
        bought={offered[n].plan.id: count for n, count in bought.items()},
        metered_nano=metered,
        nano_krw=cost,
    )


def _fill(
    seat: dict[str, int], saved: Mapping[str, Sequence[int]], price: Mapping[int, int], n: int, least: int
) -> None:
    """Give the free seats of a plan that is short of its minimum to who saves most in them."""
    free = least - sum(place == n for place in seat.values())
    if free <= 0:
        return

    def gain(person: str) -> int:
        place = seat.get(person)
        now = 0 if place is None else saved[person][place] - price[place]
        return saved[person][n] - now

    others = sorted((person for person in saved if seat.get(person) != n), key=gain, reverse=True)
    for person in others[:free]:
        if gain(person) > 0:
            seat[person] = n


# --- advice ----------------------------------------------------------------------------------------


class Verdict(StrEnum):
    SEAT = "seat"
    """Even the low end of what is expected costs more than the seat."""
    METERED = "metered"
    """Even the high end costs less."""
    WATCH = "watch"
    """The seat's price lies within the interval: look again next month."""
    TOO_LITTLE = "too_little"
    """Fewer than LEAST_MONTHS months of use."""


@dataclass(frozen=True, slots=True)
class Advice:
    """For one person: the plan that saves most or loses least, and what next month is expected to cost."""

    person_id: str
    department_id: str
    months: int
    """Months that the advice rests on, from the person's first."""
    mean_nano: int
    """Metered cost of a month, on average."""
    forecast: Interval
    """Metered cost of next month, of the models that the plan includes: what a seat would replace."""
    offer: Offer
    verdict: Verdict

    @property
    def gain_nano(self) -> int:
        """What a seat is expected to save a month; negative where it costs more than it replaces."""
        return self.forecast.expected - self.offer.seat_nano


@dataclass(frozen=True, slots=True)
class Window:
    """Months that advice rests on, in order; the running one counts for more than it holds so far.

    `elapsed`: the share of the running month's working days that are over, None to leave it out.
    """

    months: tuple[str, ...]
    running: str | None = None
    elapsed: Decimal | None = None
    factors: Mapping[str, Decimal] = field(default_factory=dict, init=False)
    counted: tuple[str, ...] = field(default=(), init=False)
    """The months that count: whole ones, and the running one if enough of it is over."""

    def __post_init__(self) -> None:
        if self.running is not None and self.elapsed:
            object.__setattr__(self, "factors", {self.running: 1 / self.elapsed})
        counted = (month for month in self.months if month != self.running or month in self.factors)
        object.__setattr__(self, "counted", tuple(counted))

    def whole(self, month: str, nano_krw: int) -> int:
        """Return what a month comes to when it is over, at the pace so far."""
        factor = self.factors.get(month)
        return nano_krw if factor is None else int(nano_krw * factor)


def advise(uses: Iterable[Use], offered: Sequence[Offer], window: Window) -> list[Advice]:
    """Return advice for everybody who used anything in the window, those who gain most first."""
    people = merged(uses)
    series = {
        person: [_replaced(by_month, offer, window) for offer in offered]
        for person, by_month in people.items()
    }
    spreads = [Spreads(values[n] for values in series.values()) for n in range(len(offered))]
    found = [
        _advice(people[person], values, offered, spreads, window)
        for person, values in series.items()
        if any(values)
    ]
    return sorted(found, key=lambda one: (-one.gain_nano, one.person_id))


def _replaced(by_month: Mapping[str, Use], offer: Offer, window: Window) -> list[int]:
    """What a seat would have replaced in each month since the person's first; 0 in months without use."""
    months = _since_first(by_month, window)
    return [window.whole(m, by_month[m].replaced(offer)) if m in by_month else 0 for m in months]


def _since_first(by_month: Mapping[str, Use], window: Window) -> list[str]:
    first = min(by_month)
    return [month for month in window.counted if month >= first]


def _advice(
    by_month: Mapping[str, Use],
    values: Sequence[Sequence[int]],
    offered: Sequence[Offer],
    spreads: Sequence[Spreads],
    window: Window,
) -> Advice:
    pairs = zip(values, spreads, strict=True)
    forecasts = [predicted(series, spread.about(fmean(series))) for series, spread in pairs]
    best = max(range(len(offered)), key=lambda n: (forecasts[n].expected - offered[n].seat_nano, -n))
    months = _since_first(by_month, window)
    spent = sum(window.whole(m, by_month[m].nano_krw) for m in months if m in by_month)
    latest = by_month[max(by_month)]
    return Advice(
        person_id=latest.person_id,
        department_id=latest.department_id,
        months=len(months),
        mean_nano=spent // len(months),
        forecast=forecasts[best],
        offer=offered[best],
        verdict=_verdict(forecasts[best], offered[best], len(months)),
    )


def _verdict(forecast: Interval, offer: Offer, months: int) -> Verdict:
    if months < LEAST_MONTHS or forecast.low is None or forecast.high is None:
        return Verdict.TOO_LITTLE
    if forecast.low > offer.seat_nano:
        return Verdict.SEAT
    return Verdict.METERED if forecast.high < offer.seat_nano else Verdict.WATCH
