"""예측·이상: month-end and year-end with an interval, when budgets run out, and what is out of line."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from fastapi import APIRouter, Depends, Request

from billing.forecast import outlook
from billing.money import NANO, won
from billing.periods import billing_day
from billing.store import rollups
from gateway.console import areas, lists
from gateway.console.charts import Series, lines
from gateway.console.formats import short_won
from gateway.console.i18n import N_, translations
from gateway.console.lists import Column, ListSpec
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor
from gateway.console.spending import BATCHES_BEFORE_A_PAGE
from gateway.outlooks import OutlookReport
from gateway.permissions import Permission
from gateway.store.organisation import unit_names
from gateway.working_days import is_working_day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from markupsafe import Markup
    from starlette.responses import Response

    from billing.forecast import Outlook, Unusual
    from billing.intervals import Interval
    from gateway.console.i18n import Language
    from gateway.console.lists import ListQuery
    from gateway.outlooks import OutlookLine

Reader = Annotated[Visitor, Depends(Needs(Permission.REPORTS_VIEW))]

FORECAST: Final = "/console/finance/forecast"
MOST_UNUSUAL: Final = 50


class Line(NamedTuple):
    """One department as the list shows it."""

    name: str
    line: OutlookLine


class Odd(NamedTuple):
    kind: str
    name: str
    found: Unusual


class Point(NamedTuple):
    """The sum of a month up to a day: what it was, or what it is expected to be."""

    day: date
    spent: int | None
    expected: Interval | None


KINDS: Final = {"department": N_("부서"), "key": N_("키")}
SPEC: Final[ListSpec[Line]] = ListSpec(
    name="forecast",
    columns=(
        Column("department", N_("부서"), lambda row: row.name, sorts=True),
        Column(
            "spent", N_("이번 달(원)"), lambda row: won(row.line.month.spent_nano), sorts=True, number=True
        ),
        Column(
            "month", N_("월말 예상(원)"), lambda row: won(_expected(row.line.month)), sorts=True, number=True
        ),
        Column(
            "year", N_("연말 예상(원)"), lambda row: won(_expected(row.line.year)), sorts=True, number=True
        ),
        Column("runs_out", N_("예산 소진"), lambda row: _end_of_budget(row.line), sorts=True),
    ),
    sort="month",
    descending=True,
    size=25,
)
EXPORTED: Final = replace(
    SPEC,
    columns=(
        *SPEC.columns,
        Column("month_range", N_("월말 구간(원)"), lambda row: _range(row.line.month)),
        Column("year_range", N_("연말 구간(원)"), lambda row: _range(row.line.year)),
    ),
)
_KEYS: Final = {
    "department": lambda row: row.name,
    "spent": lambda row: (row.line.month.spent_nano, row.name),
    "month": lambda row: (_expected(row.line.month), row.name),
    "year": lambda row: (_expected(row.line.year), row.name),
    "runs_out": lambda row: (not row.line.over, str(row.line.runs_out_on or "9"), row.name),
}


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(FORECAST)
    def forecast(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _page(request, visitor, parts)

    return routes


def _page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    language = language_for(request, visitor)
    rollups.bring_up_to_date(parts.database, most_batches=BATCHES_BEFORE_A_PAGE)
    only = visitor.only_department(Permission.REPORTS_VIEW)
    report = OutlookReport(parts.database, parts.now(), only)
    names = unit_names(parts.database)
    query = SPEC.read(request.query_params)
    rows = [Line(names.get(one.department_id, one.department_id), one) for one in report.departments()]

    def source(asked: ListQuery) -> tuple[Sequence[Line], int]:
        return lists.cut(rows, asked, _KEYS)

    if lists.wants_csv(request.query_params):
        return lists.export(EXPORTED, query, source, language, billing_day(parts.now()))
    points = _points(report)
    whole = report.institution()
    odd = _odd(report, names)
    return render(
        request,
        visitor,
        "finance/forecast.html",
        today=report.today,
        whole=whole,
        points=points,
        chart=_chart(points, language) if whole.month.forecast else None,
        odd=odd[:MOST_UNUSUAL],
        odd_left_out=max(0, len(odd) - MOST_UNUSUAL),
        kinds=KINDS,
        over=sum(row.line.over for row in rows),
        running_out=sum(row.line.runs_out_on is not None for row in rows),
        list=lists.view(SPEC, query, FORECAST, source),
        everywhere=only is None,
    )


def _odd(report: OutlookReport, names: Mapping[str, str]) -> list[Odd]:
    departments, keys = report.unusual_departments(), report.unusual_keys()
    labels = report.key_names(keys)
    return [
        *(Odd("department", names.get(one.subject, one.subject), one) for one in departments),
        *(Odd("key", labels.get(one.subject, ""), one) for one in keys),
    ]


def _points(report: OutlookReport) -> list[Point]:
    """Return the month day by day: sums of what was spent, and from today on of what is expected."""
    first, end = report.month
    daily, points, spent = report.whole, [], 0
    for number in range((end - first).days):
        day = first + timedelta(days=number)
        spent += daily.get(day, 0)
        past = day <= report.today
        ahead = None
        if day >= report.today:
            ahead = outlook(daily, (first, day + timedelta(days=1)), report.today, is_working_day).forecast
        points.append(Point(day, spent if past else None, ahead))
    return points


def _chart(points: Sequence[Point], language: Language) -> Markup:
    say = translations(language).gettext
    ahead = [point.expected for point in points]
    series = [
        Series(say(N_("쓴 금액")), tuple(point.spent for point in points)),
        Series(say(N_("예상")), tuple(None if one is None else one.expected for one in ahead)),
        Series(say(N_("위 끝")), tuple(None if one is None else one.high for one in ahead)),
        Series(say(N_("아래 끝")), tuple(None if one is None else one.low for one in ahead)),
    ]
    labels = [f"{point.day:%m-%d}" for point in points]
    title = say(N_("이번 달 누적 비용과 예상"))
    return lines(title, labels, series, lambda nano: short_won(nano, language), unit=NANO)


def _expected(found: Outlook) -> int:
    return found.spent_nano if found.forecast is None else found.forecast.expected


def _range(found: Outlook) -> str:
    forecast = found.forecast
    if forecast is None or forecast.low is None or forecast.high is None:
        return ""
    return f"{won(forecast.low):f}~{won(forecast.high):f}"


def _end_of_budget(line: OutlookLine) -> str:
    if line.over:
        return "used up"
    return line.runs_out_on.isoformat() if line.runs_out_on else ""
