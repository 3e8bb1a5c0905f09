"""좌석 추천: who should be given a seat and who should not, with next month's interval."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from fastapi import APIRouter, Depends, Request

from billing.money import won
from billing.periods import billing_day
from billing.plans import LEAST_MONTHS, Verdict
from gateway.console import areas, lists
from gateway.console.finance.named import called, sees_names
from gateway.console.finance.savings import SPANS, TERMS, plan_names, report_asked, span_of
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListSpec
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor
from gateway.permissions import Permission
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from billing.plans import Advice
    from gateway.console.lists import ListQuery

Reader = Annotated[Visitor, Depends(Needs(Permission.REPORTS_VIEW))]

PLANS: Final = "/console/finance/plans"
VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.SEAT: N_("좌석 권함"),
    Verdict.WATCH: N_("지켜보기"),
    Verdict.METERED: N_("쓴 만큼이 이득"),
    Verdict.TOO_LITTLE: N_("기록 부족"),
}
TONES: Final = {
    Verdict.SEAT: "good",
    Verdict.WATCH: "warn",
    Verdict.METERED: "plain",
    Verdict.TOO_LITTLE: "info",
}


class Advised(NamedTuple):
    """One person as the list shows them."""

    person: str
    department: str
    advice: Advice


SPEC: Final[ListSpec[Advised]] = ListSpec(
    name="seat-advice",
    columns=(
        Column("person", N_("직원"), lambda row: row.person),
        Column("department", N_("부서"), lambda row: row.department, sorts=True),
        Column("verdict", N_("권고"), lambda row: row.advice.verdict.value, sorts=True),
        Column("plan", N_("요금제"), lambda row: row.advice.offer.plan.name),
        Column("mean", N_("월평균(원)"), lambda row: won(row.advice.mean_nano), sorts=True, number=True),
        Column(
            "forecast", N_("다음 달 예상(원)"), lambda row: won(row.advice.forecast.expected), number=True
        ),
        Column(
            "gain", N_("좌석의 이득(원/월)"), lambda row: won(row.advice.gain_nano), sorts=True, number=True
        ),
    ),
    sort="gain",
    descending=True,
    filters={"months": "", "term": "monthly", "verdict": ""},
    size=25,
)
EXPORTED: Final = replace(
    SPEC,
    columns=(
        *SPEC.columns,
        Column("months", N_("근거(달)"), lambda row: row.advice.months),
        Column("low", N_("아래 끝(원)"), lambda row: _end(row.advice.forecast.low)),
        Column("high", N_("위 끝(원)"), lambda row: _end(row.advice.forecast.high)),
    ),
)
_KEYS: Final = {
    "department": lambda one: (one.department_id, one.person_id),
    "verdict": lambda one: (list(Verdict).index(one.verdict), -one.gain_nano),
    "mean": lambda one: (one.mean_nano, one.person_id),
    "gain": lambda one: (one.gain_nano, one.person_id),
}


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(PLANS)
    def plans(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _page(request, visitor, parts)

    return routes


def _page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    query = SPEC.read(request.query_params)
    report = report_asked(parts, visitor, span_of(query.filters), query.filters["term"])
    counts = Counter(one.verdict for one in report.advice)
    verdict = query.filters["verdict"]
    wanted = [one for one in report.advice if verdict in {"", one.verdict.value}]
    exported = lists.wants_csv(request.query_params)
    units = unit_names(parts.database)

    def source(asked: ListQuery) -> tuple[Sequence[Advised], int]:
        rows, count = lists.cut(wanted, asked, _KEYS)
        names = called(parts, visitor, [one.person_id for one in rows], exported=exported)
        shown = [
            Advised(names[one.person_id], units.get(one.department_id, one.department_id), one)
            for one in rows
        ]
        return shown, count

    if exported:
        return lists.export(EXPORTED, query, source, language_for(request, visitor), billing_day(parts.now()))
    return render(
        request,
        visitor,
        "finance/plans.html",
        report=report,
        plan_names=plan_names(parts.config.plans, language_for(request, visitor)),
        plans=report.comparisons,
        counts={one: counts[one] for one in VERDICTS},
        verdicts=VERDICTS,
        tones=TONES,
        list=lists.view(SPEC, query, PLANS, source),
        spans=SPANS,
        terms=TERMS,
        least=LEAST_MONTHS,
        named=sees_names(visitor),
    )


def _end(nano_krw: int | None) -> object:
    return "" if nano_krw is None else won(nano_krw)
