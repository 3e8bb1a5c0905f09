"""SQL of what policy keeps of a prompt, and of looks at it: sealed content, reveals, the end of both.

Content is opened by gateway/incidents/desk.py; here it stays sealed. A reveal is written with its event of
the access audit in one transaction, before anything is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, insert, select, text, update

from billing.periods import from_us, to_us
from billing.store import writing
from gateway.audit import Actor, AuditEvent
from gateway.incidents.records import Reveal
from gateway.store.audit import append
from gateway.store.incident_tables import incident_content, incident_reveal
from gateway.store.incidents import record
from gateway.vault import Sealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine, RowMapping

BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """Sealed content of one kind; `sealed` is None past its day, also before its key is destroyed."""

    incident_id: str
    kind: str
    until: datetime
    destroyed_at: datetime | None
    sealed: Sealed | None


# --- content ------------------------------------------------------------------------------------------------


def content_of(engine: Engine, incident_id: str, now: datetime) -> dict[str, Kept]:
    """Return what is kept of an incident, by kind: `text`, `note`."""
    statement = select(incident_content).where(incident_content.c.incident_id == incident_id)
    with engine.connect() as connection:
        return {row["kind"]: _kept(row, now) for row in connection.execute(statement).mappings()}


def texts_kept(
    engine: Engine, since: datetime | None, until: datetime | None, now: datetime
) -> Iterator[Kept]:
    """Yield every text that may still be opened, in the order of incidents, in batches."""
    table, last = incident_content, ""
    conditions = [table.c.kind == "text", table.c.wrapped_key.is_not(None), table.c.until_us > to_us(now)]
    if since is not None:
        conditions.append(table.c.stored_at_us >= to_us(since))
    if until is not None:
        conditions.append(table.c.stored_at_us < to_us(until))
    while True:
        statement = select(table).where(*conditions, table.c.incident_id > last).order_by(table.c.incident_id)
        with engine.connect() as connection:
            rows = connection.execute(statement.limit(BATCH)).mappings().all()
        yield from (_kept(row, now) for row in rows)
        if len(rows) < BATCH:
            return
        last = rows[-1]["incident_id"]


def put_content(connection: Connection, values: Mapping[str, Any]) -> None:
    """Write sealed content in the caller's transaction, in place of what was there of its kind."""
    table = incident_content
    same = and_(table.c.incident_id == values["incident_id"], table.c.kind == values["kind"])
    changed = connection.execute(update(table).where(same).values(**values, destroyed_at_us=None)).rowcount
    if not changed:
        connection.execute(insert(table).values(**values))


def destroy_content(engine: Engine, now: datetime, actor: Actor) -> int:
    """Destroy the keys of content that is past its day, and the content; return how many.

    The row stays and says when. On SQLite what was there is overwritten with zeros in the file, and the
    log that held it is emptied; on PostgreSQL the dead rows are vacuumed away.
    """
    table = incident_content
    due = and_(table.c.until_us <= to_us(now), table.c.wrapped_key.is_not(None))
    with writing(engine).begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA secure_delete = ON"))
        gone = {"wrapped_key": None, "sealed": None, "destroyed_at_us": to_us(now)}
        count = connection.execute(update(table).where(due).values(**gone)).rowcount
        if count:
            append(connection, AuditEvent(now, actor, "incident.expire", details={"contents": count}))
    if count:
        forget_destroyed(engine)
    return int(count)


def forget_destroyed(engine: Engine) -> None:
    """Let the database drop what its files still hold of overwritten rows.

    Also for a process that starts: one before it may have ended between destroying and this.
    """
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        return
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM incident_content"))


def _kept(row: RowMapping, now: datetime) -> Kept:
    ended = row["destroyed_at_us"]
    over = ended is not None or row["until_us"] <= to_us(now)
    sealed = None if over else Sealed(row["key_id"], row["wrapped_key"], row["sealed"])
    return Kept(
        row["incident_id"],
        row["kind"],
        from_us(row["until_us"]),
        None if ended is None else from_us(ended),
        sealed,
    )


# --- reveals ------------------------------------------------------------------------------------------------


def add_reveal(engine: Engine, reveal: Reveal, event: AuditEvent) -> None:
    values = {
        "id": reveal.id,
        "incident_id": reveal.incident_id,
        "asked_by": reveal.asked_by,
        "asked_at_us": to_us(reveal.asked_at),
        "reason": reveal.reason,
        "what": reveal.what,
        "span": reveal.span,
        "state": reveal.state,
        "until_us": None if reveal.until is None else to_us(reveal.until),
    }
    with writing(engine).begin() as connection:
        connection.execute(insert(incident_reveal).values(**values))
        record(connection, reveal.incident_id, event, details=event.details)


def decide_reveal(engine: Engine, decided: Reveal, event: AuditEvent) -> bool:
    """Write a second person's answer; False if somebody else gave one first."""
    table = incident_reveal
    values = {
        "state": decided.state,
        "decided_by": event.actor.name,
        "decided_at_us": to_us(event.at),
        "until_us": None if decided.until is None else to_us(decided.until),
    }
    with writing(engine).begin() as connection:
        waiting = and_(table.c.id == decided.id, table.c.state == "asked")
        if not connection.execute(update(table).where(waiting).values(**values)).rowcount:
            return False
        record(connection, decided.incident_id, event, details=event.details)
        return True


def find_reveal(engine: Engine, reveal_id: str) -> Reveal | None:
    with engine.connect() as connection:
        statement = select(incident_reveal).where(incident_reveal.c.id == reveal_id)
        row = connection.execute(statement).mappings().first()
        return None if row is None else _reveal(row)


def reveals_of(engine: Engine, incident_id: str) -> tuple[Reveal, ...]:
    """Return every look at an incident, the newest first."""
    table = incident_reveal
    statement = select(table).where(table.c.incident_id == incident_id)
    with engine.connect() as connection:
        rows = connection.execute(statement.order_by(table.c.asked_at_us.desc(), table.c.id)).mappings()
        return tuple(map(_reveal, rows))


def waiting_reveals(engine: Engine) -> list[Reveal]:
    """Return the looks that wait for a second person, the oldest first."""
    table = incident_reveal
    statement = select(table).where(table.c.state == "asked").order_by(table.c.asked_at_us)
    with engine.connect() as connection:
        return [_reveal(row) for row in connection.execute(statement).mappings()]


def _reveal(row: RowMapping) -> Reveal:
    def moment(name: str) -> datetime | None:
        return None if row[name] is None else from_us(row[name])

    names = ("id", "incident_id", "asked_by", "reason", "what", "span", "state", "decided_by")
    return Reveal(
        asked_at=from_us(row["asked_at_us"]),
        decided_at=moment("decided_at_us"),
        until=moment("until_us"),
        **{name: row[name] for name in names},
    )
