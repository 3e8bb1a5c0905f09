"""Reads the daily sums: by any dimensions, filtered, sorted and cut into pages. Reads only.

Call `billing.store.rollups.bring_up_to_date` first where the last seconds matter. Each question goes to
the smallest table that can answer it: people, units and days only where they are asked for. A range of
days that covers whole months, as far as anything happened in them, is answered from the months; units
whose subtree counts are turned into the departments in it first.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, or_, select

from billing.money import NANO
from billing.tables import (
    usage_days,
    usage_person_days,
    usage_person_months,
    usage_unit_days,
    usage_unit_months,
)
from billing.usage import CLASSES, TOKEN_CLASSES
from billing.usage_sums import EVERYTHING, Dimension, Filter, Order, UsageSum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Table

    from billing.usage_sums import Page

_EPOCH: Final = date(1970, 1, 1).toordinal()
_ANY: Final = Filter()
_COLUMNS: Final = {
    Dimension.DAY: "day",
    Dimension.MONTH: "billing_period",
    Dimension.DEPARTMENT: "department_id",
    Dimension.UNIT: "unit_path",
    Dimension.PERSON: "person_id",
    Dimension.KEY: "key_id",
    Dimension.SERVICE: "via_service",
    Dimension.MODEL: "model_id",
    Dimension.PROVIDER: "provider",
    Dimension.DEPLOYMENT: "deployment_id",
    Dimension.TASK: "label",
}
_FILTERS: Final = {
    "months": "billing_period",
    "departments": "department_id",
    "persons": "person_id",
    "keys": "key_id",
    "services": "via_service",
    "models": "model_id",
    "providers": "provider",
    "deployments": "deployment_id",
}
_ALWAYS: Final = ("0000-01", "9999-12")
"""Months before and behind everything."""
_PAYERS: Final = {"person_id", "key_id", "via_service"}
_UNITS: Final = {"department_id", "unit_path"}
_REQUESTS: Final = (
    (Dimension.DEPLOYMENT, "deployment_requests"),
    (Dimension.MODEL, "model_requests"),
    (Dimension.PROVIDER, "provider_requests"),
)
_COUNTS: Final = ("attempts", "failed", "estimated", "cache_hits")


def usage_by(
    engine: Engine, by: Sequence[Dimension], where: Filter = _ANY, page: Page = EVERYTHING
) -> list[UsageSum]:
    """Return sums grouped by `by`, the dearest first unless `page` says otherwise."""
    with engine.connect() as connection:
        table, conditions = _source(connection, by, where)
        keys = [table.c[_COLUMNS[dimension]] for dimension in by]
        order = _order(table, by, keys, page)
        ranked = select(*keys).where(*conditions).group_by(*keys).order_by(*order)
        if page.limit is not None and len(keys) == 1:
            # Sixty sums of ten thousand people only to show fifty: rank them by one, then add up the fifty.
            shown = connection.execute(ranked.offset(page.offset).limit(page.limit)).scalars().all()
            page = replace(page, offset=0)
            conditions = [*conditions, keys[0].in_(shown)]
        statement = select(*keys, *_measures(table, by)).where(*conditions).group_by(*keys).order_by(*order)
        rows = connection.execute(statement.offset(page.offset).limit(page.limit))
        return [_sum(by, row) for row in rows]


def totals(engine: Engine, where: Filter = _ANY) -> UsageSum:
    """Return the sum of everything that the filter lets through; its key is empty."""
    with engine.connect() as connection:
        table, conditions = _source(connection, (), where)
        statement = select(*_measures(table, ())).where(*conditions)
        return _sum((), connection.execute(statement).one())


def groups(engine: Engine, by: Sequence[Dimension], where: Filter = _ANY) -> int:
    """Return how many sums `usage_by` has in all: for page numbers, and people who used anything."""
    with engine.connect() as connection:
        table, conditions = _source(connection, by, where)
        keys = [table.c[_COLUMNS[dimension]] for dimension in by]
        each = select(*keys).where(*conditions).distinct().subquery()
        return connection.execute(select(func.count()).select_from(each)).scalar_one()


def last_days(engine: Engine, key_ids: Sequence[str]) -> dict[str, date]:
    """Map keys that were ever used to the last day on which they were."""
    table = usage_person_days
    statement = select(table.c.key_id, func.max(table.c.day)).where(table.c.key_id.in_(key_ids))
    with engine.connect() as connection:
        rows = connection.execute(statement.group_by(table.c.key_id)).all()
    return {key_id: _date_of(day) for key_id, day in rows}


def day_number(day: date) -> int:
    """Days since 1970, as the tables hold them."""
    return day.toordinal() - _EPOCH


def _date_of(day: int) -> date:
    return date.fromordinal(day + _EPOCH)


# --- which table, and what of it -------------------------------------------------------------------


def _source(
    connection: Connection, by: Sequence[Dimension], where: Filter
) -> tuple[Table, list[ColumnElement[bool]]]:
    where, everywhere = _with_departments(connection, where)
    asked = {_COLUMNS[dimension] for dimension in by}
    asked |= {column for name, column in _FILTERS.items() if getattr(where, name) is not None}
    months = _whole_months(connection, where) if "day" not in asked else None
    table = _table(asked, where, by_day=months is None, by_unit=not everywhere)
    if months is not None and "month" in table.c:
        monthly = replace(where, first_day=None, last_day=None)
        months = _months_of_periods(connection, where.months) if months == _ALWAYS else months
        return table, [*_conditions(table, monthly), *_between(table, months)]
    return table, list(_conditions(table, where))


def _table(asked: set[str], where: Filter, *, by_day: bool, by_unit: bool) -> Table:
    units = by_unit or not asked.isdisjoint(_UNITS)
    if asked.isdisjoint(_PAYERS):
        if not units:
            return usage_days
        return usage_unit_days if by_day else usage_unit_months
    of_one = where.persons is not None or where.keys is not None
    return usage_person_days if by_day or (of_one and where.months is None) else usage_person_months


def _with_departments(connection: Connection, where: Filter) -> tuple[Filter, bool]:
    """Name the departments in the subtrees that count; whether these are everything there is."""
    if where.under is None:
        return where, where.departments is None
    table = usage_unit_months
    inside = _under(table, where.under)
    found = connection.execute(select(table.c.department_id).where(inside).distinct()).scalars()
    departments = set(found)
    if connection.execute(select(1).select_from(table).where(~inside).limit(1)).first() is None:
        return replace(where, under=None), where.departments is None
    if where.departments is not None:
        departments &= set(where.departments)
    return replace(where, departments=tuple(sorted(departments))), False


def _whole_months(connection: Connection, where: Filter) -> tuple[str, str] | None:
    """Return the first and last month of a range of days that cuts none; None where days are needed."""
    first, last = where.first_day, where.last_day
    if first is None and last is None:
        return _ALWAYS
    if first is not None and first.day != 1:
        return None
    if last is not None and (last + timedelta(days=1)).day != 1:
        newest = connection.execute(select(func.max(usage_days.c.day))).scalar()
        if newest is not None and newest > day_number(last):
            return None
    return (f"{first:%Y-%m}" if first else _ALWAYS[0], f"{last:%Y-%m}" if last else _ALWAYS[1])


def _months_of_periods(connection: Connection, periods: Sequence[str] | None) -> tuple[str, str]:
    """Return the first and last month in which anything of these billing periods was started.

    The tables of months are sorted by the month of the start; this finds the part of them that counts.
    """
    if periods is None:
        return _ALWAYS
    days = select(func.min(usage_days.c.day), func.max(usage_days.c.day))
    first, last = connection.execute(days.where(usage_days.c.billing_period.in_(periods))).one()
    if first is None:
        return _ALWAYS
    return f"{_date_of(first):%Y-%m}", f"{_date_of(last):%Y-%m}"


def _between(table: Table, months: tuple[str, str]) -> list[ColumnElement[bool]]:
    first, last = months
    if first == last:
        return [table.c.month == first]
    return [] if months == _ALWAYS else [table.c.month >= first, table.c.month <= last]


def _conditions(table: Table, where: Filter) -> Iterator[ColumnElement[bool]]:
    for name, column in _FILTERS.items():
        values = getattr(where, name)
        if values is not None:
            yield table.c[column].in_(values)
    if where.first_day is not None:
        yield table.c.day >= day_number(where.first_day)
    if where.last_day is not None:
        yield table.c.day <= day_number(where.last_day)
    if where.under is not None:
        yield _under(table, where.under)


def _under(table: Table, units: Sequence[str]) -> ColumnElement[bool]:
    path = "/" + table.c.unit_path + "/"
    codes = (code.replace("/", "%2F") for code in units)
    return or_(False, *(func.replace(path, f"/{code}/", "") != path for code in codes))


def _measures(table: Table, by: Sequence[Dimension]) -> list[ColumnElement[Any]]:
    requests = next((count for dimension, count in _REQUESTS if dimension in by), "requests")
    names = (requests, *_COUNTS, *(f"used_{name}" for name in CLASSES), "won", "nano_rest")
    return [func.coalesce(func.sum(table.c[name]), 0) for name in names]


def _order(
    table: Table, by: Sequence[Dimension], keys: Sequence[ColumnElement[Any]], page: Page
) -> list[ColumnElement[Any]]:
    won, rest = func.sum(table.c.won), func.sum(table.c.nano_rest)
    measures = _measures(table, by)
    tokens = (func.sum(table.c[f"used_{name}"]) for name in TOKEN_CLASSES)
    first: list[ColumnElement[Any]]
    match page.order:
        case Order.COST:
            first = [won + rest.op("/")(NANO), rest % NANO]
        case Order.REQUESTS:
            first = [measures[0]]
        case Order.TOKENS:
            first = [reduce(add, tokens)]
        case Order.KEY:
            return [key.desc() if page.descending else key for key in keys]
    return [*(column.desc() if page.descending else column for column in first), *keys]


def _sum(by: Sequence[Dimension], row: Any) -> UsageSum:  # noqa: ANN401 - a row of by and _measures
    values = tuple(row)
    requests, attempts, failed, estimated, hits, *used, won, rest = map(int, values[len(by) :])
    return UsageSum(
        key=tuple(_key(dimension, value) for dimension, value in zip(by, values, strict=False)),
        requests=requests,
        attempts=attempts,
        failed=failed,
        estimated=estimated,
        cache_hits=hits,
        tokens={name: count for name, count in zip(CLASSES, used, strict=True) if count},
        cost_nano_krw=won * NANO + rest,
    )


def _key(dimension: Dimension, value: Any) -> str | date:  # noqa: ANN401 - a column
    return _date_of(value) if dimension is Dimension.DAY else str(value)
