"""`haechi report`: what was used and what it cost; savings and forecasts stand in modules of their own."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import bills, forecasts, savings
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
    from billing.store.reports import UsageRow
    from gateway.store.database import Database

app = typer.Typer(no_args_is_help=True, help="사용량과 비용 / usage and cost")
savings.register(app)
forecasts.register(app)
bills.register(app)
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
