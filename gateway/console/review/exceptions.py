"""예외: what may pass although a rule finds it: proposed by one reviewer, approved by another, for a time."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from billing.periods import billing_day, day_start
from filters.kinds import UNREAD_KINDS
from gateway.console import areas, lists
from gateway.console.admin.forms import Posted, day_of, reason_of
from gateway.console.i18n import N_, translations
from gateway.console.lists import Column, ListQuery, ListSpec
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.review.shared import (
    EXCEPTIONS,
    REFUSED,
    Viewer,
    desk_of,
    reviewer_of,
    status_of,
    words_for,
)
from gateway.console.review.words import Words, kind_name
from gateway.console.session import Needs, Visitor
from gateway.errors import InvalidRequest
from gateway.imports import Mistake
from gateway.incidents.records import ExceptionScope, ReviewException
from gateway.permissions import Permission
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from gateway.errors import GatewayError
    from gateway.incidents.records import Detail, FoundValue

Changer = Annotated[Visitor, Depends(Needs(Permission.EXCEPTIONS_CHANGE))]

USUAL_DAYS: Final = 30

STATES: Final[Mapping[str, tuple[str, str]]] = {
    "proposed": (N_("승인 대기"), "warn"),
    "approved": (N_("적용 중"), "good"),
    "refused": (N_("거절됨"), "plain"),
    "revoked": (N_("거둠"), "plain"),
}
ENDED: Final = (N_("기한 지남"), "plain")

SCOPES: Final = (
    ("value", N_("이 값만, 기관 전체에서"), N_("같은 값이 다시 나오면 통과합니다. 가장 좁고 안전합니다.")),
    ("value_department", N_("이 값만, 이 부서에서"), ""),
    (
        "rule_department",
        N_("이 규칙이 찾은 것, 이 부서에서"),
        N_("이 부서에서는 이 규칙이 찾는 값이 모두 통과합니다."),
    ),
    (
        "rule",
        N_("이 규칙이 찾은 것, 기관 전체에서"),
        N_("가장 넓습니다. 규칙을 고치는 것이 낫지 않은지 먼저 살피세요."),
    ),
)

SPEC: Final[ListSpec[ReviewException]] = ListSpec(
    name="review-exceptions",
    columns=(
        Column("type", N_("유형"), lambda row: row.scope.type),
        Column("scope", N_("범위"), lambda row: scope_text(row.scope)),
        Column("reason", N_("까닭"), lambda row: row.reason),
        Column("proposed", N_("제안"), lambda row: f"{row.proposed_by} {row.proposed_at:%Y-%m-%d}"),
        Column("state", N_("상태"), lambda row: row.state),
        Column("until", N_("끝나는 때"), lambda row: row.until),
    ),
    sort="proposed",
    descending=True,
    filters={"state": ""},
)


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(EXCEPTIONS)
    def exceptions(request: Request, visitor: Viewer, parts: Parts) -> Response:
        return _list(request, visitor, parts)

    @routes.get(EXCEPTIONS + "/new")
    def form(request: Request, visitor: Changer, parts: Parts, incident: str = "") -> Response:
        return _form(request, visitor, parts, incident)

    @routes.post(EXCEPTIONS)
    def propose(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _propose(request, visitor, parts, posted)

    @routes.get(EXCEPTIONS + "/{exception_id}")
    def exception(request: Request, exception_id: str, visitor: Viewer, parts: Parts) -> Response:
        return _page(request, visitor, parts, exception_id)

    @routes.post(EXCEPTIONS + "/{exception_id}")
    def decide(
        request: Request, exception_id: str, visitor: Changer, parts: Parts, posted: Posted
    ) -> Response:
        return _decide(request, visitor, parts, exception_id, posted)

    return routes


# --- looking ------------------------------------------------------------------------------------------------


def _list(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    desk, query = desk_of(parts), SPEC.read(request.query_params)
    state = query.filters["state"] if query.filters["state"] in STATES else ""

    def source(asked: ListQuery) -> tuple[Sequence[ReviewException], int]:
        rows = desk.exceptions(state=state, limit=asked.size, offset=asked.offset)
        return rows, desk.count_exceptions(state=state)

    language = language_for(request, visitor)
    if lists.wants_csv(request.query_params):
        return lists.export(SPEC, query, source, language, billing_day(parts.now()))
    say = translations(language).gettext
    return render(
        request,
        visitor,
        "review/exceptions.html",
        list=lists.view(SPEC, query, EXCEPTIONS, source),
        words=words_for(request, visitor, parts),
        names=unit_names(parts.database),
        choices=[("", say(N_("모두"))), *((word, say(label)) for word, (label, _) in STATES.items())],
        state_of=lambda one: state_of(one, parts.now()),
    )


def state_of(exception: ReviewException, now: datetime) -> tuple[str, str]:
    """Return the word and tone of where an exception stands; one whose day has come has ended."""
    if exception.state == "approved" and not exception.in_force(now):
        return ENDED
    return STATES[exception.state]


def scope_text(scope: ExceptionScope) -> str:
    """Return what is narrowed, for files: `rule=… department=… value`."""
    said = (
        f"rule={scope.rule}" if scope.rule else "",
        f"department={scope.department_id}" if scope.department_id else "",
        f"value={scope.value_hash[:16]}" if scope.value_hash else "",
    )
    return " ".join(part for part in said if part)


def _page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    exception_id: str,
    refused: GatewayError | None = None,
) -> Response:
    exception = desk_of(parts).exception(exception_id)
    now = parts.now()
    return render(
        request,
        visitor,
        "review/exception.html",
        status=status_of(refused),
        exception=exception,
        words=words_for(request, visitor, parts),
        names=unit_names(parts.database),
        state=state_of(exception, now),
        in_force=exception.in_force(now),
        refused=refused,
    )


# --- proposing ----------------------------------------------------------------------------------------------


def _form(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    incident_id: str,
    values: Mapping[str, str] | None = None,
    mistakes: Sequence[Any] = (),
) -> Response:
    detail = desk_of(parts).detail(incident_id, reviewer_of(visitor, parts), parts.now())
    words = words_for(request, visitor, parts)
    usual = billing_day(parts.now()) + timedelta(days=USUAL_DAYS)
    return render(
        request,
        visitor,
        "review/exception_new.html",
        status=400 if mistakes else 200,
        incident=detail.incident,
        words=words,
        findings=_found_choices(detail, words),
        scopes=SCOPES,
        department=unit_names(parts.database).get(
            detail.incident.department_id, detail.incident.department_id
        ),
        values={"found": "", "scope": "value", "until": usual.isoformat(), "reason": "", **(values or {})},
        mistakes=mistakes,
        most_days=desk_of(parts).rules.exception_days_most,
    )


def _found_choices(detail: Detail, words: Words) -> list[tuple[str, str]]:
    return [
        (str(found.place), f"{kind_name(found.type, words.language)} · {found.rule} · {found.path or '–'}")
        for found in detail.findings
        if found.type not in UNREAD_KINDS
    ]


def _propose(request: Request, visitor: Visitor, parts: ConsoleParts, posted: Mapping[str, str]) -> Response:
    desk, reviewer = desk_of(parts), reviewer_of(visitor, parts)
    incident_id = posted.get("incident", "")
    detail = desk.detail(incident_id, reviewer, parts.now())
    found = next((one for one in detail.findings if str(one.place) == posted.get("found", "")), None)
    last, reason = day_of(posted.get("until", "")), reason_of(posted.get("reason", ""))
    mistakes = _mistakes(found, posted.get("scope", ""), last, reason)
    if mistakes or found is None or last is None:
        return _form(request, visitor, parts, incident_id, posted, mistakes)
    scope = _scope(found, posted["scope"], detail.incident.department_id)
    until = day_start(last + timedelta(days=1))
    try:
        made = desk.propose(scope, until, reviewer, parts.now(), reason, incident_id=incident_id)
    except REFUSED as refused:
        return _form(request, visitor, parts, incident_id, posted, [refused])
    return done(f"{EXCEPTIONS}/{made.id}", "exception-proposed")


def _mistakes(found: FoundValue | None, scope: str, last: date | None, reason: str) -> list[Mistake]:
    wrong = []
    if found is None:
        wrong.append(Mistake(0, "무엇을 통과시킬지 고르세요.", "Choose what may pass."))
    if scope not in {name for name, _, _ in SCOPES}:
        wrong.append(Mistake(0, "범위를 고르세요.", "Choose the scope."))
    if last is None:
        wrong.append(Mistake(0, "마지막 날을 고르세요.", "Choose the last day."))
    if not reason:
        wrong.append(
            Mistake(0, "까닭을 적으세요. 접속 기록에 남습니다.", "Say why. It is kept in the access audit.")
        )
    return wrong


def _scope(found: FoundValue, scope: str, department_id: str) -> ExceptionScope:
    of_value = scope.startswith("value")
    return ExceptionScope(
        type=found.type,
        rule="" if of_value else found.rule,
        department_id=department_id if scope.endswith("department") else "",
        value_hash=found.value_hash if of_value else "",
        finding_key_id=found.finding_key_id if of_value else "",
    )


# --- deciding -----------------------------------------------------------------------------------------------


def _decide(
    request: Request, visitor: Visitor, parts: ConsoleParts, exception_id: str, posted: Mapping[str, str]
) -> Response:
    desk, text = desk_of(parts), posted.get("version", "")
    version = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1
    steps = {"approve": desk.approve, "refuse": desk.refuse, "revoke": desk.revoke}
    step = steps.get(posted.get("decision", ""))
    if step is None:
        raise InvalidRequest("목록에 있는 일을 고르세요.", "Choose one of the offered steps.")
    try:
        step(
            exception_id,
            version,
            reviewer_of(visitor, parts),
            parts.now(),
            reason_of(posted.get("reason", "")),
        )
    except REFUSED as refused:
        return _page(request, visitor, parts, exception_id, refused)
    return done(f"{EXCEPTIONS}/{exception_id}", f"exception-{posted['decision']}")
