"""`haechi ledger reconcile`: a provider's bill or usage export makes estimates right."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    ConfigOption,
    DryRunOption,
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
    from billing.provider_bills import BillLine
    from billing.store.reconciliation import Reconciled
    from gateway.audit import AuditEvent
    from gateway.settings import Settings
    from gateway.store.database import Database

BillFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, JSON, JSON Lines")]
_RESULTS = {
    "reconciled": "반영",
    "same": "같음",
    "differs": "보고된 값과 다름",
    "unknown": "장부에 없음",
    "ambiguous": "한 건으로 정할 수 없음",
    "no_rate": "환율 없음",
}


def register(app: typer.Typer) -> None:
    app.command()(reconcile)


def reconcile(
    file: BillFile,
    reason: Annotated[str, typer.Option("--reason", help="사유, 예: 2026년 11월 청구서 / why")],
    with_reported: Annotated[
        bool, typer.Option("--with-reported", help="보고된 청구도 고침 / change reported charges too")
    ] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """제공자 청구서로 추정액을 바로잡습니다. 남은 차이가 있으면 1로 끝납니다 / Apply a provider's bill."""
    from billing.store.reconciliation import Result, compare

    settings = settings_for(config)
    lines = _read_bill(file)
    with database(settings) as engine:
        why = f"{actor()}: {reason} ({file.name})"[:500]
        compared = compare(engine, lines, now=now(), reason=why, with_reported=with_reported)
        if not dry_run:
            compared = _apply(engine, settings, compared, why)
    if json:
        print_json({"dry_run": dry_run, "lines": [_row(one) for one in compared]})
    else:
        _show(compared, dry_run=dry_run)
    if any(one.result not in (Result.RECONCILED, Result.SAME) for one in compared):
        raise typer.Exit(Exit.FOUND)


def _read_bill(path: Path) -> list[BillLine]:
    from billing.provider_bills import BillError, read_bill

    try:
        return read_bill(path.read_bytes())
    except BillError as error:
        for mistake in error.mistakes:
            typer.echo(f"{mistake.number}: {mistake.korean} / {mistake.english}", err=True)
        fail(f"청구서를 읽을 수 없습니다: {path}", f"the bill {path} cannot be read", Exit.INPUT)


def _apply(engine: Database, settings: Settings, compared: list[Reconciled], reason: str) -> list[Reconciled]:
    """Write through a sink of our own: the chain goes on, and budgets follow. Audited first."""
    from billing.store import LedgerSink
    from billing.store.reconciliation import apply
    from gateway.keyring import Purpose
    from gateway.store.audit import Trail

    if not any(one.charge for one in compared):
        return compared
    trail = Trail(engine)
    trail.record(_event(compared, reason))
    keyring = settings.keyring()
    sink = LedgerSink(engine, keyring.current(Purpose.LEDGER_CHAIN).key, key_version=len(keyring.masters))
    sink.open()
    try:
        written = apply(sink, compared)
    finally:
        sink.close()
    if sum(map(_change, written)) != sum(map(_change, compared)):  # use became known meanwhile
        trail.record(_event(written, reason))
    return written


def _event(compared: list[Reconciled], reason: str) -> AuditEvent:
    from gateway.audit import Actor, AuditEvent

    count = sum(one.charge is not None for one in compared)
    details = {"rows": count, "change_krw": f"{_won(sum(map(_change, compared))):f}"}
    return AuditEvent(now(), Actor(actor()), "ledger.reconcile", "", reason, details=details)


def _change(one: Reconciled) -> int:
    return one.after_nano_krw - one.before_nano_krw if one.charge is not None else 0


def _row(one: Reconciled) -> dict[str, object]:
    return {
        "line": one.line.number,
        "id": one.line.name,
        "attempt_id": one.attempt_id,
        "result": one.result,
        "before_krw": f"{_won(one.before_nano_krw):f}",
        "after_krw": f"{_won(one.after_nano_krw):f}",
    }


def _show(compared: list[Reconciled], *, dry_run: bool) -> None:
    rows = [
        (
            one.line.number,
            one.line.name,
            _RESULTS[one.result],
            *(f"{_won(amount):,.2f}" for amount in (one.before_nano_krw, one.after_nano_krw)),
        )
        for one in compared
        if one.result != "same"
    ]
    if rows:
        show_table(("줄", "ID", "결과", "앞 금액", "새 금액"), rows)
    changed = sum(one.charge is not None for one in compared)
    total = _won(sum(map(_change, compared)))
    state = "바꾸지 않았습니다 / nothing was written" if dry_run else "반영했습니다 / applied"
    say(f"{len(compared):,}줄 가운데 {changed:,}건, 차이 {total:+,.2f}원: {state}")


def _won(nano_krw: int) -> Decimal:
    return Decimal(nano_krw).scaleb(-9)
