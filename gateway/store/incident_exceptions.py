"""SQL of exceptions that reviewers made: proposed, decided by a second person, in force until their day.

Whatever changes what is in force bumps the revision `exceptions` in its own transaction, which running
workers poll. Also the filters of the queue that reviewers saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from billing.periods import from_us, to_us
from billing.store import writing
from gateway.incidents.records import ExceptionScope, ReviewException, SavedView
from gateway.store.audit import append
from gateway.store.incident_tables import incident_event, incident_exception, incident_view
from gateway.store.tables import revision

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine, RowMapping

    from gateway.audit import AuditEvent
    from gateway.incidents.records import ExceptionState

EXCEPTIONS: Final = "exceptions"
_SCOPE: Final = ("type", "rule", "department_id", "value_hash", "finding_key_id")


def read_revision(engine: Engine) -> int:
    """Return the revision of what is in force; 0 before the first exception."""
    with engine.connect() as connection:
        number = connection.execute(select(revision.c.number).where(revision.c.name == EXCEPTIONS)).scalar()
    return number or 0


def approved(engine: Engine) -> list[ReviewException]:
    """Return every exception that was approved and not revoked; whether its day has come, the reader says."""
    statement = select(incident_exception).where(incident_exception.c.state == "approved")
    with engine.connect() as connection:
        return [_exception(row) for row in connection.execute(statement).mappings()]


def list_exceptions(
    engine: Engine, *, state: str = "", limit: int = 50, offset: int = 0
) -> list[ReviewException]:
    """Return one page, the newest proposal first."""
    table = incident_exception
    statement = select(table).order_by(table.c.proposed_at_us.desc(), table.c.id)
    if state:
        statement = statement.where(table.c.state == state)
    with engine.connect() as connection:
        rows = connection.execute(statement.limit(limit).offset(offset)).mappings()
        return [_exception(row) for row in rows]


def count_exceptions(engine: Engine, *, state: str = "") -> int:
    statement = select(func.count()).select_from(incident_exception)
    if state:
        statement = statement.where(incident_exception.c.state == state)
    with engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def find_exception(engine: Engine, exception_id: str) -> ReviewException | None:
    with engine.connect() as connection:
        statement = select(incident_exception).where(incident_exception.c.id == exception_id)
        row = connection.execute(statement).mappings().first()
        return None if row is None else _exception(row)


def add_exception(engine: Engine, one: ReviewException, event: AuditEvent) -> None:
    """Write a proposal; nothing is in force before it is approved."""
    with writing(engine).begin() as connection:
        connection.execute(
            insert(incident_exception).values(
                id=one.id,
                incident_id=one.incident_id,
                **{name: getattr(one.scope, name) for name in _SCOPE},
                reason=one.reason,
                until_us=to_us(one.until),
                state=one.state,
                proposed_by=one.proposed_by,
                proposed_at_us=to_us(one.proposed_at),
            )
        )
        _told(connection, one, event)


def decide_exception(
    engine: Engine, one: ReviewException, state: ExceptionState, event: AuditEvent
) -> ReviewException | None:
    """Move an exception on from the version that was seen; None if somebody else did in between."""
    at_us = to_us(event.at)
    values: dict[str, Any] = {"state": state, "version": one.version + 1}
    if state == "revoked":
        values |= {"ended_by": event.actor.name, "ended_at_us": at_us}
    else:
        values |= {
            "decided_by": event.actor.name,
            "decided_at_us": at_us,
            "decided_reason": event.reason,
        }
    table = incident_exception
    with writing(engine).begin() as connection:
        same = and_(table.c.id == one.id, table.c.version == one.version, table.c.state == one.state)
        if not connection.execute(update(table).where(same).values(**values)).rowcount:
            return None
        if state != "refused":
            _bump(connection)
        _told(connection, one, event)
        row = connection.execute(select(table).where(table.c.id == one.id)).mappings().one()
        return _exception(row)


def _bump(connection: Connection) -> None:
    table = revision
    bumped = update(table).where(table.c.name == EXCEPTIONS).values(number=table.c.number + 1)
    if not connection.execute(bumped).rowcount:
        connection.execute(insert(table).values(name=EXCEPTIONS, number=1))


def _told(connection: Connection, one: ReviewException, event: AuditEvent) -> None:
    """Write the line of history of the incident it came from, and the event of the access audit."""
    if one.incident_id is not None:
        connection.execute(
            insert(incident_event).values(
                incident_id=one.incident_id,
                at_us=to_us(event.at),
                actor=event.actor.name,
                action=event.action,
                reason=event.reason,
                details={**event.details, "exception": one.id},
            )
        )
    append(connection, event)


def _exception(row: RowMapping) -> ReviewException:
    def moment(name: str) -> datetime | None:
        return None if row[name] is None else from_us(row[name])

    names = ("id", "incident_id", "reason", "state", "proposed_by", "decided_by", "decided_reason", "version")
    return ReviewException(
        scope=ExceptionScope(**{name: row[name] for name in _SCOPE}),
        until=from_us(row["until_us"]),
        proposed_at=from_us(row["proposed_at_us"]),
        decided_at=moment("decided_at_us"),
        ended_by=row["ended_by"],
        ended_at=moment("ended_at_us"),
        **{name: row[name] for name in names},
    )


# --- saved filters ------------------------------------------------------------------------------------------


def views_of(engine: Engine, owner: str) -> list[SavedView]:
    """Return what a reviewer saved, by name."""
    table = incident_view
    statement = select(table).where(table.c.owner == owner).order_by(table.c.name)
    with engine.connect() as connection:
        return [_view(row) for row in connection.execute(statement).mappings()]


def save_view(engine: Engine, owner: str, name: str, query: str, now: datetime) -> SavedView:
    """Save a filter, in place of the owner's one of that name."""
    table = incident_view
    same = and_(table.c.owner == owner, table.c.name == name)
    try:
        with writing(engine).begin() as connection:
            values = {"query": query, "saved_at_us": to_us(now)}
            if not connection.execute(update(table).where(same).values(**values)).rowcount:
                connection.execute(insert(table).values(id=uuid4().hex, owner=owner, name=name, **values))
            return _view(connection.execute(select(table).where(same)).mappings().one())
    except IntegrityError:  # PostgreSQL: the owner's other window was first; that one is there now
        return save_view(engine, owner, name, query, now)


def drop_view(engine: Engine, owner: str, view_id: str) -> bool:
    """Delete a saved filter of its owner; False if there is none."""
    table = incident_view
    with writing(engine).begin() as connection:
        mine = and_(table.c.id == view_id, table.c.owner == owner)
        return bool(connection.execute(delete(table).where(mine)).rowcount)


def _view(row: RowMapping) -> SavedView:
    return SavedView(row["id"], row["owner"], row["name"], row["query"], from_us(row["saved_at_us"]))
