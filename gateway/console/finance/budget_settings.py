"""예산 정하기: every budget in force, setting one for a department, person or key, its history, its end."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

from fastapi import APIRouter, Depends, Request

from billing.budgets import Budget, Every, Measure, Scope, ScopeKind
from billing.money import nano, whole_won
from billing.periods import billing_day
from billing.store import budget_status, end_budget, set_budget
from billing.store.transfers import history
from gateway.console import areas, lists
from gateway.console.admin.forms import ID_MOST, NO_REASON, Outcome, Posted, line, reason_of
from gateway.console.budget_lines import KINDS, PERIODS, BudgetLine, lines_of
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListSpec
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.imports import Mistake
from gateway.permissions import Permission
from gateway.store.budget_trail import trail_of
from gateway.store.organisation import unit_names
from gateway.store.register import find_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from starlette.responses import Response

    from billing.store import BudgetStatus
    from gateway.console.lists import ListQuery

Changer = Annotated[Visitor, Depends(Needs(Permission.BUDGETS_CHANGE))]

PATH: Final = "/console/finance/budget-settings"
NEW: Final = "/console/finance/new-budget"
MOST_WON: Final = 9 * 10**9
"""Below it: a limit in nano-won is a 64-bit number."""
MEASURES: Final[Mapping[str, str]] = {
    Measure.WON: N_("원"),
    Measure.TOKENS: N_("토큰"),
    Measure.REQUESTS: N_("요청 수"),
}
ACTIONS: Final[Mapping[str, str]] = {
    "set": N_("정함"),
    "end": N_("끝냄"),
    "give": N_("보냄"),
    "take": N_("받음"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A budget in force, under its id."""

    id: str
    line: BudgetLine


SPEC: Final[ListSpec[Setting]] = ListSpec(
    name="budget-settings",
    columns=(
        Column("name", N_("대상"), lambda row: row.line.name, sorts=True),
        Column("kind", N_("종류"), lambda row: row.line.scope.kind, sorts=True),
        Column("period", N_("기간"), lambda row: row.line.period, sorts=True),
        Column("measure", N_("단위"), lambda row: row.line.measure),
        Column("limit", N_("한도"), lambda row: _number(row.line, row.line.limit), number=True),
        Column("used", N_("쓴 만큼"), lambda row: _number(row.line, row.line.used), number=True),
        Column("left", N_("남은 만큼"), lambda row: _number(row.line, row.line.left), number=True),
        Column("hard", N_("넘으면"), lambda row: "hard" if row.line.hard else "soft"),
    ),
    sort="kind",
    filters={"q": "", "kind": ""},
)
SORTS: Final = {
    "name": lambda row: (row.line.name, row.line.period),
    "kind": lambda row: (row.line.scope.kind, row.line.name, row.line.period),
    "period": lambda row: (row.line.period, row.line.name),
}


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(PATH)
    def settings(request: Request, visitor: Changer, parts: Parts) -> Response:
        return _list_page(request, visitor, parts)

    @routes.get(NEW)
    def new_budget(request: Request, visitor: Changer, kind: str = "unit", scope_id: str = "") -> Response:
        return _form_page(request, visitor, Outcome({"kind": line(kind, 8), "id": line(scope_id, ID_MOST)}))

    @routes.post(NEW)
    def make_budget(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _make(request, visitor, parts, posted)

    @routes.get(PATH + "/{budget_id}")
    def setting(request: Request, budget_id: str, visitor: Changer, parts: Parts) -> Response:
        return _setting_page(request, visitor, parts, _found(parts, budget_id), Outcome({}))

    @routes.post(PATH + "/{budget_id}/end")
    def end_it(request: Request, budget_id: str, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _end(request, visitor, parts, budget_id, reason_of(posted.get("reason", "")))

    return routes


# --- the list --------------------------------------------------------------------------------------------


def _list_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    query = SPEC.read(request.query_params)
    kind, wanted = query.filters["kind"], query.filters["q"].casefold()
    found = [
        row
        for row in _settings(parts, budget_status(parts.database, parts.now()))
        if (not kind or row.line.scope.kind == kind)
        and (wanted in row.line.name.casefold() or wanted in row.line.scope.id.casefold())
    ]

    def source(asked: ListQuery) -> tuple[Sequence[Setting], int]:
        return lists.cut(found, asked, SORTS)

    if lists.wants_csv(request.query_params):
        today = billing_day(parts.now())
        return lists.export(SPEC, query, source, language_for(request, visitor), today)
    shown = lists.view(SPEC, query, PATH, source)
    return render(
        request, visitor, "finance/budget_settings.html", list=shown, kinds=KINDS, measures=MEASURES
    )


def _settings(parts: ConsoleParts, statuses: Sequence[BudgetStatus]) -> list[Setting]:
    names = unit_names(parts.database)
    for status in statuses:
        if status.budget.scope.kind == ScopeKind.KEY:
            key = find_key(parts.database, status.budget.scope.id)
            names[status.budget.scope.id] = key.grant.label if key else status.budget.scope.id
    shown = lines_of(statuses, names)
    return [Setting(status.budget.id, one) for status, one in zip(statuses, shown, strict=True)]


def _number(row: BudgetLine, amount: int) -> int:
    return whole_won(amount) if row.measure is Measure.WON else amount


# --- one budget ------------------------------------------------------------------------------------------


def _found(parts: ConsoleParts, budget_id: str) -> BudgetStatus:
    statuses = budget_status(parts.database, parts.now())
    found = next((status for status in statuses if status.budget.id == budget_id), None)
    if found is None:
        raise gone("시행 중인 예산", "budget in force")
    return found


def _setting_page(
    request: Request, visitor: Visitor, parts: ConsoleParts, status: BudgetStatus, form: Outcome
) -> Response:
    (shown,) = _settings(parts, [status])
    return render(
        request,
        visitor,
        "finance/budget_setting.html",
        status=form.status,
        row=shown,
        changes=history(parts.database, status.budget.scope)[::-1],
        actions=ACTIONS,
        form=form,
    )


def _end(request: Request, visitor: Visitor, parts: ConsoleParts, budget_id: str, reason: str) -> Response:
    if not reason:
        found = _found(parts, budget_id)
        return _setting_page(request, visitor, parts, found, Outcome({}, [NO_REASON]))
    return done(PATH, "budget-ended" if end(parts, visitor, budget_id, reason) else "already-so")


def end(parts: ConsoleParts, visitor: Visitor, budget_id: str, reason: str) -> bool:
    """Take a budget out of force; False if there is none of that id."""
    by, trail = visitor.actor.name, trail_of(visitor.actor)
    return end_budget(parts.database, budget_id, now=parts.now(), by=by, reason=reason, trail=trail)


# --- a new one -------------------------------------------------------------------------------------------


def _form_page(request: Request, visitor: Visitor, form: Outcome) -> Response:
    blank = {"kind": "unit", "id": "", "every": "month", "measure": "won", "amount": "", "hard": "hard"}
    return render(
        request,
        visitor,
        "finance/new_budget.html",
        status=form.status,
        form=Outcome({**blank, "reason": "", **form.values}, form.mistakes),
        kinds=KINDS,
        periods=PERIODS,
        measures=MEASURES,
    )


def _make(request: Request, visitor: Visitor, parts: ConsoleParts, posted: Mapping[str, str]) -> Response:
    values = {
        "kind": line(posted.get("kind", ""), 8),
        "id": line(posted.get("id", ""), ID_MOST),
        "every": line(posted.get("every", ""), 8),
        "measure": line(posted.get("measure", ""), 8),
        "amount": line(posted.get("amount", ""), 24),
        "hard": "soft" if posted.get("hard") == "soft" else "hard",
        "reason": reason_of(posted.get("reason", "")),
    }
    mistakes = list(mistakes_of(parts, values))
    if mistakes:
        return _form_page(request, visitor, Outcome(values, mistakes))
    return done(f"{PATH}/{setting_of(parts, visitor, values)}", "budget-set")


def setting_of(parts: ConsoleParts, visitor: Visitor, values: Mapping[str, str]) -> str:
    """Put a budget in force whose values have no mistakes; return its id."""
    measure, limit = Measure(values["measure"]), _limit(values["amount"], values["measure"])
    assert limit is not None, "it was looked at"
    scope, hard = Scope(values["kind"], values["id"]), values["hard"] == "hard"
    budget = Budget(uuid4().hex, scope, Every(values["every"]), limit, hard, measure)
    by, trail, reason = visitor.actor.name, trail_of(visitor.actor), values["reason"]
    set_budget(parts.database, budget, now=parts.now(), by=by, reason=reason, trail=trail)
    return budget.id


def _limit(text: str, measure: str) -> int | None:
    """Return the limit in the unit of its measure; None for what is none."""
    digits = text.replace(",", "").removesuffix(MEASURES[Measure.WON]).strip()
    if measure != Measure.WON:
        return int(digits) if digits.isascii() and digits.isdecimal() and int(digits) < 2**63 else None
    try:
        amount = Decimal(digits)
    except InvalidOperation:
        return None
    return nano(amount) if amount.is_finite() and 0 <= amount < MOST_WON else None


def mistakes_of(parts: ConsoleParts, values: Mapping[str, str]) -> Iterator[Mistake]:
    if values["kind"] not in KINDS or not _is_known(parts, values["kind"], values["id"]):
        yield Mistake(
            0,
            f"'{values['id']}'은(는) 지금 명부에 없습니다. 부서 코드, 사번 또는 키의 id를 적어 주세요.",
            f"'{values['id']}' is not in the register today. Give a unit's code, a number or a key's id.",
        )
    if values["every"] not in set(Every) or values["measure"] not in set(Measure):
        yield Mistake(0, "목록에 있는 기간과 단위를 고르세요.", "Choose one of the periods and units.")
    elif _limit(values["amount"], values["measure"]) is None:
        most = f"{MOST_WON:,}"
        yield Mistake(
            0,
            f"한도는 0 이상의 수로 적어 주세요. 원으로는 {most}원 미만입니다.",
            f"A limit is a number from 0, in won below {most}.",
        )
    if not values["reason"]:
        yield NO_REASON


def _is_known(parts: ConsoleParts, kind: str, wanted: str) -> bool:
    directory, now = parts.directory.current(), parts.now()
    match kind:
        case ScopeKind.UNIT:
            return directory.place_of(wanted, now) is not None
        case ScopeKind.PERSON:
            return directory.place_of_person(wanted, now) is not None
        case _:
            key = find_key(parts.database, wanted)
            return key is not None and key.revoked_at is None
