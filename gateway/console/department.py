"""부서 사용량과 예산: what a department used, its budgets, its people and models.

A manager sees the department they sit in and the units below it, finance sees all. Who saw the use of
named people is written to the access audit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from billing.budgets import ScopeKind
from billing.periods import billing_day
from billing.store import budget_status
from billing.usage_sums import Dimension, Filter
from gateway.audit import AuditEvent
from gateway.console import areas, lists
from gateway.console.budget_lines import budget_lines, lines_of, unit_scopes
from gateway.console.i18n import N_, translations
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.console.spending import (
    Month,
    as_they_are,
    cost_by_day,
    day_chart,
    month_asked,
    month_use,
    months_offered,
    use_list,
    use_source,
)
from gateway.permissions import Permission
from gateway.store.organisation import person_names, unit_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.responses import Response

    from billing.store import BudgetStatus

Viewer = Annotated[Visitor, Depends(Needs(Permission.DEPARTMENT_USAGE, unit="unit"))]

PATH: Final = "/console/department"
BY: Final = {
    "model": (Dimension.MODEL, N_("모델별"), N_("모델")),
    "person": (Dimension.PERSON, N_("직원별"), N_("직원")),
    "day": (Dimension.DAY, N_("날짜별"), N_("날짜")),
}
DEPARTMENTS: Final = N_("부서")


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(PATH)
    def department(request: Request, visitor: Viewer, parts: Parts) -> Response:
        code = request.query_params.get("unit") or visitor.only_department(Permission.DEPARTMENT_USAGE)
        if code is None:
            return _all(request, visitor, parts)
        names = unit_names(parts.database)
        if code not in names:
            raise gone("부서", "department")
        return _one(request, visitor, parts, code, names)

    return routes


# --- all departments, for finance ---------------------------------------------------------------------------


def _all(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    now, language = parts.now(), language_for(request, visitor)
    month = month_asked(request.query_params.get("month"), now)
    spec = use_list(f"departments-{month.name}", DEPARTMENTS, {"month": ""})
    query = spec.read(request.query_params)
    units = unit_names(parts.database)
    names = _known(units)
    source = use_source(parts.database, Dimension.DEPARTMENT, month.within(Filter()), names)
    if lists.wants_csv(request.query_params):
        return lists.export(spec, query, source, language, billing_day(now))
    use = month_use(parts.database, Filter(), month)
    series, days = cost_by_day(use, translations(language).gettext(N_("그 밖의 모델")))
    statuses = [s for s in budget_status(parts.database, now) if s.budget.scope.kind == ScopeKind.UNIT]
    return render(
        request,
        visitor,
        "departments.html",
        use=use,
        months=months_offered(now),
        chart=day_chart(series, days, language),
        series=series,
        days=days,
        budgets=lines_of(_tightest_first(statuses), units),
        list=lists.view(spec, query, PATH, source),
    )


def _tightest_first(statuses: Sequence[BudgetStatus]) -> list[BudgetStatus]:
    return sorted(statuses, key=lambda s: (s.left * 1000 // s.limit if s.limit else -1, s.budget.scope))


# --- one department -----------------------------------------------------------------------------------------


def _one(
    request: Request, visitor: Visitor, parts: ConsoleParts, code: str, units: Mapping[str, str]
) -> Response:
    now, language = parts.now(), language_for(request, visitor)
    month = month_asked(request.query_params.get("month"), now)
    tabs = {name: tab for name, tab in BY.items() if name != "person" or _sees_people(visitor)}
    asked = request.query_params.get("by", "model")
    by = asked if asked in tabs else "model"
    dimension, _tab, label = tabs[by]
    where = Filter(under=(code,))
    spec = use_list(f"department-{code}-{month.name}", label, {"unit": "", "month": "", "by": "model"})
    query = spec.read(request.query_params)
    source = use_source(parts.database, dimension, month.within(where), _names(parts, dimension))
    if by == "person":
        _seen(parts, visitor, code, month, exported=lists.wants_csv(request.query_params))
    if lists.wants_csv(request.query_params):
        return lists.export(spec, query, source, language, billing_day(now))
    use = month_use(parts.database, where, month)
    series, days = cost_by_day(use, translations(language).gettext(N_("그 밖의 모델")))
    place = parts.directory.current().place_of(code, now)
    path = place.path if place else (code,)
    return render(
        request,
        visitor,
        "department.html",
        code=code,
        name=units[code],
        above=[units.get(unit, unit) for unit in path[:-1]],
        use=use,
        months=months_offered(now),
        chart=day_chart(series, days, language),
        series=series,
        days=days,
        budgets=budget_lines(parts.database, unit_scopes([code]), units, now),
        list=lists.view(spec, query, PATH, source),
        by=by,
        tabs=tabs,
        everywhere=visitor.only_department(Permission.DEPARTMENT_USAGE) is None,
    )


def _sees_people(visitor: Visitor) -> bool:
    return visitor.may(Permission.DEPARTMENT_PEOPLE)


def _seen(parts: ConsoleParts, visitor: Visitor, code: str, month: Month, *, exported: bool) -> None:
    """Write down whose use was looked at; it is personal data."""
    action = "department.people.export" if exported else "department.people"
    details = {"month": month.name}
    parts.audit.record(AuditEvent(parts.now(), visitor.actor, action, subject=code, details=details))


def _names(parts: ConsoleParts, dimension: Dimension) -> Callable[[Sequence[str]], Mapping[str, str]]:
    if dimension is Dimension.PERSON:
        return lambda ids: person_names(parts.database, ids)
    return as_they_are


def _known(units: Mapping[str, str]) -> Callable[[Sequence[str]], Mapping[str, str]]:
    return lambda _codes: units
