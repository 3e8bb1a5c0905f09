"""Invoices as tables: CSV for a spreadsheet or an accounting system, JSON for programs. Pure.

A template says which columns an accounting system takes (`Template`); no public upload layout of e-호조 is
known to us, so none is claimed.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from billing.statements import LineKind, canonical
from gateway.invoices.words import class_word, exact_krw, kind_word, word
from gateway.spreadsheets import csv_chunks, inert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from billing.statements import Invoice, InvoiceLine
    from gateway.invoices.words import Language

COLUMNS: Final = (
    *("number", "unit_id", "unit_name", "no", "kind", "original_month", "model", "provider", "token_class"),
    *("quantity", "per", "unit_price", "currency", "price_version", "fx_rate", "fx_date", "basis"),
    *("exact_krw", "amount_krw"),
)
ENCODINGS: Final = ("utf-8-sig", "utf-8", "cp949")


class TemplateError(ValueError):
    """A template that cannot be used; `korean` and `english` say why."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


class _Plain(Decimal):
    """A number that is written with all its digits and never as `1E-9`."""

    def __str__(self) -> str:
        return f"{self:f}"


def as_json(invoices: Sequence[Invoice]) -> str:
    """Return the canonical records, a JSON list."""
    return "[" + ",\n".join(map(canonical, invoices)) + "]\n"


def csv_of(invoices: Iterable[Invoice], language: Language) -> Iterator[str]:
    """Yield one row for each line: UTF-8 with a BOM, texts that would run as formulas made inert."""
    header = [word(name, language) for name in COLUMNS]
    rows = (_cells(invoice, line, language) for invoice in invoices for line in invoice.lines)
    return csv_chunks(header, rows)


def _cells(invoice: Invoice, line: InvoiceLine, language: Language) -> list[object]:
    fields = fields_of(invoice, line, language)
    return [fields[name] for name in COLUMNS]


def fields_of(invoice: Invoice, line: InvoiceLine, language: Language) -> dict[str, Any]:
    """Return what a column, or a template, can show of a line."""
    metered = bool(line.model)
    year, month = invoice.month.split("-")
    return {
        "number": invoice.number,
        "month": invoice.month,
        "year": year,
        "month_number": month,
        "issued_on": invoice.issued_on,
        "institution": invoice.institution_name,
        "unit_id": invoice.unit.id,
        "unit_name": invoice.unit.name,
        "path": " ".join(unit.name for unit in invoice.path),
        "total_krw": invoice.total_krw,
        "no": line.no,
        "kind": kind_word(line, language),
        "original_month": line.original_month,
        "model": line.model,
        "provider": line.provider,
        "token_class": class_word(line.token_class, language),
        "quantity": line.quantity if metered else "",
        "per": line.per if metered else "",
        "unit_price": line.unit_price,
        "currency": line.currency,
        "price_version": line.price_version,
        "fx_rate": line.fx_rate,
        "fx_date": line.fx_date,
        "basis": line.basis,
        "exact_krw": _Plain(exact_krw(line.nano_krw)),
        "amount_krw": line.amount_krw,
    }


# --- templates for accounting systems ------------------------------------------------------------


_FIELD: Final = re.compile(r"\{(\w+)\}")
_SAMPLE: Final = (
    *("number", "month", "year", "month_number", "issued_on", "institution", "unit_id", "unit_name", "path"),
    *("total_krw", *COLUMNS),
)


@dataclass(frozen=True, slots=True)
class Template:
    """Columns of an upload: a header and what stands below it, `{field}` replaced.

    `rows`: one row for each `invoice`, or for each `line`.
    """

    columns: tuple[tuple[str, str], ...]
    rows: str = "invoice"
    encoding: str = "utf-8-sig"

    @classmethod
    def read(cls, data: bytes) -> Template:
        """Read TOML. Raises TemplateError.

        rows = "invoice"
        encoding = "cp949"
        [[columns]]
        header = "적요"
        value = "{month} 생성형 AI 사용료({unit_name})"
        """
        try:
            document = tomllib.loads(data.decode("utf-8-sig"))
            columns = tuple((str(c["header"]), str(c["value"])) for c in document["columns"])
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise TemplateError(
                "열 양식을 읽을 수 없습니다. [[columns]]마다 header와 value를 쓰세요.",
                f"The template cannot be read ({type(error).__name__}); give [[columns]] header and value.",
            ) from None
        template = cls(columns, document.get("rows", "invoice"), document.get("encoding", "utf-8-sig"))
        template.check()
        return template

    def check(self) -> None:
        """Raise TemplateError for what cannot be filled in."""
        unknown = sorted({name for _, value in self.columns for name in _FIELD.findall(value)} - set(_SAMPLE))
        if unknown:
            raise TemplateError(
                f"열 양식에 없는 항목입니다: {', '.join(unknown)}. 쓸 수 있는 항목: {', '.join(_SAMPLE)}",
                f"unknown fields: {', '.join(unknown)}; there are {', '.join(_SAMPLE)}",
            )
        if self.rows not in {"invoice", "line"} or self.encoding not in ENCODINGS or not self.columns:
            raise TemplateError(
                f"rows는 invoice나 line, encoding은 {', '.join(ENCODINGS)} 중 하나여야 합니다.",
                f"rows is invoice or line, encoding one of {', '.join(ENCODINGS)}",
            )

    def render(self, invoices: Iterable[Invoice], language: Language) -> bytes:
        """Return the file. Raises TemplateError for a letter that its encoding has not."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([inert(header) for header, _ in self.columns])
        for invoice in invoices:
            if self.rows == "line":
                chosen = list(invoice.lines)
            else:
                chosen = [line for line in invoice.lines if line.kind is LineKind.ROUNDING]
            for line in chosen:
                fields = fields_of(invoice, line, language)
                writer.writerow([_filled(value, fields) for _, value in self.columns])
        try:
            return text.getvalue().encode(self.encoding)
        except UnicodeEncodeError as error:
            letter = error.object[error.start]
            raise TemplateError(
                f"'{letter}'은(는) {self.encoding}으로 쓸 수 없습니다. encoding을 utf-8-sig로 바꾸세요.",
                f"{letter!r} has no place in {self.encoding}; set encoding to utf-8-sig",
            ) from None


def _filled(value: str, fields: Mapping[str, Any]) -> object:
    whole = _FIELD.fullmatch(value)
    if whole:
        return inert(fields[whole[1]])
    return inert(_FIELD.sub(lambda match: str(fields[match[1]]), value))
