"""/api/billing: plans, savings, seats, forecast and anomalies, as JSON. Reads only.

The same people as on the finance pages, by the same session: a manager sees the own department. Amounts are
decimal text, exact; forecasts are whole won.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from billing.intervals import COVERAGE_PERCENT
from billing.plans import Verdict
from billing.store import rollups
from gateway.console import areas
from gateway.console.finance.named import called
from gateway.console.finance.savings import report_asked
from gateway.console.lists import next_offset
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor
from gateway.console.spending import BATCHES_BEFORE_A_PAGE
from gateway.invoices.words import exact_krw
from gateway.outlooks import OutlookReport
from gateway.permissions import Permission
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.forecast import Outlook, Unusual
    from billing.intervals import Interval
    from billing.plans import Advice, Comparison
    from gateway.outlooks import OutlookLine
    from gateway.seats import DepartmentLine, PersonLine, SeatReport

Row = TypeVar("Row")
Reader = Annotated[Visitor, Depends(Needs(Permission.REPORTS_VIEW))]
Krw = Annotated[str, Field(description="exact won as decimal text", examples=["1234.5"])]
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0)]
Months = Annotated[
    str, Query(pattern="^([1-9]|1[0-2])?$", description="so many last months, 1 to 12; all recorded if empty")
]
TermWord = Annotated[str, Query(pattern="^(monthly|yearly)$")]

_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "nobody is signed in"},
    403: {"description": "the roles do not reach it"},
}


class PlanBeside(BaseModel):
    """One plan beside metered use."""

    id: str
    name: str
    includes: str
    term: str = Field(description="monthly or yearly")
    seat_krw: Krw = Field(description="a seat and month")
    minimum_seats: int
    models: list[str] = Field(description="patterns of models that a seat replaces; empty for all")
    requests: int | None = Field(description="requests a month that a seat includes")
    active_people: int
    people: int = Field(description="in the register today")
    idle_seats: int
    seats_of_active_krw: Krw
    seats_of_all_krw: Krw
    break_even_requests: int | None
    better_off_people: int


class MixSeats(BaseModel):
    plan: str
    bought: int
    given: int


class SavingsReport(BaseModel):
    months: list[str]
    metered_krw: Krw
    plans: list[PlanBeside]
    mix: list[MixSeats] = Field(description="the cheapest: who is in no seat pays for use")
    mix_krw: Krw
    mix_saved_krw: Krw


class SavingsLine(BaseModel):
    id: str
    name: str
    active_people: int
    people: int
    metered_krw: Krw
    seats_of_active_krw: Krw
    seats_of_all_krw: Krw
    cheapest: str = Field(description="a plan's id, or metered")


class SavingsLines(BaseModel):
    data: list[SavingsLine]
    total: int
    next_offset: int | None


class PersonSavings(BaseModel):
    person: str = Field(description="a name, or a pseudonym where the right to names is missing")
    department: str
    months: int = Field(description="in which anything was used")
    requests: int
    metered_krw: Krw
    with_seat_krw: dict[str, Krw] = Field(description="by plan: seats, and what stays metered")
    cheapest: str


class PeopleSavings(BaseModel):
    data: list[PersonSavings]
    total: int
    next_offset: int | None


class Range(BaseModel):
    """Whole won; low and high hold four times in five, and are null where too little is known."""

    expected_krw: Krw
    low_krw: Krw | None
    high_krw: Krw | None


class SeatAdvice(BaseModel):
    person: str = Field(description="a name, or a pseudonym where the right to names is missing")
    department: str
    verdict: Verdict
    plan: str
    seat_krw: Krw
    months: int = Field(description="that the advice rests on")
    mean_krw: Krw
    next_month: Range
    gain_krw: Krw = Field(description="what a seat is expected to save a month")


class SeatAdvices(BaseModel):
    interval_percent: int
    data: list[SeatAdvice]
    total: int
    next_offset: int | None


class BudgetEnd(BaseModel):
    id: str
    period: str
    limit_krw: Krw
    spent_krw: Krw
    used_up: bool
    runs_out_on: date | None


class Forecast(BaseModel):
    id: str
    name: str
    spent_krw: Krw = Field(description="this month so far")
    month_end: Range | None = Field(description="null before three working days")
    year_end: Range | None
    working_days: int = Field(description="that the forecast rests on")
    budgets: list[BudgetEnd]


class Forecasts(BaseModel):
    day: date
    interval_percent: int
    whole: Forecast
    data: list[Forecast]
    total: int
    next_offset: int | None


class Anomaly(BaseModel):
    kind: str = Field(description="department or key")
    id: str
    day: date
    krw: Krw
    usual_krw: Krw
    times: int | None
    compared_with_days: int


class Anomalies(BaseModel):
    data: list[Anomaly]


def router() -> APIRouter:
    routes = areas.api("/api/billing", "billing")

    def asked(parts: ConsoleParts, visitor: Visitor, months: str, term: str) -> SeatReport:
        return report_asked(parts, visitor, int(months) if months else None, term)

    @routes.get("/plans", responses=_ERRORS)
    def plans(
        visitor: Reader, parts: Parts, months: Months = "", term: TermWord = "monthly"
    ) -> list[PlanBeside]:
        """Show the plans that use is compared with, each beside it."""
        return [_plan(one) for one in asked(parts, visitor, months, term).comparisons]

    @routes.get("/savings", responses=_ERRORS)
    def savings(
        visitor: Reader, parts: Parts, months: Months = "", term: TermWord = "monthly"
    ) -> SavingsReport:
        """Put the metered cost beside seats, and name the cheapest mix."""
        return _savings(asked(parts, visitor, months, term))

    @routes.get("/savings/departments", responses=_ERRORS)
    def departments(
        visitor: Reader,
        parts: Parts,
        months: Months = "",
        term: TermWord = "monthly",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> SavingsLines:
        """List departments, the dearest first."""
        rows = asked(parts, visitor, months, term).departments()
        names = unit_names(parts.database)
        shown = [
            _line(row, names.get(row.department_id, row.department_id)) for row in _cut(rows, offset, limit)
        ]
        return SavingsLines(data=shown, total=len(rows), next_offset=next_offset(len(rows), offset, limit))

    @routes.get("/savings/people", responses=_ERRORS)
    def people(
        visitor: Reader,
        parts: Parts,
        months: Months = "",
        term: TermWord = "monthly",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> PeopleSavings:
        """List who used anything, the dearest first: what they cost, and what each plan would have."""
        report = asked(parts, visitor, months, term)
        rows = report.people()
        shown = _cut(rows, offset, limit)
        names = called(parts, visitor, [row.person_id for row in shown])
        return PeopleSavings(
            data=[_person(row, report, names[row.person_id]) for row in shown],
            total=len(rows),
            next_offset=next_offset(len(rows), offset, limit),
        )

    @routes.get("/seats", responses=_ERRORS)
    def seats(
        visitor: Reader,
        parts: Parts,
        verdict: Verdict | None = None,
        months: Months = "",
        term: TermWord = "monthly",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> SeatAdvices:
        """Advise who should be given a seat, those who gain most first."""
        advice = asked(parts, visitor, months, term).advice
        rows = [one for one in advice if verdict in {None, one.verdict}]
        shown = _cut(rows, offset, limit)
        names = called(parts, visitor, [one.person_id for one in shown])
        return SeatAdvices(
            interval_percent=COVERAGE_PERCENT,
            data=[_advice(one, names[one.person_id]) for one in shown],
            total=len(rows),
            next_offset=next_offset(len(rows), offset, limit),
        )

    @routes.get("/forecast", responses=_ERRORS)
    def forecast(visitor: Reader, parts: Parts, limit: Limit = 100, offset: Offset = 0) -> Forecasts:
        """Forecast month-end and year-end, and when budgets run out."""
        report = _outlook(parts, visitor)
        names = unit_names(parts.database)
        rows = report.departments()
        return Forecasts(
            day=report.today,
            interval_percent=COVERAGE_PERCENT,
            whole=_forecast(report.institution(), ""),
            data=[
                _forecast(one, names.get(one.department_id, one.department_id))
                for one in _cut(rows, offset, limit)
            ],
            total=len(rows),
            next_offset=next_offset(len(rows), offset, limit),
        )

    @routes.get("/anomalies", responses=_ERRORS)
    def anomalies(visitor: Reader, parts: Parts) -> Anomalies:
        """List days of the last week that are far above the department's or the key's own past."""
        report = _outlook(parts, visitor)
        found = [_anomaly("department", one) for one in report.unusual_departments()]
        return Anomalies(data=found + [_anomaly("key", one) for one in report.unusual_keys()])

    return routes


def _outlook(parts: ConsoleParts, visitor: Visitor) -> OutlookReport:
    rollups.bring_up_to_date(parts.database, most_batches=BATCHES_BEFORE_A_PAGE)
    return OutlookReport(parts.database, parts.now(), visitor.only_department(Permission.REPORTS_VIEW))


def _plan(one: Comparison) -> PlanBeside:
    plan = one.offer.plan
    return PlanBeside(
        id=plan.id,
        name=plan.name or plan.id,
        includes=plan.includes,
        term=one.offer.term.value,
        seat_krw=exact_krw(one.offer.seat_nano),
        minimum_seats=plan.minimum_seats,
        models=list(plan.models),
        requests=plan.requests,
        active_people=one.active,
        people=one.everybody,
        idle_seats=one.idle_seats,
        seats_of_active_krw=exact_krw(one.active_nano),
        seats_of_all_krw=exact_krw(one.everybody_nano),
        break_even_requests=one.break_even_requests,
        better_off_people=one.better_off,
    )


def _savings(report: SeatReport) -> SavingsReport:
    mix = report.mix
    given = [offer.plan.id for offer in mix.seats.values()]
    return SavingsReport(
        months=list(report.months),
        metered_krw=exact_krw(mix.metered_nano),
        plans=[_plan(one) for one in report.comparisons],
        mix=[MixSeats(plan=id_, bought=count, given=given.count(id_)) for id_, count in mix.bought.items()],
        mix_krw=exact_krw(mix.nano_krw),
        mix_saved_krw=exact_krw(mix.saved_nano),
    )


def _line(row: DepartmentLine, name: str) -> SavingsLine:
    first = row.comparisons[0]
    return SavingsLine(
        id=row.department_id,
        name=name,
        active_people=first.active,
        people=first.everybody,
        metered_krw=exact_krw(first.metered_nano),
        seats_of_active_krw=exact_krw(first.active_nano),
        seats_of_all_krw=exact_krw(first.everybody_nano),
        cheapest="metered" if row.cheapest is None else row.cheapest.offer.plan.id,
    )


def _person(row: PersonLine, report: SeatReport, name: str) -> PersonSavings:
    costs = zip(report.offers, row.cost_nano, strict=True)
    return PersonSavings(
        person=name,
        department=row.department_id,
        months=row.months,
        requests=row.requests,
        metered_krw=exact_krw(row.metered_nano),
        with_seat_krw={offer.plan.id: exact_krw(cost) for offer, cost in costs},
        cheapest="metered" if row.cheapest is None else row.cheapest.plan.id,
    )


def _advice(one: Advice, name: str) -> SeatAdvice:
    return SeatAdvice(
        person=name,
        department=one.department_id,
        verdict=one.verdict,
        plan=one.offer.plan.id,
        seat_krw=exact_krw(one.offer.seat_nano),
        months=one.months,
        mean_krw=exact_krw(one.mean_nano),
        next_month=_range(one.forecast),
        gain_krw=exact_krw(one.gain_nano),
    )


def _range(found: Interval) -> Range:
    return Range(
        expected_krw=exact_krw(found.expected),
        low_krw=None if found.low is None else exact_krw(found.low),
        high_krw=None if found.high is None else exact_krw(found.high),
    )


def _forecast(line: OutlookLine, name: str) -> Forecast:
    def end(found: Outlook) -> Range | None:
        return None if found.forecast is None else _range(found.forecast)

    return Forecast(
        id=line.department_id,
        name=name,
        spent_krw=exact_krw(line.month.spent_nano),
        month_end=end(line.month),
        year_end=end(line.year),
        working_days=line.month.working_days,
        budgets=[
            BudgetEnd(
                id=one.standing.budget_id,
                period=one.standing.period,
                limit_krw=exact_krw(one.standing.limit),
                spent_krw=exact_krw(one.standing.spent),
                used_up=one.used_up,
                runs_out_on=one.runs_out_on,
            )
            for one in line.budgets
        ],
    )


def _anomaly(kind: str, one: Unusual) -> Anomaly:
    return Anomaly(
        kind=kind,
        id=one.subject,
        day=one.day,
        krw=exact_krw(one.nano_krw),
        usual_krw=exact_krw(one.usual_nano),
        times=one.times,
        compared_with_days=one.past,
    )


def _cut(rows: Sequence[Row], offset: int, limit: int) -> Sequence[Row]:
    return rows[offset : offset + limit]
