"""`haechi report`: what was used and what it cost, by department, person or model; and the savings."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    ConfigOption,
    CsvOption,
    Exit,
    JsonOption,
    database,
    fail,
    now,
    print_csv,
    print_json,
    say,
    settings_for,
    show_table,
)

if TYPE_CHECKING:
    from billing.store.reports import Savings, UsageRow
    from gateway.store.database import Database

app = typer.Typer(no_args_is_help=True, help="사용량과 비용 / usage and cost")
MOST_WON = 10**15
MONTH_HELP = "청구 월, 예: 2026-11 (기본: 이번 달) / billing month (default: this one)"


class By(StrEnum):
    DEPARTMENT = "department"
    PERSON = "person"
    MODEL = "model"
    KEY = "key"
    PROVIDER = "provider"
    DEPLOYMENT = "deployment"
    TASK = "task"


_TITLES = {
    By.DEPARTMENT: "부서",
    By.PERSON: "직원",
    By.MODEL: "모델",
    By.KEY: "키",
    By.PROVIDER: "제공자",
    By.DEPLOYMENT: "배포",
    By.TASK: "작업",
}


@app.command()
def usage(
    by: Annotated[By, typer.Option(help="묶는 기준 / grouped by")] = By.DEPARTMENT,
    month: Annotated[str | None, typer.Option(help=MONTH_HELP)] = None,
    json: JsonOption = False,
    csv: CsvOption = False,
    config: ConfigOption = None,
) -> None:
    """한 달의 사용량과 비용입니다 / Usage and cost of a month."""
    from billing.store.reports import usage_report

    chosen = _month(month)
    with database(settings_for(config)) as engine:
        rows = usage_report(engine, by.value, month=chosen)
        names = _names(engine, by)
    if json:
        print_json(
            {
                "month": chosen,
                "by": by.value,
                "rows": [_row(row, names) for row in rows],
                "total": _total(rows),
            }
        )
    elif csv:
        print_csv(_columns(by), [_cells(row, names) for row in rows])
    else:
        _show(by, chosen, rows, names)


@app.command()
def savings(
    seat_price: Annotated[
        int, typer.Option(min=1, help="한 사람 한 달 구독료(원) / won a seat and month")
    ] = 30_000,
    people: Annotated[
        int | None, typer.Option(min=1, help="구독할 사람 수 (기본: 쓴 사람) / seats (default: who used it)")
    ] = None,
    months: Annotated[
        int | None,
        typer.Option(min=1, max=120, help="최근 몇 달 (기본: 기록 전체) / last months (default: all)"),
    ] = None,
    metered_krw: Annotated[
        str | None,
        typer.Option(help="장부 대신 이 금액으로 계산(원) / reckon with this amount instead of the ledger"),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """쓴 만큼 낸 비용을 구독료와 비교합니다 / Compare the metered cost with seats."""
    if metered_krw is not None:
        found = _stated_savings(seat_price, people, months, metered_krw)
    else:
        with database(settings_for(config)) as engine:
            found = _ledger_savings(engine, seat_price, people, months)
    if json:
        print_json(_savings_row(found))
        return
    show_table(
        ("항목 / item", "금액(원) / won"),
        [
            ("쓴 만큼 낸 비용 / metered", f"{found.metered_krw:,.0f}"),
            (
                f"구독했다면 / seats: {found.people:,}명 × {found.months}개월 × {seat_price:,}원",
                f"{found.seats_krw:,}",
            ),
            (f"절감 / saved ({found.saved_percent} %)", f"{found.saved_krw:,.0f}"),
        ],
    )


def _ledger_savings(engine: Database, seat_price: int, people: int | None, months: int | None) -> Savings:
    from billing.periods import billing_month, months_between
    from billing.store.reports import months_with_charges
    from billing.store.reports import savings as compare

    this_month = billing_month(now())
    if months is not None:
        chosen = months_between(_months_before(this_month, months - 1), this_month)
    else:
        recorded = months_with_charges(engine)
        chosen = months_between(recorded[0], recorded[-1]) if recorded else (this_month,)
    return compare(engine, seat_price, chosen, people)


def _stated_savings(seat_price: int, people: int | None, months: int | None, metered_krw: str) -> Savings:
    from decimal import InvalidOperation

    from billing.money import nano
    from billing.store.reports import Savings

    try:
        metered = Decimal(metered_krw.replace(",", ""))
    except InvalidOperation:
        metered = Decimal(-1)
    if not metered.is_finite() or not 0 <= metered < MOST_WON:
        fail(f"금액이 아닙니다: {metered_krw}", f"No amount: {metered_krw}", Exit.USAGE)
    if people is None or months is None:
        fail(
            "--metered-krw에는 --people과 --months가 함께 필요합니다.",
            "--metered-krw needs --people and --months.",
            Exit.USAGE,
        )
    return Savings(months, people, people * months, seat_price, nano(metered))


def _savings_row(found: Savings) -> dict[str, object]:
    return {
        "months": found.months,
        "people": found.people,
        "person_months": found.person_months,
        "seat_price_krw": found.seat_price_krw,
        "metered_krw": f"{found.metered_krw:f}",
        "metered_nano_krw": found.metered_nano_krw,
        "seats_krw": found.seats_krw,
        "seats_of_active_krw": found.seats_of_active_krw,
        "saved_krw": f"{found.saved_krw:f}",
        "saved_percent": f"{found.saved_percent:f}",
    }


def _months_before(month: str, count: int) -> str:
    year, number = map(int, month.split("-"))
    total = year * 12 + number - 1 - count
    return f"{total // 12:04d}-{total % 12 + 1:02d}"


def _month(text: str | None) -> str:
    from billing.periods import billing_month, month_bounds

    if text is None:
        return billing_month(now())
    try:
        month_bounds(text)
    except ValueError:
        fail(f"달이 아닙니다: {text} (예: 2026-11)", f"Not a month: {text} (e.g. 2026-11)", Exit.USAGE)
    return text


def _names(engine: Database, by: By) -> dict[str, str]:
    from gateway.store.organisation import person_names, unit_names

    match by:
        case By.DEPARTMENT:
            return unit_names(engine)
        case By.PERSON:
            return person_names(engine)
        case By.TASK:
            return {"": "직원의 질문 / asked by people"}
        case _:
            return {}


def _row(row: UsageRow, names: dict[str, str]) -> dict[str, Any]:
    return {
        "id": row.key,
        "name": names.get(row.key, row.key),
        "requests": row.requests,
        "attempts": row.attempts,
        "estimated": row.estimated,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "tokens": row.tokens,
        "cost_nano_krw": row.cost_nano_krw,
        "cost_krw": f"{_won(row.cost_nano_krw):f}",
    }


def _total(rows: list[UsageRow]) -> dict[str, Any]:
    cost = sum(row.cost_nano_krw for row in rows)
    return {
        "requests": sum(row.requests for row in rows),
        "attempts": sum(row.attempts for row in rows),
        "estimated": sum(row.estimated for row in rows),
        "input_tokens": sum(row.input_tokens for row in rows),
        "output_tokens": sum(row.output_tokens for row in rows),
        "cost_nano_krw": cost,
        "cost_krw": f"{_won(cost):f}",
    }


def _columns(by: By) -> tuple[str, ...]:
    from billing.usage import CLASSES

    return (f"{by.value}_id", by.value, "requests", "attempts", "estimated", *CLASSES, "cost_krw")


def _cells(row: UsageRow, names: dict[str, str]) -> list[object]:
    from billing.usage import CLASSES

    used = [row.tokens.get(name, 0) for name in CLASSES]
    cost = f"{_won(row.cost_nano_krw):f}"
    return [
        row.key,
        names.get(row.key, row.key),
        row.requests,
        row.attempts,
        row.estimated,
        *used,
        Decimal(cost),
    ]


def _show(by: By, month: str, rows: list[UsageRow], names: dict[str, str]) -> None:
    if not rows:
        say(f"{month}에 쓴 기록이 없습니다.", f"Nothing was used in {month}.")
        return
    total = _total(rows)
    body = [
        (
            names.get(row.key, row.key),
            row.requests,
            row.input_tokens,
            row.output_tokens,
            row.estimated,
            f"{_won(row.cost_nano_krw):,.2f}",
        )
        for row in rows
    ]
    sums = (
        "합계 / total",
        total["requests"],
        total["input_tokens"],
        total["output_tokens"],
        total["estimated"],
        f"{_won(total['cost_nano_krw']):,.2f}",
    )
    show_table(
        (_TITLES[by], "요청", "입력 토큰", "출력 토큰", "추정", "비용(원)"),
        [*body, sums],
        title=f"{month} 사용량과 비용 / usage and cost",
    )


def _won(nano_krw: int) -> Decimal:
    """Return won, exactly: nine decimals hold every nano-won."""
    return Decimal(nano_krw).scaleb(-9)
