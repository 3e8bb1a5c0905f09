"""/api/incidents: queue, verdicts, reveals, exceptions and saved filters of the review, as JSON.

The same people as on the review's pages, by the same session; what changes something carries the session's
token, which `GET /api/incidents/session` tells, in the header x-csrf-token.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.audit import Actor
from gateway.console import areas
from gateway.console import incidents_json as shown
from gateway.console.lists import next_offset
from gateway.console.parts import Parts, parts_of
from gateway.console.review.shared import reviewer_of
from gateway.console.session import Needs, Visitor, no_department
from gateway.incidents.desk import MOST_BULK, desk_of
from gateway.incidents.records import ExceptionScope, IncidentFilter, Seen
from gateway.incidents.states import SEVERITIES, Resolution, State
from gateway.permissions import Permission

Viewer = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_VIEW))]
Worker = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_REVIEW))]
Revealer = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_REVEAL))]
Excepter = Annotated[Visitor, Depends(Needs(Permission.EXCEPTIONS_CHANGE))]
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0)]
SeverityWord = Literal["low", "medium", "high", "critical"]

_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "a value that is not as described, or a missing reason (code reason_needed)"},
    401: {"description": "nobody is signed in"},
    403: {"description": "no right to it, or too near (own_incident, own_department, second_person)"},
    404: {"description": "no such thing"},
    409: {"description": "somebody else was faster (changed_meanwhile), or no text is kept (no_text)"},
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SeenIncident(_Body):
    id: UUID
    version: int = Field(ge=1, description="as it was seen: a change is refused if it moved on")


class Step(_Body):
    incidents: list[SeenIncident] = Field(min_length=1, max_length=MOST_BULK)
    reason: str = Field(default="", max_length=500)

    def seen(self) -> list[Seen]:
        return [Seen(str(one.id), one.version) for one in self.incidents]


class Assignment(Step):
    to: str | None = Field(description="a reviewer's login; null puts them back into the queue")


class Verdict(Step):
    resolution: Resolution


class Look(_Body):
    what: Literal["span", "all", "person"]
    span: int | None = Field(default=None, ge=0, description="the number of the finding, for what = span")
    reason: str = Field(max_length=500)


class Answer(_Body):
    agree: bool
    reason: str = Field(default="", max_length=500)


class Proposal(_Body):
    type: str = Field(description="the kind of finding that may pass", examples=["KR_VEHICLE"])
    rule: str = ""
    department: str = Field(default="", description="a unit's code; units below it are included")
    value_hash: str = Field(default="", description="keyed hash of one value, as a finding shows it")
    finding_key_id: str = Field(default="", description="of the key that value_hash was made with")
    until: AwareDatetime
    reason: str = Field(max_length=500)
    incident_id: UUID | None = None


class Decision(_Body):
    version: int = Field(ge=1)
    reason: str = Field(default="", max_length=500)


class View(_Body):
    name: str = Field(min_length=1, max_length=60)
    query: str = Field(max_length=2000, description="the query string of the queue")


def router() -> APIRouter:
    whole = areas.api("/api/incidents", "incidents", responses=_ERRORS)
    for part in (_queue, _work, _reveals, _exceptions, _views):
        part(whole)
    return whole


# --- reading ------------------------------------------------------------------------------------------------


class Wanted(BaseModel):
    """What to list; several states and severities may be named."""

    model_config = ConfigDict(extra="forbid")

    state: list[State] = []
    severity: list[SeverityWord] = []
    resolution: Resolution | None = None
    department: str = Field(default="", description="a unit's code, with all units below it")
    person: str = Field(default="", description="an employee number")
    model: str = ""
    assignee: str = Field(default="", description="a login; - for nobody's")
    type: str = ""
    rule: str = ""
    value_hash: str = ""
    action: str = Field(default="", description="allow, mask, route or block")
    surface: str = ""
    origin: str = Field(default="", description="filter or report")
    since: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = Field(default=None, alias="to", description="exclusive")
    overdue: bool = Field(default=False, description="only those past their deadline")
    reported: bool | None = Field(default=None, description="reported as a false alarm, or not")
    order: str = Field(default="-at", description="at, due, severity, changed, …; - in front reverses")
    limit: int = Field(default=50, ge=1, le=500)
    offset: int = Field(default=0, ge=0)

    def filter(self, now: datetime) -> IncidentFilter:
        same = ("resolution", "department", "person", "model", "assignee", "type", "rule", "value_hash")
        more = ("action", "surface", "origin", "since", "until", "reported")
        return IncidentFilter(
            states=frozenset(self.state),
            severities=frozenset(SEVERITIES[word] for word in self.severity),
            overdue_at=now if self.overdue else None,
            **{name: getattr(self, name) for name in (*same, *more)},
        )


def _queue(routes: APIRouter) -> None:
    @routes.get("")
    def incidents(_visitor: Viewer, parts: Parts, asked: Annotated[Wanted, Query()]) -> shown.Incidents:
        """List the queue; the person stands there as a pseudonym."""
        desk, wanted, following = desk_of(parts), asked.filter(parts.now()), asked.offset + asked.limit
        total = desk.count(wanted)
        found = desk.listed(wanted, order=asked.order, limit=asked.limit, offset=asked.offset)
        return shown.Incidents(
            data=[shown.incident(parts, one) for one in found],
            total=total,
            next_offset=following if following < total else None,
        )

    @routes.get("/counts")
    def counts(visitor: Viewer, parts: Parts) -> shown.Counts:
        """Count the queue as it stands."""
        return shown.counts(desk_of(parts).counts(visitor.account.login, parts.now()))

    @routes.get("/session")
    def session(visitor: Viewer) -> shown.Session:
        """Say who is signed in, and the token that changes must carry in x-csrf-token."""
        return shown.Session(login=visitor.account.login, csrf=visitor.csrf)

    @routes.get("/{incident_id:uuid}")
    def detail(visitor: Viewer, parts: Parts, incident_id: UUID) -> shown.Detail:
        """Show one incident, found values masked but those that the caller opened. Audited."""
        found = desk_of(parts).detail(str(incident_id), reviewer_of(visitor, parts), parts.now())
        return shown.detail(parts, found)

    @routes.get("/{incident_id:uuid}/similar")
    def similar(
        visitor: Viewer, parts: Parts, incident_id: UUID, limit: Annotated[int, Query(ge=1, le=100)] = 10
    ) -> shown.Similar:
        """List other incidents with an equal value, of the same person, of the same rules."""
        found = desk_of(parts).similar(
            str(incident_id), reviewer_of(visitor, parts), parts.now(), limit=limit
        )
        return shown.similar(parts, found)

    @routes.get("/{incident_id:uuid}/history")
    def history(visitor: Viewer, parts: Parts, incident_id: UUID) -> list[shown.Happening]:
        """Say who did what, the oldest first; whoever reported it is a pseudonym until it is opened."""
        found = desk_of(parts).history(str(incident_id), reviewer_of(visitor, parts), parts.now())
        return [shown.happening(one) for one in found]


# --- work ---------------------------------------------------------------------------------------------------


def _work(routes: APIRouter) -> None:
    @routes.post("/assign")
    def assign(visitor: Worker, parts: Parts, step: Assignment) -> shown.Result:
        """Hand incidents to a reviewer, or back to the queue."""
        return shown.result(
            parts,
            desk_of(parts).assign(
                step.seen(), step.to, reviewer_of(visitor, parts), parts.now(), step.reason
            ),
        )

    @routes.post("/start")
    def start(visitor: Worker, parts: Parts, step: Step) -> shown.Result:
        """Take new incidents into review."""
        return shown.result(
            parts, desk_of(parts).start(step.seen(), reviewer_of(visitor, parts), parts.now())
        )

    @routes.post("/resolve")
    def resolve(visitor: Worker, parts: Parts, step: Verdict) -> shown.Result:
        """Give a verdict; each incident by itself, what somebody else changed first is named."""
        return shown.result(
            parts,
            desk_of(parts).resolve(
                step.seen(), step.resolution, reviewer_of(visitor, parts), parts.now(), step.reason
            ),
        )

    @routes.post("/reopen")
    def reopen(visitor: Worker, parts: Parts, step: Step) -> shown.Result:
        """Take verdicts back, for a reason."""
        desk = desk_of(parts)
        return shown.result(
            parts, desk.reopen(step.seen(), reviewer_of(visitor, parts), parts.now(), step.reason)
        )


# --- reveals ------------------------------------------------------------------------------------------------


def _reveals(routes: APIRouter) -> None:
    @routes.post("/{incident_id:uuid}/reveal")
    def reveal(visitor: Revealer, parts: Parts, incident_id: UUID, look: Look) -> shown.Reveal:
        """Open a found value, the text or the person for a while, for a reason; the detail shows it then."""
        desk = desk_of(parts)
        return shown.reveal(
            desk.reveal(
                str(incident_id), look.what, look.span, reviewer_of(visitor, parts), parts.now(), look.reason
            )
        )

    @routes.get("/reveals")
    def waiting(_visitor: Revealer, parts: Parts) -> list[shown.Reveal]:
        """List the looks that wait for a second person."""
        return [shown.reveal(one) for one in desk_of(parts).waiting_reveals()]

    @routes.post("/reveals/{reveal_id}")
    def decide(visitor: Revealer, parts: Parts, reveal_id: str, answer: Answer) -> shown.Reveal:
        """Answer as the second person."""
        desk = desk_of(parts)
        return shown.reveal(
            desk.decide_reveal(
                reveal_id, answer.agree, reviewer_of(visitor, parts), parts.now(), answer.reason
            )
        )


# --- exceptions ---------------------------------------------------------------------------------------------


def _exceptions(routes: APIRouter) -> None:
    @routes.get("/exceptions")
    def exceptions(
        _visitor: Viewer,
        parts: Parts,
        state: Literal["", "proposed", "approved", "refused", "revoked"] = "",
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> shown.Exceptions:
        """List exceptions, the newest proposal first."""
        desk, now = desk_of(parts), parts.now()
        total = desk.count_exceptions(state=state)
        found = desk.exceptions(state=state, limit=limit, offset=offset)
        return shown.Exceptions(
            data=[shown.exception(one, now) for one in found],
            total=total,
            next_offset=next_offset(total, offset, limit),
        )

    @routes.post("/exceptions", status_code=201)
    def propose(visitor: Excepter, parts: Parts, asked: Proposal) -> shown.ReviewException:
        """Propose that findings of a type may pass, in a department, of a rule or of one value."""
        scope = ExceptionScope(
            asked.type, asked.rule, asked.department, asked.value_hash, asked.finding_key_id
        )
        made = desk_of(parts).propose(
            scope,
            asked.until,
            reviewer_of(visitor, parts),
            parts.now(),
            asked.reason,
            incident_id=None if asked.incident_id is None else str(asked.incident_id),
        )
        return shown.exception(made, parts.now())

    @routes.get("/exceptions/{exception_id}")
    def one(_visitor: Viewer, parts: Parts, exception_id: str) -> shown.ReviewException:
        return shown.exception(desk_of(parts).exception(exception_id), parts.now())

    @routes.post("/exceptions/{exception_id}/{decision}")
    def decide(
        visitor: Excepter,
        parts: Parts,
        exception_id: str,
        decision: Literal["approve", "refuse", "revoke"],
        body: Decision,
    ) -> shown.ReviewException:
        """Approve as a second person, refuse, or end one before its day; workers follow within a second."""
        desk = desk_of(parts)
        step = {"approve": desk.approve, "refuse": desk.refuse, "revoke": desk.revoke}[decision]
        after = step(exception_id, body.version, reviewer_of(visitor, parts), parts.now(), body.reason)
        return shown.exception(after, parts.now())


# --- saved filters ------------------------------------------------------------------------------------------


def _views(routes: APIRouter) -> None:
    @routes.get("/views")
    def views(visitor: Viewer, parts: Parts) -> list[shown.View]:
        """List the filters that the caller saved."""
        return [shown.view(one) for one in desk_of(parts).views(visitor.account.login)]

    @routes.post("/views", status_code=201)
    def save(visitor: Viewer, parts: Parts, body: View) -> shown.View:
        """Save a filter, in place of the caller's one of that name."""
        desk = desk_of(parts)
        return shown.view(desk.save_view(visitor.account.login, body.name, body.query, parts.now()))

    @routes.delete("/views/{view_id}", status_code=204)
    def drop(visitor: Viewer, parts: Parts, view_id: str) -> None:
        desk_of(parts).drop_view(visitor.account.login, view_id)


# --- who asks -----------------------------------------------------------------------------------------------


async def session_of(request: Request) -> tuple[str, Actor]:
    """Return the member of staff who is signed in, for addresses that take a key or a session.

    Raises SignInNeeded; Forbidden without the right, the session's token or a person.
    """
    needs = Needs(Permission.INCIDENTS_OWN)
    token = request.headers.get("x-csrf-token", "")
    visitor = await asyncio.to_thread(needs, request, token, parts_of(request))
    if visitor.person_id is None:
        raise no_department()
    return visitor.person_id, visitor.actor
