"""`haechi report forecast`: month-end and year-end, when budgets run out, and what is out of line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gateway.cli.common import (
    ConfigOption,
    CsvOption,
    JsonOption,
    database,
    now,
    print_csv,
    say,
    settings_for,
    show_table,
)
from gateway.cli.seat_views import krw, print_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.forecast import Outlook, Unusual
    from gateway.outlooks import BudgetEnd, OutlookLine

DepartmentOption = Annotated[str | None, typer.Option("--department", help="한 부서만 / one department only")]
COLUMNS: Final = (
    *("id", "name", "spent_krw", "month_end_krw", "month_end_low_krw", "month_end_high_krw"),
    *("year_spent_krw", "year_end_krw", "year_end_low_krw", "year_end_high_krw"),
    *("working_days", "runs_out_on"),
)


def register(app: typer.Typer) -> None:
    app.command()(forecast)


def forecast(
    department: DepartmentOption = None,
    json: JsonOption = False,
    csv: CsvOption = False,
    config: ConfigOption = None,
) -> None:
    """월말·연말 예상, 예산 소진일, 평소와 다른 사용 / Month-end, year-end, budgets' ends, anomalies."""
    from billing.store.report_queries import count_first
    from gateway.outlooks import OutlookReport
    from gateway.store.organisation import unit_names

    with database(settings_for(config)) as engine:
        count_first(engine)
        report = OutlookReport(engine, now(), department)
        names = unit_names(engine)
        whole, lines = report.institution(), report.departments()
        odd = [("department", one) for one in report.unusual_departments()]
        keys = report.unusual_keys()
        odd += [("key", one) for one in keys]
        names |= report.key_names(keys)
    rows = [line_row(line, names) for line in lines]
    if json:
        print_numbers(
            {
                "day": report.today.isoformat(),
                "month": f"{report.today:%Y-%m}",
                "year": report.today.year,
                "interval_percent": 80,
                "total": line_row(whole, names),
                "departments": rows,
                "anomalies": [unusual_row(kind, one, names) for kind, one in odd],
            }
        )
    elif csv:
        print_csv(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
    else:
        _show(whole, lines, names)
        _show_odd(odd, names)


def line_row(line: OutlookLine, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": line.department_id,
        "name": names.get(line.department_id, line.department_id),
        "spent_krw": _whole(line.month.spent_nano),
        **_ends("month_end", line.month),
        "year_spent_krw": _whole(line.year.spent_nano),
        **_ends("year_end", line.year),
        "working_days": line.month.working_days,
        "runs_out_on": line.runs_out_on.isoformat() if line.runs_out_on else None,
        "budgets": [_budget_row(one) for one in line.budgets],
    }


def unusual_row(kind: str, one: Unusual, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kind": kind,
        "id": one.subject,
        "name": names.get(one.subject, one.subject),
        "day": one.day.isoformat(),
        "krw": _whole(one.nano_krw),
        "usual_krw": _whole(one.usual_nano),
        "times": one.times,
        "compared_with_days": one.past,
    }


def _budget_row(end: BudgetEnd) -> dict[str, Any]:
    standing = end.standing
    return {
        "id": standing.budget_id,
        "period": standing.period,
        "hard": standing.hard,
        "limit_krw": krw(standing.limit),
        "spent_krw": _whole(standing.spent),
        "used_up": end.used_up,
        "runs_out_on": end.runs_out_on.isoformat() if end.runs_out_on else None,
    }


def _ends(name: str, found: Outlook) -> dict[str, int | None]:
    """Three figures of an end; None for what nobody can say yet."""
    forecast = found.forecast
    values = (None, None, None) if forecast is None else (forecast.expected, forecast.low, forecast.high)
    keys = (f"{name}_krw", f"{name}_low_krw", f"{name}_high_krw")
    return {key: None if value is None else _whole(value) for key, value in zip(keys, values, strict=True)}


def _whole(nano_krw: int) -> int:
    from billing.money import whole_won

    return whole_won(nano_krw)


def _show(whole: OutlookLine, lines: Sequence[OutlookLine], names: Mapping[str, str]) -> None:
    if not lines:
        say("아직 쓴 기록이 없습니다.", "Nothing was used yet.")
        return
    rows = [line_row(line, names) for line in (whole, *lines)]
    rows[0]["name"] = "전체 / all"
    show_table(
        ("부서", "이번 달(원)", "월말 예상", "80 % 구간", "올해(원)", "연말 예상", "80 % 구간", "예산 소진"),
        [
            (
                row["name"],
                row["spent_krw"],
                _amount(row["month_end_krw"]),
                _range(row, "month_end"),
                row["year_spent_krw"],
                _amount(row["year_end_krw"]),
                _range(row, "year_end"),
                _end_of_budget(row),
            )
            for row in rows
        ],
        title="예측 / forecast",
    )
    say(
        "지금 수준이 이어질 때의 값입니다. 구간은 다섯 번에 네 번 맞게 잡습니다(근무일 10일부터).",
        "If the present level goes on. Intervals should hold four times in five (from 10 working days).",
    )


def _amount(won: int | None) -> str:
    return "–" if won is None else f"{won:,}"


def _range(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_low_krw"], row[f"{name}_high_krw"]
    return "–" if low is None else f"{low:,} ~ {high:,}"


def _end_of_budget(row: Mapping[str, Any]) -> str:
    if any(one["used_up"] for one in row["budgets"]):
        return "소진 / used up"
    return row["runs_out_on"] or "–"


def _show_odd(odd: Sequence[tuple[str, Unusual]], names: Mapping[str, str]) -> None:
    if not odd:
        say(
            "지난 7일 동안 평소와 크게 다른 사용은 없습니다.",
            "Nothing far above its own past in the last 7 days.",
        )
        return
    words = {"department": "부서", "key": "키"}
    show_table(
        ("대상", "이름", "날짜", "사용(원)", "평소(원)", "배"),
        [
            (
                words[kind],
                names.get(one.subject, one.subject),
                one.day.isoformat(),
                _whole(one.nano_krw),
                _whole(one.usual_nano),
                "–" if one.times is None else one.times,
            )
            for kind, one in odd
        ],
        title="평소와 다른 사용 / far above the own past",
    )
