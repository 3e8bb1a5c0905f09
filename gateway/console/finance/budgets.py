"""예산 집행 현황: every department's budget as finance writes it: 예산현액, 집행액, 잔액, 집행률."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from billing.budgets import Measure, ScopeKind
from billing.money import whole_won
from billing.periods import billing_day
from billing.store import budget_status
from gateway.console import areas, lists
from gateway.console.budget_lines import PERIODS, BudgetLine, lines_of
from gateway.console.formats import percent
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListSpec
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor
from gateway.permissions import Permission
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from gateway.console.lists import ListQuery

Reader = Annotated[Visitor, Depends(Needs(Permission.BUDGETS_VIEW))]

BUDGETS: Final = "/console/finance/budgets"
SPEC: Final[ListSpec[BudgetLine]] = ListSpec(
    name="budgets",
    columns=(
        Column("unit", N_("부서"), lambda row: row.name, sorts=True),
        Column("period", N_("기간"), lambda row: row.period, sorts=True),
        Column("budget", N_("예산현액"), lambda row: whole_won(row.limit), sorts=True, number=True),
        Column("spent", N_("집행액"), lambda row: whole_won(row.used), sorts=True, number=True),
        Column("left", N_("잔액"), lambda row: whole_won(row.left), sorts=True, number=True),
        Column("rate", N_("집행률"), lambda row: percent(row.used, row.limit), sorts=True, number=True),
    ),
    sort="rate",
    descending=True,
    filters={"every": "", "q": ""},
)
KEYS: Final = {
    "unit": lambda row: (row.name, row.period),
    "period": lambda row: (row.period, row.name),
    "budget": lambda row: (row.limit, row.name),
    "spent": lambda row: (row.used, row.name),
    "left": lambda row: (row.left, row.name),
    "rate": lambda row: (row.used * 10**6 // row.limit if row.limit else 10**9, row.name),
}


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(BUDGETS)
    def budgets(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _page(request, visitor, parts)

    return routes


def _page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    now, query = parts.now(), SPEC.read(request.query_params)
    every, wanted = query.filters["every"], query.filters["q"].casefold()
    found = [
        row
        for row in _of_visitor(visitor, parts)
        if (not every or row.every == every) and wanted in row.name.casefold()
    ]

    def source(asked: ListQuery) -> tuple[Sequence[BudgetLine], int]:
        return lists.cut(found, asked, KEYS)

    if lists.wants_csv(request.query_params):
        return lists.export(SPEC, query, source, language_for(request, visitor), billing_day(now))
    return render(
        request,
        visitor,
        "finance/budgets.html",
        list=lists.view(SPEC, query, BUDGETS, source),
        near=sum(row.state == "near" for row in found),
        full=sum(row.state == "full" for row in found),
        periods=PERIODS,
        every=every,
        q=query.filters["q"],
    )


def _of_visitor(visitor: Visitor, parts: ConsoleParts) -> list[BudgetLine]:
    """Return the budgets in won of units: a manager's own department and what is below it, or all."""
    now, only = parts.now(), visitor.only_department(Permission.BUDGETS_VIEW)
    directory = parts.directory.current()
    statuses = [
        one
        for one in budget_status(parts.database, now)
        if one.budget.scope.kind == ScopeKind.UNIT and one.budget.measure is Measure.WON
    ]
    if only is not None:
        places = {one.budget.scope.id: directory.place_of(one.budget.scope.id, now) for one in statuses}
        within = {code for code, place in places.items() if code == only or (place and only in place.path)}
        statuses = [one for one in statuses if one.budget.scope.id in within]
    return lines_of(statuses, unit_names(parts.database))
