"""검토 대기열: the queue with its live counts, filters that are kept, and what is done to several at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Form, Request
from starlette.responses import JSONResponse

from billing.periods import billing_day, day_start
from gateway.accounts import shown_text
from gateway.audit import AuditEvent
from gateway.console import areas, lists
from gateway.console.admin.forms import REASON_MOST, Posted
from gateway.console.formats import count
from gateway.console.i18n import N_, translations
from gateway.console.lists import Column, ListQuery, ListSpec
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.review.shared import (
    KEYS,
    MISSING,
    QUEUE,
    REFUSALS,
    Viewer,
    Worker,
    desk_of,
    reviewer_of,
    seen_of,
    words_for,
)
from gateway.console.review.words import ACTIONS, RESOLUTIONS, SEVERITIES, VERDICTS, kinds
from gateway.console.session import Visitor, local_path
from gateway.errors import InvalidRequest
from gateway.incidents.records import NOBODY, BulkResult, Incident, IncidentFilter, Seen
from gateway.incidents.states import SEVERITIES as SEVERITY_OF
from gateway.incidents.states import Resolution, State
from gateway.permissions import Role
from gateway.store.accounts import AccountFilter, list_accounts
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from gateway.console.i18n import Language
    from gateway.incidents.desk import ReviewDesk
    from gateway.incidents.states import Reviewer

MOST_AT_ONCE: Final = 200
VIEW_NAME_MOST: Final = 40
VIEW_QUERY_MOST: Final = 1_000
MOST_REVIEWERS: Final = 100
_ID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]*)*")
"""A request's id, or its beginning; anything else is looked for among the rules."""

SPEC: Final[ListSpec[Incident]] = ListSpec(
    name="incidents",
    columns=(
        Column("id", N_("사건"), lambda row: row.id),
        Column("at", N_("때"), lambda row: row.at, sorts=True),
        Column("severity", N_("심각도"), lambda row: row.severity.word, sorts=True),
        Column("type", N_("유형"), lambda row: " ".join(f"{t}:{n}" for t, n in row.counts.items())),
        Column("action", N_("처리"), lambda row: row.action),
        Column("department", N_("부서"), lambda row: row.department_id, sorts=True),
        Column("state", N_("상태"), lambda row: row.resolution or row.state),
        Column("assignee", N_("담당"), lambda row: row.assignee),
        Column("due", N_("기한"), lambda row: row.due_at, sorts=True),
    ),
    sort="at",
    descending=True,
    filters={
        "state": "open",
        "severity": "",
        "type": "",
        "department": "",
        "assignee": "",
        "action": "",
        "only": "",
        "from": "",
        "to": "",
        "q": "",
    },
)

BOARDS: Final = (
    ("open", N_("할 일"), "", ""),
    ("new", N_("새 사건"), "?state=new", ""),
    ("mine", N_("내 것"), "?assignee=me", ""),
    ("unassigned", N_("담당 없음"), f"?assignee={NOBODY}", ""),
    ("overdue", N_("기한 지남"), "?only=late", "bad"),
    ("reported", N_("오탐 신고"), "?only=reported", "warn"),
    ("resolved", N_("끝남"), "?state=resolved", ""),
)
"""Name, label, query, tone where it is not 0: counts that lead to the list they count."""

STEPS: Final = (
    ("assign", N_("내가 맡기")),
    ("release", N_("담당 비우기")),
    *((value.value, label) for value, _, label, _ in VERDICTS),
    ("reopen", N_("다시 열기")),
)


HAND_TO: Final = "to:"
"""A step that begins so names the login of the reviewer who gets the incidents."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """An incident that a step did not change, and why."""

    id: str
    korean: str
    english: str


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(QUEUE)
    def queue(request: Request, visitor: Viewer, parts: Parts) -> Response:
        return _page(request, visitor, parts)

    @routes.get(QUEUE + "/counts")
    def live_counts(visitor: Viewer, parts: Parts) -> Response:
        return JSONResponse(_counts(desk_of(parts), visitor, parts))

    @routes.post(QUEUE + "/bulk")
    def bulk(
        request: Request,
        visitor: Worker,
        parts: Parts,
        posted: Posted,
        chosen: Annotated[list[str] | None, Form()] = None,
    ) -> Response:
        return _bulk(request, visitor, parts, posted, chosen or [])

    @routes.post(QUEUE + "/views")
    def keep_view(visitor: Viewer, parts: Parts, posted: Posted) -> Response:
        return _keep_view(visitor, parts, posted)

    @routes.post(QUEUE + "/views/{view_id}/delete")
    def drop_view(view_id: str, visitor: Viewer, parts: Parts) -> Response:
        desk_of(parts).drop_view(visitor.account.login, view_id)
        return done(QUEUE, "view-dropped")

    return routes


# --- the list ---------------------------------------------------------------------------------------------


def _page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    desk, query = desk_of(parts), SPEC.read(request.query_params)
    wanted = _filter(query, visitor, parts)
    language = language_for(request, visitor)

    def source(asked: ListQuery) -> tuple[Sequence[Incident], int]:
        order = f"-{asked.sort}" if asked.descending else asked.sort
        rows = desk.listed(wanted, order=order, limit=asked.size, offset=asked.offset)
        return rows, desk.count(wanted)

    if lists.wants_csv(request.query_params):
        # Not what was searched for: a reviewer may have pasted a found value there.
        filters = {name: value for name, value in query.filters.items() if value and name != "q"}
        details = {"format": "csv", "filters": filters}
        parts.audit.record(AuditEvent(parts.now(), visitor.actor, "incident.export", details=details))
        return lists.export(SPEC, query, source, language, billing_day(parts.now()))
    view = lists.view(SPEC, query, QUEUE, source)
    return render(
        request,
        visitor,
        "review/queue.html",
        list=view,
        words=words_for(request, visitor, parts),
        counts=_counts(desk, visitor, parts),
        boards=BOARDS,
        board=_board(view.address(page="")),
        views=desk.views(visitor.account.login),
        asked=urlsplit(view.address(page="")).query,
        choices=_choices(parts, visitor, language),
        names=unit_names(parts.database),
        more=any(query.filters[name] for name in ("department", "assignee", "action", "only", "from", "to")),
        key_rows=KEYS,
        today=billing_day(parts.now()).isoformat(),
    )


def _filter(query: ListQuery, visitor: Visitor, parts: ConsoleParts) -> IncidentFilter:
    """Return what an address asks for; what it does not offer lets everything through."""
    of = query.filters
    state, first, last = of["state"], _day(of["from"]), _day(of["to"])
    severity = SEVERITY_OF.get(of["severity"])
    is_id = _ID.fullmatch(of["q"]) is not None
    return IncidentFilter(
        states=_states(state),
        resolution=Resolution(state) if state in set(Resolution) else None,
        severities=frozenset() if severity is None else frozenset({severity}),
        department=of["department"],
        assignee=visitor.account.login if of["assignee"] == "me" else of["assignee"],
        type=of["type"],
        action=of["action"],
        rule="" if is_id else of["q"],
        id=of["q"] if is_id else "",
        since=None if first is None else day_start(first),
        until=None if last is None else day_start(last + timedelta(days=1)),
        overdue_at=parts.now() if of["only"] == "late" else None,
        reported=True if of["only"] == "reported" else None,
    )


def _states(asked: str) -> frozenset[State]:
    if asked in set(State):
        return frozenset({State(asked)})
    return frozenset({State.NEW, State.IN_REVIEW}) if asked == "open" else frozenset()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _board(address: str) -> str:
    query = urlsplit(address).query
    return next((name for name, _, path, _ in BOARDS if path.removeprefix("?") == query), "")


def _counts(desk: ReviewDesk, visitor: Visitor, parts: ConsoleParts) -> dict[str, Any]:
    """Return the counts as they are shown, and the newest incident, by which a page knows of news."""
    found = desk.counts(visitor.account.login, parts.now())
    newest = desk.listed(IncidentFilter(), order="-at", limit=1)
    return {
        "shown": {name: count(getattr(found, name)) for name, _, _, _ in BOARDS},
        "newest": newest[0].id if newest else "",
    }


def _choices(parts: ConsoleParts, visitor: Visitor, language: Language) -> dict[str, list[tuple[str, str]]]:
    say = translations(language).gettext
    everything = [("", say(N_("모두")))]
    logins = list_accounts(parts.database, AccountFilter(role=Role.REVIEWER), limit=MOST_REVIEWERS)
    units = unit_names(parts.database)
    return {
        "state": [
            ("open", say(N_("할 일"))),
            ("new", say(N_("새 사건"))),
            ("in_review", say(N_("검토 중"))),
            ("resolved", say(N_("끝남"))),
            *((value.value, say(label)) for value, (label, _) in RESOLUTIONS.items()),
            ("all", say(N_("모두"))),
        ],
        "severity": everything + [(one.word, say(label)) for one, (label, _) in SEVERITIES.items()],
        "type": everything + kinds(language),
        "department": everything + sorted(units.items(), key=lambda pair: pair[1]),
        "assignee": [
            *everything,
            ("me", say(N_("나"))),
            (NOBODY, say(N_("담당 없음"))),
            *((one.login, one.name) for one in logins if one.login != visitor.account.login),
        ],
        "action": everything + [(word, say(label)) for word, (label, _) in ACTIONS.items()],
        "only": [*everything, ("late", say(N_("기한 지남"))), ("reported", say(N_("오탐 신고")))],
        "step": [*((value, say(label)) for value, label in STEPS), *colleagues(parts, visitor, language)],
    }


def colleagues(parts: ConsoleParts, visitor: Visitor, language: Language) -> list[tuple[str, str]]:
    """Return the step that hands an incident to each other reviewer, and what it is called."""
    able = AccountFilter(role=Role.REVIEWER, disabled=False)
    others = list_accounts(parts.database, able, order="name", limit=MOST_REVIEWERS)
    said = translations(language).gettext(N_("%(name)s에게 맡기기"))
    return [
        (f"{HAND_TO}{one.login}", said % {"name": f"{one.name} ({one.login})"})
        for one in others
        if one.login != visitor.account.login
    ]


# --- several at once --------------------------------------------------------------------------------------


def _bulk(
    request: Request, visitor: Visitor, parts: ConsoleParts, posted: Mapping[str, str], chosen: list[str]
) -> Response:
    back = local_path(posted.get("back") or QUEUE)
    seen = [one for one in map(seen_of, chosen[:MOST_AT_ONCE]) if one is not None]
    if not seen:
        return _back(back, "nothing-chosen")
    result = take(
        parts, visitor, posted.get("step", ""), seen, shown_text(posted.get("note", ""), REASON_MOST)
    )
    problems = problems_of(result)
    if not problems:
        return _back(back, "incidents-changed")
    return render(
        request,
        visitor,
        "review/bulk.html",
        status=409,
        words=words_for(request, visitor, parts),
        changed=result.done,
        refused=problems,
        back=back,
    )


def take(parts: ConsoleParts, visitor: Visitor, step: str, seen: Sequence[Seen], note: str) -> BulkResult:
    """Take one step with incidents. Raises InvalidRequest for a step that there is not."""
    desk, reviewer, now = desk_of(parts), reviewer_of(visitor, parts), parts.now()
    match step:
        case "assign":
            return _begun(desk, desk.assign(seen, visitor.account.login, reviewer, now, note), reviewer, now)
        case "release":
            return desk.assign(seen, None, reviewer, now, note)
        case _ if step.startswith(HAND_TO):
            return desk.assign(seen, step.removeprefix(HAND_TO), reviewer, now, note)
        case "reopen":
            return desk.reopen(seen, reviewer, now, note)
        case _ if step in set(Resolution):
            return desk.resolve(seen, Resolution(step), reviewer, now, note)
        case _:
            raise InvalidRequest("목록에 있는 일을 고르세요.", "Choose one of the offered steps.")


def _begun(desk: ReviewDesk, taken: BulkResult, reviewer: Reviewer, now: datetime) -> BulkResult:
    """Begin the review of what somebody took: who takes a new incident looks at it."""
    new = [Seen(one.id, one.version) for one in taken.done if one.state is State.NEW]
    begun = {one.id: one for one in (desk.start(new, reviewer, now).done if new else ())}
    return replace(taken, done=tuple(begun.get(one.id, one) for one in taken.done))


def problems_of(result: BulkResult) -> list[NotDone]:
    """Say of each incident that was not changed why, in both languages."""
    moved = [NotDone(one.id, *_moved(one)) for one in result.conflicts]
    kept = [NotDone(incident_id, *REFUSALS[why]) for incident_id, why in result.refused]
    gone = [NotDone(incident_id, *MISSING) for incident_id in result.missing]
    return moved + kept + gone


def _moved(incident: Incident) -> tuple[str, str]:
    """Say that somebody else was faster, and who has it now."""
    if incident.assignee is None:
        return "그사이 다른 심사자가 바꾸었습니다.", "Another reviewer changed it meanwhile."
    return (
        f"그사이 바뀌었습니다. 지금 담당: {incident.assignee}",
        f"It has changed meanwhile. It is now with {incident.assignee}.",
    )


def _back(path: str, notice: str) -> Response:
    address = urlsplit(path)
    return done(address.path, notice, **dict(parse_qsl(address.query)))


# --- filters that are kept ----------------------------------------------------------------------------------


def _keep_view(visitor: Visitor, parts: ConsoleParts, posted: Mapping[str, str]) -> Response:
    name = shown_text(posted.get("name", ""), VIEW_NAME_MOST)
    query = posted.get("query", "")[:VIEW_QUERY_MOST]
    address = local_path(f"{QUEUE}?{query}")
    if not name or not query or not address.startswith(f"{QUEUE}?"):
        return _back(address if address.startswith(QUEUE) else QUEUE, "view-unnamed")
    desk_of(parts).save_view(visitor.account.login, name, query, parts.now())
    return _back(address, "view-kept")
