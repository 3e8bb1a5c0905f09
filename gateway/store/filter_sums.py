"""Daily sums of filter receipts, filled behind them, each receipt counted exactly once.

    bring_up_to_date   what a worker calls every few seconds and a report calls first
    rebuild            forgets the sums and counts every receipt again

Receipts carry no running number, and one may be written minutes after its instant: the receipt of an
answer, or what waited on disk while the database was away. So each ten minutes know how many of their
receipts are counted; where there are more, these ten minutes are counted again as a whole. What is read
without a lock is written only if nobody has counted meanwhile. Receipts that are deleted for their age
leave the sums as they are. Nothing here is on the path of a request.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import BigInteger, Integer, String, and_, cast, delete, func, literal_column, not_, select

from billing.periods import to_us
from billing.store import writing
from billing.store.statements import insert_rows
from gateway.store.oversight_tables import (
    SLOT_US,
    SUMS,
    WHOLE_DAY,
    filter_day,
    filter_position,
    filter_rule_day,
    filter_type_day,
)
from gateway.store.tables import receipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Table

DAY_US: Final = 86_400 * 10**6
KST_US: Final = 9 * 3600 * 10**6
OPEN_DAYS: Final = 2
"""Today and yesterday are kept by slots; what is older is one row a day."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('haechi.filter_sums'))"
_SLOT: Final = f"receipt.at_us / {SLOT_US}"
"""As a literal: PostgreSQL must see that it groups by what it selects. Both databases divide integers."""
_READ: Final = (
    "at_us",
    "request_id",
    "department_id",
    "zone",
    "action",
    "attempts",
    "simulated",
    "degraded",
    "unscanned",
    "findings",
)
_KINDS: Final = ("department_id", "zone", "action", "attempts", "simulated", "degraded")
"""What receipts without findings are told apart by."""

Sums = dict["Table", list[tuple[Any, ...]]]


class Stretch(NamedTuple):
    """Slots of one day that are counted together: one of them, or all of a day that is over."""

    day: int
    slot: int
    """WHOLE_DAY for a day that is over."""
    first: int
    last: int

    @property
    def counted_as(self) -> tuple[int, int]:
        return self.day, self.slot


def day_of(slot: int) -> int:
    """Days since 1970 in Korea of a slot: Korea is whole hours ahead, so a slot lies in one day."""
    return (slot * SLOT_US + KST_US) // DAY_US


def bring_up_to_date(engine: Engine, now: datetime, *, since: datetime | None = None) -> int:
    """Count what the receipts have and the sums have not; return how many slots or days were counted.

    `since` looks at slots from an instant on only, which is cheap; without it every slot is compared.
    Safe from any number of processes at once. Raises what SQLAlchemy raises.
    """
    closed_before = day_of(to_us(now) // SLOT_US) - OPEN_DAYS + 1
    with engine.connect() as connection:
        wanted = _behind(connection, since, closed_before)
    return sum(_count(engine, stretch) for stretch in wanted)


def receipts_behind(engine: Engine) -> int:
    """How many receipts are not counted yet."""
    with engine.connect() as connection:
        there, counted = _there(connection, None), _counted(connection, None)
    return sum(max(0, number - counted.get(slot, 0)) for slot, number in there.items())


def rebuild(engine: Engine, now: datetime) -> None:
    """Forget all sums and count every receipt that is still there again."""
    with writing(engine).begin() as connection:
        _lock(connection)
        for table in (*SUMS, filter_position):
            connection.execute(delete(table))
    bring_up_to_date(engine, now)


# --- what is to be counted -----------------------------------------------------------------------


def _behind(connection: Connection, since: datetime | None, closed_before: int) -> list[Stretch]:
    """Return the slots with new receipts, and the days that are over and still kept by slots."""
    there, counted = _there(connection, since), _counted(connection, since)
    fresh = [slot for slot, number in there.items() if number > counted.get(slot, 0)]
    open_slots = [Stretch(day_of(s), s, s, s) for s in sorted(fresh) if day_of(s) >= closed_before]
    closed = {day_of(slot) for slot in fresh} | _unfolded(connection)
    return [_whole(day) for day in sorted(closed) if day < closed_before] + open_slots


def _whole(day: int) -> Stretch:
    first = (day * DAY_US - KST_US) // SLOT_US
    return Stretch(day, WHOLE_DAY, first, first + DAY_US // SLOT_US - 1)


def _there(connection: Connection, since: datetime | None) -> dict[int, int]:
    slot = literal_column(_SLOT, BigInteger)
    statement = select(slot, func.count()).select_from(receipt).group_by(slot)
    if since is not None:
        statement = statement.where(receipt.c.at_us >= to_us(since) // SLOT_US * SLOT_US)
    return {row[0]: row[1] for row in connection.execute(statement)}


def _counted(connection: Connection, since: datetime | None) -> dict[int, int]:
    statement = select(filter_position.c.slot, filter_position.c.receipts)
    if since is not None:
        statement = statement.where(filter_position.c.slot >= to_us(since) // SLOT_US)
    return {row[0]: row[1] for row in connection.execute(statement)}


def _unfolded(connection: Connection) -> set[int]:
    statement = select(filter_day.c.day).where(filter_day.c.slot > WHOLE_DAY).distinct()
    return set(connection.execute(statement).scalars())


# --- counting ------------------------------------------------------------------------------------


def _count(engine: Engine, stretch: Stretch) -> bool:
    """Read without a lock, then write under it, unless another process has counted meanwhile."""
    with engine.connect() as connection:
        before = _positions(connection, stretch)
        there, sums = _read(connection, stretch)
    if sum(there.values()) < sum(before.values()):
        return _fold(engine, stretch, before)  # some were deleted for their age: keep what was counted
    with writing(engine).begin() as connection:
        _lock(connection)
        if _positions(connection, stretch) != before:
            return False
        _replace(connection, stretch, sums)
        slots = filter_position.c.slot.between(stretch.first, stretch.last)
        connection.execute(delete(filter_position).where(slots))
        insert_rows(connection, filter_position, ("slot", "receipts"), sorted(there.items()))
    return True


def _replace(connection: Connection, stretch: Stretch, sums: Sums) -> None:
    for table, rows in sums.items():
        old = table.c.day == stretch.day
        if stretch.slot != WHOLE_DAY:
            old &= table.c.slot == stretch.slot
        connection.execute(delete(table).where(old))
        insert_rows(connection, table, tuple(table.columns.keys()), rows)


def _fold(engine: Engine, stretch: Stretch, before: Mapping[int, int]) -> bool:
    """Make one row of a day's slots from the sums themselves."""
    with writing(engine).begin() as connection:
        _lock(connection)
        if stretch.slot != WHOLE_DAY or _positions(connection, stretch) != before:
            return False
        _replace(connection, stretch, {table: _summed(connection, table, stretch.day) for table in SUMS})
    return True


def _summed(connection: Connection, table: Table, day: int) -> list[tuple[Any, ...]]:
    keys = [column for column in table.primary_key.columns if column.name not in ("day", "slot")]
    measures = [func.sum(column).cast(Integer) for column in table.columns if not column.primary_key]
    statement = select(*keys, *measures).where(table.c.day == day).group_by(*keys)
    return [(day, WHOLE_DAY, *row) for row in connection.execute(statement)]


def _positions(connection: Connection, stretch: Stretch) -> dict[int, int]:
    slots = filter_position.c.slot.between(stretch.first, stretch.last)
    statement = select(filter_position.c.slot, filter_position.c.receipts).where(slots)
    return {row[0]: row[1] for row in connection.execute(statement)}


def _lock(connection: Connection) -> None:
    """On SQLite the transaction holds the one write lock already."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_LOCK)


def _read(connection: Connection, stretch: Stretch) -> tuple[Counter[int], Sums]:
    """Return how many receipts each slot has, and the rows of each table.

    Nearly all receipts hold no finding. The database adds these up: read one by one, those of the ten
    minutes under way would keep the interpreter busy at every look, and requests waiting for it.
    """
    within = receipt.c.at_us.between(stretch.first * SLOT_US, (stretch.last + 1) * SLOT_US - 1)
    bare = and_(
        cast(receipt.c.findings, String) == "[]",
        cast(receipt.c.unscanned, String) == "[]",
        receipt.c.request_id.not_like("%#%"),
    )
    slot = literal_column(_SLOT, BigInteger)
    kinds = [receipt.c[name] for name in _KINDS]
    alike = select(slot.label("slot"), *kinds, func.count().label("receipts"))
    there: Counter[int] = Counter()
    adding = _Adding()
    for row in connection.execute(alike.where(within, bare).group_by(slot, *kinds)):
        there[row.slot] += row.receipts
        adding.add_alike(row, row.receipts)
    others = select(*(receipt.c[name] for name in _READ)).where(within, not_(bare))
    for row in connection.execution_options(yield_per=1_000).execute(others):
        there[row.at_us // SLOT_US] += 1
        adding.add(row)
    return there, adding.rows(stretch.counted_as)


class _Adding:
    """Sums under way, by dimensions."""

    def __init__(self) -> None:
        self._sums: dict[Table, dict[tuple[Any, ...], list[int]]] = {
            table: defaultdict(partial(_zeros, table)) for table in SUMS
        }

    def add_alike(self, row: Any, number: int) -> None:  # noqa: ANN401 - a row of `_KINDS`
        """Add so many receipts of requests that differ in nothing, without a finding or an unread part."""
        refused = not row.attempts and not row.simulated and _refuses(row)
        measures = (number, refused * number, row.simulated * number, 0, row.degraded * number, 0)
        self._add(filter_day, (row.department_id, row.zone, row.action), measures)

    def add(self, row: Any) -> None:  # noqa: ANN401 - a row of `_READ`
        findings = row.findings
        first = "#" not in row.request_id  # `…#1` is a second verdict, `…#answer` what an answer held
        refused = first and not row.attempts and not row.simulated and _refuses(row)
        left = row.attempts > 0 and bool(row.unscanned)
        measures = (first, refused, row.simulated, left, row.degraded, len(findings))
        self._add(filter_day, (row.department_id, row.zone, row.action), measures)
        of_types = Counter((one["type"], one["action"]) for one in findings)
        for (kind, action), number in of_types.items():
            self._add(filter_type_day, (row.department_id, kind, action), (1, number))
        of_rules = Counter((one["rule"], one["type"], one["action"]) for one in findings)
        for key, number in of_rules.items():
            self._add(filter_rule_day, key, (1, number))

    def _add(self, table: Table, key: tuple[Any, ...], measures: Iterable[int]) -> None:
        sums = self._sums[table][key]
        for index, measure in enumerate(measures):
            sums[index] += measure

    def rows(self, counted_as: tuple[int, int]) -> Sums:
        return {
            table: [(*counted_as, *key, *measures) for key, measures in sums.items()]
            for table, sums in self._sums.items()
        }


def _refuses(row: Any) -> bool:  # noqa: ANN401 - a row of `_READ`
    """Whether the filter sent nobody: not even an in-house model, where only that may answer."""
    return bool(row.action == "block" or (row.action == "route" and row.zone != "in_house"))


def _zeros(table: Table) -> list[int]:
    return [0] * (len(table.columns) - len(table.primary_key.columns))
