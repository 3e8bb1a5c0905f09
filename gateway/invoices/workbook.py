"""An invoice as an XLSX workbook: numbers that compute, formats, and a page that prints. Pure.

The total is a live SUM over the lines and has our own figure as its stored value, so that a reader that
does not compute shows the same. The same record gives the same bytes.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from billing.money import whole_won
from gateway.invoices.words import class_word, exact_krw, kind_word, word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

    from billing.statements import Invoice
    from gateway.invoices.words import Language

LINE_COLUMNS: Final = (
    *("no", "kind", "original_month", "model", "token_class", "quantity", "per", "unit_price", "currency"),
    *("fx_rate", "fx_date", "basis", "exact_krw", "amount_krw"),
)
_WIDTHS: Final = (6, 16, 10, 22, 20, 15, 10, 12, 7, 11, 12, 10, 22, 15)
_WON: Final = '#,##0;[Red]"△"#,##0;0'
_COUNT: Final = "#,##0;-#,##0;0"


def workbook_of(invoice: Invoice, language: Language) -> bytes:
    """Return the bytes of an .xlsx file."""
    import xlsxwriter  # a twentieth of a start, and only finance needs it

    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_formulas": False})
    issued = datetime.fromisoformat(invoice.issued_on).replace(tzinfo=UTC)
    title = word("title" if invoice.kind == "department" else "summary_title", language)
    book.set_properties(
        {"title": f"{title} {invoice.number}", "author": invoice.issuer_name, "created": issued}
    )
    formats = {
        name: book.add_format({"font_name": "맑은 고딕", "font_size": 10, **made})
        for name, made in _FORMATS.items()
    }
    sheet = _Sheet(book.add_worksheet(word("title", language)[:31]), formats, language)
    sheet.heading(invoice, title)
    total_row = sheet.lines(invoice) if invoice.kind == "department" else sheet.children(invoice)
    sheet.total(total_row, invoice.total_krw)
    sheet.budgets(invoice)
    sheet.seats(invoice)
    sheet.ledger(invoice)
    sheet.print_setup(invoice)
    if invoice.adjustments:
        _adjustments(book.add_worksheet(word("adjustments", language)[:31]), formats, invoice, language)
    book.close()
    return content.getvalue()


_FORMATS: Final[Mapping[str, Mapping[str, Any]]] = {
    "text": {"border": 1},
    "plain": {},
    "title": {"bold": True, "font_size": 16},
    "label": {"bold": True, "bg_color": "#EEF1F5", "border": 1},
    "head": {"bold": True, "bg_color": "#EEF1F5", "border": 1, "align": "center", "text_wrap": True},
    "won": {"num_format": _WON, "border": 1},
    "count": {"num_format": _COUNT, "border": 1},
    "price": {"num_format": "#,##0.########", "border": 1},
    "percent": {"num_format": "0.0%", "border": 1},
    "total": {"num_format": _WON, "bold": True, "top": 2, "border": 1},
    "total_label": {"bold": True, "top": 2, "border": 1},
}


class _Sheet:
    """The first sheet, written from top to bottom."""

    def __init__(self, sheet: Worksheet, formats: Mapping[str, Format], language: Language) -> None:
        self.sheet = sheet
        self.formats = formats
        self.language = language
        self.row = 0
        self.first = 0
        """The first row of the table that is summed."""
        self.head_row = 0
        for column, width in enumerate(_WIDTHS):
            sheet.set_column(column, column, width)

    def say(self, name: str) -> str:
        return word(name, self.language)

    def text(self, column: int, value: str, made: str = "text") -> None:
        self.sheet.write_string(self.row, column, value, self.formats[made])

    def number(self, column: int, value: int | Decimal, made: str) -> None:
        self.sheet.write_number(
            self.row, column, float(value) if isinstance(value, Decimal) else value, self.formats[made]
        )

    def heading(self, invoice: Invoice, title: str) -> None:
        mark = "" if invoice.final else f" ({self.say('draft')})"
        self.text(0, f"{title}{mark}", "title")
        self.row += 2
        facts = (
            ("number", invoice.number),
            ("issued_on", invoice.issued_on),
            ("period", invoice.month),
            ("path", " ".join(unit.name for unit in invoice.path)),
            ("unit", f"{invoice.unit.name} ({invoice.unit.id})"),
            ("issuer", f"{invoice.institution_name} {invoice.issuer_name}".strip()),
        )
        for name, value in facts:
            self.sheet.merge_range(self.row, 0, self.row, 1, self.say(name), self.formats["label"])
            self.sheet.merge_range(self.row, 2, self.row, 4, "", self.formats["text"])
            self.text(2, value)
            self.row += 1
        for name, counted in (("people", invoice.people), ("requests", invoice.requests)):
            self.sheet.merge_range(self.row, 0, self.row, 1, self.say(name), self.formats["label"])
            self.sheet.merge_range(self.row, 2, self.row, 4, "", self.formats["count"])
            self.number(2, counted, "count")
            self.row += 1
        self.row += 1

    def head(self, names: Sequence[str]) -> None:
        for column, name in enumerate(names):
            self.text(column, self.say(name), "head")
        self.row += 1

    def lines(self, invoice: Invoice) -> int:
        self.head_row = self.row
        self.head(LINE_COLUMNS)
        self.first = self.row
        for line in invoice.lines:
            metered = bool(line.model)
            self.number(0, line.no, "count")
            self.text(1, kind_word(line, self.language))
            self.text(2, line.original_month)
            self.text(3, line.model)
            self.text(4, class_word(line.token_class, self.language))
            for column, value, made in (
                (5, Decimal(line.quantity) if metered else None, "count"),
                (6, Decimal(line.per) if metered else None, "count"),
                (7, Decimal(line.unit_price) if line.unit_price else None, "price"),
                (9, Decimal(line.fx_rate) if line.fx_rate else None, "price"),
            ):
                if value is None:
                    self.text(column, "")
                else:
                    self.number(column, value, made)
            self.text(8, line.currency)
            self.text(10, line.fx_date)
            self.text(11, line.basis)
            self.text(12, exact_krw(line.nano_krw))  # text: a spreadsheet's number has 15 digits
            self.number(13, line.amount_krw, "won")
            self.row += 1
        return self.row

    def children(self, invoice: Invoice) -> int:
        self.head_row = self.row
        self.head(("no", "number", "unit_id", "unit_name"))
        self.sheet.write_string(self.row - 1, 13, self.say("amount_krw"), self.formats["head"])
        self.first = self.row
        for number, child in enumerate(invoice.children, start=1):
            self.number(0, number, "count")
            self.text(1, child.number)
            self.text(2, child.unit.id)
            self.text(3, child.unit.name)
            self.number(13, child.total_krw, "won")
            self.row += 1
        return self.row

    def total(self, row: int, total_krw: int) -> None:
        self.text(12, self.say("sum"), "total_label")
        formula = f"=SUM(N{self.first + 1}:N{row})" if row > self.first else "=0"
        self.sheet.write_formula(self.row, 13, formula, self.formats["total"], total_krw)
        self.row += 2

    def budgets(self, invoice: Invoice) -> None:
        if not invoice.budgets:
            return
        self.text(0, self.say("budget"), "plain")
        self.row += 1
        self.head(("budget_period", "budget_krw", "spent_krw", "left_krw", "rate_percent"))
        for line in invoice.budgets:
            at = self.row + 1
            self.text(0, f"{self.say('every_' + line.every)} {line.period}".strip())
            self.number(1, whole_won(line.budget_nano_krw), "won")
            self.number(2, whole_won(line.spent_nano_krw), "won")
            left = whole_won(line.budget_nano_krw) - whole_won(line.spent_nano_krw)
            self.sheet.write_formula(self.row, 3, f"=B{at}-C{at}", self.formats["won"], left)
            rate = float(line.rate_percent / 100) if line.rate_percent is not None else ""
            self.sheet.write_formula(
                self.row, 4, f'=IF(B{at}=0,"",C{at}/B{at})', self.formats["percent"], rate
            )
            self.row += 1
        self.row += 1

    def seats(self, invoice: Invoice) -> None:
        seats = invoice.seats
        if not seats.people:
            return
        self.text(0, self.say("seats"), "plain")
        self.row += 1
        self.head(("people", "unit_price", "seats_krw", "metered_krw", "saved_krw"))
        at = self.row + 1
        metered = whole_won(seats.metered_nano_krw)
        self.number(0, seats.people, "count")
        self.number(1, seats.seat_krw, "won")
        self.sheet.write_formula(self.row, 2, f"=A{at}*B{at}", self.formats["won"], seats.seats_krw)
        self.number(3, metered, "won")
        self.sheet.write_formula(self.row, 4, f"=C{at}-D{at}", self.formats["won"], seats.seats_krw - metered)
        self.row += 2

    def ledger(self, invoice: Invoice) -> None:
        for rate in invoice.fx_sources:
            self.text(
                0, f"{self.say('fx')}: 1 {rate.base} = {rate.rate} KRW ({rate.date}, {rate.source})", "plain"
            )
            self.row += 1
        if invoice.ledger.root:
            root = invoice.ledger
            self.text(
                0,
                f"{self.say('ledger')}: {self.say('root')} {root.root} · {self.say('seal')} {root.seal}",
                "plain",
            )
            self.row += 1

    def print_setup(self, invoice: Invoice) -> None:
        sheet = self.sheet
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(self.head_row)
        sheet.set_margins(0.5, 0.5, 0.6, 0.6)
        sheet.print_area(0, 0, max(self.row - 1, 0), len(_WIDTHS) - 1)
        sheet.set_footer(f"&L{_no_codes(invoice.number)}&C&P / &N")
        sheet.hide_gridlines(1)
        sheet.freeze_panes(self.first, 0)


def _adjustments(
    sheet: Worksheet, formats: Mapping[str, Format], invoice: Invoice, language: Language
) -> None:
    names = ("charge_id", "corrects", "kind", "original_month", "exact_krw", "reason")
    for column, (name, width) in enumerate(zip(names, (34, 34, 14, 10, 22, 50), strict=True)):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, word(name, language), formats["head"])
    for row, one in enumerate(invoice.adjustments, start=1):
        cells = (
            one.charge_id,
            one.corrects,
            one.kind,
            one.original_month,
            exact_krw(one.nano_krw),
            one.reason,
        )
        for column, value in enumerate(cells):
            sheet.write_string(row, column, value, formats["text"])
    if invoice.adjustments_left_out:
        more = f"{word('more', language)} {invoice.adjustments_left_out:,}"
        sheet.write_string(len(invoice.adjustments) + 1, 0, more, formats["plain"])
    sheet.fit_to_pages(1, 0)
    sheet.set_landscape()


def _no_codes(text: str) -> str:
    """Return text for a footer, in which & begins a code."""
    return text.replace("&", "&&")
