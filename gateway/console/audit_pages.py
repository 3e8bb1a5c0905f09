"""접속 기록: the auditor's page. Reading and exporting the trail is written to the trail as well."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request
from starlette.responses import Response, StreamingResponse

from billing.periods import billing_day, day_start
from gateway.audit import Deed, details_text
from gateway.console import areas, lists
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListQuery, ListSpec
from gateway.console.pages import render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor
from gateway.permissions import Permission
from gateway.spreadsheets import csv_chunks
from gateway.store.audit import (
    AuditFilter,
    AuditRow,
    audit_actions,
    count_audit,
    export_audit,
    read_audit,
    verify_audit,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATH: Final = "/console/audit"
Viewer = Annotated[Visitor, Depends(Needs(Permission.AUDIT_VIEW))]

SPEC: Final[ListSpec[AuditRow]] = ListSpec(
    name="access-audit",
    columns=(
        Column("seq", N_("번호"), lambda row: row.seq, sorts=True, number=True),
        Column("at", N_("때"), lambda row: row.at),
        Column("actor", N_("누가"), lambda row: row.actor),
        Column("action", N_("무엇을"), lambda row: row.action),
        Column("subject", N_("누구의 것을"), lambda row: row.subject),
        Column("outcome", N_("결과"), lambda row: row.outcome),
        Column("reason", N_("왜"), lambda row: row.reason),
    ),
    sort="seq",
    descending=True,
    filters={"from": "", "to": "", "actor": "", "action": "", "subject": "", "outcome": ""},
)
EXPORTED: Final = (
    *("seq", "at", "actor", "roles", "address", "action", "subject", "reason", "outcome", "details", "mac"),
)
"""Heads of the CSV, the same as those of `haechi audit export`."""

ACTIONS: Final[Mapping[str, str]] = {
    "session.sign_in": N_("로그인"),
    "session.sign_out": N_("로그아웃"),
    "session.sign_out_all": N_("브라우저 로그아웃"),
    "session.renew": N_("세션 갱신"),
    "access.refused": N_("권한 없는 접근"),
    "account.create": N_("계정 만들기"),
    "account.disable": N_("계정 막기"),
    "account.enable": N_("계정 다시 열기"),
    "account.reset": N_("비밀번호 초기화"),
    "account.password": N_("비밀번호 바꾸기"),
    "account.totp_on": N_("2단계 인증 켜기"),
    "account.totp_off": N_("2단계 인증 끄기"),
    "account.export": N_("계정 목록 내보내기"),
    "role.change": N_("이름·역할 바꾸기"),
    "audit.view": N_("접속 기록 보기"),
    "audit.export": N_("접속 기록 내보내기"),
    "audit.verify": N_("접속 기록 확인"),
    "audit.prune": N_("지난 접속 기록 정리"),
    "config.change": N_("설정·정책·단가 바뀜"),
    "key.create": N_("키 발급"),
    "key.rename": N_("키 이름 바꾸기"),
    "key.limit": N_("키 한도 바꾸기"),
    "key.revoke": N_("키 폐기"),
    "departments.import": N_("부서 명부 가져오기"),
    "people.import": N_("직원 명부 가져오기"),
    "budget.set": N_("예산 정하기"),
    "budget.end": N_("예산 끝내기"),
    "budget.transfer": N_("예산 옮기기"),
    "ledger.reconcile": N_("공급사 청구서 맞추기"),
    "person.view": N_("직원 정보 보기"),
    "people.list": N_("직원 목록 보기"),
    "people.export": N_("직원 목록 내보내기"),
    "person.create": N_("직원 등록"),
    "person.change": N_("직원 정보 바꾸기"),
    "person.leave": N_("직원 퇴직"),
    "department.create": N_("부서 만들기"),
    "department.change": N_("부서 바꾸기"),
    "department.close": N_("부서 닫기"),
    "department.export": N_("부서 목록 내보내기"),
    "department.people": N_("부서 사용자 보기"),
    "seats.people": N_("좌석 추천의 이름 보기"),
    "seats.people.export": N_("좌석 추천의 이름 내려받기"),
    "key.export": N_("키 목록 내보내기"),
    "key.create_many": N_("키 여러 개 발급"),
    "incident.view": N_("사건 열어 보기"),
    "incident.assign": N_("사건 담당 정하기"),
    "incident.start": N_("사건 검토 시작"),
    "incident.resolve": N_("사건 판정"),
    "incident.reopen": N_("사건 다시 열기"),
    "incident.report": N_("오탐 신고하기"),
    "incident.reveal": N_("가린 값 보기"),
    "incident.reveal_ask": N_("원문 보기 요청"),
    "incident.reveal_refuse": N_("원문 보기 거절"),
    "incident.export": N_("사건 내보내기"),
    "incident.expire": N_("지난 원문의 열쇠 없애기"),
    "exception.propose": N_("예외 제안"),
    "exception.approve": N_("예외 승인"),
    "exception.refuse": N_("예외 거절"),
    "exception.revoke": N_("예외 거둠"),
    "policy.replay": N_("정책 돌려 보기"),
    "evidence.make": N_("감사 자료 만들기"),
}
"""What readers see of an action; one that is not here is shown by its name."""

routes = areas.pages()


@routes.get(PATH)
def audit(request: Request, visitor: Viewer, parts: Parts) -> Response:
    query = SPEC.read(request.query_params)
    wanted = _filter(query)
    if lists.wants_csv(request.query_params):
        return _export(request, visitor, parts, wanted)

    def source(asked: ListQuery) -> tuple[list[AuditRow], int]:
        rows = read_audit(
            parts.database,
            wanted,
            limit=asked.size,
            offset=asked.offset,
            oldest_first=not asked.descending,
        )
        return rows, count_audit(parts.database, wanted)

    if query.page == 1:  # turning pages of one look is one look
        _record(parts, visitor, "audit.view", wanted)
    view = lists.view(SPEC, query, PATH, source)
    actions = audit_actions(parts.database)
    today = billing_day(parts.now()).isoformat()
    return render(
        request,
        visitor,
        "audit.html",
        list=view,
        actions=actions,
        names=ACTIONS,
        today=today,
        details=details_text,
    )


@routes.post(f"{PATH}/verify")
def verify(request: Request, visitor: Viewer, parts: Parts) -> Response:
    """Check the chain from end to end and show what was found."""
    verdict = verify_audit(parts.database, parts.keyring)
    _record(parts, visitor, "audit.verify", AuditFilter())
    return render(request, visitor, "audit_verdict.html", verdict=verdict)


def _export(request: Request, visitor: Visitor, parts: ConsoleParts, wanted: AuditFilter) -> Response:
    Needs(Permission.AUDIT_EXPORT).check(visitor, request, parts)
    _record(parts, visitor, "audit.export", wanted)
    day = billing_day(parts.now())
    return StreamingResponse(
        csv_chunks(EXPORTED, _cells(export_audit(parts.database, wanted))),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="access-audit-{day:%Y%m%d}.csv"'},
    )


def _cells(rows: Iterator[AuditRow]) -> Iterator[tuple[object, ...]]:
    for row in rows:
        flat = {"at": row.at.isoformat(), "roles": " ".join(row.roles), "details": details_text(row.details)}
        yield tuple(flat.get(name) or getattr(row, name) for name in EXPORTED)


def _filter(query: ListQuery) -> AuditFilter:
    first, last = _day(query.filter("from")), _day(query.filter("to"))
    return AuditFilter(
        since=None if first is None else day_start(first),
        until=None if last is None else day_start(last + timedelta(days=1)),
        actor=query.filter("actor") or "",
        action=query.filter("action") or "",
        subject=query.filter("subject") or "",
        outcome=query.filter("outcome") or "",
    )


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2999 else None


def _record(parts: ConsoleParts, visitor: Visitor, action: str, wanted: AuditFilter) -> None:
    asked = {name: str(value) for name, value in asdict(wanted).items() if value}
    parts.audit.record(Deed(parts.now(), visitor.actor).event(action, wanted.subject, **asked))
