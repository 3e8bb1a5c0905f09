"""All five files of an invoice, read back by somebody else's reader, say the same won."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import shutil
import subprocess
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import openpyxl
import pypdf
import pytest

from billing.statements import Invoice, LineKind, Terms
from billing.store.focus_rows import DayLine
from gateway.invoices import focus, pdf, tables, workbook
from gateway.invoices.words import amount_in_letters
from tests.invoices.conftest import line_sum, made

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.invoices.words import Language

LANGUAGES = ("ko", "en")


def days_of(invoice: Invoice) -> list[DayLine]:
    """The lines of an invoice as the sums of one day."""
    kinds = {LineKind.USAGE: "charge", LineKind.LATE: "charge", LineKind.CORRECTION: "reconciliation"}
    return [
        DayLine(
            invoice.unit_path, invoice.unit.id, date.fromisoformat(f"{line.original_month}-15"),
            kinds[line.kind], line.model, line.provider, line.token_class, line.basis, line.unit_price,
            line.currency, line.per, line.price_version, line.fx_rate, line.fx_date, line.charge_lines,
            line.quantity, line.nano_krw,
        )
        for line in invoice.lines
        if line.kind in kinds
    ]  # fmt: skip


def pdf_text(data: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)


def csv_total(invoice: Invoice, language: Language) -> int:
    text = "".join(tables.csv_of([invoice], language))
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(rows) == len(invoice.lines) + 1
    return sum(int(row[-1]) for row in rows[1:])


def workbook_total(data: bytes) -> int:
    sheet = openpyxl.load_workbook(io.BytesIO(data), data_only=True).worksheets[0]
    labels = {str(row[12].value): row[13].value for row in sheet.iter_rows(max_col=14)}
    return int(labels.get("합계") or labels["Total"])


def focus_total(invoice: Invoice) -> Decimal:
    text = "".join(focus.focus_csv(invoice.month, days_of(invoice), [invoice]))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) > len(days_of(invoice))
    return sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0))


@pytest.mark.parametrize("language", LANGUAGES)
def test_five_files_say_the_same_won(invoice: Invoice, language: Language) -> None:
    total = invoice.total_krw
    assert total == 1_388_180
    (record,) = json.loads(tables.as_json([invoice]))
    assert Invoice.from_json(record) == invoice
    assert record["total_krw"] == sum(line["amount_krw"] for line in record["lines"]) == total
    assert csv_total(invoice, language) == total
    assert workbook_total(workbook.workbook_of(invoice, language)) == total
    assert focus_total(invoice) == total
    assert f"{total:,}" in pdf_text(pdf.pdf_of(invoice, language))


def test_they_agree_for_a_credit_that_exceeds_the_usage() -> None:
    credit = made(
        Terms(vat_percent=Decimal(10)),
        line_sum("gpt", "input", 10_001, "1.25"),
        line_sum("gpt", "output", -9_000_123, "10", LineKind.CORRECTION),
    )
    assert credit.total_krw < 0
    assert csv_total(credit, "ko") == workbook_total(workbook.workbook_of(credit, "ko")) == credit.total_krw
    assert focus_total(credit) == credit.total_krw
    assert f"△{-credit.total_krw:,}" in pdf_text(pdf.pdf_of(credit, "ko"))


@pytest.mark.parametrize("kind", ["department", "summary"])
def test_the_same_record_gives_the_same_bytes(invoice: Invoice, summary: Invoice, kind: str) -> None:
    one = invoice if kind == "department" else summary
    again = Invoice.from_json(json.loads(json.dumps(one.as_json())))
    assert pdf.pdf_of(one, "ko") == pdf.pdf_of(again, "ko")
    assert workbook.workbook_of(one, "ko") == workbook.workbook_of(again, "ko")


def test_the_pdf_is_an_archive_copy_dated_on_its_day_of_issue(invoice: Invoice) -> None:
    reader = pypdf.PdfReader(io.BytesIO(pdf.pdf_of(invoice, "ko")))
    assert b"pdfaid:part" in reader.trailer["/Root"]["/Metadata"].get_data()  # type: ignore[index]
    assert reader.metadata is not None
    assert "20261202" in str(reader.metadata.get("/CreationDate"))
    text = pdf_text(pdf.pdf_of(invoice, "ko"))
    for shown in (
        "SEOUL-2026-11-0007",
        "예산현액",
        "집행률",
        "끝수",
        "1391.20",
        "총무과",
        invoice.ledger.root[:20],
    ):
        assert shown in text
    assert amount_in_letters(invoice.total_krw) == "금 일백삼십팔만팔천일백팔십원정"


def test_a_summary_sums_the_invoices_below_it(summary: Invoice) -> None:
    total = sum(child.total_krw for child in summary.children)
    assert summary.total_krw == workbook_total(workbook.workbook_of(summary, "ko")) == total
    text = pdf_text(pdf.pdf_of(summary, "ko"))
    assert f"{total:,}" in text
    assert "총괄" in text


def test_a_draft_says_that_it_is_one(invoice: Invoice) -> None:
    draft = dataclasses.replace(invoice, final=False)
    assert "미확정" in pdf_text(pdf.pdf_of(draft, "ko"))
    assert "DRAFT" in pdf_text(pdf.pdf_of(draft, "en"))


def test_the_workbook_computes_and_prints(invoice: Invoice) -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook.workbook_of(invoice, "ko")))
    sheet = book.worksheets[0]
    formulas = [cell.value for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
    assert any(re.fullmatch(r"=SUM\(N\d+:N\d+\)", str(formula)) for formula in formulas)
    assert not any("HYPERLINK" in str(formula) or "1+1" in str(formula) for formula in formulas)
    assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
    assert sheet.print_title_rows
    amounts = [cell for cell in sheet["N"] if isinstance(cell.value, int)]
    assert all("#,##0" in cell.number_format for cell in amounts)


@pytest.mark.full
def test_libreoffice_recalculates_our_total(invoice: Invoice, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    assert office is not None, "libreoffice-calc is missing; run .ci/install-full"
    source = tmp_path / "invoice.xlsx"
    # The stored values are taken out, so that what is read back is LibreOffice's own arithmetic.
    book = openpyxl.load_workbook(io.BytesIO(workbook.workbook_of(invoice, "ko")))
    book.save(source)
    command = [office, "--headless", f"-env:UserInstallation=file://{tmp_path}/profile"]
    subprocess.run(
        [*command, "--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", f"{tmp_path}/out", str(source)],
        check=True,
        capture_output=True,
        timeout=180,
    )
    assert workbook_total((tmp_path / "out" / "invoice.xlsx").read_bytes()) == invoice.total_krw
