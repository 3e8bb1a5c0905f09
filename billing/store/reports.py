"""What was used and what it cost, read from the ledger and from its daily sums.

Whole billing months, Korean days and everything there is are read from the sums, which are brought up
to date first; a range that cuts a day, or a database that takes no writes, from the charges themselves.
Sums are taken of won and of the rest apart, since SQLite's SUM of BIGINT stops at 9.2 billion won.
Corrections hold differences, so a plain sum over all rows is the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, case, distinct, func, or_, select
from sqlalchemy.exc import DBAPIError

from billing.ledger import Kind, Outcome
from billing.money import NANO
from billing.periods import billing_day, day_start, from_us, to_us
from billing.store.rollups import bring_up_to_date
from billing.store.rows import CHARGE_SELECT
from billing.store.usage_queries import groups, totals, usage_by
from billing.tables import charges, dispatches, writers
from billing.usage import CLASSES, INPUT_TOKEN_CLASSES, OUTPUT_TOKEN_CLASSES, UsageSource
from billing.usage_sums import Dimension, Filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine

    from billing.usage_sums import UsageSum

By = Literal["department", "person", "model", "key", "provider", "deployment", "task"]
DIMENSIONS = {
    "department": charges.c.department_id,
    "person": charges.c.person_id,
    "model": charges.c.model_id,
    "key": charges.c.key_id,
    "provider": charges.c.provider,
    "deployment": charges.c.deployment_id,
    "task": charges.c.label,
}
"""`task`: what chat clients asked by themselves (`title_generation`); people's requests have none."""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One department, person, …: `tokens` holds the classes of Usage that are not zero.

    `requests` counts people's requests once, however many attempts they took; `estimated` counts
    attempts whose usage nobody reported.
    """

    key: str
    requests: int
    attempts: int
    estimated: int
    tokens: dict[str, int] = field(repr=False)
    cost_nano_krw: int = 0

    @property
    def input_tokens(self) -> int:
        return sum(self.tokens.get(name, 0) for name in INPUT_TOKEN_CLASSES)

    @property
    def output_tokens(self) -> int:
        return sum(self.tokens.get(name, 0) for name in OUTPUT_TOKEN_CLASSES)


@dataclass(frozen=True, slots=True)
class Savings:
    """Metered cost against what seats would have cost. Won; `metered_nano_krw` is exact.

    `people` is everybody who would have had a seat; `person_months` those who used anything, counted
    in each month.
    """

    months: int
    people: int
    person_months: int
    seat_price_krw: int
    metered_nano_krw: int

    @property
    def seats_krw(self) -> int:
        return self.people * self.months * self.seat_price_krw

    @property
    def seats_of_active_krw(self) -> int:
        """Seats for those alone who used it, in the months in which they did."""
        return self.person_months * self.seat_price_krw

    @property
    def metered_krw(self) -> Decimal:
        return Decimal(self.metered_nano_krw) / NANO

    @property
    def saved_krw(self) -> Decimal:
        return self.seats_krw - self.metered_krw

    @property
    def saved_percent(self) -> Decimal:
        """Percent of the seats' cost, one decimal; 0 where there are no seats."""
        if self.seats_krw == 0:
            return Decimal("0.0")
        return (self.saved_krw * 100 / self.seats_krw).quantize(Decimal("0.1"))


def usage_report(
    engine: Engine,
    by: By,
    *,
    month: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    department_ids: Iterable[str] | None = None,
) -> list[UsageRow]:
    """Sum usage by a dimension: of a billing month, or of the attempts started in [start, end).

    Rows are sorted by cost, the dearest first. Side calls of the gateway itself are included: they
    are paid for too.
    """
    departments = None if department_ids is None else tuple(department_ids)
    if _cuts_no_day(start) and _cuts_no_day(end) and _summed(engine):
        where = Filter(
            months=None if month is None else (month,),
            first_day=None if start is None else billing_day(start),
            last_day=None if end is None else billing_day(end) - timedelta(days=1),
            departments=departments,
        )
        return [_row_of(found) for found in usage_by(engine, [Dimension(by)], where)]
    return _from_charges(engine, by, _period(month, start, end), departments)


def savings(
    engine: Engine,
    seat_price_krw: int,
    months: Sequence[str],
    people: int | None = None,
) -> Savings:
    """Compare the metered cost of billing months with seats.

    `people`: how many would have a seat; those who used anything in these months if None.
    """
    if _summed(engine):
        where = Filter(months=tuple(months))
        person_months = groups(engine, [Dimension.MONTH, Dimension.PERSON], where)
        everybody = groups(engine, [Dimension.PERSON], where)
        cost = totals(engine, where).cost_nano_krw
    else:
        person_months, everybody, cost = _people_and_cost(engine, months)
    return Savings(len(months), everybody if people is None else people, person_months, seat_price_krw, cost)


def months_with_charges(engine: Engine) -> tuple[str, ...]:
    statement = select(charges.c.billing_period).distinct().order_by(charges.c.billing_period)
    with engine.connect() as connection:
        return tuple(connection.execute(statement).scalars())


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that writes, or wrote, one chain of the ledger. `state`: active, stopped or free."""

    slot: int
    state: str
    host: str
    pid: int
    heartbeat: datetime
    rows: int


def ledger_writers(engine: Engine) -> list[Writer]:
    """Return every writer slot: who holds it, and when they last gave a sign of life."""
    columns = [writers.c[name] for name in ("slot", "state", "host", "pid", "heartbeat_us", "seq")]
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(writers.c.slot)).all()
    return [
        Writer(slot, state, host.partition("/")[0], pid, from_us(beat), seq)
        for slot, state, host, pid, beat, seq in rows
    ]


def open_dispatches(engine: Engine) -> list[str]:
    """Attempt ids that have no charge yet: in flight, or waiting to be adopted."""
    its_charge = and_(charges.c.attempt_id == dispatches.c.attempt_id, charges.c.kind == Kind.CHARGE)
    statement = (
        select(dispatches.c.attempt_id)
        .join_from(dispatches, charges, its_charge, isouter=True)
        .where(charges.c.charge_id.is_(None))
        .order_by(dispatches.c.attempt_id)
    )
    with engine.connect() as connection:
        return list(connection.execute(statement).scalars())


def charges_of(engine: Engine, attempt_ids: Sequence[str]) -> Iterator[dict[str, object]]:
    """Yield every row of these attempts, corrections included, as columns of ledger_charge."""
    with engine.connect() as connection:
        for start in range(0, len(attempt_ids), 500):
            some = attempt_ids[start : start + 500]
            one_by_kind = or_(charges.c.kind == Kind.CHARGE, charges.c.kind != Kind.CHARGE)
            statement = select(*CHARGE_SELECT).where(charges.c.attempt_id.in_(some), one_by_kind)
            for row in connection.execute(
                statement.order_by(charges.c.attempt_id, charges.c.settled_at_us)
            ).mappings():
                yield dict(row)


def _cuts_no_day(at: datetime | None) -> bool:
    return at is None or day_start(billing_day(at)) == at


def _summed(engine: Engine) -> bool:
    """Whether the sums hold all of the ledger; False for a database that takes no writes."""
    try:
        return bring_up_to_date(engine) == 0
    except DBAPIError:
        return False


def _row_of(found: UsageSum) -> UsageRow:
    return UsageRow(
        key=str(found.key[0]),
        requests=found.requests,
        attempts=found.attempts,
        estimated=found.estimated,
        tokens=dict(found.tokens),
        cost_nano_krw=found.cost_nano_krw,
    )


# --- from the charges themselves -----------------------------------------------------------------


def _from_charges(
    engine: Engine, by: By, period: Sequence[ColumnElement[bool]], departments: Sequence[str] | None
) -> list[UsageRow]:
    dimension = DIMENSIONS[by]
    statement = (
        select(dimension.label("key"), *_counts(), *_cost(), *_tokens()).where(*period).group_by(dimension)
    )
    if departments is not None:
        statement = statement.where(charges.c.department_id.in_(departments))
    with engine.connect() as connection:
        rows = [_usage_row(dict(row)) for row in connection.execute(statement).mappings()]
    return sorted(rows, key=lambda row: (-row.cost_nano_krw, row.key))


def _people_and_cost(engine: Engine, months: Sequence[str]) -> tuple[int, int, int]:
    """Return person-months, people and nano-won of billing months."""
    mine = charges.c.billing_period.in_(list(months))
    active = select(charges.c.billing_period, charges.c.person_id).where(mine).distinct().subquery()
    with engine.connect() as connection:
        person_months = connection.execute(select(func.count()).select_from(active)).scalar_one()
        people = connection.execute(select(func.count(distinct(charges.c.person_id))).where(mine))
        cost = connection.execute(select(*_cost()).where(mine)).mappings().one()
        return person_months, people.scalar_one(), _nano(cost)


def _counts() -> list[ColumnElement[int]]:
    is_charge = charges.c.kind == Kind.CHARGE
    is_estimate = and_(
        is_charge, charges.c.source == UsageSource.ESTIMATED, charges.c.outcome != Outcome.NOT_SENT
    )
    return [
        func.count(distinct(charges.c.request_id)).label("requests"),
        func.coalesce(func.sum(case((is_charge, 1), else_=0)), 0).label("attempts"),
        func.coalesce(func.sum(case((is_estimate, 1), else_=0)), 0).label("estimated"),
    ]


def _cost() -> list[ColumnElement[Any]]:
    amount = charges.c.amount_nano_krw
    return [
        func.coalesce(func.sum(_whole(amount)), 0).label("cost_won"),
        func.coalesce(func.sum(amount % NANO), 0).label("cost_rest"),
    ]


def _whole(amount: ColumnElement[int]) -> ColumnElement[int]:
    """Integer division: `/` cuts towards zero on both databases, as `%` expects."""
    return amount.op("/", return_type=amount.type)(NANO)


def _tokens() -> list[ColumnElement[Any]]:
    return [func.sum(charges.c[name]).label(f"used_{name}") for name in CLASSES]


def _nano(row: object) -> int:
    columns: Any = row
    return int(columns["cost_won"]) * NANO + int(columns["cost_rest"])


def _usage_row(row: dict[str, Any]) -> UsageRow:
    return UsageRow(
        key=row["key"],
        requests=int(row["requests"]),
        attempts=int(row["attempts"]),
        estimated=int(row["estimated"]),
        tokens={name: int(row[f"used_{name}"]) for name in CLASSES if row[f"used_{name}"]},
        cost_nano_krw=_nano(row),
    )


def _period(month: str | None, start: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    conditions = []
    if month is not None:
        conditions.append(charges.c.billing_period == month)
    if start is not None:
        conditions.append(charges.c.started_at_us >= to_us(start))
    if end is not None:
        conditions.append(charges.c.started_at_us < to_us(end))
    return conditions
