"""보내기 전 확인: what the filter would do with a text, and the masked version to send instead.

Nothing is stored, sent or charged, and what is written here is on no other page: it comes back once, in the
answer to the form. Programs ask `POST /v1/filter/preview`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from filters.decision import decide
from filters.errors import FilterRefusal
from filters.explain import explanation
from filters.policy import EXTERNAL
from gateway.console import areas
from gateway.console.admin.forms import Posted
from gateway.console.pages import render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.review.shared import words_for
from gateway.console.session import Needs, Visitor
from gateway.incidents.exceptions import in_policy
from gateway.keyring import Purpose
from gateway.permissions import Permission
from gateway.refusals import unfinished
from gateway.store.incident_exceptions import approved

if TYPE_CHECKING:
    from starlette.responses import Response

    from filters.verdict import Verdict
    from gateway.errors import GatewayError

Owner = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_OWN))]

CHECK: Final = "/console/check"
MOST_CHARS: Final = 100_000


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(CHECK)
    def empty(request: Request, visitor: Owner) -> Response:
        return _page(request, visitor, None, "")

    @routes.post(CHECK)
    def check(request: Request, visitor: Owner, parts: Parts, posted: Posted) -> Response:
        return _check(request, visitor, parts, posted.get("text", "").replace("\r\n", "\n"))

    return routes


def _check(request: Request, visitor: Visitor, parts: ConsoleParts, text: str) -> Response:
    if not text.strip() or len(text) > MOST_CHARS:
        return _page(request, visitor, parts, text[:MOST_CHARS], wrong=True)
    try:
        verdict = verdict_on(parts, text, visitor.unit_path)
    except FilterRefusal as failure:
        return _page(request, visitor, parts, text, refused=unfinished(failure))
    return _page(request, visitor, parts, text, verdict=verdict)


def verdict_on(parts: ConsoleParts, text: str, unit_path: tuple[str, ...]) -> Verdict:
    """Judge a text as if these units sent it to a model outside. Raises FilterRefusal."""
    key = parts.keyring.current(Purpose.FINDING_HASH)
    excepted = in_policy(approved(parts.database), parts.keyring.all(Purpose.FINDING_HASH))
    policy = parts.config.policies.with_exceptions(excepted).for_(unit_path, EXTERNAL, parts.now())
    return decide(parts.inspector.detect(text), policy, key.key)


def _page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts | None,
    text: str,
    *,
    verdict: Verdict | None = None,
    refused: GatewayError | None = None,
    wrong: bool = False,
) -> Response:
    return render(
        request,
        visitor,
        "review/check.html",
        status=400 if wrong or refused else 200,
        text=text,
        verdict=verdict,
        found=explanation(verdict) if verdict else (),
        words=words_for(request, visitor, parts) if parts else None,
        refused=refused,
        wrong=wrong,
        most=MOST_CHARS,
    )
