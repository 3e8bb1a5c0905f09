"""/console: what needs me today, one answer for each role that the visitor has.

Each role's part is a list of things to do, the pressing ones first, and where each is done. A role with
nothing to do says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from billing.budgets import ScopeKind
from billing.periods import billing_day, day_start
from billing.prices import NoPrice
from billing.store import budget_status, rollups
from billing.store.usage_queries import totals
from billing.usage_sums import Filter
from gateway.console import areas
from gateway.console.budget_lines import BudgetLine, budget_lines, lines_of, own_scopes, unit_scopes
from gateway.console.i18n import N_
from gateway.console.pages import render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.review.oversight import OVERSIGHT
from gateway.console.review.shared import QUEUE, desk_of
from gateway.console.session import Needs, Visitor
from gateway.console.spending import BATCHES_BEFORE_A_PAGE, Month, month_asked
from gateway.console.staff import state_of
from gateway.permissions import Permission, Role
from gateway.store.audit import AuditFilter, count_audit
from gateway.store.organisation import keys_of, unit_names
from gateway.store.receipts import actions_since
from gateway.store.register import KeyQuery, find_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from starlette.responses import Response

    from billing.usage_sums import UsageSum

Viewer = Annotated[Visitor, Depends(Needs(Permission.START_VIEW))]

MOST_BUDGETS: Final = 5


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that needs the reader. Texts are Korean, marked for the catalogue; `facts` fill them."""

    tone: str
    """bad (now), warn (soon), info."""
    title: str
    text: str
    path: str
    action: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Duty:
    """One role's part of the page. `figures`: (label, value, kind), kind being won or count."""

    role: Role
    todos: tuple[Todo, ...]
    figures: tuple[tuple[str, int, str], ...] = ()
    paths: tuple[tuple[str, str], ...] = ()
    """(label, path): where this role usually goes on."""


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get("/console")
    def start(request: Request, visitor: Viewer, parts: Parts) -> Response:
        rollups.bring_up_to_date(parts.database, most_batches=BATCHES_BEFORE_A_PAGE)
        duties = [_DUTIES[role](parts, visitor) for role in Role if role in visitor.roles]
        today = billing_day(parts.now())
        return render(request, visitor, "start.html", duties=duties, today=today)

    return routes


# --- what each role is asked ------------------------------------------------------------------------


def _staff(parts: ConsoleParts, visitor: Visitor) -> Duty:
    if visitor.person_id is None:
        return Duty(Role.STAFF, ())
    now, person = parts.now(), visitor.person_id
    states = {key.id: (key, state_of(key, now)) for key in keys_of(parts.database, person)}
    usable = [key for key, state in states.values() if state in {"active", "soon"}]
    todos = []
    if not usable:
        todos.append(
            Todo(
                "info",
                N_("아직 쓸 수 있는 키가 없습니다"),
                N_("키를 만들어 쓰던 프로그램에 넣으면 바로 쓸 수 있습니다."),
                "/console/keys",
                N_("키 만들기"),
            )
        )
    soon = sum(state == "soon" for _, state in states.values())
    if soon:
        todos.append(
            Todo(
                "warn",
                N_("곧 만료되는 키 %(count)s개"),
                N_("14일 안에 만료됩니다. 새 키를 만들어 바꿔 넣으세요."),
                "/console/keys",
                N_("키 보기"),
                {"count": soon},
            )
        )
    own = budget_lines(parts.database, own_scopes(person, [key.id for key in usable]), {}, now)
    todos += [_own_budget(line) for line in own if line.state != "calm"]
    units = budget_lines(parts.database, unit_scopes(visitor.unit_path), {}, now)
    if any(line.state == "full" and line.hard for line in units):
        todos.append(
            Todo(
                "bad",
                N_("부서 예산이 바닥났습니다"),
                N_("요청이 거절됩니다. 부서장에게 알리세요."),
                "/console/usage",
                N_("내 사용량"),
            )
        )
    used = _this_month(parts, Filter(persons=(person,)), month_asked(None, now))
    paths = ((N_("내 사용량"), "/console/usage"), (N_("클라이언트 연결"), "/console/connect"))
    return Duty(Role.STAFF, tuple(todos), _money(used), paths)


def _own_budget(line: BudgetLine) -> Todo:
    if line.state == "full":
        return Todo(
            "bad",
            N_("내 한도가 바닥났습니다"),
            N_("기간이 바뀌거나 한도가 늘 때까지 요청이 거절됩니다."),
            "/console/usage",
            N_("예산 보기"),
        )
    return Todo(
        "warn",
        N_("내 한도의 80%%를 넘게 썼습니다"),
        N_("남은 한도를 확인하세요."),
        "/console/usage",
        N_("예산 보기"),
    )


def _manager(parts: ConsoleParts, visitor: Visitor) -> Duty:
    code = visitor.department_id
    if code is None:
        return Duty(Role.MANAGER, ())
    now = parts.now()
    lines = budget_lines(parts.database, unit_scopes([code]), unit_names(parts.database), now)
    used = _this_month(parts, Filter(under=(code,)), month_asked(None, now))
    paths = ((N_("부서 사용량과 예산"), "/console/department"),)
    return Duty(Role.MANAGER, tuple(_budget_todos(lines)), _money(used), paths)


def _finance(parts: ConsoleParts, _visitor: Visitor) -> Duty:
    now = parts.now()
    statuses = [s for s in budget_status(parts.database, now) if s.budget.scope.kind == ScopeKind.UNIT]
    todos = _budget_todos(lines_of(statuses, unit_names(parts.database)))
    unpriced, unverified = _price_gaps(parts, now)
    if unpriced:
        todos.append(
            Todo(
                "bad",
                N_("단가가 없는 배포 %(count)s개"),
                N_("단가나 환율이 없으면 그 모델은 쓸 수 없습니다."),
                "/console/models",
                N_("모델 보기"),
                {"count": unpriced},
            )
        )
    if unverified:
        todos.append(
            Todo(
                "info",
                N_("출처를 확인하지 못한 단가 %(count)s개"),
                N_("공급자의 공시 단가와 맞는지 확인하세요."),
                "/console/models",
                N_("모델 보기"),
                {"count": unverified},
            )
        )
    used = _this_month(parts, Filter(), month_asked(None, now))
    paths = ((N_("부서 사용량과 예산"), "/console/department"), (N_("모델"), "/console/models"))
    return Duty(Role.FINANCE, tuple(todos), _money(used), paths)


def _reviewer(parts: ConsoleParts, visitor: Visitor) -> Duty:
    """A reviewer sees what waits for a verdict or a second person, and no cost."""
    desk, now, login = desk_of(parts), parts.now(), visitor.account.login
    queue = desk.counts(login, now)
    others_reveals = [one for one in desk.waiting_reveals() if one.asked_by != login]
    proposed = [one for one in desk.exceptions(state="proposed") if one.proposed_by != login]
    todos = (
        Todo(
            "bad",
            N_("판정 기한이 지난 사건 %(count)s건"),
            N_("늦은 것부터 판정하거나 담당을 정하세요."),
            "/console/review?only=late&sort=due&order=asc",
            N_("사건 보기"),
            {"count": queue.overdue},
        ),
        Todo(
            "warn",
            N_("직원이 신고한 오탐 %(count)s건"),
            N_("일이 막혀 기다리는 사람이 있습니다."),
            "/console/review?only=reported",
            N_("사건 보기"),
            {"count": queue.reported},
        ),
        Todo(
            "warn",
            N_("원문을 보려는 요청 %(count)s건"),
            N_("다른 심사자의 승인을 기다립니다."),
            f"/console/review/incidents/{others_reveals[0].incident_id}" if others_reveals else QUEUE,
            N_("요청 보기"),
            {"count": len(others_reveals)},
        ),
        Todo(
            "warn",
            N_("승인을 기다리는 예외 %(count)s건"),
            N_("제안한 사람이 아닌 심사자가 승인합니다."),
            "/console/review/exceptions?state=proposed",
            N_("예외 보기"),
            {"count": len(proposed)},
        ),
        Todo(
            "info",
            N_("내가 맡은 사건 %(count)s건"),
            N_("판정을 기다립니다."),
            "/console/review?assignee=me",
            N_("사건 보기"),
            {"count": queue.mine},
        ),
        Todo(
            "info",
            N_("아무도 맡지 않은 사건 %(count)s건"),
            N_("새로 들어왔습니다."),
            "/console/review?assignee=-",
            N_("사건 보기"),
            {"count": queue.unassigned},
        ),
    )
    counts = actions_since(parts.database, day_start(billing_day(now)))
    figures = (
        (N_("오늘 막은 요청"), counts.get("block", 0), "count"),
        (N_("오늘 가린 요청"), counts.get("mask", 0), "count"),
        (N_("기관 안으로 돌린 요청"), counts.get("route", 0), "count"),
        (N_("그대로 보낸 요청"), counts.get("allow", 0), "count"),
    )
    paths = ((N_("검토 대기열"), QUEUE), (N_("감독"), OVERSIGHT), (N_("정책"), "/console/admin/policies"))
    return Duty(Role.REVIEWER, tuple(todo for todo in todos if todo.facts["count"]), figures, paths)


def _administrator(parts: ConsoleParts, _visitor: Visitor) -> Duty:
    now = parts.now()
    models: list[dict[str, Any]] = parts.fleet()["models"]
    down = sum(model["status"] == "unavailable" for model in models)
    shaky = sum(model["status"] == "degraded" for model in models)
    todos = []
    if down:
        todos.append(
            Todo(
                "bad",
                N_("답하지 못하는 모델 %(count)s개"),
                N_("이 서버 프로세스가 본 상태입니다."),
                "/console/admin/deployments",
                N_("모델 보기"),
                {"count": down},
            )
        )
    if shaky:
        todos.append(
            Todo(
                "warn",
                N_("일부 배포가 멈춘 모델 %(count)s개"),
                N_("다른 배포가 대신 답하고 있습니다."),
                "/console/admin/deployments",
                N_("모델 보기"),
                {"count": shaky},
            )
        )
    behind = rollups.rows_behind(parts.database)
    if behind > 2 * rollups.BATCH:
        todos.append(
            Todo(
                "warn",
                N_("집계가 %(count)s건 늦습니다"),
                N_("보고서의 숫자가 원장보다 적을 수 있습니다."),
                "/console/admin/jobs",
                N_("작업 보기"),
                {"count": f"{behind:,}"},
            )
        )
    _, keys = find_keys(parts.database, KeyQuery(now=now, limit=1))
    figures = ((N_("열린 모델"), len(models), "count"), (N_("쓰고 있는 키"), keys, "count"))
    paths = (
        (N_("모델과 배포"), "/console/admin/deployments"),
        (N_("직원 관리"), "/console/admin/people"),
        (N_("키 관리"), "/console/admin/keys"),
    )
    return Duty(Role.ADMINISTRATOR, tuple(todos), figures, paths)


def _auditor(parts: ConsoleParts, _visitor: Visitor) -> Duty:
    since = parts.now() - timedelta(days=1)
    refused = count_audit(parts.database, AuditFilter(since=since, outcome="refused"))
    failed = count_audit(parts.database, AuditFilter(since=since, outcome="failed"))
    figures = (
        (N_("하루 동안의 기록"), count_audit(parts.database, AuditFilter(since=since)), "count"),
        (N_("거절된 접근"), refused, "count"),
        (N_("실패한 시도"), failed, "count"),
    )
    todos: tuple[Todo, ...] = ()
    if refused:
        todos = (
            Todo(
                "info",
                N_("하루 동안 거절된 접근 %(count)s건"),
                N_("권한이 없는 화면을 열거나 잘못된 양식을 보낸 기록입니다."),
                "/console/audit?outcome=refused",
                N_("기록 보기"),
                {"count": refused},
            ),
        )
    return Duty(Role.AUDITOR, todos, figures, ((N_("접속 기록"), "/console/audit"),))


_DUTIES: Final[Mapping[Role, Callable[[ConsoleParts, Visitor], Duty]]] = {
    Role.STAFF: _staff,
    Role.MANAGER: _manager,
    Role.REVIEWER: _reviewer,
    Role.FINANCE: _finance,
    Role.ADMINISTRATOR: _administrator,
    Role.AUDITOR: _auditor,
}


# --- shared -----------------------------------------------------------------------------------------


def _this_month(parts: ConsoleParts, where: Filter, month: Month) -> UsageSum:
    return totals(parts.database, month.within(where))


def _money(used: UsageSum) -> tuple[tuple[str, int, str], ...]:
    return (
        (N_("이번 달 비용"), used.cost_nano_krw, "won"),
        (N_("이번 달 요청"), used.requests, "count"),
        (N_("이번 달 토큰"), used.total_tokens, "short_count"),
    )


def _budget_todos(lines: list[BudgetLine]) -> list[Todo]:
    """Return the budgets that are used up or nearly, the tightest first."""
    pressing = sorted(
        (line for line in lines if line.state != "calm"),
        key=lambda line: (line.state != "full", -line.used * 1000 // max(line.limit, 1)),
    )
    return [
        Todo(
            "bad" if line.state == "full" else "warn",
            N_("%(name)s 예산이 바닥났습니다")
            if line.state == "full"
            else N_("%(name)s 예산의 80%%가 넘게 쓰였습니다"),
            N_("한도까지 쓰이면 요청이 거절됩니다.")
            if line.hard
            else N_("알림만 하는 예산이라 요청은 계속 처리됩니다."),
            f"/console/department?unit={line.scope.id}",
            N_("예산 보기"),
            {"name": line.name},
        )
        for line in pressing[:MOST_BUDGETS]
    ]


def _price_gaps(parts: ConsoleParts, now: datetime) -> tuple[int, int]:
    """Return how many deployments have no price in force, and how many one that nobody verified."""
    missing = unverified = 0
    for model in parts.config.catalogue.models.values():
        for deployment in model.deployments:
            try:
                quote = parts.prices.book.quote(deployment.price_key, now)
            except NoPrice:
                missing += 1
            else:
                unverified += not quote.price.verified
    return missing, unverified
