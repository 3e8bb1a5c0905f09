"""/api/incidents/report and /own: what a member of staff had stopped, and 오탐 신고 (a false alarm).

By API key, or by the session of the console where there is one. Nobody sees anybody else's.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID  # noqa: TC003 - FastAPI reads it

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from billing.store.away import is_away
from gateway.audit import Actor
from gateway.incidents.desk_staff import NOTE_MOST, StaffDesk
from gateway.unavailable import database_unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.incidents.records import FoundValue, Incident
    from gateway.pipeline import Pipeline

Staff = tuple[str, Actor]
"""The employee number, and how the access audit names who asks."""


class FoundKind(BaseModel):
    """What was found, never its value."""

    type: str
    path: str = Field(description="where it stands first", examples=["messages[0].content"])
    action: str = Field(description="allow, mask, route or block")
    times: int


class OwnIncident(BaseModel):
    id: str = Field(description="the request's id, as in x-request-id")
    at: datetime
    action: str = Field(description="mask, route or block: what the gateway did")
    model: str
    surface: str
    counts: dict[str, int] = Field(description="findings per type")
    state: str = Field(description="new, in_review or resolved")
    resolution: str | None = Field(
        description="true_positive, false_positive, exception or escalated, once resolved"
    )
    reported_at: datetime | None = Field(description="when it was reported as a false alarm")


class OwnIncidents(BaseModel):
    data: list[OwnIncident]
    total: int
    next_offset: int | None


class OwnDetail(OwnIncident):
    findings: list[FoundKind]


class Report(BaseModel):
    model_config = ConfigDict(extra="forbid")

    request_id: UUID = Field(description="of a request of one's own: x-request-id of its answer")
    note: str = Field(default="", max_length=NOTE_MOST, description="why it is a false alarm; kept encrypted")


_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "a body that is not as described"},
    401: {"description": "no valid key, and nobody is signed in"},
    404: {"description": "no such request of the caller's"},
    503: {"description": "the database cannot be reached now"},
}
_SECURITY: Final[dict[str, Any]] = {"security": [{"key": []}]}
_KEY_HEADERS: Final = ("authorization", "x-api-key", "api-key")


def router(
    pipeline: Pipeline, desk: StaffDesk, session_of: Callable[[Request], Awaitable[Staff]] | None
) -> APIRouter:
    routes = APIRouter(prefix="/api/incidents", tags=["incidents"])

    async def who(request: Request) -> Staff:
        if session_of is None or any(name in request.headers for name in _KEY_HEADERS):
            caller = pipeline.identify(request.headers)
            return caller.person_id, Actor(
                caller.person_id, (), request.client.host if request.client else ""
            )
        return await session_of(request)

    caller = Depends(who)  # before the body is looked at: without a key nobody learns what is wrong with it

    @routes.post("/report", responses=_ERRORS, openapi_extra=_SECURITY)
    async def report(body: Report, staff: Staff = caller) -> OwnIncident:
        """오탐 신고: put a request that was stopped wrongly before the security team."""
        person, actor = staff
        return shown_own(
            await _run(desk.report, str(body.request_id), person, actor, datetime.now(UTC), body.note)
        )

    @routes.get("/own", responses=_ERRORS, openapi_extra=_SECURITY)
    async def own(
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
        staff: Staff = caller,
    ) -> OwnIncidents:
        """List the caller's own incidents, the newest first."""
        person, _ = staff
        total = await _run(desk.count_own, person)
        found = await _run(desk.own, person, limit=limit, offset=offset)
        following = offset + limit
        return OwnIncidents(
            data=[shown_own(one) for one in found],
            total=total,
            next_offset=following if following < total else None,
        )

    @routes.get("/own/{incident_id:uuid}", responses=_ERRORS, openapi_extra=_SECURITY)
    async def own_detail(incident_id: UUID, staff: Staff = caller) -> OwnDetail:
        """Say what was found in one of the caller's requests, and where; never the value."""
        person, _ = staff
        one, found = await _run(desk.own_detail, str(incident_id), person)
        return OwnDetail(**shown_own(one).model_dump(), findings=[_found(value) for value in found])

    return routes


async def _run(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
    """Run a function of the desk off the event loop. Raises ServiceUnavailable without the database."""
    try:
        return await asyncio.to_thread(function, *arguments, **named)
    except Exception as error:
        if is_away(error):
            raise database_unavailable() from error
        raise


def shown_own(one: Incident) -> OwnIncident:
    return OwnIncident(
        id=one.id,
        at=one.at,
        action=one.action,
        model=one.model_id,
        surface=one.surface,
        counts=dict(one.counts),
        state=one.state,
        resolution=one.resolution,
        reported_at=one.reported_at,
    )


def _found(value: FoundValue) -> FoundKind:
    return FoundKind(type=value.type, path=value.path, action=value.action, times=value.times)
