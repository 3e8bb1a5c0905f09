"""Budgets as pages show them: whose, for which period, how much of it is used and left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from billing.budgets import Every, Measure, Scope, ScopeKind
from billing.money import NANO, whole_won
from billing.store.budget_admin import budgets_over
from gateway.console.i18n import N_

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from billing.store import BudgetStatus
    from gateway.store.database import Database

PERIODS: Final[Mapping[Every, str]] = {
    Every.MONTH: N_("월"),
    Every.QUARTER: N_("분기"),
    Every.YEAR: N_("연"),
    Every.ONCE: N_("소진 시까지"),
}
KINDS: Final[Mapping[str, str]] = {
    ScopeKind.KEY: N_("키"),
    ScopeKind.PERSON: N_("개인"),
    ScopeKind.UNIT: N_("부서"),
}
NEAR_PERMILLE: Final = 800
"""From here on a budget is spoken of."""

State = Literal["calm", "near", "full"]


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A budget in its running period. Amounts are in the unit of its measure: nano-won, tokens, requests."""

    scope: Scope
    name: str
    """Of the unit, person or key."""
    every: Every
    measure: Measure
    period: str
    hard: bool
    limit: int
    spent: int
    held: int

    @property
    def used(self) -> int:
        """What is spent or promised to requests under way."""
        return self.spent + self.held

    @property
    def left(self) -> int:
        """What is left; in won, limit less used as both are shown, so that a reader can add them up."""
        if self.measure is Measure.WON:
            return (whole_won(self.limit) - whole_won(self.used)) * NANO
        return self.limit - self.used

    @property
    def state(self) -> State:
        if self.used >= self.limit:
            return "full"
        return "near" if self.used * 1000 >= self.limit * NEAR_PERMILLE else "calm"

    @property
    def kind(self) -> str:
        """Korean, marked for the catalogue."""
        return KINDS[self.scope.kind]

    @property
    def period_label(self) -> str:
        """Korean, marked for the catalogue."""
        return PERIODS[self.every]


def budget_lines(
    database: Database, scopes: Collection[Scope], names: Mapping[str, str], now: datetime
) -> list[BudgetLine]:
    """Return the budgets of `scopes` that are in force; `names` maps their ids to names."""
    return lines_of(budgets_over(database, scopes, now), names)


def lines_of(statuses: Iterable[BudgetStatus], names: Mapping[str, str]) -> list[BudgetLine]:
    return [
        BudgetLine(
            scope=status.budget.scope,
            name=names.get(status.budget.scope.id, status.budget.scope.id),
            every=status.budget.every,
            measure=status.budget.measure,
            period=status.period,
            hard=status.budget.hard,
            limit=status.limit,
            spent=status.spent,
            held=status.held,
        )
        for status in statuses
    ]


def unit_scopes(codes: Iterable[str]) -> set[Scope]:
    return {Scope(ScopeKind.UNIT, code) for code in codes}


def own_scopes(person_id: str, key_ids: Iterable[str]) -> set[Scope]:
    return {Scope(ScopeKind.PERSON, person_id), *(Scope(ScopeKind.KEY, key_id) for key_id in key_ids)}
