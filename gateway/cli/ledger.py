"""`haechi ledger verify|seals|root|rerate|rollups|reconcile`: prove the ledger; make estimates right."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from gateway.cli import reconciling, rerating, rollups
from gateway.cli.common import ConfigOption, Exit, JsonOption, database, fail, print_json, say, settings_for

if TYPE_CHECKING:
    from billing.seals import Seal
    from billing.store.verification import VerifyReport

app = typer.Typer(no_args_is_help=True, help="장부 / the ledger")
app.add_typer(rollups.app, name="rollups")
reconciling.register(app)


@app.callback()
def ledger() -> None:
    """장부를 확인합니다 / Look after the ledger."""


SealsOption = Annotated[
    Path | None,
    typer.Option(
        "--seals", help="따로 보관한 봉인 파일과도 대조 / compare with seals that were kept elsewhere"
    ),
]


@app.command()
def verify(json: JsonOption = False, seals: SealsOption = None, config: ConfigOption = None) -> None:
    """장부의 모든 행과 연결, 봉인을 확인합니다. 이상이 있으면 1로 끝납니다 / Verify every row and seal."""
    from billing.store.verification import verify as verify_ledger
    from gateway.keyring import Purpose

    settings = settings_for(config)
    keys = settings.keyring().by_version(Purpose.LEDGER_CHAIN)
    with database(settings) as engine:
        report = verify_ledger(engine, keys, [] if seals is None else _read_seals(seals))
    if json:
        print_json(_row(report))
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(Exit.FOUND)


@app.command()
def rerate(
    month: Annotated[str, typer.Option("--month", help="달, 예: 2026-11 / a month")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """`haechi rerate`와 같습니다. 다르면 1로 끝납니다 / The same as `haechi rerate`."""
    rerating.again(month, json=json, config=config)


@app.command()
def seals(config: ConfigOption = None) -> None:
    """봉인을 JSON Lines로 내보냅니다. 데이터베이스 밖에 두세요 / Export the seals; keep them elsewhere."""
    from billing.store import export_seals

    with database(settings_for(config)) as engine:
        for seal in export_seals(engine):
            typer.echo(orjson.dumps(seal.as_json()))


@app.command()
def root(
    month: Annotated[str, typer.Option("--month", help="달, 예: 2026-11 / a month")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """한 달의 봉인 루트와 서명을 출력합니다. 공개할 수 있습니다 / The month's root, to print or publish."""
    from billing.periods import month_bounds
    from billing.seals import public_key
    from billing.store import root_of_month
    from gateway.keyring import Purpose

    try:
        month_bounds(month)
    except ValueError as error:
        korean, _, english = str(error).partition(" / ")
        fail(korean, english, Exit.USAGE)
    settings = settings_for(config)
    with database(settings) as engine:
        seal = root_of_month(engine, month)
    if seal is None:
        fail(
            f"{month}이(가) 끝난 뒤의 봉인이 아직 없습니다.",
            f"no seal was made since the end of {month}",
            Exit.INPUT,
        )
    public = public_key(settings.keyring().by_version(Purpose.LEDGER_CHAIN)[seal.key_version]).hex()
    if json:
        print_json({"month": month, **seal.as_json(), "public_key": public})
        return
    say(f"{month} 장부 루트 / ledger root: {seal.root}")
    say(f"  봉인 / seal {seal.number} ({seal.reason})")
    say(f"  서명 / signature {seal.signature}\n  공개키 / public key {public}")


@app.command("check-seals")
def check_seals(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="`haechi ledger seals`의 출력")],
    public: Annotated[list[str], typer.Option("--public-key", help="공개키(16진수), 여러 개 / hex")],
) -> None:
    """봉인 파일의 서명과 연결을 데이터베이스 없이 확인합니다 / Check seals by the public key alone."""
    from billing.seals import holds

    found = _read_seals(file)
    try:
        keys = [bytes.fromhex(text) for text in public]
    except ValueError:
        fail("공개키는 16진수 64자입니다.", "a public key is 64 hexadecimal digits", Exit.USAGE)
    wrong = [seal.number for seal in found if not any(holds(seal, key) for key in keys)]
    wrong += [seal.number for before, seal in pairwise(found) if seal.previous != before.digest]
    if wrong:
        names = ", ".join(map(str, sorted(set(wrong))))
        fail(f"서명이나 연결이 맞지 않는 봉인: {names}", f"seals that do not hold: {names}")
    say(f"봉인 {len(found)}개의 서명과 연결이 맞습니다.", f"{len(found)} seals hold.")


def _read_seals(path: Path) -> list[Seal]:
    from billing.seals import Seal

    try:
        return [Seal.from_json(orjson.loads(line)) for line in path.read_bytes().splitlines() if line.strip()]
    except (OSError, ValueError, KeyError, TypeError):
        fail(
            f"봉인 파일을 읽을 수 없습니다: {path}. `haechi ledger seals > 파일`로 만든 파일이 필요합니다.",
            f"{path} is no file of seals; `haechi ledger seals > FILE` makes one",
            Exit.INPUT,
        )


def _row(report: VerifyReport) -> dict[str, object]:
    return {
        "ok": report.ok,
        "rows": report.rows,
        "slots": report.slots,
        "charges": report.charges,
        "open": report.open,
        "seals": report.seals,
        "root": report.root,
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
        f"{report.rows:,} rows, {report.slots} chains, {report.charges:,} charges, {report.open} open,"
        f" {report.seals} seals",
    )
