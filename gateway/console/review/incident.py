"""One incident: its text with findings masked in place, what is known of it, verdicts, looks at values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from filters.kinds import UNREAD_KINDS
from gateway.accounts import shown_text
from gateway.console import areas
from gateway.console.admin.forms import REASON_MOST, Posted, reason_of
from gateway.console.finance.shared import pseudonym
from gateway.console.i18n import N_, translations
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.review.queue import colleagues, problems_of, take
from gateway.console.review.shared import (
    INCIDENTS,
    KEYS,
    REFUSED,
    Viewer,
    Worker,
    desk_of,
    reviewer_of,
    seen_of,
    status_of,
    words_for,
)
from gateway.console.review.text import runs
from gateway.console.review.words import VERDICTS, Words, kind_name
from gateway.console.session import Needs, Visitor
from gateway.errors import InvalidRequest
from gateway.incidents.records import Piece
from gateway.permissions import Permission
from gateway.store.organisation import person_names, unit_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from gateway.console.review.text import Run
    from gateway.incidents.records import Detail, Incident, RevealWhat, Similar

Revealer = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_REVEAL))]

WHY_NO_TEXT: Final = {
    "none": N_("정책이 원문을 저장하지 않도록 되어 있습니다. 유형과 자리로 판정하세요."),
    "destroyed": N_("보관 기간이 지나 열쇠를 없앴습니다. 원문은 다시 볼 수 없습니다."),
}
DEEDS: Final[Mapping[str, str]] = {
    "open": N_("사건이 생김"),
    "assign": N_("담당 정함"),
    "start": N_("검토 시작"),
    "resolve": N_("판정"),
    "reopen": N_("다시 엶"),
    "report": N_("오탐 신고"),
    "view": N_("열어 봄"),
    "reveal": N_("값을 봄"),
    "reveal.ask": N_("원문 보기를 요청"),
    "reveal.refuse": N_("원문 보기를 거절"),
    "exception.propose": N_("예외 제안"),
    "exception.approve": N_("예외 승인"),
    "exception.refuse": N_("예외 거절"),
    "exception.revoke": N_("예외 거둠"),
}


_FIELDS: Final = dict.fromkeys(("what", "reveal-reason", "verdict-note", "person-reason", "step"), "")


@dataclass(frozen=True, slots=True)
class Shown:
    """One part of the text, ready for the page."""

    path: str
    role: str
    runs: list[Run]

    @property
    def found(self) -> bool:
        """Whether anything was found in it: a part without findings is folded away."""
        return any(run.span >= 0 for run in self.runs)


@dataclass(frozen=True, slots=True)
class Alike:
    incident: Incident
    because: tuple[str, ...]
    """Korean, marked for the catalogue."""


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(INCIDENTS + "/{incident_id}")
    def incident(request: Request, incident_id: str, visitor: Viewer, parts: Parts) -> Response:
        return _page(request, visitor, parts, incident_id)

    @routes.post(INCIDENTS + "/{incident_id}/step")
    def step(request: Request, incident_id: str, visitor: Worker, parts: Parts, posted: Posted) -> Response:
        return _step(request, visitor, parts, incident_id, posted)

    @routes.post(INCIDENTS + "/{incident_id}/reveal")
    def reveal(
        request: Request, incident_id: str, visitor: Revealer, parts: Parts, posted: Posted
    ) -> Response:
        return _reveal(request, visitor, parts, incident_id, posted)

    @routes.post(INCIDENTS + "/{incident_id}/reveals/{reveal_id}")
    def decide(
        request: Request, incident_id: str, reveal_id: str, visitor: Revealer, parts: Parts, posted: Posted
    ) -> Response:
        return _decide(request, visitor, parts, (incident_id, reveal_id), posted)

    return routes


# --- the page -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was not done, and how the form comes back."""

    korean: str
    english: str
    status: int = 409
    values: Mapping[str, str] | None = None


def _page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    incident_id: str,
    problem: Problem | None = None,
) -> Response:
    desk, now = desk_of(parts), parts.now()
    detail = desk.detail(incident_id, reviewer_of(visitor, parts), now)
    incident = detail.incident
    words = words_for(request, visitor, parts)
    shown = [Shown(part.path, part.role, runs(part.pieces)) for part in detail.text.parts]
    mine = [one for one in detail.reveals if one.asked_by == visitor.account.login and one.is_open(now)]
    return render(
        request,
        visitor,
        "review/incident.html",
        status=problem.status if problem else 200,
        words=words,
        detail=detail,
        incident=incident,
        shown=shown,
        plain=[part for part in shown if not part.found],
        why_not=WHY_NO_TEXT.get(detail.text.state, ""),
        opened=max((one.until for one in mine if one.until), default=None),
        waiting=[one for one in detail.reveals if one.state == "asked"],
        colleagues=colleagues(parts, visitor, language_for(request, visitor)),
        exceptable=any(one.type not in UNREAD_KINDS for one in detail.findings),
        reveal_choices=_reveal_choices(detail, words),
        similar=_alike(desk.similar(incident_id, reviewer_of(visitor, parts), now)),
        verdicts=VERDICTS,
        deeds=DEEDS,
        rules=desk.rules,
        department=unit_names(parts.database).get(incident.department_id, incident.department_id),
        person=_person(parts, detail),
        problem=problem,
        values=_FIELDS | dict((problem.values if problem else None) or {}),
        note=runs([Piece(detail.note)]) if detail.note else (),
        key_rows=KEYS,
    )


def _person(parts: ConsoleParts, detail: Detail) -> str:
    """Return who sent it: a name while this reviewer has opened it, else a pseudonym."""
    person_id = detail.incident.person_id
    if not detail.person_open:
        return pseudonym(parts, person_id)
    return f"{person_names(parts.database, [person_id]).get(person_id, '')} ({person_id})".strip()


def _reveal_choices(detail: Detail, words: Words) -> list[tuple[str, str]]:
    """Return what may be asked to be shown: each finding that is in the text, then everything."""
    say = translations(words.language).gettext
    numbered = {
        piece.span: piece.type
        for part in detail.text.parts
        for piece in part.pieces
        if piece.span is not None and not piece.revealed
    }
    spans = [
        (str(span), f"{span + 1}. {kind_name(type_, words.language)}") for span, type_ in numbered.items()
    ]
    return [*spans, ("all", say(N_("모두")))]


def _alike(found: Similar) -> list[Alike]:
    """Return similar incidents, each once with everything it has in common, the newest first."""
    together: dict[str, tuple[Incident, list[str]]] = {}
    for label, incidents in (
        (N_("같은 값"), found.by_value),
        (N_("같은 사람"), found.by_person),
        (N_("같은 규칙"), found.by_rule),
    ):
        for one in incidents:
            together.setdefault(one.id, (one, []))[1].append(label)
    newest_first = sorted(together.values(), key=lambda pair: pair[0].at, reverse=True)
    return [Alike(incident, tuple(because)) for incident, because in newest_first]


# --- what is done with it -----------------------------------------------------------------------------------


def _step(
    request: Request, visitor: Visitor, parts: ConsoleParts, incident_id: str, posted: Mapping[str, str]
) -> Response:
    seen = seen_of(f"{incident_id}:{posted.get('version', '')}")
    if seen is None:
        raise InvalidRequest(
            "양식이 온전하지 않습니다. 화면을 새로 고치세요.", "The form is incomplete. Reload the page."
        )
    note = shown_text(posted.get("verdict-note") or posted.get("note", ""), REASON_MOST)
    result = take(parts, visitor, posted.get("step", ""), [seen], note)
    problems = problems_of(result)
    if problems:
        found = Problem(problems[0].korean, problems[0].english, values=posted)
        return _page(request, visitor, parts, incident_id, found)
    return done(f"{INCIDENTS}/{incident_id}", "incident-changed")


def _reveal(
    request: Request, visitor: Visitor, parts: ConsoleParts, incident_id: str, posted: Mapping[str, str]
) -> Response:
    asked = posted.get("what", "")
    is_span = asked.isascii() and asked.isdigit() and len(asked) < 9
    what: RevealWhat = "span" if is_span else "person" if asked == "person" else "all"
    reason = reason_of(posted.get("person-reason") or posted.get("reveal-reason", ""))
    span = int(asked) if is_span else None
    try:
        made = desk_of(parts).reveal(
            incident_id, what, span, reviewer_of(visitor, parts), parts.now(), reason
        )
    except REFUSED as refused:
        problem = Problem(refused.korean, refused.english, status_of(refused), posted)
        return _page(request, visitor, parts, incident_id, problem)
    return done(f"{INCIDENTS}/{incident_id}", "reveal-open" if made.state == "open" else "reveal-asked")


def _decide(
    request: Request, visitor: Visitor, parts: ConsoleParts, ids: tuple[str, str], posted: Mapping[str, str]
) -> Response:
    incident_id, reveal_id = ids
    agree = posted.get("decision") == "approve"
    try:
        desk_of(parts).decide_reveal(
            reveal_id, agree, reviewer_of(visitor, parts), parts.now(), reason_of(posted.get("reason", ""))
        )
    except REFUSED as refused:
        problem = Problem(refused.korean, refused.english, status_of(refused))
        return _page(request, visitor, parts, incident_id, problem)
    return done(f"{INCIDENTS}/{incident_id}", "reveal-approved" if agree else "reveal-refused")
