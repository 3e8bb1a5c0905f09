"""The outbox of notices in SQL: what is to be sent, who sends it, what became of it.

Several processes share it: whoever moves a delivery's `next_try_us` on has it until then. A process
that dies while it sends leaves the delivery to the next one, which sends it again: addressees get a
notice at least once, and know a second copy by its id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, select, update

from billing.periods import from_us, to_us
from billing.store.engine import writing
from billing.store.notices import Address, Notice, notice_of
from billing.tables import budget_notices, notice_deliveries

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine, RowMapping, Select

MOST_DUE: Final = 32


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice on its way to one addressee. `next_try_at` None and not sent: it was given up."""

    notice: Notice
    address: Address
    tries: int
    next_try_at: datetime | None
    sent_at: datetime | None
    failure: str | None
    """Why the last try failed: a kind of error and a code, never what the other side wrote."""

    @property
    def state(self) -> str:
        """`sent`, `waiting` or `dead`."""
        if self.sent_at is not None:
            return "sent"
        return "dead" if self.next_try_at is None else "waiting"


def due(engine: Engine, now: datetime) -> list[Delivery]:
    """Return deliveries whose time has come, the longest waiting first."""
    waiting = notice_deliveries.c.next_try_us
    statement = _deliveries().where(waiting <= to_us(now)).order_by(waiting).limit(MOST_DUE)
    return _read(engine, statement)


def claim(engine: Engine, delivery: Delivery, until: datetime) -> bool:
    """Take a delivery until then, and count the try; False if another process has it."""
    assert delivery.next_try_at is not None, "only what is due is claimed"
    unchanged = and_(_this(delivery), notice_deliveries.c.next_try_us == to_us(delivery.next_try_at))
    values = {"next_try_us": to_us(until), "tries": delivery.tries + 1}
    with writing(engine).begin() as connection:
        taken = connection.execute(update(notice_deliveries).where(unchanged).values(values))
    return taken.rowcount == 1


def mark_sent(engine: Engine, delivery: Delivery, now: datetime) -> None:
    _note(engine, delivery, next_try_us=None, sent_at_us=to_us(now), failure=None)


def mark_failed(engine: Engine, delivery: Delivery, failure: str, next_try: datetime | None) -> None:
    """Note a try that failed; without another one it is a dead letter."""
    _note(engine, delivery, next_try_us=None if next_try is None else to_us(next_try), failure=failure)


def listed(engine: Engine, *, only: str | None = None, limit: int = 100) -> list[Delivery]:
    """Return deliveries, the newest notices first; `only` those that are `sent`, `waiting` or `dead`."""
    statement = _deliveries().order_by(budget_notices.c.noted_at_us.desc(), budget_notices.c.id)
    waiting, sent = notice_deliveries.c.next_try_us, notice_deliveries.c.sent_at_us
    match only:
        case "sent":
            statement = statement.where(sent.is_not(None))
        case "waiting":
            statement = statement.where(waiting.is_not(None))
        case "dead":
            statement = statement.where(waiting.is_(None), sent.is_(None))
    return _read(engine, statement.limit(limit))


def retry(engine: Engine, now: datetime, notice_id: str | None = None) -> int:
    """Put dead letters, all or those of a notice, back into the outbox with fresh tries; return how many."""
    dead = and_(notice_deliveries.c.next_try_us.is_(None), notice_deliveries.c.sent_at_us.is_(None))
    if notice_id is not None:
        dead = and_(dead, notice_deliveries.c.notice_id == notice_id)
    with writing(engine).begin() as connection:
        values = {"next_try_us": to_us(now), "tries": 0}
        return connection.execute(update(notice_deliveries).where(dead).values(values)).rowcount


def _note(engine: Engine, delivery: Delivery, **values: Any) -> None:  # noqa: ANN401 - columns of the row
    """Write down what became of a delivery that is not sent yet; a sent one stays sent."""
    unsent = and_(_this(delivery), notice_deliveries.c.sent_at_us.is_(None))
    with writing(engine).begin() as connection:
        connection.execute(update(notice_deliveries).where(unsent).values(values))


def _this(delivery: Delivery) -> Any:  # noqa: ANN401 - an SQL condition
    columns = notice_deliveries.c
    channel, target = delivery.address
    return and_(columns.notice_id == delivery.notice.id, columns.channel == channel, columns.target == target)


def _deliveries() -> Select[Any]:
    return select(notice_deliveries, budget_notices).join_from(
        notice_deliveries, budget_notices, notice_deliveries.c.notice_id == budget_notices.c.id
    )


def _read(engine: Engine, statement: Select[Any]) -> list[Delivery]:
    with engine.connect() as connection:
        return [_delivery(row) for row in connection.execute(statement).mappings()]


def _delivery(row: RowMapping) -> Delivery:
    next_try, sent = row["next_try_us"], row["sent_at_us"]
    return Delivery(
        notice_of(dict(row)),
        Address(row["channel"], row["target"]),
        row["tries"],
        None if next_try is None else from_us(next_try),
        None if sent is None else from_us(sent),
        row["failure"],
    )
