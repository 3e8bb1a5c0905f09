"""SQL of the evidence pack: what happened in a period, read without anything that names a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from billing.periods import from_us, to_us
from gateway.store.incident_tables import incident, incident_exception
from gateway.store.tables import receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from gateway.incidents.oversight import Period

BATCH = 5_000


def versions_used(engine: Engine, period: Period) -> list[dict[str, Any]]:
    """Return which rules and policies judged how many requests, from when to when."""
    columns = receipt.c
    statement = (
        select(
            columns.rules_version,
            columns.policy_version,
            func.count().label("requests"),
            func.min(columns.at_us).label("first"),
            func.max(columns.at_us).label("last"),
        )
        .where(columns.at_us >= to_us(period.start), columns.at_us < to_us(period.end))
        .group_by(columns.rules_version, columns.policy_version)
        .order_by(func.min(columns.at_us))
    )
    with engine.connect() as connection:
        return [
            {**row, "first": from_us(row["first"]).isoformat(), "last": from_us(row["last"]).isoformat()}
            for row in connection.execute(statement).mappings()
        ]


def incident_rows(engine: Engine, period: Period) -> Iterator[tuple[Any, ...]]:
    """Yield incidents without their people, reviewers and keys, the oldest first; see INCIDENT_COLUMNS."""
    columns = incident.c
    names = [columns[name] for name in INCIDENT_COLUMNS if name not in _INSTANTS]
    instants = [columns[f"{name}_us"] for name in INCIDENT_COLUMNS if name in _INSTANTS]
    after = (to_us(period.start), "")
    while True:
        later = (columns.at_us > after[0]) | ((columns.at_us == after[0]) & (columns.id > after[1]))
        statement = (
            select(*names, *instants)
            .where(columns.at_us >= after[0], columns.at_us < to_us(period.end), later)
            .order_by(columns.at_us, columns.id)
            .limit(BATCH)
        )
        with engine.connect() as connection:
            rows = connection.execute(statement).mappings().all()
        yield from (tuple(_cell(row, name) for name in INCIDENT_COLUMNS) for row in rows)
        if len(rows) < BATCH:
            return
        after = (rows[-1]["at_us"], rows[-1]["id"])


INCIDENT_COLUMNS = (
    "id",
    "at",
    "origin",
    "action",
    "severity",
    "department_id",
    "model_id",
    "surface",
    "zone",
    "grade",
    "counts",
    "rules_version",
    "policy_version",
    "state",
    "resolution",
    "due_at",
    "resolved_at",
    "reported_at",
)
_INSTANTS = frozenset({"at", "due_at", "resolved_at", "reported_at"})


def _cell(row: Any, name: str) -> object:  # noqa: ANN401 - a row of `incident`
    if name in _INSTANTS:
        at = row[f"{name}_us"]
        return "" if at is None else from_us(at).isoformat()
    if name == "counts":
        return " ".join(f"{type_}={number}" for type_, number in sorted(row[name].items()))
    return "" if row[name] is None else row[name]


def exceptions_in(engine: Engine, period: Period) -> list[dict[str, Any]]:
    """Return exceptions proposed, or in force, in a period: what they let pass, never who asked or why."""
    columns = incident_exception.c
    statement = (
        select(incident_exception)
        .where(columns.proposed_at_us < to_us(period.end), columns.until_us >= to_us(period.start))
        .order_by(columns.proposed_at_us, columns.id)
    )
    with engine.connect() as connection:
        rows = connection.execute(statement).mappings().all()
    return [
        {
            "id": row["id"],
            "incident_id": row["incident_id"],
            "type": row["type"],
            "rule": row["rule"],
            "department_id": row["department_id"],
            "one_value": bool(row["value_hash"]),
            "state": row["state"],
            "proposed_at": from_us(row["proposed_at_us"]).isoformat(),
            "decided_at": None if row["decided_at_us"] is None else from_us(row["decided_at_us"]).isoformat(),
            "by_a_second_person": row["decided_by"] is not None and row["decided_by"] != row["proposed_by"],
            "until": from_us(row["until_us"]).isoformat(),
            "ended_at": None if row["ended_at_us"] is None else from_us(row["ended_at_us"]).isoformat(),
        }
        for row in rows
    ]
