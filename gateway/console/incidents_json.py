"""What /api/incidents answers: the review's values as JSON; a person is a pseudonym until somebody looks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from gateway.console.finance.shared import pseudonym
from gateway.store.organisation import person_names

if TYPE_CHECKING:
    from gateway.console.parts import ConsoleParts
    from gateway.incidents import records


class Incident(BaseModel):
    id: str = Field(description="the request's id, which is the receipt's")
    version: int
    at: datetime
    origin: str = Field(description="filter or report")
    action: str = Field(description="what the gateway did: allow, mask, route or block")
    severity: str
    state: str
    resolution: str | None
    assignee: str | None
    due_at: datetime = Field(description="the end of a Korean working day")
    department: str
    person: str = Field(description="a pseudonym")
    model: str
    surface: str
    zone: str
    grade: str
    rules_version: str
    policy_version: str
    reasons: list[str]
    counts: dict[str, int] = Field(description="findings per type")
    findings: int
    changed_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    reported_at: datetime | None


class Incidents(BaseModel):
    data: list[Incident]
    total: int
    next_offset: int | None


class Counts(BaseModel):
    new: int
    in_review: int
    resolved: int
    open: int
    overdue: int
    unassigned: int
    mine: int
    reported: int
    by_severity: dict[str, int] = Field(description="of what is not resolved")


class Session(BaseModel):
    login: str
    csrf: str


class Found(BaseModel):
    type: str
    label: str
    rule: str
    action: str
    value_hash: str
    finding_key_id: str
    path: str
    score: float
    times: int


class Happening(BaseModel):
    at: datetime
    actor: str
    action: str
    reason: str
    details: dict[str, Any]


class Piece(BaseModel):
    text: str = Field(description="masked as █████ unless revealed")
    span: int | None = Field(description="the number of the finding; null for what stands around")
    type: str = ""
    rule: str = ""
    revealed: bool = False


class Part(BaseModel):
    path: str
    role: str
    pieces: list[Piece]


class Text(BaseModel):
    state: str = Field(description="none, stored or destroyed")
    parts: list[Part]
    omitted: int = Field(description="parts that were left out for their size")
    stored_until: datetime | None
    destroyed_at: datetime | None


class Reveal(BaseModel):
    id: str
    incident_id: str
    asked_by: str
    asked_at: datetime
    reason: str
    what: str
    span: int | None
    state: str = Field(description="asked (waits for a second person), open or refused")
    decided_by: str | None
    decided_at: datetime | None
    until: datetime | None


class Detail(Incident):
    near: str | None = Field(description="own_incident or own_department: the look was flagged")
    person_name: str | None = Field(description="who it is, while a look at the person is open")
    found: list[Found]
    text: Text
    note: str | None
    reveals: list[Reveal]
    history: list[Happening]


class Similar(BaseModel):
    by_value: list[Incident]
    by_person: list[Incident]
    by_rule: list[Incident]
    values: int
    people: int
    rules: int


class Refused(BaseModel):
    id: str
    code: str = Field(description="own_incident, own_department or wrong_state")


class Result(BaseModel):
    done: list[Incident]
    conflicts: list[Incident] = Field(description="somebody else was faster: as they stand now")
    refused: list[Refused]
    missing: list[str]


class ReviewException(BaseModel):
    id: str
    version: int
    state: str = Field(description="proposed, approved, refused or revoked")
    in_force: bool
    type: str
    rule: str
    department: str
    value_hash: str
    incident_id: str | None
    reason: str
    until: datetime
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decided_reason: str
    ended_by: str | None
    ended_at: datetime | None


class Exceptions(BaseModel):
    data: list[ReviewException]
    total: int
    next_offset: int | None


class View(BaseModel):
    id: str
    name: str
    query: str
    saved_at: datetime


# --- from the desk's values ---------------------------------------------------------------------------------

_SAME = (
    "id", "version", "at", "origin", "action", "state", "resolution", "assignee", "due_at", "surface", "zone",
    "grade", "rules_version", "policy_version", "findings", "changed_at", "resolved_at", "resolved_by",
    "reported_at",
)  # fmt: skip


def incident(parts: ConsoleParts, one: records.Incident) -> Incident:
    return Incident(**_columns(parts, one))


def _columns(parts: ConsoleParts, one: records.Incident) -> dict[str, Any]:
    return {
        **{name: getattr(one, name) for name in _SAME},
        "severity": one.severity.word,
        "department": one.department_id,
        "person": pseudonym(parts, one.person_id),
        "model": one.model_id,
        "reasons": list(one.reasons),
        "counts": dict(one.counts),
    }


def detail(parts: ConsoleParts, found: records.Detail) -> Detail:
    person = found.incident.person_id
    name = None
    if found.person_open:
        name = f"{person_names(parts.database, [person]).get(person, '')} ({person})".strip()
    return Detail(
        **_columns(parts, found.incident),
        near=found.near,
        person_name=name,
        found=[_found(value) for value in found.findings],
        text=_text(found.text),
        note=found.note,
        reveals=[reveal(one) for one in found.reveals],
        history=[happening(one) for one in found.history],
    )


def counts(found: records.QueueCounts) -> Counts:
    names = ("new", "in_review", "resolved", "open", "overdue", "unassigned", "mine", "reported")
    return Counts(**{name: getattr(found, name) for name in names}, by_severity=dict(found.by_severity))


def similar(parts: ConsoleParts, found: records.Similar) -> Similar:
    return Similar(
        by_value=[incident(parts, one) for one in found.by_value],
        by_person=[incident(parts, one) for one in found.by_person],
        by_rule=[incident(parts, one) for one in found.by_rule],
        values=found.values,
        people=found.people,
        rules=found.rules,
    )


def happening(one: records.Happening) -> Happening:
    return Happening(
        at=one.at, actor=one.actor, action=one.action, reason=one.reason, details=dict(one.details)
    )


def result(parts: ConsoleParts, found: records.BulkResult) -> Result:
    return Result(
        done=[incident(parts, one) for one in found.done],
        conflicts=[incident(parts, one) for one in found.conflicts],
        refused=[Refused(id=incident_id, code=code) for incident_id, code in found.refused],
        missing=list(found.missing),
    )


def reveal(one: records.Reveal) -> Reveal:
    return Reveal(**{name: getattr(one, name) for name in Reveal.model_fields})


def exception(one: records.ReviewException, now: datetime) -> ReviewException:
    scope = one.scope
    own = set(ReviewException.model_fields) - {"in_force", "type", "rule", "department", "value_hash"}
    return ReviewException(
        **{name: getattr(one, name) for name in own},
        in_force=one.in_force(now),
        type=scope.type,
        rule=scope.rule,
        department=scope.department_id,
        value_hash=scope.value_hash,
    )


def view(one: records.SavedView) -> View:
    return View(id=one.id, name=one.name, query=one.query, saved_at=one.saved_at)


def _found(value: records.FoundValue) -> Found:
    return Found(**{name: getattr(value, name) for name in Found.model_fields})


def _text(text: records.ShownText) -> Text:
    return Text(
        state=text.state,
        parts=[
            Part(
                path=part.path,
                role=part.role,
                pieces=[
                    Piece(**{name: getattr(piece, name) for name in Piece.model_fields})
                    for piece in part.pieces
                ],
            )
            for part in text.parts
        ],
        omitted=text.omitted,
        stored_until=text.stored_until,
        destroyed_at=text.destroyed_at,
    )
