"""SQL of the queue: list, count, look at one, what is similar; and change it, each change with its history.

A change names the version that somebody saw, and writes its line of history and its event of the access
audit in the same transaction. Which change may follow is decided in gateway/incidents/.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, case, func, insert, literal, select, update

from billing.periods import from_us, to_us
from billing.store import writing
from gateway.audit import AuditEvent
from gateway.incidents.records import (
    NOBODY,
    BulkResult,
    FoundValue,
    Happening,
    Incident,
    QueueCounts,
    Similar,
)
from gateway.incidents.states import Change, Resolution, Severity, State
from gateway.store.audit import append
from gateway.store.incident_tables import incident, incident_event, incident_finding
from gateway.store.tables import org_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select

    from gateway.incidents.records import IncidentFilter, Seen
    from gateway.incidents.states import Refusal

BATCH: Final = 1_000
MOST_COUNTED: Final = 1_000
"""Similar incidents are counted up to here."""
_FACTS: Final = (
    "id",
    "origin",
    "action",
    "department_id",
    "person_id",
    "key_id",
    "model_id",
    "surface",
    "zone",
)
_MORE: Final = ("grade", "rules_version", "policy_version", "findings", "assignee", "version", "resolved_by")
_OPEN: Final = (State.NEW.value, State.IN_REVIEW.value)


class NoSuchIncident(LookupError):
    """No incident has that id."""


# --- reading ------------------------------------------------------------------------------------------------


def find_incident(engine: Engine, incident_id: str) -> Incident | None:
    with engine.connect() as connection:
        return _one(connection, incident_id)


def list_incidents(
    engine: Engine, wanted: IncidentFilter, *, order: str = "-at", limit: int = 50, offset: int = 0
) -> list[Incident]:
    """Return one page; `order` is one of records.ORDERS, with a hyphen in front for descending."""
    # First the ids of the page, from an index: rows that are skipped are never read.
    page = _ordered(_narrowed(select(incident.c.id), wanted), order).limit(limit).offset(offset)
    statement = _ordered(select(incident).where(incident.c.id.in_(page)), order)
    with engine.connect() as connection:
        return [incident_of(row) for row in connection.execute(statement).mappings()]


def count_incidents(engine: Engine, wanted: IncidentFilter) -> int:
    statement = _narrowed(select(func.count()).select_from(incident), wanted)
    with engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def each_incident(engine: Engine, wanted: IncidentFilter) -> Iterator[Incident]:
    """Yield what is wanted, the oldest first, in batches: memory stays small, no transaction long."""
    last = ""
    while True:
        statement = _narrowed(select(incident), wanted).where(incident.c.id > last).order_by(incident.c.id)
        with engine.connect() as connection:
            rows = connection.execute(statement.limit(BATCH)).mappings().all()
        yield from map(incident_of, rows)
        if len(rows) < BATCH:
            return
        last = rows[-1]["id"]


def queue_counts(engine: Engine, login: str, now: datetime) -> QueueCounts:
    """Count the queue as it stands; one pass over the index of open work."""
    with engine.connect() as connection:
        resolved = connection.execute(_count().where(incident.c.state == State.RESOLVED.value)).scalar_one()
        rows = connection.execute(_open_work(login, to_us(now))).all()
    by_state = dict.fromkeys(_OPEN, 0)
    by_severity = dict.fromkeys((severity.word for severity in Severity), 0)
    for row in rows:
        by_state[row.state] += row.rows
        by_severity[Severity(row.severity).word] += row.rows
    overdue, unassigned, mine, reported = (
        sum(getattr(row, name) for row in rows) for name in ("overdue", "unassigned", "mine", "reported")
    )
    return QueueCounts(
        new=by_state[State.NEW.value],
        in_review=by_state[State.IN_REVIEW.value],
        resolved=int(resolved),
        overdue=overdue,
        unassigned=unassigned,
        mine=mine,
        reported=reported,
        by_severity=by_severity,
    )


def _count() -> Select[Any]:
    return select(func.count()).select_from(incident)


def _open_work(login: str, now_us: int) -> Select[Any]:
    columns = incident.c

    def counted(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    return (
        select(
            columns.state,
            columns.severity,
            func.count().label("rows"),
            counted(columns.due_at_us < now_us).label("overdue"),
            counted(columns.assignee.is_(None)).label("unassigned"),
            counted(columns.assignee == login).label("mine"),
            counted(columns.reported_at_us.is_not(None)).label("reported"),
        )
        .where(columns.state.in_(_OPEN))
        .group_by(columns.state, columns.severity)
    )


def findings_of(engine: Engine, incident_id: str) -> tuple[FoundValue, ...]:
    table = incident_finding
    statement = select(table).where(table.c.incident_id == incident_id).order_by(table.c.place)
    names = ("place", "type", "label", "rule", "action", "value_hash", "finding_key_id", "path", "times")
    with engine.connect() as connection:
        rows = connection.execute(statement).mappings()
        return tuple(
            FoundValue(score=row["score"] / 1000, **{name: row[name] for name in names}) for row in rows
        )


def history_of(engine: Engine, incident_id: str) -> tuple[Happening, ...]:
    """Return who did what, the oldest first."""
    table = incident_event
    statement = select(table).where(table.c.incident_id == incident_id).order_by(table.c.id)
    with engine.connect() as connection:
        return tuple(
            Happening(from_us(row.at_us), row.actor, row.action, row.reason, dict(row.details))
            for row in connection.execute(statement)
        )


def similar_to(engine: Engine, one: Incident, *, limit: int) -> Similar:
    """Return other incidents with an equal value, of the same person, and of the same rules."""
    table = incident_finding
    with engine.connect() as connection:
        here = connection.execute(
            select(table.c.value_hash, table.c.rule).where(table.c.incident_id == one.id)
        ).all()
        hashes = {row.value_hash for row in here if row.value_hash}
        rules = {row.rule for row in here}
        conditions = (
            incident.c.id.in_(select(table.c.incident_id).where(table.c.value_hash.in_(hashes))),
            incident.c.person_id == one.person_id,
            incident.c.id.in_(_newest_with(rules)),
        )
        found = [_others(connection, one, condition, limit) for condition in conditions]
    (values, by_value), (people, by_person), (ruled, by_rule) = found
    return Similar(by_value, by_person, by_rule, values=values, people=people, rules=ruled)


def _newest_with(rules: set[str]) -> Select[Any]:
    """A rule may have fired in every other incident: the newest are enough."""
    table = incident_finding
    statement = select(table.c.incident_id).where(table.c.rule.in_(rules)).distinct()
    return statement.order_by(table.c.incident_id.desc()).limit(MOST_COUNTED + 1)


def _others(
    connection: Connection, one: Incident, condition: ColumnElement[bool], limit: int
) -> tuple[int, tuple[Incident, ...]]:
    narrowed = and_(condition, incident.c.id != one.id)
    ids = select(incident.c.id).where(narrowed).limit(MOST_COUNTED).subquery()
    count = connection.execute(select(func.count()).select_from(ids)).scalar_one()
    statement = select(incident).where(narrowed).order_by(incident.c.at_us.desc()).limit(limit)
    rows = connection.execute(statement).mappings()
    return int(count), tuple(incident_of(row) for row in rows)


# --- what is wanted -----------------------------------------------------------------------------------------


def _ordered(statement: Select[Any], order: str) -> Select[Any]:
    columns = incident.c
    by = {
        "at": (),  # ids are ordered by time
        "due": (columns.due_at_us,),
        "severity": (columns.severity, columns.at_us),
        "changed": (columns.changed_at_us,),
        "department": (columns.department_id, columns.at_us),
        "person": (columns.person_id, columns.at_us),
        "findings": (columns.findings, columns.at_us),
    }[order.removeprefix("-")]
    if order.startswith("-"):
        return statement.order_by(*(column.desc() for column in by), columns.id.desc())
    return statement.order_by(*by, columns.id)


def _narrowed(statement: Select[Any], wanted: IncidentFilter) -> Select[Any]:
    columns = incident.c
    equal = {
        columns.person_id: wanted.person,
        columns.model_id: wanted.model,
        columns.action: wanted.action,
        columns.surface: wanted.surface,
        columns.origin: wanted.origin,
        columns.resolution: wanted.resolution,
    }
    conditions = [column == value for column, value in equal.items() if value]
    if wanted.states:
        conditions.append(columns.state.in_(sorted(wanted.states)))
    if wanted.severities:
        conditions.append(columns.severity.in_(sorted(map(int, wanted.severities))))
    if wanted.department:
        conditions.append(columns.department_id.in_(_units_below(wanted.department)))
    if wanted.assignee:
        nobody = wanted.assignee == NOBODY
        conditions.append(columns.assignee.is_(None) if nobody else columns.assignee == wanted.assignee)
    if wanted.id:
        conditions.append(columns.id.startswith(wanted.id, autoescape=True))
    return statement.where(*conditions, *_in_time(wanted), *_with_findings(wanted))


def _in_time(wanted: IncidentFilter) -> Iterator[ColumnElement[bool]]:
    columns = incident.c
    if wanted.since is not None:
        yield columns.at_us >= to_us(wanted.since)
    if wanted.until is not None:
        yield columns.at_us < to_us(wanted.until)
    if wanted.overdue_at is not None:
        yield and_(columns.state.in_(_OPEN), columns.due_at_us < to_us(wanted.overdue_at))
    if wanted.reported is not None:
        column = columns.reported_at_us
        yield column.is_not(None) if wanted.reported else column.is_(None)


def _with_findings(wanted: IncidentFilter) -> Iterator[ColumnElement[bool]]:
    table = incident_finding
    for column, value in (
        (table.c.type, wanted.type),
        (table.c.rule, wanted.rule),
        (table.c.value_hash, wanted.value_hash),
    ):
        if value:
            yield incident.c.id.in_(select(table.c.incident_id).where(column == value))


def _units_below(code: str) -> Select[Any]:
    """The unit and every unit that ever stood below it."""
    tree = select(literal(code).label("code")).cte("below", recursive=True)
    tree = tree.union(select(org_unit.c.code).where(org_unit.c.parent_code == tree.c.code))
    return select(tree.c.code)


# --- changing -----------------------------------------------------------------------------------------------


def change_incidents(
    engine: Engine,
    seen: Sequence[Seen],
    event: AuditEvent,
    decide: Callable[[Incident], Change | Refusal],
) -> BulkResult:
    """Change each incident by itself: what somebody else changed first is left as it stands.

    `event` is the deed, its subject and details set for each; `decide` says what becomes of one.
    """
    done: list[tuple[Incident, Change, Incident]] = []
    conflicts: list[Incident] = []
    refused: list[tuple[str, Refusal]] = []
    missing: list[str] = []
    with writing(engine).begin() as connection:
        # In one order, so that two that change the same ones take turns on PostgreSQL.
        for one in sorted(seen, key=lambda s: s.id):
            now = _one(connection, one.id, for_update=True)
            if now is None:
                missing.append(one.id)
                continue
            if now.version != one.version:
                conflicts.append(now)
                continue
            decided = decide(now)
            if isinstance(decided, Change):
                done.append((now, decided, _change(connection, now, decided, event)))
            else:
                refused.append((one.id, decided))
        # The head of the access audit is locked last, after every incident.
        for before, change, _ in done:
            record(connection, before.id, event, details={**event.details, **change.told(before)})
    return BulkResult(tuple(after for *_, after in done), tuple(conflicts), tuple(refused), tuple(missing))


def _change(connection: Connection, before: Incident, change: Change, event: AuditEvent) -> Incident:
    resolved = change.state is State.RESOLVED
    after = replace(
        before,
        state=change.state,
        assignee=change.assignee,
        resolution=change.resolution,
        version=before.version + 1,
        changed_at=event.at,
        resolved_at=event.at if resolved else None,
        resolved_by=event.actor.name if resolved else None,
    )
    values = {
        "state": after.state.value,
        "assignee": after.assignee,
        "resolution": None if after.resolution is None else after.resolution.value,
        "version": after.version,
        "changed_at_us": to_us(event.at),
        "resolved_at_us": to_us(event.at) if resolved else None,
        "resolved_by": after.resolved_by,
    }
    connection.execute(update(incident).where(incident.c.id == before.id).values(**values))
    return after


def record(
    connection: Connection, incident_id: str, event: AuditEvent, *, details: Mapping[str, Any]
) -> None:
    """Write a line of history, and its event of the access audit, as the transaction's last statements."""
    connection.execute(
        insert(incident_event).values(
            incident_id=incident_id,
            at_us=to_us(event.at),
            actor=event.actor.name,
            action=event.action.removeprefix("incident."),
            reason=event.reason,
            details=dict(details),
        )
    )
    append(
        connection,
        AuditEvent(
            event.at, event.actor, event.action, incident_id, event.reason, event.outcome, dict(details)
        ),
    )


# --- rows as values -----------------------------------------------------------------------------------------


def _one(connection: Connection, incident_id: str, *, for_update: bool = False) -> Incident | None:
    statement = select(incident).where(incident.c.id == incident_id)
    if for_update:
        statement = statement.with_for_update()
    row = connection.execute(statement).mappings().first()
    return None if row is None else incident_of(row)


def incident_of(row: RowMapping) -> Incident:
    def moment(name: str) -> datetime | None:
        return None if row[name] is None else from_us(row[name])

    return Incident(
        at=from_us(row["at_us"]),
        severity=Severity(row["severity"]),
        unit_path=tuple(row["unit_path"]),
        reasons=tuple(row["reasons"]),
        counts=dict(row["counts"]),
        state=State(row["state"]),
        resolution=None if row["resolution"] is None else Resolution(row["resolution"]),
        due_at=from_us(row["due_at_us"]),
        changed_at=from_us(row["changed_at_us"]),
        resolved_at=moment("resolved_at_us"),
        reported_at=moment("reported_at_us"),
        **{name: row[name] for name in (*_FACTS, *_MORE)},
    )
