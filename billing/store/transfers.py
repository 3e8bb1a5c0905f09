"""Won that one budget gives to another, and the history of every budget.

A transfer holds in the period it is made in: the giver's limit is lower and the taker's higher until
their periods end, and the next ones begin with what was set. Both sides are one row, written while no
writer can move an account, so the giver never gives what is spent or held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

from sqlalchemy import insert, or_, select

from billing.budgets import Budget, Every, Measure, Scope, period_of
from billing.money import format_won_exact, won
from billing.periods import billing_month, from_us, to_us
from billing.store.accounts import read_budgets, stored_account
from billing.store.billed_budgets import as_billed
from billing.store.budget_admin import BudgetChange, raise_revision, wait_until_in_force
from billing.store.engine import writing
from billing.tables import budget_transfers, budgets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, RowMapping

    from billing.store.budget_admin import Trail

MOST_NANO_KRW: Final = 9 * 10**18
"""What a limit may come to: BIGINT holds 9.2 billion won in nano-won."""


class TransferRefused(ValueError):
    """Nothing was moved; `korean` and `english` say why."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


class Order(NamedTuple):
    """What is to be moved between two budgets in force, named by their ids."""

    giver_id: str
    taker_id: str
    amount_nano_krw: int


class Transfer(NamedTuple):
    """One transfer; amounts in nano-won, limits those of the running periods."""

    id: str
    giver: Budget
    taker: Budget
    amount_nano_krw: int
    giver_limits: tuple[int, int]
    """Before and after."""
    taker_limits: tuple[int, int]


class HistoryRow(NamedTuple):
    """One change of a budget. Limits in the unit of its measure; None: there was, or is, none."""

    at: datetime
    by: str
    action: str
    """`set`, `end`, `give`, `take`."""
    scope: Scope
    every: str
    hard: bool
    period: str
    """Of a transfer the one it holds in, else empty: until it is changed."""
    measure: str
    before: int | None
    after: int | None
    reason: str
    budget_id: str


def transfer(
    engine: Engine, order: Order, *, now: datetime, by: str, reason: str, trail: Trail | None = None
) -> Transfer:
    """Move won between two budgets in force, for the periods `now` lies in. Raises TransferRefused."""
    if not reason.strip():
        raise TransferRefused("사유를 적어 주세요.", "a transfer needs a reason")
    if order.amount_nano_krw <= 0 or order.giver_id == order.taker_id:
        raise TransferRefused(
            "0원보다 많은 금액을 다른 예산으로 옮길 수 있습니다.",
            "a transfer moves more than 0 won to another budget",
        )
    with writing(engine).begin() as connection:
        raise_revision(connection)
        in_force = {budget.id: budget for budget in read_budgets(connection)}
        giver, taker = _found(in_force, order.giver_id), _found(in_force, order.taker_id)
        made = _moved(giver, taker, order.amount_nano_krw, billing_month(now))
        _refuse_too_much(connection, made, billing_month(now))
        connection.execute(insert(budget_transfers).values(_row(made, now, by, reason)))
        if trail is not None:
            trail(connection, _change(made, now, by, reason))
    wait_until_in_force(engine)
    return made


def history(engine: Engine, scope: Scope | None = None) -> list[HistoryRow]:
    """Every change of every budget, or of a scope's, the oldest first."""
    ours = (
        select(budgets)
        if scope is None
        else select(budgets).where(budgets.c.scope_kind == scope.kind, budgets.c.scope_id == scope.id)
    )
    with engine.connect() as connection:
        rows = {row["id"]: row for row in connection.execute(ours).mappings()}
        moved = connection.execute(
            select(budget_transfers).order_by(budget_transfers.c.made_at_us)
        ).mappings()
        found = [*_settings(list(rows.values())), *_transfers(rows, list(moved))]
    return sorted(found, key=lambda row: (row.at, row.scope, row.every))


def transfers_of(engine: Engine, budget_id: str) -> list[dict[str, Any]]:
    """Rows of budget_transfer that a budget gave or took, the oldest first."""
    either = or_(budget_transfers.c.from_budget_id == budget_id, budget_transfers.c.to_budget_id == budget_id)
    statement = select(budget_transfers).where(either).order_by(budget_transfers.c.made_at_us)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


# --- transferring --------------------------------------------------------------------------------


def _found(in_force: Mapping[str, Budget], budget_id: str) -> Budget:
    budget = in_force.get(budget_id)
    if budget is None:
        raise TransferRefused(
            f"시행 중인 예산이 아닙니다: {budget_id}", f"no budget in force has the id {budget_id}"
        )
    return budget


def _moved(giver: Budget, taker: Budget, amount: int, month: str) -> Transfer:
    if {giver.measure, taker.measure} != {Measure.WON}:
        raise TransferRefused(
            "원 단위 예산끼리만 옮길 수 있습니다.", "only budgets in won give to each other"
        )
    gives = giver.limit_in(period_of(giver.every, month))
    takes = taker.limit_in(period_of(taker.every, month))
    if takes + amount > MOST_NANO_KRW:
        raise TransferRefused(
            "받는 예산이 90억 원을 넘게 됩니다.", "the receiving budget would exceed 9 billion won"
        )
    return Transfer(uuid4().hex, giver, taker, amount, (gives, gives - amount), (takes, takes + amount))


def _refuse_too_much(connection: Connection, made: Transfer, month: str) -> None:
    """Refuse to give what is spent, held or set aside: the giver must stay within its limit."""
    account = as_billed(connection, stored_account(connection, made.giver.account_key(month)))
    gone = account.spent.nano_krw + account.held.nano_krw + account.leased.nano_krw
    left = made.giver_limits[1] - gone
    if left < 0:
        room = format_won_exact(max(0, left + made.amount_nano_krw))
        raise TransferRefused(
            f"보내는 예산의 잔액이 모자랍니다: 남은 금액은 {room}입니다.",
            f"the giving budget has only {room} left",
        )


def _row(made: Transfer, now: datetime, by: str, reason: str) -> dict[str, Any]:
    month = billing_month(now)
    return {
        "id": made.id,
        "from_budget_id": made.giver.id,
        "from_period": period_of(made.giver.every, month),
        "to_budget_id": made.taker.id,
        "to_period": period_of(made.taker.every, month),
        "amount_nano_krw": made.amount_nano_krw,
        "made_at_us": to_us(now),
        "made_by": by,
        "reason": reason,
    }


def _change(made: Transfer, now: datetime, by: str, reason: str) -> BudgetChange:
    giver, taker = ":".join(made.giver.scope), ":".join(made.taker.scope)
    before, after = (
        {
            "giver_limit_krw": f"{won(made.giver_limits[side]):f}",
            "taker_limit_krw": f"{won(made.taker_limits[side]):f}",
        }
        for side in (0, 1)
    )
    after |= {"taker": taker, "amount_krw": f"{won(made.amount_nano_krw):f}", "id": made.id}
    return BudgetChange("budget.transfer", giver, before, after, now, by, reason)


# --- history -------------------------------------------------------------------------------------


def _settings(rows: Sequence[RowMapping]) -> Iterator[HistoryRow]:
    """Limits set and ended. One that is ended by its successor is one change, not two."""
    replaced = {(*_kind(row), row["ended_at_us"]): row for row in rows if row["ended_at_us"] is not None}
    successors = {(*_kind(row), row["created_at_us"]) for row in rows}
    for row in rows:
        before = replaced.get((*_kind(row), row["created_at_us"]))
        limit = None if before is None or before["id"] == row["id"] else _limit(before)
        made = (row["created_at_us"], row["created_by"], row["reason"])
        yield _history_row(row, "set", made, (limit, _limit(row)))
        if row["ended_at_us"] is not None and (*_kind(row), row["ended_at_us"]) not in successors:
            ended = (row["ended_at_us"], row["ended_by"], row["end_reason"])
            yield _history_row(row, "end", ended, (_limit(row), None))


def _transfers(rows: Mapping[str, RowMapping], moved: Sequence[RowMapping]) -> Iterator[HistoryRow]:
    limits: dict[tuple[str, str], int] = {}
    for made in moved:
        for side, sign, action in (("from", -1, "give"), ("to", 1, "take")):
            budget_id, period = made[f"{side}_budget_id"], made[f"{side}_period"]
            if budget_id not in rows:
                continue
            row = rows[budget_id]
            before = limits.get((budget_id, period), _limit(row))
            after = limits[budget_id, period] = before + sign * made["amount_nano_krw"]
            who = (made["made_at_us"], made["made_by"], made["reason"])
            yield _history_row(row, action, who, (before, after), period)


def _kind(row: RowMapping) -> tuple[Any, ...]:
    return row["scope_kind"], row["scope_id"], row["every"], row["hard"], row["measure"]


def _limit(row: RowMapping) -> int:
    limit: int = row["limit_count"] if row["limit_nano_krw"] is None else row["limit_nano_krw"]
    return limit


def _history_row(
    row: RowMapping,
    action: str,
    made: tuple[int, str, str],
    limits: tuple[int | None, int | None],
    period: str = "",
) -> HistoryRow:
    at_us, by, reason = made
    scope = Scope(row["scope_kind"], row["scope_id"])
    every, hard = str(Every(row["every"])), bool(row["hard"])
    kind = (scope, every, hard, period, row["measure"])
    return HistoryRow(from_us(at_us), by, action, *kind, *limits, reason, row["id"])
