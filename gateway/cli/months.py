"""`haechi month list|show|preview|approve|reopen|lock` and `haechi invoice list|show|export`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    actor,
    config_of,
    database,
    fail,
    now,
    print_json,
    say,
    settings_for,
    show_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from billing.months import MonthStep
    from billing.statements import Invoice
    from billing.store.months import Standing
    from gateway.audit import Deed
    from gateway.books import Books
    from gateway.invoices.tables import Template
    from gateway.invoices.words import Language

month_app = typer.Typer(no_args_is_help=True, help="달의 검토와 마감 / months: preview, approve, lock")
invoice_app = typer.Typer(no_args_is_help=True, help="청구서 / invoices")

MonthArgument = Annotated[str | None, typer.Argument(help="청구 월, 예: 2026-11 / billing month")]
MonthOption = Annotated[
    str | None, typer.Option("--month", help="인자로 쓰지 않은 달 / the same, as an option")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="사유, 감사 기록에 남습니다 / why")]
LanguageOption = Annotated[str, typer.Option("--language", help="ko 또는 en / ko or en")]


class Format(StrEnum):
    PDF = "pdf"
    XLSX = "xlsx"
    CSV = "csv"
    JSON = "json"
    FOCUS = "focus"


# --- months --------------------------------------------------------------------------------------


@month_app.command("list")
def list_months(json: JsonOption = False, config: ConfigOption = None) -> None:
    """달마다의 상태와 금액입니다 / Every month: how it stands and what it comes to."""
    with _books(config) as books:
        found = books.months()
    if json:
        print_json([_month_row(one) for one in found])
        return
    show_table(
        ("월 / month", "상태 / state", "장부 행 / rows", "산출액(원) / won", "담당 / by"),
        [_month_cells(one) for one in found],
    )


@month_app.command()
def show(
    what: MonthArgument = None,
    month: MonthOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """한 달이 거쳐 온 단계입니다 / Every step of a month."""
    month = _one_of(what, month)
    with _books(config) as books:
        standing, steps = books.month(month), books.steps(month)
    if json:
        print_json(_month_row(standing) | {"steps": [_step_row(step) for step in steps]})
        return
    show_table(
        ("단계", "상태", "때", "담당", "장부 행", "사유"),
        [(s.number, s.state, s.at, s.by, s.document.get("rows", ""), s.reason) for s in steps],
        title=f"{month}: {standing.state}",
    )


@month_app.command()
def preview(
    what: MonthArgument = None,
    month: MonthOption = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """한 달의 금액을 모아 검토에 올립니다 / Put a month together to be looked at."""
    _take(_one_of(what, month), reason, config, json, lambda books, *asked: books.preview(*asked))


@month_app.command()
def approve(
    what: MonthArgument = None,
    month: MonthOption = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """검토한 금액을 승인합니다 / Stand by the figures of the preview."""
    _take(_one_of(what, month), reason, config, json, lambda books, *asked: books.approve(*asked))


@month_app.command()
def reopen(
    reason: ReasonOption,
    what: MonthArgument = None,
    month: MonthOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """검토나 승인을 되돌립니다. 마감한 달은 되돌릴 수 없습니다 / Take a preview or approval back."""
    _take(_one_of(what, month), reason, config, json, lambda books, *asked: books.reopen(*asked))


@month_app.command()
def lock(
    what: MonthArgument = None,
    month: MonthOption = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """승인한 달을 마감하고 청구서를 냅니다. 되돌릴 수 없습니다 / Lock a month for good and issue invoices."""
    _take(_one_of(what, month), reason, config, json, lambda books, *asked: books.lock(*asked))


def _take(
    month: str,
    reason: str,
    config: Path | None,
    json: bool,
    step: Callable[[Books, str, Deed], MonthStep],
) -> None:
    from billing.months import WORDS, MonthRefused
    from gateway.audit import Actor, Deed

    with _books(config) as books:
        try:
            taken = step(books, month, Deed(now(), Actor(actor()), reason))
        except MonthRefused as refused:
            fail(refused.korean, refused.english)
    if json:
        print_json(_step_row(taken))
        return
    told = {
        key: taken.document[key] for key in ("rows", "invoices", "total_krw", "root") if key in taken.document
    }
    say(f"{month}: {WORDS[taken.state]}", f"{month} is now {taken.state}.")
    for name, value in told.items():
        say(f"  {name} {value:,}" if isinstance(value, int) else f"  {name} {value}")


def _month_row(one: Standing) -> dict[str, Any]:
    return {
        "month": one.month,
        "state": one.state,
        "rows": one.figures.rows,
        "nano_krw": one.figures.nano_krw,
        "krw": f"{Decimal(one.figures.nano_krw).scaleb(-9):f}",
        "last": None if one.last is None else _step_row(one.last),
    }


def _month_cells(one: Standing) -> tuple[object, ...]:
    by = "" if one.last is None else one.last.by
    return (one.month, one.state, one.figures.rows, f"{Decimal(one.figures.nano_krw).scaleb(-9):,.2f}", by)


def _step_row(step: MonthStep) -> dict[str, Any]:
    return {
        "month": step.month,
        "step": step.number,
        "state": step.state,
        "at": step.at.isoformat(),
        "by": step.by,
        "reason": step.reason,
        **step.document,
    }


# --- invoices ------------------------------------------------------------------------------------


@invoice_app.command("list")
def list_invoices(
    what: MonthArgument = None,
    month: MonthOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """한 달의 청구서입니다. 마감 전이면 미확정입니다 / A month's invoices; drafts before the lock."""
    from gateway.books import totals

    with _books(config) as books:
        month = _one_of(what, month, _latest(books) if what is None and month is None else None)
        found = books.invoices(month, now())
    if json:
        print_json({"month": month, "invoices": [_heading(one) for one in found], "total_krw": totals(found)})
        return
    rows = [
        (one.number, one.kind, " ".join(u.name for u in one.path), one.people, one.total_krw) for one in found
    ]
    state = "확정 / final" if found and found[0].final else "미확정 / drafts"
    show_table(("번호", "구분", "부서", "인원", "금액(원)"), rows, title=f"{month}: {state}")
    say(f"부서 합계 {totals(found):,}원", f"KRW {totals(found):,} in all")


@invoice_app.command("show")
def show_invoice(
    number: Annotated[str, typer.Argument(help="청구번호 / invoice number")],
    json: JsonOption = False,
    language: LanguageOption = "ko",
    config: ConfigOption = None,
) -> None:
    """청구서 한 장입니다 / One invoice."""
    from gateway.invoices.words import class_word, exact_krw, kind_word

    chosen = _language(language)
    with _books(config) as books:
        invoice = _invoice(books, number)
    if json:
        print_json(invoice.as_json())
        return
    rows = [
        (
            line.no,
            kind_word(line, chosen),
            line.model,
            class_word(line.token_class, chosen),
            line.quantity,
            f"{line.unit_price} {line.currency}".strip(),
            exact_krw(line.nano_krw),
            line.amount_krw,
        )
        for line in invoice.lines
    ] + [
        (n, child.number, child.unit.name, "", 0, "", "", child.total_krw)
        for n, child in enumerate(invoice.children, 1)
    ]
    show_table(("번호", "구분", "모델", "항목", "수량", "단가", "산출액", "금액"), rows, title=invoice.number)
    say(f"청구금액 {invoice.total_krw:,}원", f"KRW {invoice.total_krw:,}")


@invoice_app.command()
def export(
    what: Annotated[
        str | None, typer.Argument(help="청구번호, 또는 달 전체는 2026-11 / a number, or a month")
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="형식. 없으면 한 장은 PDF, 달은 모두 / default: pdf; of a month all"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="파일, 여러 장이면 폴더 / file, or folder (- : stdout)"),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option("--template", exists=True, dir_okay=False, help="회계 업로드 열 양식(TOML) / columns"),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="달의 장부 행 그대로(CSV) / the month's ledger rows")
    ] = False,
    month: MonthOption = None,
    language: LanguageOption = "ko",
    config: ConfigOption = None,
) -> None:
    """청구서를 파일로 내보냅니다 / Write invoices to files."""
    wanted = _one_of(what, month)
    if raw:
        write_raw(wanted, "raw", output, config)
        return
    chosen = _language(language)
    columns = None if template is None else _template(template)
    with _books(config) as books:
        if columns is not None:
            found = books.invoices(wanted, now()) if _is_month(wanted) else [_invoice(books, wanted)]
            _written(iter([_filled(columns, found, chosen)]), output or Path(f"{wanted}.csv"))
        elif _is_month(wanted):
            _export_month(books, wanted, form, output, chosen)
        else:
            _export_one(books, wanted, form or Format.PDF, output, chosen)


def _export_one(books: Books, number: str, form: Format, output: Path | None, language: Language) -> None:
    file = books.file_of(_invoice(books, number), form, language, now())
    _written(file.content, output or Path(file.name))


def _export_month(
    books: Books, month: str, form: Format | None, output: Path | None, language: Language
) -> None:
    from gateway.books import ONE_BY_ONE

    if form is None or form in ONE_BY_ONE:
        kinds = list(Format) if form is None else [form]
        _write_folder(books, month, kinds, output or Path(f"invoices-{month}"), language)
        return
    file = books.file_of_month(month, form, language, now())
    _written(file.content, output or Path(file.name))


def _write_folder(
    books: Books, month: str, kinds: Sequence[Format], folder: Path, language: Language
) -> None:
    """Write several files; a folder that was there keeps what else it holds."""
    if str(folder) == "-" or folder.is_file():
        fail(
            "여러 파일을 쓰므로 폴더가 있어야 합니다. `-o 폴더`로 알려 주세요.",
            "These are several files; say a folder with `-o FOLDER`.",
            Exit.USAGE,
        )
    count = 0
    for file in books.files_of_month(month, kinds, language, now()):
        folder.mkdir(parents=True, exist_ok=True)
        _write(file.content, folder / file.name)
        count += 1
    if not count:
        fail(f"{month}의 청구서가 없습니다.", f"There are no invoices of {month}.", Exit.INPUT)
    say(f"{folder}에 파일 {count:,}개를 저장했습니다.", f"{count:,} files are in {folder}.")


def write_raw(month: str, kind: str, output: Path | None, config: Path | None) -> None:
    """Write the ledger's rows of a month; who took them out is in the access audit."""
    from gateway.audit import Actor, AuditEvent
    from gateway.store.audit import Trail

    with _books(config) as books:
        file = books.raw_file(month, kind)
        Trail(books.database).record(AuditEvent(now(), Actor(actor()), "month.raw", month))
        _written(file.content, output or Path(file.name))


def _latest(books: Books) -> str | None:
    """The month that was locked last, else the latest with charges."""
    found = books.months()
    locked = [one.month for one in found if one.state == "locked"]
    return max(locked or [one.month for one in found], default=None)


def _one_of(what: str | None, month: str | None, otherwise: str | None = None) -> str:
    """Return what was asked for, as an argument or an option."""
    if what is not None and month is not None and what != month:
        fail("달을 한 번만 쓰세요.", "Say the month once.", Exit.USAGE)
    found = what or month or otherwise
    if found is None:
        fail("달을 쓰세요. 예: 2026-11", "Say which month, like 2026-11.", Exit.USAGE)
    return found


def _is_month(what: str) -> bool:
    return len(what) == len("2026-11") and what[4:5] == "-"


def _filled(template: Template, invoices: Any, language: Any) -> bytes:  # noqa: ANN401 - as given
    from gateway.invoices.tables import TemplateError

    try:
        return template.render(invoices, language)
    except TemplateError as wrong:
        fail(wrong.korean, wrong.english, Exit.INPUT)


def _written(content: Iterator[bytes], path: Path) -> None:
    if str(path) == "-":
        for chunk in content:
            sys.stdout.buffer.write(chunk)
        return
    _write(content, path)
    say(f"{path}에 저장했습니다.", f"Written to {path}.")


def _write(content: Iterator[bytes], path: Path) -> None:
    """Write a whole file or none."""
    partial = path.with_name(f"{path.name}.part")
    with partial.open("wb") as file:
        file.writelines(content)
    partial.replace(path)


def _template(path: Path) -> Template:
    from gateway.invoices.tables import Template, TemplateError

    try:
        return Template.read(path.read_bytes())
    except TemplateError as wrong:
        fail(wrong.korean, wrong.english, Exit.INPUT)


def _invoice(books: Books, number: str) -> Invoice:
    found = books.invoice(number, now())
    if found is None:
        fail(
            f"청구서가 없습니다: {number}. `haechi invoice list 2026-11`로 번호를 확인하세요.",
            f"There is no invoice {number}; `haechi invoice list 2026-11` shows the numbers.",
            Exit.INPUT,
        )
    return found


def _heading(one: Invoice) -> dict[str, Any]:
    return {
        "number": one.number,
        "kind": one.kind,
        "final": one.final,
        "unit": one.unit.id,
        "name": one.unit.name,
        "people": one.people,
        "total_krw": one.total_krw,
    }


def _language(text: str) -> Any:  # noqa: ANN401 - one of two words
    if text not in {"ko", "en"}:
        fail("--language는 ko나 en입니다.", "--language is ko or en.", Exit.USAGE)
    return text


@contextmanager
def _books(config: Path | None) -> Iterator[Books]:
    from billing.months import MonthRefused
    from gateway.books import Books
    from gateway.reconciliation import Reconciler

    settings = settings_for(config)
    loaded = config_of(settings)
    with database(settings) as engine:
        try:
            yield Books(engine, settings.keyring(), loaded.invoices, Reconciler.of(loaded, engine))
        except MonthRefused as refused:
            fail(refused.korean, refused.english)
