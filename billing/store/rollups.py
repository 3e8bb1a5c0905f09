"""Daily sums of the ledger, filled behind it, each row of it counted exactly once.

    bring_up_to_date   what a report calls first, and a worker every few seconds
    rebuild, verify_sums   what `haechi ledger rollups` calls
    usage_by, totals   stand in billing.store.usage_queries

A chain of the ledger has no gaps and is never rewritten, so one number per writer slot says what has
been counted. It is moved on in the transaction that adds the sums, under a lock that lets one process
in at a time: a process that dies in between leaves neither. Corrections and reconciliations hold
differences and are added like charges. Nothing here is on the path of a request.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)

from billing.ledger import Kind, Outcome
from billing.money import NANO
from billing.store.engine import one_moment, writing
from billing.store.statements import insert_rows
from billing.tables import (
    USAGE_COUNTS,
    USED_COLUMNS,
    charges,
    dispatches,
    lines,
    usage_days,
    usage_line_days,
    usage_person_days,
    usage_person_months,
    usage_positions,
    usage_unit_days,
    usage_unit_months,
    writers,
)
from billing.usage import CLASSES, UsageSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Select

BATCH: Final = 1_000
"""Places of a chain that one transaction counts: it holds SQLite's one write lock for some milliseconds."""

LARGE_BATCH: Final = 20_000
"""While nobody is served: at a rebuild, or before a report."""

PAUSE_S: Final = 0.02
"""Between two batches, so that the journal, which waits for the same lock, has its turn."""

MOST_DIFFERENCES: Final = 20
SUMS: Final = (
    usage_days,
    usage_unit_months,
    usage_unit_days,
    usage_person_months,
    usage_person_days,
    usage_line_days,
)
FAILURES: Final = (
    Outcome.ERROR,
    Outcome.REFUSED_BY_PROVIDER,
    Outcome.TIMEOUT,
    Outcome.BROKEN,
    Outcome.NOT_SENT,
)

_EPOCH: Final = date(1970, 1, 1).toordinal()
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('haechi.rollups'))"
_DAY: Final = f"(ledger_charge.started_at_us + {9 * 3600 * 10**6}) / {86_400 * 10**6}"
"""Days since 1970 in Korea, as a literal: PostgreSQL must see that it groups by what it selects."""
_MONTH: Final = {
    "sqlite": "strftime('%Y-%m', usage_person_day.day * 86400, 'unixepoch')",
    "postgresql": "to_char(to_timestamp(usage_person_day.day * 86400) AT TIME ZONE 'UTC', 'YYYY-MM')",
}
"""Month of a day, to verify with; sums are folded into months by `_month_of`."""


class _Behind(NamedTuple):
    """A chain that has rows beyond what was counted."""

    slot: int
    counted: int
    head: int


@dataclass(frozen=True, slots=True)
class SumsReport:
    """What `verify_sums` found: rows of sums, those that differ from the ledger, and rows not counted yet."""

    sums: int
    behind: int
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.differences


def bring_up_to_date(engine: Engine, *, most_batches: int | None = None) -> int:
    """Count what the ledger has and the sums have not; return how many of its rows are still left.

    Safe from any number of processes at once. `most_batches` bounds the work to so many small batches.
    """
    done = 0
    while behind := rows_behind(engine):
        if most_batches is not None and done >= most_batches:
            return behind
        if done:
            time.sleep(PAUSE_S)
        _count_a_batch(engine, LARGE_BATCH if most_batches is None else BATCH)
        done += 1
    return 0


def rows_behind(engine: Engine) -> int:
    """How many rows of the ledger are not counted yet."""
    with engine.connect() as connection:
        return sum(chain.head - chain.counted for chain in _behind(connection))


def rebuild(engine: Engine) -> None:
    """Forget all sums and count the whole ledger again, batch by batch; reports are behind meanwhile."""
    with writing(engine).begin() as connection:
        _lock(connection)
        for table in (*SUMS, usage_positions):
            connection.execute(delete(table))
    bring_up_to_date(engine)


def verify_sums(engine: Engine) -> SumsReport:
    """Add the ledger up to where it was counted, and compare every sum, in one snapshot."""
    with one_moment(engine).begin() as connection:
        behind = sum(chain.head - chain.counted for chain in _behind(connection))
        sums = sum(connection.execute(select(func.count()).select_from(t)).scalar_one() for t in SUMS)
        differences = list(_differing(connection))
    return SumsReport(sums, behind, tuple(differences[:MOST_DIFFERENCES]))


# --- counting ------------------------------------------------------------------------------------


def _count_a_batch(engine: Engine, most: int) -> None:
    """Read without a lock, then write under it, unless another process has counted meanwhile."""
    left = most
    with engine.connect() as connection:
        chains = _behind(connection)
    for chain in chains:
        last = min(chain.head, chain.counted + left)
        with engine.connect() as connection:
            batch = _read(connection, chain.slot, chain.counted, last)
        with writing(engine).begin() as connection:
            _lock(connection)
            if _move_on(connection, chain, last):
                _add(connection, batch)
        left -= last - chain.counted
        if left <= 0:
            return


def _read(connection: Connection, slot: int, after: int, last: int) -> dict[Table, list[tuple[Any, ...]]]:
    """Return rows to add to each table. The ledger is gone through once: persons' days hold the others."""
    places = {"slot": slot, "after": after, "last": last}
    finest, priced = (_summed(connection, table, places) for table in (usage_person_days, usage_line_days))
    coarser = (usage_person_months, usage_unit_days, usage_unit_months, usage_days)
    folded = {table: _folded(finest, table) for table in coarser}
    return {usage_person_days: finest, **folded, usage_line_days: priced}


def _summed(connection: Connection, table: Table, places: Mapping[str, int]) -> list[tuple[Any, ...]]:
    dimensions = len(table.primary_key.columns)
    rows = connection.execute(_sums_of_places(table), places)
    return [(*row[:dimensions], *map(int, row[dimensions:])) for row in rows]  # PostgreSQL sums to NUMERIC


@cache
def _sums_of_places(table: Table) -> Select[Any]:
    """Built once: putting sixty sums together took ten times as long as the database takes to add them."""
    slot, after, last = (bindparam(name, type_=BigInteger()) for name in ("slot", "after", "last"))
    return _sums_of(table).where(charges.c.slot == slot, charges.c.seq > after, charges.c.seq <= last)


def _folded(finest: Sequence[tuple[Any, ...]], table: Table) -> list[tuple[Any, ...]]:
    """Sum rows of persons' days up to the coarser dimensions of another table."""
    names = usage_person_days.columns.keys()
    day, first_measure = names.index("day"), len(usage_person_days.primary_key.columns)
    wanted = [column.name for column in table.primary_key.columns]
    monthly = wanted[0] == "month"
    dimensions = itemgetter(*(names.index(name) for name in wanted[monthly:]))
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in finest:
        key = (_month_of(row[day]), *dimensions(row)) if monthly else dimensions(row)
        known = sums.setdefault(key, [0] * (len(row) - first_measure))
        for index, quantity in enumerate(row[first_measure:]):
            known[index] += quantity
    return [(*key, *measures) for key, measures in sums.items()]


@cache
def _month_of(day: int) -> str:
    return f"{date.fromordinal(day + _EPOCH):%Y-%m}"


def _add(connection: Connection, batch: Mapping[Table, Sequence[tuple[Any, ...]]]) -> None:
    for table, rows in batch.items():
        key = ", ".join(column.name for column in table.primary_key.columns)
        measures = [column.name for column in table.columns if not column.primary_key]
        more = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in measures)
        suffix = f" ON CONFLICT ({key}) DO UPDATE SET {more}"
        insert_rows(connection, table, tuple(table.columns.keys()), rows, suffix)


def _lock(connection: Connection) -> None:
    """On SQLite the transaction holds the one write lock already."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_LOCK)


def _behind(connection: Connection) -> list[_Behind]:
    counted = func.coalesce(usage_positions.c.seq, 0)
    statement = (
        select(writers.c.slot, counted, writers.c.seq)
        .join_from(writers, usage_positions, usage_positions.c.slot == writers.c.slot, isouter=True)
        .where(writers.c.seq > counted)
        .order_by(writers.c.slot)
    )
    return [_Behind(*row) for row in connection.execute(statement)]


def _move_on(connection: Connection, chain: _Behind, seq: int) -> bool:
    """Say that a chain is counted up to `seq`; False if another process has counted from the same place."""
    positions = usage_positions
    if chain.counted == 0:
        first = {"slot": chain.slot, "seq": seq}
        there = select(positions.c.slot).where(positions.c.slot == chain.slot)
        if connection.execute(there).first() is None:
            connection.execute(positions.insert().values(first))
            return True
    same = and_(positions.c.slot == chain.slot, positions.c.seq == chain.counted)
    return connection.execute(update(positions).where(same).values(seq=seq)).rowcount == 1


def _sums_of(table: Table) -> Select[Any]:
    """Select the columns of a table of sums from the ledger; the caller says from which rows of it."""
    dimensions = [_dimension(column.name) for column in table.primary_key.columns]
    if table is usage_line_days:
        measures = [func.count(), func.sum(lines.c.quantity), *_cost(lines.c.amount_nano_krw)]
        source = lines.join(charges, lines.c.charge_id == charges.c.charge_id)
    else:
        used = [func.sum(func.coalesce(charges.c[name], 0)) for name in CLASSES]
        counts = [func.sum(case((_counts()[name], 1), else_=0)) for name in USAGE_COUNTS]
        measures = [*counts, *used, *_cost(charges.c.amount_nano_krw)]
        assert len(used) == len(USED_COLUMNS), "one sum for each class of usage"
        source = charges.outerjoin(dispatches, dispatches.c.attempt_id == charges.c.attempt_id)
    groups = (text(str(number)) for number in range(1, len(dimensions) + 1))
    return select(*dimensions, *measures).select_from(source).group_by(*groups)


def _dimension(name: str) -> ColumnElement[Any]:
    if name == "day":
        return literal_column(_DAY, Integer)
    if name in {"via_service", "fx_rate", "fx_date"}:
        column = charges.c[name] if name in charges.c else lines.c[name]
        return literal_column(f"COALESCE({column.table.name}.{name}, '')")
    return lines.c[name] if name in lines.c and name not in charges.c else charges.c[name]


def _cost(amount: ColumnElement[int]) -> list[ColumnElement[Any]]:
    whole = amount.op("/", return_type=BigInteger())(literal_column(str(NANO)))
    return [func.sum(whole), func.sum(amount % literal_column(str(NANO)))]


def _counts() -> dict[str, ColumnElement[bool]]:
    """When a row of the ledger counts, by the name of the count."""
    is_charge = charges.c.kind == Kind.CHARGE
    is_hit = charges.c.kind == Kind.CACHE_HIT
    sent = charges.c.outcome != Outcome.NOT_SENT
    return {
        "requests": is_hit | (is_charge & _first(None)),
        "model_requests": is_hit | (is_charge & _first("model_id")),
        "provider_requests": is_hit | (is_charge & _first("provider")),
        "deployment_requests": is_hit | (is_charge & _first("deployment_id")),
        "attempts": is_charge,
        "failed": is_charge & charges.c.outcome.in_(FAILURES),
        "estimated": is_charge & (charges.c.source == UsageSource.ESTIMATED) & sent,
        "cache_hits": is_hit,
    }


def _first(asked: str | None) -> ColumnElement[bool]:
    """Whether no earlier attempt of the request asked the same model, provider or deployment."""
    earlier = dispatches.alias("earlier")
    same = [earlier.c.request_id == charges.c.request_id, earlier.c.attempt_no < dispatches.c.attempt_no]
    if asked is not None:
        same.append(earlier.c[asked] == charges.c[asked])
    return case(
        (dispatches.c.attempt_no <= 1, true()),  # nearly all: the index is not asked
        else_=~exists().where(*same),
    )


# --- verifying -----------------------------------------------------------------------------------


def _differing(connection: Connection) -> Iterator[str]:
    """Add the ledger up once, for the finest sums, and if they are right these for the coarser ones."""
    finest = (usage_person_days, usage_line_days)
    wrong = [found for table in finest for found in _differences(connection, table, _counted(table))]
    yield from wrong
    for table in SUMS if not wrong else ():
        if table not in finest:
            yield from _differences(connection, table, _of_person_days(table, connection.dialect.name))


def _counted(table: Table) -> Select[Any]:
    """Add up the ledger as far as it was counted."""
    counted = exists().where(usage_positions.c.slot == charges.c.slot, usage_positions.c.seq >= charges.c.seq)
    return _sums_of(table).where(counted)


def _of_person_days(table: Table, database: str) -> Select[Any]:
    """Add persons' days up to the dimensions of a coarser table."""
    finest = usage_person_days.c
    dimensions = [
        literal_column(_MONTH[database], Text) if column.name == "month" else finest[column.name]
        for column in table.primary_key.columns
    ]
    measures = [func.sum(finest[column.name]) for column in table.columns if not column.primary_key]
    groups = (text(str(number)) for number in range(1, len(dimensions) + 1))
    return select(*dimensions, *measures).group_by(*groups)


def _differences(connection: Connection, table: Table, expected: Select[Any]) -> list[str]:
    """Name the sums that are not as expected, are missing, or should not be there."""
    key = [column.name for column in table.primary_key.columns]
    negated = [column if column.primary_key else (-column).label(column.name) for column in table.columns]
    names = union_all(select(*negated), expected).subquery("both").columns  # named by the first of the two
    uneven = [func.sum(names[name]) != 0 for name in names.keys() if name not in key]  # noqa: SIM118 - a ColumnCollection
    statement = (
        select(*(names[name] for name in key))
        .group_by(*(names[name] for name in key))
        .having(or_(func.count() != 2, *uneven))
        .limit(MOST_DIFFERENCES)
    )
    return [f"{table.name}, " + ", ".join(map(str, row)) for row in connection.execute(statement)]
