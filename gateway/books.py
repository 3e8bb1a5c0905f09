"""Months and invoices as the command line, the API and the console use them. No SQL, no HTTP.

What may follow what is decided in billing/months.py, what an invoice says in billing/statements.py; here
the institution's terms, its names and the ledger's key come together.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from billing.periods import month_bounds
from billing.store import months
from billing.store.focus_rows import day_lines
from billing.store.invoices import (
    DRAFT,
    headings,
    invoices_of,
    lock_with_invoices,
    stored_invoice,
    stored_invoices,
)
from billing.store.raw_rows import RAW_COLUMNS, raw_rows
from gateway.errors import InvalidRequest
from gateway.invoices.bundle import zipped
from gateway.invoices.focus import department_path, focus_csv
from gateway.invoices.pdf import pdf_of
from gateway.invoices.raw import raw_csv, raw_json_lines
from gateway.invoices.tables import as_json, csv_of
from gateway.invoices.workbook import workbook_of
from gateway.keyring import Purpose
from gateway.reconciliation import checked_month
from gateway.store.month_trail import month_trail
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from billing.months import MonthStep
    from billing.statements import Invoice, Terms
    from billing.store.invoices import Heading
    from billing.store.months import Standing
    from gateway.audit import Deed
    from gateway.invoices.words import Language
    from gateway.keyring import Keyring
    from gateway.reconciliation import Reconciler
    from gateway.store.database import Database

MEDIA: Final = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "focus": "text/csv; charset=utf-8",
    "raw": "text/csv; charset=utf-8",
    "raw-jsonl": "application/jsonl",
}
"""What an invoice, or a month of them, can be had as."""
OF_ONE: Final = ("pdf", "xlsx", "csv", "json", "focus")
OF_A_MONTH: Final = ("csv", "json", "focus")
ONE_BY_ONE: Final = ("pdf", "xlsx")
"""Of a month a file for each invoice, in a folder or a ZIP."""
RAW: Final = ("raw", "raw-jsonl")
"""The ledger's own rows of a month, as CSV or JSON Lines."""


class File(NamedTuple):
    name: str
    media_type: str
    content: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Books:
    database: Database
    keyring: Keyring
    terms: Terms
    gate: Reconciler | None = None
    """What a month must have passed before it is locked; None: nothing."""

    # --- months ---

    def months(self) -> list[Standing]:
        return months.months(self.database)

    def month(self, month: str) -> Standing:
        """Raises InvalidRequest for what is no month."""
        return months.standing(self.database, checked_month(month))

    def steps(self, month: str) -> list[MonthStep]:
        return months.steps(self.database, checked_month(month))

    def preview(self, month: str, deed: Deed, seen: int | None = None) -> MonthStep:
        """Raises billing.months.MonthRefused, as the other steps do."""
        return months.preview(self.database, checked_month(month), _step(deed), seen)

    def approve(self, month: str, deed: Deed, seen: int | None = None) -> MonthStep:
        four_eyes = self.terms.four_eyes
        return months.approve(self.database, checked_month(month), _step(deed), seen, four_eyes=four_eyes)

    def reopen(self, month: str, deed: Deed, seen: int | None = None) -> MonthStep:
        return months.reopen(self.database, checked_month(month), _step(deed), seen)

    def lock(self, month: str, deed: Deed, seen: int | None = None) -> MonthStep:
        key = self.keyring.current(Purpose.LEDGER_CHAIN).key
        seal_key = months.SealKey(key, len(self.keyring.masters))
        names = unit_names(self.database)
        evidence = {} if self.gate is None else self.gate.evidence(checked_month(month), deed)
        return lock_with_invoices(
            self.database, checked_month(month), _step(deed), seal_key, self.terms, names, seen, evidence
        )

    # --- invoices ---

    def invoices(self, month: str, now: datetime) -> tuple[Invoice, ...]:
        """Return the final invoices of a locked month, else drafts. Raises InvalidRequest, MonthRefused."""
        return invoices_of(self.database, checked_month(month), self.terms, unit_names(self.database), now)

    def final_invoices(self, month: str) -> tuple[Invoice, ...]:
        return stored_invoices(self.database, checked_month(month))

    def headings(self, month: str | None = None) -> list[Heading]:
        return headings(self.database, None if month is None else checked_month(month))

    def invoice(self, number: str, now: datetime) -> Invoice | None:
        """Return an invoice by its number, `DRAFT-2026-11-0003` for a draft; None where there is none."""
        if not number.startswith(f"{DRAFT}-"):
            return stored_invoice(self.database, number)
        month = number.removeprefix(f"{DRAFT}-")[:7]
        try:
            month_bounds(month)
        except ValueError:
            return None
        return next((one for one in self.invoices(month, now) if one.number == number), None)

    def file_of(self, invoice: Invoice, kind: str, language: Language, now: datetime) -> File:
        """Return an invoice as one of OF_ONE. Raises InvalidRequest."""
        content: Iterator[bytes]
        match kind:
            case "pdf":
                content = iter([pdf_of(invoice, language)])
            case "xlsx":
                content = iter([workbook_of(invoice, language)])
            case "csv":
                content = (chunk.encode() for chunk in csv_of([invoice], language))
            case "json":
                content = iter([as_json([invoice]).encode()])
            case "focus":
                content = (chunk.encode() for chunk in self._focus_of(invoice, now))
            case _:
                raise _no_format(kind, OF_ONE)
        ending = "focus.csv" if kind == "focus" else kind
        return File(f"{invoice.number}.{ending}", MEDIA[kind], content)

    def _focus_of(self, invoice: Invoice, now: datetime) -> Iterator[str]:
        """Write what an invoice bills as FOCUS; of a summary, the departments that it sums."""
        billed = {invoice.number, *(child.number for child in invoice.children)}
        whole = (invoice,) if invoice.kind == "department" else self.invoices(invoice.month, now)
        departments = [one for one in whole if one.kind == "department" and one.number in billed]
        paths = {one.unit_path for one in departments}
        days = day_lines(self.database, invoice.month, {one.unit.id for one in departments})
        theirs = (day for day in days if department_path(day) in paths)
        return focus_csv(invoice.month, theirs, departments)

    def files_of_month(
        self, month: str, kinds: Sequence[str], language: Language, now: datetime
    ) -> Iterator[File]:
        """Yield a month as several of OF_ONE and OF_A_MONTH: an invoice in each file, or the whole month.

        Raises what `file_of` and `file_of_month` raise.
        """
        found = self.invoices(month, now)
        for kind in kinds:
            if kind in ONE_BY_ONE:
                yield from (self.file_of(one, kind, language, now) for one in found)
            else:
                yield self.file_of_month(month, kind, language, now)

    def zip_of_month(self, month: str, kind: str, language: Language, now: datetime) -> File:
        """Return a month's invoices as a ZIP. Raises what `file_of` raises, before the first byte."""
        made = self.files_of_month(month, [kind], language, now)
        files = ((file.name, b"".join(file.content)) for file in made)
        first = list(islice(files, 1))
        name = f"invoices-{month}-{kind}.zip"
        return File(name, "application/zip", zipped(chain(first, files), month))

    def file_of_month(self, month: str, kind: str, language: Language, now: datetime) -> File:
        """Return a month's invoices as one of OF_A_MONTH, ONE_BY_ONE or RAW.

        Raises InvalidRequest, MonthRefused.
        """
        if kind in RAW:
            return self.raw_file(month, kind)
        if kind in ONE_BY_ONE:
            return self.zip_of_month(month, kind, language, now)
        if kind not in OF_A_MONTH:
            raise _no_format(kind, (*OF_A_MONTH, *ONE_BY_ONE, *RAW))
        found = self.invoices(month, now)
        content: Iterator[bytes]
        match kind:
            case "csv":
                content = (chunk.encode() for chunk in csv_of(found, language))
            case "json":
                content = iter([as_json(found).encode()])
            case _:
                rows = day_lines(self.database, month)
                content = (chunk.encode() for chunk in focus_csv(month, rows, found))
        name = f"focus-{month}.csv" if kind == "focus" else f"invoices-{month}.{kind}"
        return File(name, MEDIA[kind], content)

    def raw_file(self, month: str, kind: str) -> File:
        """Return the ledger's rows of a month. Raises InvalidRequest."""
        rows = raw_rows(self.database, checked_month(month))
        chunks = raw_csv(RAW_COLUMNS, rows) if kind == "raw" else raw_json_lines(RAW_COLUMNS, rows)
        return File(_raw_name(month, kind), MEDIA[kind], (chunk.encode() for chunk in chunks))


def _raw_name(month: str, kind: str) -> str:
    return f"ledger-{month}.{'csv' if kind == 'raw' else 'jsonl'}"


def totals(invoices: Sequence[Invoice]) -> int:
    """Return the won of all departments; summaries say them again."""
    return sum(one.total_krw for one in invoices if one.kind == "department")


def _step(deed: Deed) -> months.Deed:
    return months.Deed(deed.actor.name, deed.at, deed.reason, month_trail(deed))


def _no_format(kind: str, offered: Sequence[str]) -> InvalidRequest:
    return InvalidRequest(
        f"'{kind}' 형식은 없습니다. {', '.join(offered)} 중에서 고르세요.",
        f"There is no format '{kind}'. Choose one of {', '.join(offered)}.",
        code="invalid_format",
        param="format",
    )


__all__ = ["MEDIA", "OF_A_MONTH", "OF_ONE", "ONE_BY_ONE", "RAW", "Books", "File", "totals"]
