"""`haechi budgets transfer|history|contacts`: won moved between budgets, their history, who is told."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from billing.budgets import Every
from gateway.cli.budgets import ReasonOption, nano_of
from gateway.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    actor,
    database,
    fail,
    now,
    print_json,
    say,
    settings_for,
    show_table,
)

if TYPE_CHECKING:
    from billing.budgets import Budget, Scope
    from billing.store.transfers import HistoryRow
    from gateway.store.database import Database

ScopeArgument = Annotated[str, typer.Argument(help="대상, 예: unit:총무과 / a scope such as unit:총무과")]
EveryOption = Annotated[Every, typer.Option("--every", help="어느 기간의 예산인지 / which of its budgets")]
_ACTIONS = {"set": "설정", "end": "종료", "give": "보냄", "take": "받음"}


def register(app: typer.Typer) -> None:
    app.command()(transfer)
    app.command()(history)


def transfer(
    giver: Annotated[str, typer.Argument(help="보내는 쪽, 예: unit:총무과 또는 예산 ID / giver")],
    taker: Annotated[str, typer.Argument(help="받는 쪽 / taker")],
    krw: Annotated[str, typer.Argument(help="금액, 원 / won")],
    reason: ReasonOption,
    every: EveryOption = Every.MONTH,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """이번 기간의 예산을 옮깁니다 / Move won between two budgets for their running periods."""
    from billing.store.transfers import Order, TransferRefused
    from billing.store.transfers import transfer as move
    from gateway.store.budget_trail import budget_trail

    amount = nano_of(krw)
    with database(settings_for(config)) as engine:
        ids = [_budget(engine, who, every).id for who in (giver, taker)]
        try:
            order = Order(ids[0], ids[1], amount)
            made = move(engine, order, now=now(), by=actor(), reason=reason, trail=budget_trail)
        except TransferRefused as error:
            fail(error.korean, error.english, Exit.INPUT)
    sides = [(made.giver, made.giver_limits), (made.taker, made.taker_limits)]
    if json:
        print_json({"id": made.id, "amount_krw": _krw(amount), "budgets": [_side(*side) for side in sides]})
        return
    rows = [(":".join(b.scope), b.every, *(Decimal(n).scaleb(-9) for n in limits)) for b, limits in sides]
    show_table(("대상", "기간", "앞 예산", "새 예산"), rows)
    say("옮겼습니다. 다음 기간에는 원래 예산으로 돌아갑니다.", "Moved. The next periods begin as set.")


def history(
    scope: Annotated[str | None, typer.Argument(help="대상, 예: unit:총무과 / a scope")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """예산이 바뀐 내역입니다 / Every change of budgets: who, when, why, before, after."""
    from billing.store.transfers import history as changes

    with database(settings_for(config)) as engine:
        rows = changes(engine, None if scope is None else scope_of(scope))
    if json:
        print_json([_history_row(row) for row in rows])
        return
    columns = ("때", "누가", "무엇", "대상", "기간", "앞 예산", "새 예산", "사유")
    show_table(columns, [_history_cells(row) for row in rows])


def scope_of(text: str) -> Scope:
    """Read `unit:총무과`."""
    from billing.budgets import Scope, ScopeKind

    kind, colon, id_ = text.partition(":")
    if not colon or not id_ or kind not in set(ScopeKind):
        fail(
            f"대상은 unit:부서코드, person:사번, key:키ID로 씁니다: {text}",
            f"write a scope as unit:CODE, person:ID or key:ID, not {text}",
            Exit.USAGE,
        )
    return Scope(kind, id_)


def _budget(engine: Database, who: str, every: Every) -> Budget:
    """Find the budget in force that an id or a scope names, a hard one before a soft one."""
    from billing.store import budget_status

    in_force = [status.budget for status in budget_status(engine, now())]
    named = [budget for budget in in_force if budget.id == who]
    if named:
        return named[0]
    scope = scope_of(who)
    found = [
        budget for budget in in_force if (budget.scope, budget.every, budget.measure) == (scope, every, "won")
    ]
    if not found:
        fail(
            f"{who}에 시행 중인 예산이 없습니다({every}). `haechi budgets list`로 확인하세요.",
            f"no budget of {who} is in force ({every}); see `haechi budgets list`",
            Exit.INPUT,
        )
    return max(found, key=lambda budget: budget.hard)


def _side(budget: Budget, limits: tuple[int, int]) -> dict[str, object]:
    before, after = map(_krw, limits)
    return {"id": budget.id, "scope": ":".join(budget.scope), "before_krw": before, "after_krw": after}


def _history_row(row: HistoryRow) -> dict[str, object]:
    return {
        "at": row.at.isoformat(),
        "by": row.by,
        "action": row.action,
        "scope": ":".join(row.scope),
        "every": row.every,
        "period": row.period,
        "hard": row.hard,
        "measure": row.measure,
        "before": _amount(row, row.before),
        "after": _amount(row, row.after),
        "reason": row.reason,
        "budget_id": row.budget_id,
    }


def _history_cells(row: HistoryRow) -> tuple[object, ...]:
    from billing.periods import KST

    return (
        f"{row.at.astimezone(KST):%Y-%m-%d %H:%M}",
        row.by,
        _ACTIONS[row.action],
        ":".join(row.scope),
        f"{row.every} {row.period}".strip(),
        *(_shown(row, amount) for amount in (row.before, row.after)),
        row.reason,
    )


def _amount(row: HistoryRow, limit: int | None) -> str | int | None:
    return _krw(limit) if row.measure == "won" else limit


def _shown(row: HistoryRow, limit: int | None) -> str:
    if limit is None:
        return ""
    return f"{Decimal(limit).scaleb(-9):,.2f}" if row.measure == "won" else f"{limit:,} {row.measure}"


def _krw(nano_krw: int | None) -> str | None:
    return None if nano_krw is None else f"{Decimal(nano_krw).scaleb(-9):f}"
