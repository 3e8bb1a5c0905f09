"""/api/incidents/oversight, precision, export, replay, evidence: the review's figures and files.

The same people as on the review's pages, by the same session. No answer holds a text, a value or a name.
"""

from __future__ import annotations

import tomllib
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from billing.periods import billing_day
from filters.detectors.custom import CustomRuleError
from filters.errors import PolicyError
from gateway.audit import AuditEvent
from gateway.console import areas
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor
from gateway.errors import InvalidRequest
from gateway.incidents.desk import desk_of
from gateway.incidents.evidence import Evidence
from gateway.incidents.export_formats import as_line, csv_header, csv_row
from gateway.incidents.exporting import PRODUCT_VERSION, exported_in
from gateway.incidents.oversight import Period
from gateway.incidents.replaying import Past, read_candidate, replay_policy, replay_rules
from gateway.permissions import Permission
from gateway.pseudonyms import pseudonym
from gateway.spreadsheets import csv_chunks
from gateway.store.incident_statistics import freshen, overview, precision_by_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.incidents.export_formats import Exported

Viewer = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_VIEW))]
Worker = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_REVIEW))]
First = Annotated[date | None, Query(alias="from", description="first day in Korea; 30 days ago without it")]
Last = Annotated[date | None, Query(alias="to", description="last day in Korea, included; today without it")]
Departments = Annotated[list[str] | None, Query(description="codes of units, several")]

USUAL_DAYS: Final = 30
MOST_DAYS: Final = 3_700
_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "days that are none, or a candidate that cannot be read (code invalid_candidate)"},
    401: {"description": "nobody is signed in"},
    403: {"description": "the roles do not reach it"},
}
_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/x-ndjson",
    "ocsf": "application/x-ndjson",
}


class ReplayRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    candidate: str = Field(
        max_length=1_000_000, description="TOML: a whole haechi.toml, or one policy with its `version`"
    )
    version: str = Field(default="", description="which of its policies; the one that begins last without it")
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")
    department: list[str] | None = None
    rules: bool = Field(default=False, description="try its rules on stored texts as well")


def router() -> APIRouter:
    routes = areas.api("/api/incidents", "incidents", responses=_ERRORS)

    @routes.get("/oversight")
    def oversight(
        _visitor: Viewer, parts: Parts, first: First = None, last: Last = None, department: Departments = None
    ) -> dict[str, Any]:
        """Show trends, departments by types, rules, time to resolve, repeats, coverage and precision."""
        freshen(parts.database, parts.now())
        period = _period(parts, first, last)
        seen = overview(parts.database, period, parts.now(), department or None)
        return seen.as_record(partial(pseudonym, parts.keyring))

    @routes.get("/precision")
    def precision(
        _visitor: Viewer, parts: Parts, first: First = None, last: Last = None
    ) -> dict[str, list[dict[str, object]]]:
        """Show how often each rule is right, by the verdicts of reviewers; over all time without days."""
        freshen(parts.database, parts.now())
        period = None if first is None and last is None else _period(parts, first, last)
        return {"data": [one.as_record() for one in precision_by_rule(parts.database, period)]}

    @routes.get("/export", response_class=Response)
    def export(
        visitor: Viewer,
        parts: Parts,
        form: Annotated[Literal["csv", "json", "cef", "ocsf"], Query(alias="format")] = "csv",
        first: First = None,
        last: Last = None,
    ) -> StreamingResponse:
        """Export incidents, one a line: no texts, no values, people under pseudonyms."""
        period = _period(parts, first, last)
        details = {"format": form, "from": str(period.first), "to": str(period.last)}
        parts.audit.record(AuditEvent(parts.now(), visitor.actor, "incident.export", details=details))
        found = exported_in(parts.database, parts.keyring, period)
        name = f"incidents-{period.first}-{period.last}.{'jsonl' if form in ('json', 'ocsf') else form}"
        return StreamingResponse(
            _lines(found, form),
            media_type=_TYPES.get(form, "text/plain; charset=us-ascii"),
            headers=_as_file(name),
        )

    @routes.post("/replay")
    def replay(visitor: Worker, parts: Parts, wanted: ReplayRequest) -> dict[str, Any]:
        """Try a change on the past, before it is switched on; says how much could not be replayed."""
        return replayed(parts, visitor, wanted)

    @routes.post("/evidence", response_class=Response)
    def evidence(visitor: Worker, parts: Parts, first: First = None, last: Last = None) -> Response:
        """Make the signed evidence pack of a period: a ZIP without personal data."""
        return evidence_file(parts, visitor, _period(parts, first, last))

    return routes


def replayed(parts: ConsoleParts, visitor: Visitor, wanted: ReplayRequest) -> dict[str, Any]:
    """Try a candidate on the past. Raises InvalidRequest for one that cannot be read."""
    try:
        change = read_candidate(wanted.candidate)
    except (tomllib.TOMLDecodeError, PolicyError, CustomRuleError) as error:
        raise _unreadable(str(error)) from None
    period = _period(parts, wanted.first, wanted.last)
    past = Past(parts.database, parts.keyring, parts.config)
    now = parts.now()
    policy = change.policy(wanted.version) or (None if wanted.version else parts.config.policies.at(now))
    if policy is None:
        raise _unreadable(f"there is no policy {wanted.version!r} in it")
    result: dict[str, Any] = {"from": period.first.isoformat(), "to": period.last.isoformat()}
    result["policy"] = replay_policy(past, policy, period, now, wanted.department or None).as_record()
    if wanted.rules or (change.rules is not None and change.rules != parts.config.custom_rules):
        rules = parts.config.custom_rules if change.rules is None else change.rules
        result["rules"] = replay_rules(past, desk_of(parts), rules, policy, period, now).as_record()
    parts.audit.record(AuditEvent(now, visitor.actor, "policy.replay", policy.version))
    return result


def evidence_file(parts: ConsoleParts, visitor: Visitor, period: Period) -> Response:
    """Return the pack as a download."""
    pack = Evidence(parts.database, parts.keyring, parts.config).build(period, parts.now(), visitor.actor)
    name = f"haechi-evidence-{period.first}-{period.last}.zip"
    return Response(pack, media_type="application/zip", headers=_as_file(name))


def _period(parts: ConsoleParts, first: date | None, last: date | None) -> Period:
    end = last or billing_day(parts.now())
    if first is not None and not 0 <= (end - first).days < MOST_DAYS:
        raise InvalidRequest(
            "기간이 올바르지 않습니다.", "Not a period.", code="invalid_period", param="from"
        )
    return Period.last_days(USUAL_DAYS, end) if first is None else Period(first, end)


def _unreadable(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"정책을 읽을 수 없습니다: {why}",
        f"The policy cannot be read: {why}",
        code="invalid_candidate",
        param="candidate",
    )


def _lines(found: Iterator[Exported], form: str) -> Iterator[bytes]:
    if form == "csv":
        yield from (chunk.encode() for chunk in csv_chunks(csv_header(), map(csv_row, found)))
        return
    for one in found:
        yield as_line(one, form, PRODUCT_VERSION) + b"\n"


def _as_file(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
