"""`haechi report reconcile`: a provider's monthly bill against the ledger, with what differs and why."""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    ConfigOption,
    CsvOption,
    DryRunOption,
    Exit,
    JsonOption,
    actor,
    config_of,
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
    from collections.abc import Iterator

    from billing.bill_match import Match
    from billing.store.bill_matches import Compared
    from billing.store.bills import StoredBill
    from billing.store.three_way import BookSides
    from gateway.audit import Deed
    from gateway.reconciliation import Reconciler, Upload

FileArgument = Annotated[
    Path | None,
    typer.Argument(exists=True, dir_okay=False, help="청구서나 사용량 내보내기(CSV, JSON) / bill or export"),
]
MappingOption = Annotated[
    Path | None,
    typer.Option(
        "--mapping", exists=True, dir_okay=False, help="모르는 양식의 열 대응표(TOML) / its columns"
    ),
]
CLASSES = {
    "missing_here": "장부에 없음",
    "missing_there": "청구서에 없음",
    "quantity": "수량",
    "price": "단가",
    "fx": "환율",
    "rounding": "반올림",
}
STATES = {
    "agrees": "맞음",
    "differs": "다름",
    "accepted": "받아들임",
    "no_bill": "청구서 없음",
    "not_billed": "청구 없음",
}
SHOWN = 30


def register(app: typer.Typer) -> None:
    app.command()(reconcile)
    app.command()(raw)


def reconcile(
    file: FileArgument = None,
    provider: Annotated[str | None, typer.Option(help="haechi.toml의 제공사 이름 / its name")] = None,
    month: Annotated[str | None, typer.Option(help="2026-11 (기본: 지난달 / default: last month)")] = None,
    mapping: MappingOption = None,
    timezone: Annotated[
        str | None, typer.Option(help="청구서의 시간대, 예: UTC / the bill's time zone")
    ] = None,
    part: Annotated[bool, typer.Option("--part", help="한 달의 일부 / some days of the month")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="같은 날짜의 청구서를 대신 / in place of")
    ] = False,
    withdraw: Annotated[int | None, typer.Option(help="청구서 번호를 철회 / take a bill back")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="차이를 받아들임 / stand by what differs")] = False,
    reason: Annotated[str, typer.Option("--reason", help="사유, 감사 기록에 남습니다 / why")] = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    config: ConfigOption = None,
) -> None:
    """제공사 청구서를 장부와 대조합니다. 차이가 남으면 1로 끝납니다 / Match provider bills."""
    from billing.periods import billing_month
    from gateway.audit import Actor, Deed
    from gateway.reconciliation import Upload

    chosen = month or _month_before(billing_month(now()))
    deed = Deed(now(), Actor(actor()), reason)
    with _reconciler(config) as books:
        if withdraw is not None:
            taken = books.withdraw(withdraw, deed)
            say(
                f"청구서 {taken.number}({taken.file_name})을 철회했습니다.", f"Bill {taken.number} withdrawn."
            )
            return
        if file is not None:
            data = file.read_bytes()
            columns = None if mapping is None else mapping.read_bytes()
            provider = provider or _provider_of(books, data, columns)
            upload = Upload(provider, chosen, file.name, data, columns, timezone, part, replace)
            if dry_run:
                _tell_match(upload, books.try_bill(upload), json=json)
                return
            kept = books.import_bill(upload, deed)
            if not json and not csv:
                _tell_import(kept)
        compared = _compared(books, chosen, provider, deed, (accept, dry_run))
        found = _found(books, chosen, compared)
    if csv:
        _print_csv(compared)
    elif json:
        print_json(found)
    else:
        _show(found)
    if not found["agrees"]:
        raise typer.Exit(Exit.FOUND)


class RawFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


def raw(
    month: Annotated[str, typer.Option(help="청구 월, 예: 2026-11 / billing month")],
    form: Annotated[RawFormat, typer.Option("--format", help="형식 / format")] = RawFormat.CSV,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="파일 / file (- : stdout)")] = None,
    config: ConfigOption = None,
) -> None:
    """한 달의 장부 행을 그대로 내보냅니다. 질문과 답변은 없습니다 / A month's ledger rows, no text."""
    from gateway.cli.months import write_raw

    write_raw(month, "raw" if form is RawFormat.CSV else "raw-jsonl", output, config)


@contextmanager
def _reconciler(config: Path | None) -> Iterator[Reconciler]:
    from billing.provider_bills import BillError
    from billing.store.bills import BillRefused
    from gateway.reconciliation import Reconciler

    settings = settings_for(config)
    with database(settings) as engine:
        try:
            yield Reconciler.of(config_of(settings), engine)
        except BillRefused as refused:
            fail(refused.korean, refused.english, Exit.INPUT)
        except BillError as error:
            for mistake in error.mistakes[1:]:
                typer.echo(f"{mistake.number}: {mistake.korean} / {mistake.english}", err=True)
            first = error.mistakes[0]
            where = f"{first.number}번째 자료: " if first.number else ""
            fail(f"{where}{first.korean}", first.english, Exit.INPUT)


def _provider_of(books: Reconciler, data: bytes, mapping: bytes | None) -> str:
    """Return the provider that a known layout is of, where haechi.toml has one of that name."""
    from billing.bill_formats import read_month_bill

    layout = "" if mapping is not None else read_month_bill(data).layout.partition("-")[0]
    if layout not in books.providers:
        names = ", ".join(sorted(books.providers))
        fail(
            f"어느 제공사의 청구서인지 --provider로 알려 주세요: {names}",
            f"Say whose bill it is with --provider: {names}",
            Exit.USAGE,
        )
    return layout


def _compared(
    books: Reconciler, month: str, provider: str | None, deed: Deed, choice: tuple[bool, bool]
) -> list[Compared]:
    """Compare one provider, or every one with a bill; write down what came of it."""
    accept, dry_run = choice
    if accept and provider is None:
        fail("--accept에는 --provider가 필요합니다.", "--accept needs --provider.", Exit.USAGE)
    names = [provider] if provider else [one.provider for one in books.standings(month) if one.bills]
    if dry_run:
        found = [books.compare(month, name) for name in names]
    else:
        found = [books.reconcile(month, name, deed, accept=accept) for name in names]
    return [one for one in found if one is not None]


def _found(books: Reconciler, month: str, compared: list[Compared]) -> dict[str, Any]:
    from billing.bill_summary import krw, summary

    sides = books.books(month)
    by_name = {one.provider: one for one in compared}
    providers = []
    for one in books.standings(month):
        fresh = by_name.get(one.provider)
        said = {"ledger_krw": krw(one.nano_krw)} if fresh is None else summary(fresh.match)
        row = {"provider": one.provider, "state": one.state, "bills": [_bill(bill) for bill in one.bills]}
        providers.append(row | said)
    return {
        "month": month,
        "agrees": sides.agree and all(row["state"] != "differs" for row in providers),
        "books": _books_row(sides),
        "providers": providers,
    }


def _books_row(sides: BookSides) -> dict[str, Any]:
    from billing.bill_summary import krw

    return {
        "agree": sides.agree,
        "journal_dispatched": sides.dispatched,
        "ledger_charged": sides.charged,
        "ledger_rows": sides.rows,
        "open_attempts": sides.open_attempts,
        "waiting_on_disk": sides.waiting,
        "ledger_krw": krw(sides.ledger_nano_krw),
        "sums_krw": krw(sides.sums_nano_krw),
    }


def _bill(bill: StoredBill) -> dict[str, Any]:
    return {
        "number": bill.number,
        "file": bill.file_name,
        "layout": bill.layout,
        "timezone": bill.timezone,
        "states": bill.states,
        "days": [bill.first_day.isoformat(), bill.last_day.isoformat()],
        "rows": bill.file_rows,
        "sha256": bill.digest,
        "imported_at": bill.imported_at.isoformat(),
        "imported_by": bill.imported_by,
    }


def _tell_match(upload: Upload, found: Match, *, json: bool) -> None:
    """Show what a file would come to; it was not kept."""
    from billing.bill_summary import summary

    row = {"provider": upload.provider, "month": upload.month, "dry_run": True, **summary(found)}
    if json:
        print_json(row)
    else:
        say("저장하지 않았습니다.", "Nothing was kept.")
        _show_differences(row)
    if not found.agrees:
        raise typer.Exit(Exit.FOUND)


def _tell_import(kept: StoredBill) -> None:
    say(
        f"청구서 {kept.number}: {kept.layout}, {kept.first_day}~{kept.last_day}({kept.timezone}),"
        f" {kept.file_rows:,}줄",
        f"Bill {kept.number}: {kept.layout}, {kept.first_day} to {kept.last_day}, {kept.file_rows:,} rows",
    )


def _show(found: dict[str, Any]) -> None:
    books = found["books"]
    say(
        f"{found['month']} 장부: 저널 {books['journal_dispatched']:,}건 = 청구 {books['ledger_charged']:,}건"
        f" + 미정산 {books['open_attempts']:,}건,"
        f" 원장 {_grouped(books['ledger_krw'])}원, 일계 {_grouped(books['sums_krw'])}원"
        f" → {'맞음' if books['agree'] else '다름'}"
    )
    rows = [
        (
            one["provider"],
            STATES[one["state"]],
            *(_grouped(one.get(name)) for name in ("ledger_krw", "billed_krw", "outside_krw")),
            ", ".join(f"{CLASSES[k]} {v['count']}" for k, v in one.get("classes", {}).items()),
        )
        for one in found["providers"]
    ]
    show_table(("제공사", "상태", "장부(원)", "청구서(원)", "차이 합(원)", "갈래"), rows)
    for one in found["providers"]:
        if one.get("differences"):
            _show_differences(one)


def _show_differences(one: dict[str, Any]) -> None:
    rows = [
        (
            row["day"],
            row["key"],
            row["model"],
            row["item"],
            CLASSES[row["class"]],
            _pair(row["ledger_quantity"], row["billed_quantity"]),
            _pair(row["ledger_cost"], row["billed_cost"], row["currency"]),
            _grouped(row["difference_krw"]) or "?",
        )
        for row in one["differences"][:SHOWN]
    ]
    columns = ("날", "키", "모델", "항목", "갈래", "수량: 장부 → 청구", "금액: 장부 → 청구", "차이(원)")
    show_table(columns, rows, title=f"{one['provider']}: 큰 차이부터")
    left = len(one["differences"]) - len(rows) + one["left_out"]
    if left:
        say(f"{left:,}건 더 있습니다. --csv로 모두 볼 수 있습니다.", f"{left:,} more; --csv has them all.")


def _grouped(krw: str | None) -> str:
    return "" if krw is None else f"{Decimal(krw):,f}"


def _pair(here: object, there: object, unit: str = "") -> str:
    if here is None and there is None:
        return ""
    shown = [
        "–" if one is None else f"{one:,}" if isinstance(one, int) else str(one) for one in (here, there)
    ]
    return f"{shown[0]} → {shown[1]} {unit}".strip()


def _print_csv(compared: list[Compared]) -> None:
    from billing.bill_summary import difference_row, largest_first

    rows = [
        {"provider": one.provider, **difference_row(difference)}
        for one in compared
        for difference in largest_first(one.match)
    ]
    header = ("provider", *_DIFFERENCE_COLUMNS)
    print_csv(header, [["" if row[name] is None else row[name] for name in header] for row in rows])


_DIFFERENCE_COLUMNS = (
    *("class", "day", "key", "model", "item", "ledger_quantity", "billed_quantity", "ledger_cost"),
    *("billed_cost", "currency", "difference_krw"),
)


def _month_before(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year - (number == 1):04d}-{(number - 2) % 12 + 1:02d}"
