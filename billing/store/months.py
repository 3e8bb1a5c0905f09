"""Months in SQL: their steps, each taken once, and the lock that nothing passes.

Every step is a new row (`billing_month_step`); its number is the one after the step that was read, so of
two people who act at once the second is refused. A lock and its invoices are one transaction, short: what
takes time is put together before it, and the transaction only proves that nothing was added since.
Lock order on PostgreSQL: the budgets' revision first, as writers do (billing.store.locked_months).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from sqlalchemy import and_, func, insert, select
from sqlalchemy.exc import IntegrityError

from billing.ledger import Kind
from billing.money import NANO
from billing.months import (
    WORDS,
    MonthChanged,
    MonthRefused,
    MonthState,
    MonthStep,
    check_four_eyes,
    check_step,
)
from billing.periods import from_us, month_bounds, to_us
from billing.seals import MONTH_CLOSE
from billing.store.budget_admin import raise_revision
from billing.store.engine import writing
from billing.store.locked_months import locked_months
from billing.store.rollups import bring_up_to_date
from billing.store.sealing import last_seal, make_seal
from billing.tables import charges, dispatches, month_steps, usage_days, writers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine, RowMapping

    from billing.seals import Seal

TRIES: Final = 3
"""How often figures are put together anew because charges came in meanwhile."""


class MonthFigures(NamedTuple):
    """How many rows of the ledger a month has, and what they sum to. Rows are only ever added."""

    rows: int
    nano_krw: int


class Standing(NamedTuple):
    """A month as it stands; `last` is None while no step was taken."""

    month: str
    state: MonthState
    last: MonthStep | None
    figures: MonthFigures


@dataclass(frozen=True, slots=True)
class Deed:
    """Who takes a step, when and why; `trail` writes it down elsewhere in the same transaction."""

    by: str
    at: datetime
    reason: str = ""
    trail: Callable[[Connection, MonthStep], None] | None = None


class SealKey(NamedTuple):
    key: bytes
    version: int


# --- reading -------------------------------------------------------------------------------------


def months(engine: Engine) -> list[Standing]:
    """Return every month with charges or steps, the latest first.

    A locked month is not counted again: its lock says how many rows it has, and none comes to it.
    """
    bring_up_to_date(engine)
    with engine.connect() as connection:
        last = _last_steps(connection)
        sums = _sums(connection)
        locked = {name: step for name, step in last.items() if step.state is MonthState.LOCKED}
        counts = {name: int(step.document["rows"]) for name, step in locked.items()}
        counts |= {name: row_count(connection, name) for name in sums if name not in locked}
    return [
        Standing(month, _state(last.get(month)), last.get(month), MonthFigures(rows, sums.get(month, 0)))
        for month, rows in sorted({**dict.fromkeys(last, 0), **counts}.items(), reverse=True)
    ]


def standing(engine: Engine, month: str) -> Standing:
    """Return one month. Raises ValueError for what is no month."""
    month_bounds(month)
    figures = month_figures(engine, month)
    with engine.connect() as connection:
        last = last_step(connection, month)
    return Standing(month, _state(last), last, figures)


def steps(engine: Engine, month: str) -> list[MonthStep]:
    """Return every step of a month, the first one first."""
    statement = select(month_steps).where(month_steps.c.month == month).order_by(month_steps.c.number)
    with engine.connect() as connection:
        return [_step(row) for row in connection.execute(statement).mappings()]


def month_figures(engine: Engine, month: str) -> MonthFigures:
    """Count and sum a month, with the sums brought up to what was counted."""
    for _ in range(TRIES):
        with engine.connect() as connection:
            rows = row_count(connection, month)
        bring_up_to_date(engine)
        with engine.connect() as connection:
            if row_count(connection, month) == rows:
                return MonthFigures(rows, _sums(connection).get(month, 0))
    raise MonthRefused(
        f"{month}에 아직 요금이 들어오고 있습니다. 잠시 뒤에 다시 하세요.",
        f"Charges of {month} are still coming in. Try again shortly.",
    )


def row_count(connection: Connection, month: str) -> int:
    statement = select(func.count()).select_from(charges).where(charges.c.billing_period == month)
    return connection.execute(statement).scalar_one()


def last_step(connection: Connection, month: str) -> MonthStep | None:
    statement = select(month_steps).where(month_steps.c.month == month)
    row = connection.execute(statement.order_by(month_steps.c.number.desc()).limit(1)).mappings().first()
    return None if row is None else _step(row)


def open_attempts(connection: Connection, month: str) -> list[str]:
    """Return attempts of a month that have no charge yet, whoever's they are."""
    its_charge = and_(charges.c.attempt_id == dispatches.c.attempt_id, charges.c.kind == Kind.CHARGE)
    statement = (
        select(dispatches.c.attempt_id)
        .join_from(writers, dispatches, writers.c.slot == dispatches.c.slot)
        .join(charges, its_charge, isouter=True)
        .where(
            dispatches.c.seq >= writers.c.low_seq,
            dispatches.c.billing_period == month,
            charges.c.charge_id.is_(None),
        )
    )
    return list(connection.execute(statement).scalars())


def _last_steps(connection: Connection) -> dict[str, MonthStep]:
    rows = connection.execute(select(month_steps).order_by(month_steps.c.number)).mappings()
    return {row["month"]: _step(row) for row in rows}


def _sums(connection: Connection) -> dict[str, int]:
    table = usage_days
    statement = select(table.c.billing_period, func.sum(table.c.won), func.sum(table.c.nano_rest)).group_by(
        table.c.billing_period
    )
    return {month: int(won) * NANO + int(rest) for month, won, rest in connection.execute(statement)}


def _state(last: MonthStep | None) -> MonthState:
    return MonthState.OPEN if last is None else last.state


def _step(row: RowMapping) -> MonthStep:
    return MonthStep(
        month=row["month"],
        number=row["number"],
        state=MonthState(row["state"]),
        at=from_us(row["at_us"]),
        by=row["by"],
        reason=row["reason"],
        document=orjson.loads(row["document"]),
    )


# --- steps ---------------------------------------------------------------------------------------


def preview(engine: Engine, month: str, deed: Deed, seen: int | None = None) -> MonthStep:
    """Put a month together to be looked at. `seen`: the number of the step that was looked at last.

    Raises MonthRefused, MonthChanged, ValueError for what is no month.
    """
    figures = month_figures(engine, month)
    return _take(engine, month, MonthState.PREVIEW, deed, seen, figures)


def approve(
    engine: Engine, month: str, deed: Deed, seen: int | None = None, *, four_eyes: bool = False
) -> MonthStep:
    """Stand by the figures of a month that is over. Raises MonthRefused where they are not the preview's."""
    figures = month_figures(engine, month)
    return _take(engine, month, MonthState.APPROVED, deed, seen, figures, four_eyes=four_eyes)


def reopen(engine: Engine, month: str, deed: Deed, seen: int | None = None) -> MonthStep:
    """Take a preview or an approval back. Raises MonthRefused for a locked month or without a reason."""
    if not deed.reason.strip():
        raise MonthRefused("되돌리는 사유를 쓰세요.", "Say why it is taken back.")
    return _take(engine, month, MonthState.OPEN, deed, seen, month_figures(engine, month))


def _take(
    engine: Engine,
    month: str,
    wanted: MonthState,
    deed: Deed,
    seen: int | None,
    figures: MonthFigures,
    *,
    four_eyes: bool = False,
) -> MonthStep:
    try:
        with writing(engine).begin() as connection:
            last = last_step(connection, month)
            _check_seen(last, seen, month)
            check_step(last, wanted, month, deed.at)
            if wanted is MonthState.APPROVED:
                if four_eyes:
                    check_four_eyes(last, deed.by)
                _check_unchanged(last, row_count(connection, month))
            return _write(connection, month, wanted, deed, last, figures._asdict())
    except IntegrityError as error:
        raise _changed(engine, month) from error


def lock(
    engine: Engine,
    month: str,
    deed: Deed,
    seal_key: SealKey,
    keep: Callable[[Connection, Seal, int], Mapping[str, Any]],
    seen: int | None = None,
) -> MonthStep:
    """Lock an approved month for good.

    `keep(connection, seal, rows)` stores what the lock stands for (invoices) and returns what of it the
    step tells. Raises MonthRefused while charges are in flight, where the month is not what was approved, or
    where an earlier month is open; MonthChanged where somebody else acted. Then nothing is done.
    """
    for left in reversed(range(TRIES)):
        try:
            return _lock_once(engine, month, deed, seal_key, keep, seen)
        except IntegrityError as error:  # another step of this month, or a seal made in the same moment
            with engine.connect() as connection:
                last = last_step(connection, month)
            if left == 0 or last is None or last.state is not MonthState.APPROVED:
                raise _said(last, month) from error
    raise AssertionError("unreachable")


def _lock_once(
    engine: Engine,
    month: str,
    deed: Deed,
    seal_key: SealKey,
    keep: Callable[[Connection, Seal, int], Mapping[str, Any]],
    seen: int | None,
) -> MonthStep:
    with writing(engine).begin() as connection:
        raise_revision(connection)  # from here on writers wait, and then they see the lock
        last = last_step(connection, month)
        _check_seen(last, seen, month)
        check_step(last, MonthState.LOCKED, month, deed.at)
        rows = row_count(connection, month)
        _check_unchanged(last, rows)
        _check_settled(connection, month)
        seal = _sealed(connection, month, deed, seal_key)
        kept = keep(connection, seal, rows)
        assert last is not None, "an approved month has steps"
        document = {**last.document, **kept, "seal": seal.number, "root": seal.root}
        return _write(connection, month, MonthState.LOCKED, deed, last, document)


def _check_seen(last: MonthStep | None, seen: int | None, month: str) -> None:
    number = 0 if last is None else last.number
    if seen is not None and seen != number:
        raise _said(last, month)


def _check_unchanged(last: MonthStep | None, rows: int) -> None:
    if last is not None and last.document.get("rows") != rows:
        before = last.document.get("rows")
        raise MonthRefused(
            f"'{WORDS[last.state]}' 뒤에 요금이 더 들어왔습니다({before}건 → {rows}건)."
            " 검토부터 다시 하세요.",
            f"Charges came in since (rows {before} -> {rows}). Begin again with the preview.",
        )


def _check_settled(connection: Connection, month: str) -> None:
    attempts = open_attempts(connection, month)
    if attempts:
        raise MonthRefused(
            f"{month}의 요청 {len(attempts)}건이 아직 정산되지 않았습니다."
            " 게이트웨이가 돌고 있으면 곧 정산됩니다. 잠시 뒤에 다시 하세요.",
            f"{len(attempts)} attempts of {month} are not settled. A running gateway does it; try again.",
        )
    earlier = select(charges.c.billing_period).where(charges.c.billing_period < month).distinct()
    before = set(connection.execute(earlier).scalars()) - locked_months(connection)
    if before:
        raise MonthRefused(
            f"앞선 달을 먼저 마감하세요: {', '.join(sorted(before))}",
            f"Lock the earlier months first: {', '.join(sorted(before))}",
        )


def _sealed(connection: Connection, month: str, deed: Deed, seal_key: SealKey) -> Seal:
    reason = f"{MONTH_CLOSE} {month}"
    made = make_seal(connection, seal_key.key, seal_key.version, to_us(deed.at), reason)
    seal = made or last_seal(connection)
    if seal is None:
        raise MonthRefused("장부가 비어 있습니다.", "The ledger is empty.")
    return seal


def _write(
    connection: Connection,
    month: str,
    state: MonthState,
    deed: Deed,
    last: MonthStep | None,
    document: Mapping[str, Any],
) -> MonthStep:
    number = 1 if last is None else last.number + 1
    step = MonthStep(month, number, state, deed.at, deed.by, deed.reason, dict(document))
    connection.execute(
        insert(month_steps).values(
            month=month,
            number=number,
            state=str(state),
            at_us=to_us(deed.at),
            by=deed.by,
            reason=deed.reason,
            document=orjson.dumps(step.document, option=orjson.OPT_SORT_KEYS).decode(),
        )
    )
    if deed.trail is not None:
        deed.trail(connection, step)
    return step


def _changed(engine: Engine, month: str) -> MonthChanged:
    with engine.connect() as connection:
        return _said(last_step(connection, month), month)


def _said(last: MonthStep | None, month: str) -> MonthChanged:
    if last is None:
        return MonthChanged(f"{month}의 상태가 바뀌었습니다.", f"{month} has changed.")
    return MonthChanged(
        f"그 사이 {last.by}이(가) {month}을(를) '{WORDS[last.state]}'(으)로 바꿨습니다. 다시 확인하세요.",
        f"Meanwhile {last.by} set {month} to {last.state}. Look again.",
    )
