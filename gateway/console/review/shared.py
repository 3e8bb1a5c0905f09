"""What the pages of the review share: who looks, in which words, and how a refusal is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends

from gateway.console.i18n import N_
from gateway.console.pages import language_for
from gateway.console.review.words import Words
from gateway.console.session import Needs, Visitor
from gateway.errors import Conflict, Forbidden, InvalidRequest
from gateway.incidents.desk import ReviewDesk
from gateway.incidents.records import Seen
from gateway.incidents.states import Reviewer
from gateway.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

    from gateway.console.parts import ConsoleParts
    from gateway.errors import GatewayError
    from gateway.incidents.states import Refusal

QUEUE: Final = "/console/review"
INCIDENTS: Final = "/console/review/incidents"
EXCEPTIONS: Final = "/console/review/exceptions"

Viewer = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_VIEW))]
Worker = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_REVIEW))]

KEYS: Final = (
    (("j", "k"), N_("다음 · 이전 사건")),
    (("Enter",), N_("사건 열기")),
    (("x",), N_("사건 고르기")),
    (("*",), N_("이 쪽 모두 고르기")),
    (("a",), N_("내가 맡기")),
    (("t", "f", "e", "s"), N_("정탐 · 오탐 · 예외 · 상급 보고")),
    (("r",), N_("값 보기의 까닭으로")),
    (("/",), N_("찾기")),
    (("u",), N_("검토 대기열로")),
    (("Esc",), N_("입력 칸에서 나가기")),
    (("?",), N_("단축키 보기")),
)
"""What static/js/review.js answers to, with what each key does."""

REFUSALS: Final[Mapping[Refusal, tuple[str, str]]] = {
    "own_incident": (
        "내가 보낸 요청의 사건은 내가 처리할 수 없습니다. 다른 심사자에게 맡기세요.",
        "You cannot work on an incident of your own request. Leave it to another reviewer.",
    ),
    "own_department": (
        "내 소속 부서의 사건은 내가 처리할 수 없습니다. 다른 심사자에게 맡기세요.",
        "You cannot work on an incident of your own department. Leave it to another reviewer.",
    ),
    "wrong_state": (
        "지금 상태에서는 할 수 없는 일입니다. 이미 판정했거나 아직 판정하지 않은 사건입니다.",
        "It cannot be done as things stand: there is a verdict already, or none yet.",
    ),
}
MISSING: Final = ("그런 사건이 없습니다.", "There is no such incident.")


REFUSED: Final = (InvalidRequest, Conflict, Forbidden)
"""What the desk answers to somebody who may look, and cannot do this: said on the page they came from."""


def status_of(error: GatewayError | None) -> int:
    match error:
        case None:
            return 200
        case InvalidRequest():
            return 400
        case Forbidden():
            return 403
        case _:
            return 409


def desk_of(parts: ConsoleParts) -> ReviewDesk:
    return ReviewDesk(parts.database, parts.keyring, parts.config.review)


def reviewer_of(visitor: Visitor, parts: ConsoleParts) -> Reviewer:
    line = parts.directory.current().line_of(visitor.person_id, parts.now())
    return Reviewer(visitor.actor, visitor.person_id, visitor.department_id, line)


def words_for(request: Request, visitor: Visitor, parts: ConsoleParts) -> Words:
    return Words(language_for(request, visitor), parts.now())


def seen_of(text: str) -> Seen | None:
    """Return the incident and version that a form field `id:version` names; None for anything else."""
    incident_id, _, version = text.rpartition(":")
    if not incident_id or not (version.isascii() and version.isdigit() and len(version) < 9):
        return None
    return Seen(incident_id, int(version))
