"""`haechi report savings|seats`: metered cost beside seats, and who should be given one."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.common import (
    ConfigOption,
    CsvOption,
    Exit,
    JsonOption,
    config_of,
    database,
    fail,
    now,
    print_csv,
    settings_for,
)
from gateway.cli.seat_views import (
    ADVICE_COLUMNS,
    Lines,
    VerdictWord,
    advice_row,
    details,
    print_lines,
    print_numbers,
    savings_row,
    show_advice,
    show_lines,
    show_plans,
    show_savings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.plans import Plan
    from billing.store.reports import Savings
    from gateway.seats import DepartmentLine, PersonLine, SeatReport
    from gateway.settings import Settings
    from gateway.store.database import Database

MOST_WON: Final = 10**15
USUAL_SEAT_KRW: Final = 30_000
"""Where no file says another: what Seoul compared with."""


class TermWord(StrEnum):
    MONTHLY = "monthly"
    YEARLY = "yearly"


MonthsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=120,
        help="최근 몇 달 (기본: 기록된 달, 12달까지) / last months (default: recorded, up to 12)",
    ),
]
TermOption = Annotated[TermWord, typer.Option(help="월 계약 또는 연 계약 / by the month or the year")]


def register(app: typer.Typer) -> None:
    app.command()(savings)
    app.command()(seats)


def savings(
    seat_price: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="한 사람 한 달 구독료(원, 기본: 첫 요금제) / won a seat and month",
        ),
    ] = None,
    people: Annotated[
        int | None, typer.Option(min=1, help="구독할 사람 수 (기본: 쓴 사람) / seats (default: who used it)")
    ] = None,
    months: MonthsOption = None,
    metered_krw: Annotated[
        str | None,
        typer.Option(help="장부 대신 이 금액으로 계산(원) / reckon with this amount instead of the ledger"),
    ] = None,
    by: Annotated[Lines | None, typer.Option(help="한 줄씩 나누어 봄 / line by line")] = None,
    term: TermOption = TermWord.MONTHLY,
    json: JsonOption = False,
    csv: CsvOption = False,
    config: ConfigOption = None,
) -> None:
    """쓴 만큼 낸 비용을 구독료와 비교합니다 / Compare the metered cost with seats."""
    if metered_krw is not None:
        stated = _stated_savings(seat_price or USUAL_SEAT_KRW, people, months, metered_krw)
        print_numbers(savings_row(stated)) if json else show_savings(stated)
        return
    settings = settings_for(config)
    with database(settings) as engine:
        report = _report(engine, settings, months, term, seat_price)
        found = _ledger_savings(engine, report, people)
        rows, names = _lines(engine, report, by)
    if json:
        print_numbers(savings_row(found) | details(report, by, rows, names))
    elif csv:
        print_lines(report, by or Lines.DEPARTMENT, rows, names)
    else:
        show_savings(found)
        show_plans(report.comparisons, report.mix)
        if by is not None:
            show_lines(report, by, rows, names)


def seats(
    months: MonthsOption = None,
    term: TermOption = TermWord.MONTHLY,
    verdict: Annotated[VerdictWord | None, typer.Option(help="이 권고만 / only these")] = None,
    department: Annotated[str | None, typer.Option(help="한 부서만 / one department only")] = None,
    json: JsonOption = False,
    csv: CsvOption = False,
    config: ConfigOption = None,
) -> None:
    """누구에게 좌석을 주면 이득인지 권고합니다 / Advise who should be given a seat, and who should not."""
    settings = settings_for(config)
    with database(settings) as engine:
        report = _report(engine, settings, months, term, None, department)
        wanted = [one for one in report.advice if verdict is None or one.verdict == verdict.value]
        names = _person_names(engine)
    if json:
        rows = [advice_row(one, names) for one in wanted]
        print_numbers(
            {"months": list(report.months), "interval_percent": 80, "term": term.value, "rows": rows}
        )
    elif csv:
        rows = [advice_row(one, names) for one in wanted]
        print_csv(ADVICE_COLUMNS, [[row[name] for name in ADVICE_COLUMNS] for row in rows])
    else:
        show_advice(wanted, names)


# --- what is asked ---------------------------------------------------------------------------------


def _report(
    engine: Database,
    settings: Settings,
    months: int | None,
    term: TermWord,
    seat_price: int | None,
    department: str | None = None,
) -> SeatReport:
    from billing.periods import billing_month
    from billing.plans import Term
    from billing.store.report_queries import count_first
    from gateway.seats import SeatReport, last_months

    count_first(engine)
    at = now()
    chosen = last_months(billing_month(at), months) if months else None
    plans = _priced(config_of(settings).plans, seat_price)
    return SeatReport(engine, plans, at, months=chosen, term=Term(term.value), department_id=department)


def _priced(plans: Sequence[Plan], seat_price: int | None) -> Sequence[Plan]:
    """Return the plans, the first at another price if one is asked for."""
    from dataclasses import replace

    if seat_price is None:
        return plans
    return (replace(plans[0], monthly_krw=seat_price), *plans[1:])


def _ledger_savings(engine: Database, report: SeatReport, people: int | None) -> Savings:
    """Return the comparison; from the charges themselves where sums may lag (no writes are taken)."""
    from billing.store.report_queries import count_first
    from billing.store.reports import Savings
    from billing.store.reports import savings as compare

    if not count_first(engine):
        return compare(engine, report.offers[0].plan.monthly_krw, report.months, people)
    uses = report.uses
    return Savings(
        months=len(report.months),
        people=len({use.person_id for use in uses}) if people is None else people,
        person_months=len({(use.person_id, use.month) for use in uses}),
        seat_price_krw=report.offers[0].plan.monthly_krw,
        metered_nano_krw=sum(use.nano_krw for use in uses),
    )


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


def _lines(
    engine: Database, report: SeatReport, by: Lines | None
) -> tuple[Sequence[DepartmentLine | PersonLine], Mapping[str, str]]:
    from gateway.store.organisation import unit_names

    if by is Lines.PERSON:
        return report.people(), _person_names(engine)
    return report.departments(), unit_names(engine)


def _person_names(engine: Database) -> Mapping[str, str]:
    from gateway.store.organisation import person_names

    return person_names(engine)
