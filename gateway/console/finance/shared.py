"""What the finance pages and their API share: the books, whose invoices a visitor sees, who used what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.responses import StreamingResponse

from gateway import pseudonyms
from gateway.audit import AuditEvent
from gateway.books import RAW, Books
from gateway.console.session import gone
from gateway.permissions import Permission, Reach
from gateway.reconciliation import Reconciler
from gateway.store.organisation import person_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.statements import Invoice
    from billing.store.invoice_lines import ChargeBehind
    from gateway.books import File
    from gateway.console.parts import ConsoleParts
    from gateway.console.session import Visitor
    from gateway.invoices.words import Language

MONTHS: Final = "/console/finance/months"
INVOICES: Final = "/console/finance/invoices"


def books_of(parts: ConsoleParts) -> Books:
    return Books(parts.database, parts.keyring, parts.config.invoices, reconciler_of(parts))


def reconciler_of(parts: ConsoleParts) -> Reconciler:
    return Reconciler.of(parts.config, parts.database)


def of_visitor(visitor: Visitor, invoices: Iterable[Invoice]) -> list[Invoice]:
    """Return the invoices that a visitor may see: a manager those of the department and what is below it."""
    only = visitor.only_department(Permission.INVOICES_VIEW)
    if only is None:
        return list(invoices)
    return [one for one in invoices if any(unit.id == only for unit in one.path)]


def invoice_of(parts: ConsoleParts, visitor: Visitor, number: str) -> Invoice:
    """Return an invoice by its number. Raises NotFound, also for one that the visitor may not see."""
    found = books_of(parts).invoice(number, parts.now())
    if found is None or not of_visitor(visitor, [found]):
        raise gone("청구서", "invoice")
    return found


def download(file: File) -> StreamingResponse:
    return StreamingResponse(
        file.content,
        media_type=file.media_type,
        headers={
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
            "cache-control": "no-store",
        },
    )


def file_of_invoice(
    parts: ConsoleParts, invoice: Invoice, kind: str, language: Language
) -> StreamingResponse:
    """Return an invoice as a file. Raises InvalidRequest for an unknown format."""
    return download(books_of(parts).file_of(invoice, kind, language, parts.now()))


def file_of_month(
    parts: ConsoleParts, visitor: Visitor, month: str, kind: str, language: Language
) -> StreamingResponse:
    """Return a month as a file; whoever takes its ledger rows out is in the access audit."""
    file = books_of(parts).file_of_month(month, kind, language, parts.now())
    if kind in RAW:
        if visitor.reach(Permission.DEPARTMENT_PEOPLE) is not Reach.EVERYWHERE:
            raise gone("파일", "file")
        parts.audit.record(AuditEvent(parts.now(), visitor.actor, "month.raw", month))
    return download(file)


def people_of(
    parts: ConsoleParts, visitor: Visitor, invoice: Invoice, charges: Sequence[ChargeBehind]
) -> dict[str, str]:
    """Return what each person is called before this visitor: a name, or a pseudonym without the right.

    Who saw names is written to the access audit.
    """
    ids = sorted({one.person_id for one in charges})
    if visitor.reach(Permission.DEPARTMENT_PEOPLE) < Reach.DEPARTMENT:
        return {person: pseudonym(parts, person) for person in ids}
    if ids:
        details = {"invoice": invoice.number, "people": len(ids)}
        parts.audit.record(
            AuditEvent(parts.now(), visitor.actor, "invoice.people", invoice.unit.id, details=details)
        )
    names = person_names(parts.database, ids)
    return {person: f"{names[person]} ({person})" if person in names else person for person in ids}


def pseudonym(parts: ConsoleParts, person_id: str) -> str:
    """Return the same short name for the same person, which nobody without the key can turn back."""
    return pseudonyms.pseudonym(parts.keyring, person_id)
