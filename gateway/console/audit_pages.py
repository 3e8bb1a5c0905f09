"""접속 기록: the auditor's page. Reading and exporting the trail is written to the trail as well."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from billing.periods import billing_day, day_start
from gateway.audit import Deed, details_text
from gateway.console import lists
from gateway.console.i18n import N_, translations
from gateway.console.lists import Column, ListQuery, ListSpec
from gateway.console.pages import language_for, render
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
    from collections.abc import Iterator

PATH: Final = "/console/audit"
Viewer = Annotated[Visitor, Depends(Needs(Permission.AUDIT_VIEW))]

SPEC: Final[ListSpec[AuditRow]] = ListSpec(
    name="access-audit",
    columns=(
        Column("seq", N_("번호"), lambda row: row.seq, sorts=True, number=True),
        Column("at", N_("때"), lambda row: row.at),
        Column("actor", N_("누가"), lambda row: row.actor),
        Column("roles", N_("역할"), lambda row: " ".join(row.roles)),
        Column("address", N_("어디서"), lambda row: row.address),
        Column("action", N_("무엇을"), lambda row: row.action),
        Column("subject", N_("누구의 것을"), lambda row: row.subject),
        Column("reason", N_("왜"), lambda row: row.reason),
        Column("outcome", N_("결과"), lambda row: row.outcome),
        Column("details", N_("자세히"), lambda row: details_text(row.details)),
    ),
    sort="seq",
    descending=True,
    filters={"from": "", "to": "", "actor": "", "action": "", "subject": "", "outcome": ""},
)

routes = APIRouter(include_in_schema=False)


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
        request, visitor, "audit.html", list=view, actions=actions, today=today, details=details_text
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
    translate = translations(language_for(request, visitor)).gettext
    header = [*(translate(column.label) for column in SPEC.columns), "MAC"]
    day = billing_day(parts.now())
    return StreamingResponse(
        csv_chunks(header, _cells(export_audit(parts.database, wanted))),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="access-audit-{day:%Y%m%d}.csv"'},
    )


def _cells(rows: Iterator[AuditRow]) -> Iterator[list[object]]:
    for row in rows:
        values = [column.value(row) for column in SPEC.columns]
        yield [row.at.isoformat() if value is row.at else value for value in values] + [row.mac]


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
