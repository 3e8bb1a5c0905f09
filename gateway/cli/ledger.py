"""`haechi ledger verify`: prove that no row was changed, removed, reordered or inserted."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from gateway.cli.common import ConfigOption, Exit, JsonOption, database, print_json, say, settings_for

if TYPE_CHECKING:
    from billing.store.verification import VerifyReport

app = typer.Typer(no_args_is_help=True, help="장부 / the ledger")


@app.callback()
def ledger() -> None:
    """장부를 확인합니다 / Look after the ledger."""


@app.command()
def verify(json: JsonOption = False, config: ConfigOption = None) -> None:
    """장부의 모든 행과 연결을 확인합니다. 이상이 있으면 1로 끝납니다 / Verify every row."""
    from billing.store.verification import verify as verify_ledger
    from gateway.keyring import Purpose

    settings = settings_for(config)
    keys = settings.keyring().by_version(Purpose.LEDGER_CHAIN)
    with database(settings) as engine:
        report = verify_ledger(engine, keys)
    if json:
        print_json(_row(report))
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(Exit.FOUND)


def _row(report: VerifyReport) -> dict[str, object]:
    return {
        "ok": report.ok,
        "rows": report.rows,
        "slots": report.slots,
        "charges": report.charges,
        "open": report.open,
        "total_nano_krw": report.total_nano_krw,
        "total_krw": f"{Decimal(report.total_nano_krw).scaleb(-9):f}",
        "problems": [problem._asdict() for problem in report.problems],
    }


def _show(report: VerifyReport) -> None:
    for problem in report.problems:
        typer.echo(f"[{problem.what}] {problem.table} {problem.row_id}: {problem.message}", err=True)
    total = Decimal(report.total_nano_krw).scaleb(-9)
    state = (
        "이상 없음 / intact"
        if report.ok
        else f"이상 {len(report.problems)}건 / {len(report.problems)} problems"
    )
    say(
        f"{state}: 행 {report.rows:,}개, 청구 {report.charges:,}건,"
        f" 합계 {total:,.2f}원,"
        f" 미결 {report.open}건",
        f"{report.rows:,} rows, {report.slots} chains, {report.charges:,} charges, {report.open} open",
    )
