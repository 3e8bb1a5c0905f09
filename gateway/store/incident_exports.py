"""The outbox of incidents in SQL: which versions a receiver hears of, who sends them, what became of them.

Several processes share it: whoever moves a row's `next_try_us` on has it until then. A process that dies
while it sends leaves the row to the next one: a receiver gets a version at least once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, exists, func, insert, select, update

from billing.periods import from_us, to_us
from billing.store import writing
from gateway.store.incident_export_tables import incident_export, incident_export_position
from gateway.store.incident_tables import incident

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from gateway.incidents.states import Severity

MOST_DUE: Final = 200
MOST_NOTED: Final = 5_000
OVERLAP: Final = timedelta(days=1)
"""How late a row may be written: what waited on disk while the database was away bears its own instant."""


@dataclass(frozen=True, slots=True)
class Export:
    """A version of an incident on its way to a receiver. `next_try_at` None and not sent: it was given up."""

    target: str
    incident_id: str
    version: int
    tries: int
    next_try_at: datetime | None
    sent_at: datetime | None = None
    failure: str | None = None

    @property
    def state(self) -> str:
        """`sent`, `waiting` or `dead`."""
        if self.sent_at is not None:
            return "sent"
        return "dead" if self.next_try_at is None else "waiting"


def note(engine: Engine, target: str, least: Severity, now: datetime) -> int:
    """Put what changed since the last look into the outbox of a receiver; return how much.

    A receiver that is new hears of what changes from now on.
    """
    with writing(engine).begin() as connection:
        since, through = _position(connection, target, now)
        found = connection.execute(_unsent_versions(target, least, max(since, through - _us(OVERLAP)))).all()
        rows = [
            {
                "target": target,
                "incident_id": row.id,
                "version": row.version,
                "noted_at_us": to_us(now),
                "tries": 0,
                "next_try_us": to_us(now),
            }
            for row in found
        ]
        if rows:
            connection.execute(insert(incident_export), rows)
        reached = found[-1].changed_at_us if len(found) == MOST_NOTED else to_us(now)
        here = incident_export_position.c.target == target
        connection.execute(update(incident_export_position).where(here).values(through_us=reached))
    return len(rows)


def _position(connection: Connection, target: str, now: datetime) -> tuple[int, int]:
    columns = incident_export_position.c
    row = connection.execute(
        select(columns.since_us, columns.through_us).where(columns.target == target).with_for_update()
    ).one_or_none()
    if row is not None:
        return row.since_us, row.through_us
    begin = to_us(now)
    connection.execute(
        insert(incident_export_position).values(target=target, since_us=begin, through_us=begin)
    )
    return begin, begin


def _unsent_versions(target: str, least: Severity, since_us: int) -> Any:  # noqa: ANN401 - a Select
    known = exists().where(
        incident_export.c.target == target,
        incident_export.c.incident_id == incident.c.id,
        incident_export.c.version == incident.c.version,
    )
    return (
        select(incident.c.id, incident.c.version, incident.c.changed_at_us)
        .where(incident.c.changed_at_us >= since_us, incident.c.severity >= least.value, ~known)
        .order_by(incident.c.changed_at_us, incident.c.id)
        .limit(MOST_NOTED)
    )


def send_from(engine: Engine, target: str, since: datetime) -> None:
    """Let a receiver hear of everything that changed since an instant, the past included."""
    with writing(engine).begin() as connection:
        _position(connection, target, since)
        here = incident_export_position.c.target == target
        at = {"since_us": to_us(since), "through_us": to_us(since)}
        connection.execute(update(incident_export_position).where(here).values(at))


def due(engine: Engine, target: str, now: datetime) -> list[Export]:
    """Return what a receiver is to get now, the longest waiting first."""
    columns = incident_export.c
    statement = (
        select(incident_export)
        .where(columns.target == target, columns.next_try_us <= to_us(now))
        .order_by(columns.next_try_us, columns.noted_at_us, columns.incident_id, columns.version)
        .limit(MOST_DUE)
    )
    return _read(engine, statement)


def claim(engine: Engine, exports: Sequence[Export], until: datetime) -> list[Export]:
    """Take exports until then, and count the try; return those that no other process has."""
    taken = []
    with writing(engine).begin() as connection:
        for one in exports:
            assert one.next_try_at is not None, "only what is due is claimed"
            unchanged = and_(_this(one), incident_export.c.next_try_us == to_us(one.next_try_at))
            values = {"next_try_us": to_us(until), "tries": one.tries + 1}
            if connection.execute(update(incident_export).where(unchanged).values(values)).rowcount:
                taken.append(one)
    return taken


def mark_sent(engine: Engine, exports: Collection[Export], now: datetime) -> None:
    with writing(engine).begin() as connection:
        for one in exports:
            values = {"next_try_us": None, "sent_at_us": to_us(now), "failure": None}
            connection.execute(update(incident_export).where(_this(one)).values(values))


def mark_failed(engine: Engine, one: Export, failure: str, next_try: datetime | None) -> None:
    """Note a try that failed; without another one it is a dead letter. What is sent stays sent."""
    unsent = and_(_this(one), incident_export.c.sent_at_us.is_(None))
    values = {"next_try_us": None if next_try is None else to_us(next_try), "failure": failure}
    with writing(engine).begin() as connection:
        connection.execute(update(incident_export).where(unsent).values(values))


def counts(engine: Engine) -> dict[tuple[str, str], int]:
    """Return (receiver, `sent`, `waiting` or `dead`) -> how many."""
    columns = incident_export.c
    statement = select(
        columns.target, columns.sent_at_us.is_not(None), columns.next_try_us.is_not(None), func.count()
    ).group_by(columns.target, columns.sent_at_us.is_not(None), columns.next_try_us.is_not(None))
    with engine.connect() as connection:
        return {
            (target, "sent" if sent else "waiting" if waiting else "dead"): number
            for target, sent, waiting, number in connection.execute(statement)
        }


def dead(engine: Engine, limit: int = 200) -> list[Export]:
    """Return what was given up, the newest first."""
    columns = incident_export.c
    statement = (
        select(incident_export)
        .where(columns.sent_at_us.is_(None), columns.next_try_us.is_(None))
        .order_by(columns.noted_at_us.desc(), columns.incident_id, columns.version)
        .limit(limit)
    )
    return _read(engine, statement)


def retry(engine: Engine, now: datetime) -> int:
    """Put dead letters back into the outbox with fresh tries; return how many."""
    columns = incident_export.c
    given_up = and_(columns.sent_at_us.is_(None), columns.next_try_us.is_(None))
    with writing(engine).begin() as connection:
        values = {"next_try_us": to_us(now), "tries": 0}
        return connection.execute(update(incident_export).where(given_up).values(values)).rowcount


def _this(one: Export) -> Any:  # noqa: ANN401 - an SQL condition
    columns = incident_export.c
    return and_(
        columns.target == one.target,
        columns.incident_id == one.incident_id,
        columns.version == one.version,
    )


def _read(engine: Engine, statement: Any) -> list[Export]:  # noqa: ANN401 - a Select
    def moment(us: int | None) -> datetime | None:
        return None if us is None else from_us(us)

    with engine.connect() as connection:
        return [
            Export(
                row.target,
                row.incident_id,
                row.version,
                row.tries,
                moment(row.next_try_us),
                moment(row.sent_at_us),
                row.failure,
            )
            for row in connection.execute(statement)
        ]


def _us(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
