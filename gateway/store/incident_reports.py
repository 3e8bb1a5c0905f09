"""SQL of 오탐 신고: a member of staff's own receipt, and the incident that a report of it is or becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from billing.periods import from_us, to_us
from billing.store import writing
from filters.verdict import Action
from gateway.incidents.records import IncidentFilter
from gateway.incidents.states import severity_of
from gateway.store.incident_content import put_content
from gateway.store.incident_tables import incident, incident_finding
from gateway.store.incidents import incident_of, record
from gateway.store.tables import receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from gateway.audit import AuditEvent
    from gateway.incidents.records import Incident
    from gateway.incidents.states import Severity

_SAME = ("action", "department_id", "unit_path", "person_id", "key_id", "model_id", "surface", "grade")
_VERSIONS = ("rules_version", "policy_version", "counts")


def of_person(person_id: str) -> IncidentFilter:
    return IncidentFilter(person=person_id)


def find_receipt(engine: Engine, request_id: str, person_id: str) -> dict[str, Any] | None:
    """Return the receipt of a request of that person's; None for anybody else's, and for none."""
    statement = select(receipt).where(receipt.c.request_id == request_id, receipt.c.person_id == person_id)
    with engine.connect() as connection:
        row = connection.execute(statement).mappings().first()
        return None if row is None else dict(row)


def severity_of_receipt(seen: Mapping[str, Any]) -> Severity:
    return severity_of(Action[seen["action"].upper()], seen["counts"], (), seen["grade"])


def moment_of(seen: Mapping[str, Any]) -> datetime:
    return from_us(seen["at_us"])


def facts_of(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an incident that a receipt knows."""
    return {
        "id": seen["request_id"],
        "origin": "report",
        "zone": seen.get("zone") or "",
        "reasons": [],
        "findings": sum(seen["counts"].values()),
        **{name: seen[name] for name in (*_SAME, *_VERSIONS)},
    }


def write_report(
    engine: Engine,
    facts: Mapping[str, Any],
    findings: Sequence[Mapping[str, Any]],
    note: Mapping[str, Any] | None,
    event: AuditEvent,
) -> Incident:
    """Mark an incident as reported, or make one; a second report renews the first one's note."""
    try:
        return _write_report(engine, facts, findings, note, event)
    except IntegrityError:  # PostgreSQL: a second report of the request was first; that one is there now
        return _write_report(engine, facts, findings, note, event)


def _write_report(
    engine: Engine,
    facts: Mapping[str, Any],
    findings: Sequence[Mapping[str, Any]],
    note: Mapping[str, Any] | None,
    event: AuditEvent,
) -> Incident:
    marks = {
        "reported_at_us": to_us(event.at),
        "changed_at_us": to_us(event.at),
        "version": incident.c.version + 1,
    }
    here = incident.c.id == facts["id"]
    with writing(engine).begin() as connection:
        if not connection.execute(update(incident).where(here).values(**marks)).rowcount:
            opened = {"changed_at_us": to_us(event.at), "reported_at_us": to_us(event.at)}
            connection.execute(insert(incident).values(**{**facts, **opened}))
            if findings:
                connection.execute(insert(incident_finding), list(findings))
        if note is not None:
            put_content(connection, note)
        record(connection, facts["id"], event, details=event.details)
        return incident_of(connection.execute(select(incident).where(here)).mappings().one())
