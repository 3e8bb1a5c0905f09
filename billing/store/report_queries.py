"""What the reports of seats and forecasts read: daily sums by people and month, by department and day.

Call `count_first` where the last seconds matter. The two indexes hold
everything that the daily questions ask for, so that half a million rows are not read to add up two columns.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Index, case, func, literal, select
from sqlalchemy.exc import DBAPIError

from billing.money import NANO
from billing.plans import Use
from billing.store.rollups import bring_up_to_date
from billing.tables import (
    usage_days,
    usage_person_days,
    usage_person_months,
    usage_positions,
    usage_unit_days,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Table

    from billing.plans import Plan

_EPOCH: Final = date(1970, 1, 1).toordinal()

for _table, _name in ((usage_unit_days, "department_id"), (usage_person_days, "key_id")):
    Index(None, _table.c[_name], _table.c.day, _table.c.won, _table.c.nano_rest)


def count_first(engine: Engine) -> bool:
    """Bring the daily sums up to date; False for a database that takes no writes, whose sums may lag."""
    try:
        return bring_up_to_date(engine) == 0
    except DBAPIError:
        return False


def sums_position(engine: Engine) -> int:
    """Return how many rows of the ledger the daily sums count: while it stays, so does what is read here."""
    with engine.connect() as connection:
        return int(connection.execute(select(func.coalesce(func.sum(usage_positions.c.seq), 0))).scalar_one())


def months_summed(engine: Engine) -> tuple[str, ...]:
    """Return the billing months in which anything was used, in order."""
    statement = select(usage_days.c.billing_period).distinct().order_by(usage_days.c.billing_period)
    with engine.connect() as connection:
        return tuple(connection.execute(statement).scalars())


def person_uses(
    engine: Engine, months: Sequence[str], plans: Sequence[Plan], department_id: str | None = None
) -> list[Use]:
    """Return what each person used in each department and month, and what of it each plan replaces."""
    table = usage_person_months
    keys = [table.c[name] for name in ("person_id", "department_id", "billing_period")]
    with engine.connect() as connection:
        inside = _inside(connection, plans)
        parts = [column for models in inside for column in _part(table, models)]
        statement = select(*keys, *_part(table, None), *parts).where(table.c.billing_period.in_(months))
        if department_id is not None:
            statement = statement.where(table.c.department_id == department_id)
        rows = connection.execute(statement.group_by(*keys).order_by(*keys))
        return [_use(row) for row in rows]


def _inside(connection: Connection, plans: Sequence[Plan]) -> list[tuple[str, ...] | None]:
    """Name the models that each plan replaces; None for all of them."""
    if not any(plan.models for plan in plans):
        return [None] * len(plans)
    known = connection.execute(select(usage_days.c.model_id).distinct()).scalars().all()
    return [tuple(filter(plan.covers, known)) if plan.models else None for plan in plans]


def _part(table: Table, models: Sequence[str] | None) -> Iterator[ColumnElement[Any]]:
    for name in ("requests", "won", "nano_rest"):
        column: ColumnElement[Any] = table.c[name]
        if models is not None:
            column = case((table.c.model_id.in_(models), column), else_=0) if models else literal(0)
        yield func.coalesce(func.sum(column), 0)


def _use(row: Any) -> Use:  # noqa: ANN401 - a row of `person_uses`
    person_id, department_id, month, *numbers = row
    sums = list(map(int, numbers))
    parts = [(sums[n], sums[n + 1] * NANO + sums[n + 2]) for n in range(0, len(sums), 3)]
    requests, nano_krw = parts[0]
    return Use(person_id, department_id, month, requests, nano_krw, tuple(parts[1:]))


def department_days(
    engine: Engine, first: date, department_id: str | None = None
) -> dict[str, dict[date, int]]:
    """Map departments to the nano-won of each day since `first` on which they used anything."""
    only = None if department_id is None else [department_id]
    return _days(engine, usage_unit_days, "department_id", first, only)


def key_days(engine: Engine, first: date, key_ids: Sequence[str] | None = None) -> dict[str, dict[date, int]]:
    """Map keys to the nano-won of each day since `first` on which they were used."""
    return _days(engine, usage_person_days, "key_id", first, key_ids)


def keys_of_department(engine: Engine, department_id: str, first: date) -> list[str]:
    """Return the keys that were used for a department since a day."""
    table = usage_person_days
    mine = (table.c.department_id == department_id, table.c.day >= first.toordinal() - _EPOCH)
    with engine.connect() as connection:
        return list(connection.execute(select(table.c.key_id).where(*mine).distinct()).scalars())


def _days(
    engine: Engine, table: Table, name: str, first: date, only: Sequence[str] | None
) -> dict[str, dict[date, int]]:
    key = table.c[name]
    statement = select(key, table.c.day, func.sum(table.c.won), func.sum(table.c.nano_rest))
    statement = statement.where(table.c.day >= first.toordinal() - _EPOCH)
    if only is not None:
        statement = statement.where(key.in_(only))
    found: dict[str, dict[date, int]] = {}
    with engine.connect() as connection:
        for id_, day, won, rest in connection.execute(statement.group_by(key, table.c.day)):
            found.setdefault(id_, {})[date.fromordinal(day + _EPOCH)] = int(won) * NANO + int(rest)
    return found
