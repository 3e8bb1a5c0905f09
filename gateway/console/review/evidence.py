"""감사 자료: the evidence pack of a period as one signed ZIP, and a check of one that somebody holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, File, Request, UploadFile
from starlette.responses import Response

from billing.periods import billing_day
from gateway.console import areas
from gateway.console.admin.forms import Posted
from gateway.console.i18n import N_
from gateway.console.pages import render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.review.oversight import period_asked
from gateway.console.session import Needs, Visitor
from gateway.incidents.evidence import Evidence
from gateway.incidents.evidence_pack import check, signing_key
from gateway.keyring import Purpose
from gateway.permissions import Permission

if TYPE_CHECKING:
    from gateway.incidents.evidence_pack import Checked

Maker = Annotated[Visitor, Depends(Needs(Permission.EVIDENCE_MAKE))]

EVIDENCE: Final = "/console/review/evidence"

FILES: Final = (
    ("policies.json", N_("기간에 적용된 정책")),
    ("rules.json", N_("규칙의 판과 건수, 판정으로 본 정밀도")),
    ("counts.json", N_("요청·차단·가림·사건·판정의 수, 다 검사했는지")),
    ("incidents.csv", N_("사건마다 때·심각도·유형·판정. 사람과 값은 없습니다.")),
    ("exceptions.json", N_("예외의 범위와 기한")),
    ("access-log.csv", N_("누가(번호로) 언제 무엇을 보고 바꿨는지")),
    ("access-log.json", N_("접속 기록의 사슬을 확인한 결과")),
    ("ledger.json", N_("원장을 확인한 결과와 봉인")),
    ("manifest.json", N_("모든 파일의 SHA-256과 전자서명")),
)


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(EVIDENCE)
    def evidence(request: Request, visitor: Maker, parts: Parts) -> Response:
        return _page(request, visitor, parts)

    @routes.post(EVIDENCE)
    def make(visitor: Maker, parts: Parts, posted: Posted) -> Response:
        return _pack(visitor, parts, posted)

    @routes.post(EVIDENCE + "/check")
    def check_pack(
        request: Request, visitor: Maker, parts: Parts, pack: Annotated[UploadFile | None, File()] = None
    ) -> Response:
        data = b"" if pack is None else pack.file.read()
        return _page(request, visitor, parts, check(data, _public_key(parts)))

    return routes


def _page(
    request: Request, visitor: Visitor, parts: ConsoleParts, checked: Checked | None = None
) -> Response:
    today = billing_day(parts.now())
    return render(
        request,
        visitor,
        "review/evidence.html",
        period=period_asked(request.query_params, today),
        files=FILES,
        public_key=_public_key(parts),
        checked=checked,
        today=today.isoformat(),
    )


def _pack(visitor: Visitor, parts: ConsoleParts, posted: Posted) -> Response:
    now = parts.now()
    period = period_asked(posted, billing_day(now))
    data = Evidence(parts.database, parts.keyring, parts.config).build(period, now, visitor.actor)
    name = f"haechi-evidence-{period.first:%Y%m%d}-{period.last:%Y%m%d}.zip"
    return Response(
        data,
        media_type="application/zip",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


def _public_key(parts: ConsoleParts) -> str:
    """Return the key that packs of this institution are signed under, as the institution publishes it."""
    key = signing_key(parts.keyring.current(Purpose.EVIDENCE).key)
    return key.public_key().public_bytes_raw().hex()
