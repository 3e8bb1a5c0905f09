"""`haechi budgets set|list|end|check`: what a key, a person or a unit may use in a period."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from billing.budgets import Every, Measure, ScopeKind, amount_text
from billing.money import won
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
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.budgets import Budget
    from billing.store import BudgetStatus
    from gateway.store.database import Database

app = typer.Typer(no_args_is_help=True, help="예산 / budgets")


def _said(reason: str) -> str:
    if not reason.strip():
        fail("사유를 적으세요. 감사 기록에 남습니다.", "Say why; it is kept for auditors.", Exit.USAGE)
    return reason.strip()


ReasonOption = Annotated[
    str, typer.Option("--reason", callback=_said, help="사유, 감사 기록에 남습니다 / why, kept for auditors")
]
_EVERY = {"month": "월", "quarter": "분기", "year": "연", "once": "소진 시까지"}


@app.command("set")
def set_(
    scope: Annotated[ScopeKind, typer.Argument(help="key, person 또는 unit")],
    scope_id: Annotated[str, typer.Argument(help="키 ID, 사번, 부서 코드 / key, employee or unit id")],
    reason: ReasonOption,
    krw: Annotated[str | None, typer.Argument(help="한도, 원 / limit in won")] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", help="한도, 토큰 / limit in tokens")] = None,
    requests: Annotated[
        str | None, typer.Option("--requests", help="한도, 요청 수 / limit in requests")
    ] = None,
    every: Annotated[Every, typer.Option("--every", help="기간 / period")] = Every.MONTH,
    soft: Annotated[bool, typer.Option("--soft", help="넘어도 막지 않음 / count, refuse nothing")] = False,
    config: ConfigOption = None,
) -> None:
    """예산을 정합니다. 같은 대상·기간·단위의 앞 예산은 끝납니다 / Set a budget; it replaces the last one."""
    limits = limits_of(krw, tokens, requests)
    with database(settings_for(config)) as engine:
        scope_id = _known(engine, scope, scope_id)
        for budget in put_in_force(engine, scope, scope_id, limits, every, hard=not soft, reason=reason):
            say(f"예산을 정했습니다: {budget.id}", f"The budget is in force: {budget.id}")


@app.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """예산과 이번 기간의 집행액, 잔액을 봅니다 / Show budgets with what is spent, held and left."""
    from billing.store import budget_status

    with database(settings_for(config)) as engine:
        statuses = budget_status(engine, now())
    if json:
        print_json([_row(status) for status in statuses])
        return
    columns = ("ID", "대상", "기간", "구분", "예산현액", "집행액", "보류", "잔액")
    show_table(columns, [_cells(status) for status in statuses])


@app.command()
def end(budget_id: str, reason: ReasonOption, config: ConfigOption = None) -> None:
    """예산을 끝냅니다 / Take a budget out of force."""
    from billing.store import end_budget
    from gateway.store.budget_trail import budget_trail

    with database(settings_for(config)) as engine:
        at, by = now(), actor()
        if not end_budget(engine, budget_id, now=at, by=by, reason=reason, trail=budget_trail):
            fail(
                f"시행 중인 예산이 아닙니다: {budget_id}",
                f"no budget in force has the id {budget_id}",
                Exit.INPUT,
            )
    say("예산을 끝냈습니다.", "The budget is no longer in force.")


@app.command()
def check(config: ConfigOption = None) -> None:
    """예산 계정이 장부와 맞는지 확인합니다 / Compare every account with the ledger."""
    from billing.store import check_accounts

    with database(settings_for(config)) as engine:
        differing = check_accounts(engine)
    if differing:
        fail(f"장부와 다른 계정: {', '.join(differing)}", f"accounts that differ: {', '.join(differing)}")
    say("모든 예산 계정이 장부와 일치합니다.", "Every account is what the ledger says.")


def put_in_force(
    engine: Database,
    scope: str,
    scope_id: str,
    limits: Mapping[Measure, int],
    every: Every,
    *,
    hard: bool,
    reason: str,
) -> list[Budget]:
    """Set a budget of each measure, from now on."""
    from billing.budgets import Budget, Scope
    from billing.store import set_budget
    from gateway.store.budget_trail import budget_trail

    made = [
        Budget(uuid4().hex, Scope(scope, scope_id), every, limit, hard, measure)
        for measure, limit in limits.items()
    ]
    for budget in made:
        set_budget(engine, budget, now=now(), by=actor(), reason=reason, trail=budget_trail)
    return made


def _known(engine: Database, scope: str, wanted: str) -> str:
    """Return the id of what a budget is for; say so where it would count nobody as the register stands."""
    from billing.periods import billing_day
    from gateway.organisation import places, valid_on
    from gateway.store.organisation import NoSuchKey, find_one_key, load_organisation

    if scope == "key":
        try:
            return find_one_key(engine, wanted.rstrip("…")).id
        except NoSuchKey:
            fail(f"그런 키가 없습니다: {wanted}", f"no key has that id or prefix: {wanted}", Exit.INPUT)
    organisation, today = load_organisation(engine), billing_day(now())
    people = (person.employee_id for person in valid_on(organisation.people, today))
    if wanted not in (places(organisation.units, today) if scope == "unit" else people):
        warn(
            f"명부에 지금 없는 대상입니다: {scope}:{wanted}. 등록되기 전에는 아무것도 세지 않습니다.",
            f"{scope}:{wanted} is not in the register today; until it is, the budget counts nothing.",
        )
    return wanted


def limits_of(krw: str | None, tokens: str | None, requests: str | None) -> dict[Measure, int]:
    """Return the limits given, one of each measure at most."""
    given = {
        Measure.WON: None if krw is None else nano_of(krw),
        Measure.TOKENS: None if tokens is None else _count(tokens),
        Measure.REQUESTS: None if requests is None else _count(requests),
    }
    limits = {measure: limit for measure, limit in given.items() if limit is not None}
    if not limits:
        fail(
            "한도를 정하세요: 금액(원), --tokens 또는 --requests",
            "give a limit: an amount in won, --tokens or --requests",
            Exit.USAGE,
        )
    return limits


def _count(text: str) -> int:
    digits = text.replace(",", "")
    if not (digits.isascii() and digits.isdecimal()) or int(digits) >= 2**63:
        fail(
            f"한도는 0 이상의 정수여야 합니다: {text}",
            f"the limit must be a whole number from 0, not {text}",
            Exit.USAGE,
        )
    return int(digits)


def nano_of(krw: str) -> int:
    """Read an amount in won, `3,000,000원`, as nano-won."""
    from billing.money import nano

    try:
        amount = Decimal(krw.replace(",", "").removesuffix("원"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0 or amount >= 9 * 10**9:
        fail(
            f"한도는 0 이상 90억 원 미만이어야 합니다: {krw}",
            f"the limit must be a number of won from 0 to below 9 billion, not {krw}",
            Exit.USAGE,
        )
    return nano(amount)


def _row(status: BudgetStatus) -> dict[str, object]:
    budget = status.budget
    unit = "krw" if budget.measure is Measure.WON else budget.measure
    amounts = ("limit", status.limit), ("spent", status.spent), ("held", status.held), ("left", status.left)
    return {
        "id": budget.id,
        "scope": budget.scope.kind,
        "scope_id": budget.scope.id,
        "every": budget.every,
        "period": status.period,
        "hard": budget.hard,
        "measure": budget.measure,
        **{
            f"{name}_{unit}": _krw(amount) if budget.measure is Measure.WON else amount
            for name, amount in amounts
        },
    }


def _cells(status: BudgetStatus) -> tuple[object, ...]:
    budget = status.budget
    return (
        budget.id,
        f"{budget.scope.kind}:{budget.scope.id}",
        f"{_EVERY[budget.every]} {status.period}".strip(),
        "차단" if budget.hard else "경고",
        *(shown(budget.measure, amount) for amount in (status.limit, status.spent, status.held, status.left)),
    )


def shown(measure: Measure, amount: int) -> str:
    """Won with two decimals and no unit, as every amount in a table; other counts with theirs."""
    return f"{won(amount):,.2f}" if measure is Measure.WON else amount_text(measure, amount)


def _krw(nano_krw: int) -> str:
    return f"{Decimal(nano_krw).scaleb(-9):f}"
