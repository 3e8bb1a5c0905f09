"""비교: what was paid by use beside what seats would have cost, plan by plan and department by department."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from fastapi import APIRouter, Depends, Request

from billing.money import NANO, won
from billing.periods import billing_day
from billing.plans import Term
from billing.store import rollups
from gateway.console import areas, lists
from gateway.console.charts import Series, bars
from gateway.console.formats import short_won
from gateway.console.i18n import N_, translations
from gateway.console.lists import Column, ListSpec
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor
from gateway.console.spending import BATCHES_BEFORE_A_PAGE
from gateway.permissions import Permission
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from starlette.responses import Response

    from billing.plans import Comparison, Plan
    from gateway.console.i18n import Language
    from gateway.console.lists import ListQuery
    from gateway.seats import DepartmentLine, SeatReport

Reader = Annotated[Visitor, Depends(Needs(Permission.REPORTS_VIEW))]

SAVINGS: Final = "/console/finance/savings"
MARKS: Final = "①②③④⑤⑥⑦⑧"
"""Stand for the plans below a chart, whose columns are narrower than their names."""
SPANS: Final = {
    "": N_("기록된 모든 달(1년까지)"),
    "1": N_("이번 달"),
    "3": N_("최근 3개월"),
    "6": N_("최근 6개월"),
}
TERMS: Final = {"monthly": N_("월 계약"), "yearly": N_("연 계약")}


class Line(NamedTuple):
    """One department as the list shows it. `cheapest`: a plan's name, None for metered use."""

    name: str
    line: DepartmentLine
    cheapest: str | None

    @property
    def first(self) -> Comparison:
        """Beside the plan that is meant by a seat."""
        return self.line.comparisons[0]

    @property
    def saved_nano(self) -> int:
        return self.first.everybody_nano - self.first.metered_nano


SPEC: Final[ListSpec[Line]] = ListSpec(
    name="savings",
    columns=(
        Column("department", N_("부서"), lambda row: row.name, sorts=True),
        Column("people", N_("인원"), lambda row: row.first.everybody, sorts=True, number=True),
        Column("active", N_("쓴 사람"), lambda row: row.first.active, sorts=True, number=True),
        Column(
            "metered", N_("쓴 만큼(원)"), lambda row: won(row.first.metered_nano), sorts=True, number=True
        ),
        Column("all_seats", N_("전 직원 구독(원)"), lambda row: won(row.first.everybody_nano), number=True),
        Column("saved", N_("절감(원)"), lambda row: won(row.saved_nano), sorts=True, number=True),
        Column("cheapest", N_("가장 싼 방식"), lambda row: row.cheapest or "metered"),
    ),
    sort="metered",
    descending=True,
    filters={"months": "", "term": "monthly"},
    size=25,
)
EXPORTED: Final = replace(
    SPEC,
    columns=(
        *SPEC.columns,
        Column("active_seats", N_("쓴 사람만 구독(원)"), lambda row: won(row.first.active_nano)),
    ),
)
KEYS: Final = {
    "department": lambda row: row.name,
    "people": lambda row: (row.first.everybody, row.name),
    "active": lambda row: (row.first.active, row.name),
    "metered": lambda row: (row.first.metered_nano, row.name),
    "saved": lambda row: (row.saved_nano, row.name),
}


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(SAVINGS)
    def savings(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _page(request, visitor, parts)

    return routes


def report_asked(parts: ConsoleParts, visitor: Visitor, months: int | None, term: str) -> SeatReport:
    """Return the report that an address asks for, of the department that is within reach."""
    rollups.bring_up_to_date(parts.database, most_batches=BATCHES_BEFORE_A_PAGE)
    return parts.seats.report(
        parts.database,
        parts.config.plans,
        parts.now(),
        months=months,
        term=Term.YEARLY if term == "yearly" else Term.MONTHLY,
        department_id=visitor.only_department(Permission.REPORTS_VIEW),
    )


def span_of(filters: Mapping[str, str]) -> int | None:
    """Return how many months a page shows; None: all that are recorded."""
    months = filters["months"]
    return int(months) if months in SPANS and months else None


def plan_names(plans: Sequence[Plan], language: Language) -> dict[str, str]:
    """Return what each plan is called; one that nobody named is a seat."""
    seat = translations(language).gettext(N_("좌석"))
    return {plan.id: plan.name or seat for plan in plans}


def _page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    language = language_for(request, visitor)
    query = SPEC.read(request.query_params)
    report = report_asked(parts, visitor, span_of(query.filters), query.filters["term"])
    names, called = unit_names(parts.database), plan_names(parts.config.plans, language)

    def source(asked: ListQuery) -> tuple[Sequence[Line], int]:
        rows = [
            Line(
                names.get(one.department_id, one.department_id),
                one,
                called[one.cheapest.offer.plan.id] if one.cheapest else None,
            )
            for one in report.departments()
        ]
        return lists.cut(rows, asked, KEYS)

    if lists.wants_csv(request.query_params):
        return lists.export(EXPORTED, query, source, language, billing_day(parts.now()))
    bought = [(called[id_], seats) for id_, seats in report.mix.bought.items()]
    return render(
        request,
        visitor,
        "finance/savings.html",
        report=report,
        first=report.comparisons[0],
        bought=bought,
        plan_names=called,
        marks=MARKS,
        chart=_chart(report, language),
        list=lists.view(SPEC, query, SAVINGS, source),
        spans=SPANS,
        terms=TERMS,
        everywhere=visitor.only_department(Permission.REPORTS_VIEW) is None,
        nano=NANO,
    )


def _chart(report: SeatReport, language: Language) -> Markup:
    """Metered use, the best mix, and each plan for those who used anything."""
    say = translations(language).gettext
    found = report.comparisons
    labels = [say(N_("쓴 만큼")), say(N_("조합")), *MARKS[: len(found)]]
    values = (found[0].metered_nano, report.mix.nano_krw, *(one.active_nano for one in found))
    title = say(N_("방식별 비용"))
    return bars(title, labels, [Series(title, values)], lambda nano: short_won(nano, language), unit=NANO)
