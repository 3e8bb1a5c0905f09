"""내 차단 기록: what a member of staff had stopped, why and where, and a way to say that the filter errs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from billing.periods import billing_day
from filters.kinds import UNREAD_KINDS, kind_text
from gateway.accounts import shown_text
from gateway.console import areas, lists
from gateway.console.admin.forms import Posted
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListQuery, ListSpec
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.review.shared import REFUSED, desk_of, status_of, words_for
from gateway.console.session import Needs, Visitor
from gateway.errors import Forbidden
from gateway.incidents.records import Incident
from gateway.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from gateway.console.i18n import Language
    from gateway.errors import GatewayError
    from gateway.incidents.records import FoundValue

Owner = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_OWN))]

OWN: Final = "/console/incidents"
NOTE_MOST: Final = 1_000

SPEC: Final[ListSpec[Incident]] = ListSpec(
    name="my-incidents",
    columns=(
        Column("id", N_("요청 번호"), lambda row: row.id),
        Column("at", N_("때"), lambda row: row.at),
        Column("type", N_("무엇을"), lambda row: " ".join(f"{t}:{n}" for t, n in row.counts.items())),
        Column("action", N_("처리"), lambda row: row.action),
        Column("model", N_("대상 모델"), lambda row: row.model_id),
        Column(
            "state", N_("신고와 판정"), lambda row: row.resolution or ("reported" if row.reported_at else "")
        ),
    ),
    sort="at",
    descending=True,
)


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(OWN)
    def own(request: Request, visitor: Owner, parts: Parts) -> Response:
        return _list(request, visitor, parts)

    @routes.get(OWN + "/{incident_id}")
    def one(request: Request, incident_id: str, visitor: Owner, parts: Parts) -> Response:
        return _page(request, visitor, parts, incident_id)

    @routes.post(OWN + "/{incident_id}/report")
    def report(request: Request, incident_id: str, visitor: Owner, parts: Parts, posted: Posted) -> Response:
        return _report(request, visitor, parts, incident_id, posted)

    return routes


def _list(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    desk, person, query = desk_of(parts), person_of(visitor), SPEC.read(request.query_params)

    def source(asked: ListQuery) -> tuple[Sequence[Incident], int]:
        return desk.own(person, limit=asked.size, offset=asked.offset), desk.count_own(person)

    if lists.wants_csv(request.query_params):
        language, day = language_for(request, visitor), billing_day(parts.now())
        return lists.export(SPEC, query, source, language, day)
    return render(
        request,
        visitor,
        "review/own.html",
        list=lists.view(SPEC, query, OWN, source),
        words=words_for(request, visitor, parts),
    )


def _page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    incident_id: str,
    refused: GatewayError | None = None,
    note: str = "",
) -> Response:
    incident, found = desk_of(parts).own_detail(incident_id, person_of(visitor))
    return render(
        request,
        visitor,
        "review/own_incident.html",
        status=status_of(refused),
        incident=incident,
        found=found,
        maskable=any(one.type not in UNREAD_KINDS for one in found),
        fixes=_fixes(found, language_for(request, visitor)),
        words=words_for(request, visitor, parts),
        refused=refused,
        note=note,
    )


def _fixes(found: Sequence[FoundValue], language: Language) -> list[tuple[str, str]]:
    """Return each type that was found with what its sender can do about it, once."""
    texts = [kind_text(type_) for type_ in dict.fromkeys(one.type for one in found)]
    return [(text.ko, text.fix_ko) if language == "ko" else (text.en, text.fix_en) for text in texts]


def _report(
    request: Request, visitor: Visitor, parts: ConsoleParts, incident_id: str, posted: Mapping[str, str]
) -> Response:
    """오탐 신고: put it before the reviewers, with what its sender has to say."""
    note = shown_text(posted.get("note", ""), NOTE_MOST)
    try:
        desk_of(parts).report(incident_id, person_of(visitor), visitor.actor, parts.now(), note)
    except REFUSED as refused:
        return _page(request, visitor, parts, incident_id, refused, note)
    return done(f"{OWN}/{incident_id}", "incident-reported")


def person_of(visitor: Visitor) -> str:
    """Return the employee number of the visitor. Raises Forbidden for an account without a person."""
    if visitor.person_id is None:
        raise Forbidden(
            "이 계정은 직원과 연결되어 있지 않아 보낸 요청이 없습니다.",
            "This account is not a member of staff, so it has sent nothing.",
            code="no_person",
        )
    return visitor.person_id
