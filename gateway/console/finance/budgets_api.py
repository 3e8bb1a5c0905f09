"""/api/billing/budgets: budgets in force as JSON, set and ended; who sets them on the pages does so here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from billing.budgets import Every, Measure, ScopeKind
from billing.money import won
from billing.store import budget_status
from gateway.console import areas
from gateway.console.admin.forms import reason_of
from gateway.console.finance.budget_settings import Changer, end, mistakes_of, setting_of
from gateway.console.parts import Parts
from gateway.console.session import gone
from gateway.errors import InvalidRequest

if TYPE_CHECKING:
    from billing.store import BudgetStatus

_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "a scope, period or limit that is not taken, or no reason (code invalid_budget)"},
    401: {"description": "nobody is signed in"},
    403: {"description": "the roles do not reach it"},
    404: {"description": "no such budget is in force"},
}


class NewBudget(BaseModel):
    scope: ScopeKind = Field(description="unit, person or key")
    scope_id: str = Field(max_length=64, description="the unit's code, the employee number, the key's id")
    limit: str = Field(max_length=24, description="in the measure's unit; won exact, as decimal text")
    reason: str = Field(max_length=300, description="kept in the access audit")
    measure: Measure = Measure.WON
    every: Every = Every.MONTH
    hard: bool = Field(default=True, description="false: it counts and tells, and refuses nothing")


class BudgetRow(BaseModel):
    id: str
    scope: str
    scope_id: str
    every: str
    period: str
    measure: str
    hard: bool
    limit: str
    spent: str
    held: str = Field(description="by requests under way")
    left: str


class BudgetList(BaseModel):
    data: list[BudgetRow]
    has_more: bool


def router() -> APIRouter:
    routes = areas.api("/api/billing", "billing")

    @routes.get("/budgets", responses=_ERRORS)
    def budgets(
        _visitor: Changer,
        parts: Parts,
        scope: Annotated[ScopeKind | None, Query(description="only of this kind")] = None,
        scope_id: Annotated[str | None, Query(description="only of this unit, person or key")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> BudgetList:
        """List the budgets in force with what is spent, held and left in their running periods."""
        found = [
            status
            for status in budget_status(parts.database, parts.now())
            if scope in {None, status.budget.scope.kind} and scope_id in {None, status.budget.scope.id}
        ]
        page = found[offset : offset + limit]
        return BudgetList(data=[_row(status) for status in page], has_more=len(found) > offset + limit)

    @routes.post("/budgets", status_code=201, responses=_ERRORS)
    def make(visitor: Changer, parts: Parts, asked: NewBudget) -> BudgetRow:
        """Set a budget; it replaces the last of its kind. Send the session's token as `x-csrf-token`."""
        values = {
            "kind": str(asked.scope),
            "id": asked.scope_id,
            "every": str(asked.every),
            "measure": str(asked.measure),
            "amount": asked.limit,
            "hard": "hard" if asked.hard else "soft",
            "reason": reason_of(asked.reason),
        }
        for mistake in mistakes_of(parts, values):
            raise InvalidRequest(mistake.korean, mistake.english, code="invalid_budget")
        budget_id = setting_of(parts, visitor, values)
        (made,) = [one for one in budget_status(parts.database, parts.now()) if one.budget.id == budget_id]
        return _row(made)

    @routes.delete("/budgets/{budget_id}", status_code=204, responses=_ERRORS)
    def remove(
        budget_id: str,
        visitor: Changer,
        parts: Parts,
        reason: Annotated[str, Query(max_length=300, description="kept in the access audit")],
    ) -> None:
        """Take a budget out of force. Send the session's token as `x-csrf-token`."""
        if not reason_of(reason):
            raise InvalidRequest("까닭을 적어 주세요.", "Say why.", code="invalid_budget", param="reason")
        if not end(parts, visitor, budget_id, reason_of(reason)):
            raise gone("시행 중인 예산", "budget in force")

    return routes


def _row(status: BudgetStatus) -> BudgetRow:
    budget = status.budget
    amounts = {"limit": status.limit, "spent": status.spent, "held": status.held, "left": status.left}
    in_won = budget.measure is Measure.WON
    return BudgetRow(
        id=budget.id,
        scope=budget.scope.kind,
        scope_id=budget.scope.id,
        every=budget.every,
        period=status.period,
        measure=budget.measure,
        hard=budget.hard,
        **{name: f"{won(amount):f}" if in_won else str(amount) for name, amount in amounts.items()},
    )
