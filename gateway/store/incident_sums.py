"""Daily sums of incidents and of their verdicts, filled behind them.

    bring_up_to_date   what a worker calls every few seconds and a report calls first

An incident is written with its request and changes while it is worked on; each change raises its version. So
the number of a day's incidents and the sum of their versions say whether the day must be counted again. A
day is read without a lock and written only if nobody has counted it meanwhile. People and values that occur
in a day that is counted are looked up as a whole; those numbers only grow, so nobody's older answer wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, case, delete, func, literal_column, select

from billing.periods import to_us
from billing.store import writing
from billing.store.statements import insert_rows
from gateway.incidents.oversight import hours_shown
from gateway.store.incident_tables import incident, incident_finding
from gateway.store.oversight_tables import (
    INCIDENT_SUMS,
    incident_day,
    incident_hours_day,
    incident_position,
    incident_repeat,
    incident_rule_day,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Table

DAY_US: Final = 86_400 * 10**6
KST_US: Final = 9 * 3600 * 10**6
_HOUR_US: Final = 3600 * 10**6
_MOST_IDS: Final = 500
_DAY: Final = f"(incident.at_us + {KST_US}) / {DAY_US}"
"""As a literal: PostgreSQL must see that it groups by what it selects."""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('haechi.incident_sums'))"
_HIGHER: Final = (
    " ON CONFLICT (kind, id) DO UPDATE SET incidents = excluded.incidents, first_us = excluded.first_us,"
    " last_us = excluded.last_us, department_id = excluded.department_id"
    " WHERE excluded.incidents >= incident_repeat.incidents"
)

Standing = tuple[int, int]
"""Incidents of a day, and the sum of their versions."""


def bring_up_to_date(engine: Engine, *, since: datetime | None = None) -> int:
    """Count the days whose incidents changed; return how many were counted.

    `since` looks at incidents changed from an instant on only, which is cheap; without it every day is
    compared. Safe from any number of processes at once. Raises what SQLAlchemy raises.
    """
    with engine.connect() as connection:
        days = _touched(connection, since)
        there, counted = _there(connection, days), _positions(connection, days)
    return sum(
        _count(engine, day, counted.get(day)) for day, now in sorted(there.items()) if counted.get(day) != now
    )


def _touched(connection: Connection, since: datetime | None) -> list[int] | None:
    if since is None:
        return None
    day = literal_column(_DAY, Integer)
    statement = select(day).where(incident.c.changed_at_us >= to_us(since)).distinct()
    return list(connection.execute(statement).scalars())


def _there(connection: Connection, days: list[int] | None) -> dict[int, Standing]:
    if days is None:
        day = literal_column(_DAY, Integer)
        statement = (
            select(day, func.count(), func.sum(incident.c.version)).select_from(incident).group_by(day)
        )
        return {row[0]: (row[1], int(row[2])) for row in connection.execute(statement)}
    return {day: _standing(connection, day) for day in days}


def _standing(connection: Connection, day: int) -> Standing:
    statement = select(func.count(), func.coalesce(func.sum(incident.c.version), 0)).where(_of(day))
    row = connection.execute(statement).one()
    return row[0], int(row[1])


def _positions(connection: Connection, days: list[int] | None) -> dict[int, Standing]:
    columns = incident_position.c
    statement = select(columns.day, columns.incidents, columns.versions)
    if days is not None:
        statement = statement.where(columns.day.in_(days))
    return {row[0]: (row[1], row[2]) for row in connection.execute(statement)}


def _of(day: int) -> ColumnElement[bool]:
    first = day * DAY_US - KST_US
    return incident.c.at_us.between(first, first + DAY_US - 1)


def _count(engine: Engine, day: int, before: Standing | None) -> bool:
    with engine.connect() as connection:
        standing = _standing(connection, day)  # first: what comes later makes the day be counted again
        if before is not None and standing[0] < before[0]:
            return False  # some were deleted for their age: keep what was counted
        sums = {table: [(day, *row) for row in rows] for table, rows in _read(connection, day).items()}
        repeats = list(_repeats(connection, day))
    with writing(engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(_LOCK)
        if _positions(connection, [day]).get(day) != before:
            return False
        for table in (*INCIDENT_SUMS, incident_position):
            connection.execute(delete(table).where(table.c.day == day))
        for table, rows in sums.items():
            insert_rows(connection, table, tuple(table.columns.keys()), rows)
        insert_rows(connection, incident_position, ("day", "incidents", "versions"), [(day, *standing)])
        insert_rows(connection, incident_repeat, tuple(incident_repeat.columns.keys()), repeats, _HIGHER)
    return True


def _read(connection: Connection, day: int) -> dict[Table, Iterable[tuple[Any, ...]]]:
    columns = incident.c
    said = func.coalesce(columns.resolution, "")
    late = func.sum(case((columns.resolved_at_us > columns.due_at_us, 1), else_=0)).cast(Integer)
    verdicts = select(columns.severity, said, func.count(), late).where(_of(day))
    taken = select(columns.resolved_at_us - columns.at_us).where(
        _of(day), columns.resolved_at_us.is_not(None)
    )
    hours: dict[int, int] = {}
    for microseconds in connection.execute(taken).scalars():
        shown = hours_shown(microseconds / _HOUR_US)
        hours[shown] = hours.get(shown, 0) + 1
    found = incident_finding.c
    rules = (
        select(found.rule, found.type, said, func.count(columns.id.distinct()))
        .join_from(incident, incident_finding, found.incident_id == columns.id)
        .where(_of(day))
        .group_by(found.rule, found.type, columns.resolution)
    )
    return {
        incident_day: map(tuple, connection.execute(verdicts.group_by(columns.severity, columns.resolution))),
        incident_hours_day: hours.items(),
        incident_rule_day: map(tuple, connection.execute(rules)),
    }


def _repeats(connection: Connection, day: int) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each person and value of a day that occurs in more than one incident at all."""
    person = incident.c.person_id
    people = connection.execute(select(person).where(_of(day)).distinct()).scalars().all()
    found = incident_finding.c
    hashes = (
        select(found.value_hash)
        .join_from(incident, incident_finding, found.incident_id == incident.c.id)
        .where(_of(day), found.value_hash != "")
        .distinct()
    )
    for some in _in_pieces(people):
        number, at = func.count(), incident.c.at_us
        statement = (
            select(person, func.max(incident.c.department_id), number, func.min(at), func.max(at))
            .where(person.in_(some))
            .group_by(person)
            .having(number > 1)
        )
        for who, department, times, first, last in connection.execute(statement):
            yield "person", who, "", department, times, first, last
    for some in _in_pieces(connection.execute(hashes).scalars().all()):
        number = func.count(found.incident_id.distinct())
        grouped = (
            select(
                found.value_hash, func.max(found.type), number, func.min(found.at_us), func.max(found.at_us)
            )
            .where(found.value_hash.in_(some))
            .group_by(found.value_hash)
            .having(number > 1)
        )
        for value, type_, times, first, last in connection.execute(grouped):
            yield "value", value, type_, "", times, first, last


def _in_pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _MOST_IDS):
        yield ids[start : start + _MOST_IDS]
