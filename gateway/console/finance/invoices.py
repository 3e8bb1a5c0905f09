"""청구서: the list, one invoice, its files, and the charges behind each of its lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from billing.money import NANO
from billing.periods import billing_day
from billing.statements import METERED
from billing.store.invoice_lines import charges_behind, count_behind
from gateway.books import OF_ONE
from gateway.console import areas, lists
from gateway.console.finance.shared import (
    INVOICES,
    books_of,
    file_of_invoice,
    invoice_of,
    of_visitor,
    people_of,
)
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListSpec
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.console.spending import month_asked, months_offered
from gateway.invoices.words import class_word, exact_krw, kind_word, per_word
from gateway.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from billing.statements import Invoice
    from billing.store.invoice_lines import ChargeBehind
    from gateway.console.lists import ListQuery

Reader = Annotated[Visitor, Depends(Needs(Permission.INVOICES_VIEW))]

KINDS: Final = {"department": N_("부서 청구서"), "summary": N_("총괄 청구서")}
SPEC: Final[ListSpec[Invoice]] = ListSpec(
    name="invoices",
    columns=(
        Column("number", N_("청구번호"), lambda row: row.number, sorts=True),
        Column("unit", N_("부서"), lambda row: " ".join(unit.name for unit in row.path), sorts=True),
        Column("kind", N_("구분"), lambda row: row.kind, sorts=True),
        Column("people", N_("이용 인원"), lambda row: row.people, sorts=True, number=True),
        Column("requests", N_("요청"), lambda row: row.requests, sorts=True, number=True),
        Column("total", N_("청구금액(원)"), lambda row: row.total_krw, sorts=True, number=True),
    ),
    sort="number",
    filters={"month": "", "q": ""},
)
KEYS: Final = {
    "number": lambda row: row.number,
    "unit": lambda row: [unit.name for unit in row.path],
    "kind": lambda row: (row.kind, row.number),
    "people": lambda row: (row.people, row.number),
    "requests": lambda row: (row.requests, row.number),
    "total": lambda row: (row.total_krw, row.number),
}
BEHIND: Final[ListSpec[ChargeBehind]] = ListSpec(
    name="invoice-line",
    columns=(
        Column("started", N_("시각"), lambda row: row.started_at),
        Column("request", N_("요청 번호"), lambda row: row.request_id),
        Column("person", N_("직원"), lambda row: row.person_id),
        Column("quantity", N_("수량"), lambda row: row.quantity, number=True),
        Column("cost", N_("금액(원)"), lambda row: exact_krw(row.nano_krw), number=True),
    ),
    sort="started",
)


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(INVOICES)
    def invoices(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _list_page(request, visitor, parts)

    @routes.get(INVOICES + "/{number}")
    def invoice(request: Request, number: str, visitor: Reader, parts: Parts) -> Response:
        return _invoice_page(request, visitor, parts, number)

    @routes.get(INVOICES + "/{number}/file")
    def file(request: Request, number: str, visitor: Reader, parts: Parts) -> Response:
        found = invoice_of(parts, visitor, number)
        kind = request.query_params.get("format", "pdf")
        return file_of_invoice(parts, found, kind, language_for(request, visitor))

    @routes.get(INVOICES + "/{number}/lines/{no}")
    def line(request: Request, number: str, no: str, visitor: Reader, parts: Parts) -> Response:
        return _line_page(request, visitor, parts, number, no)

    return routes


def _list_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    now = parts.now()
    query = SPEC.read(request.query_params)
    month = month_asked(query.filters["month"], now)
    found = of_visitor(visitor, books_of(parts).invoices(month.name, now))
    wanted = query.filters["q"].casefold()

    def source(asked: ListQuery) -> tuple[Sequence[Invoice], int]:
        matching = [one for one in found if wanted in " ".join(unit.name for unit in one.path).casefold()]
        return lists.cut(matching, asked, KEYS)

    if lists.wants_csv(request.query_params):
        return lists.export(SPEC, query, source, language_for(request, visitor), billing_day(now))
    return render(
        request,
        visitor,
        "finance/invoices.html",
        list=lists.view(SPEC, query, INVOICES, source),
        month=month.name,
        months=months_offered(now),
        final=bool(found) and found[0].final,
        kinds=KINDS,
        nano=NANO,
        closes=visitor.may(Permission.MONTHS_VIEW),
    )


def _invoice_page(request: Request, visitor: Visitor, parts: ConsoleParts, number: str) -> Response:
    found = invoice_of(parts, visitor, number)
    language = language_for(request, visitor)
    return render(
        request,
        visitor,
        "finance/invoice.html",
        invoice=found,
        kinds=KINDS,
        formats=OF_ONE,
        words={
            line.no: (kind_word(line, language), class_word(line.token_class, language))
            for line in found.lines
        },
        pers={line.no: per_word(line, language) for line in found.lines},
        metered=METERED,
        nano=NANO,
    )


def _line_page(request: Request, visitor: Visitor, parts: ConsoleParts, number: str, no: str) -> Response:
    invoice = invoice_of(parts, visitor, number)
    line = next((one for one in invoice.lines if str(one.no) == no and one.kind in METERED), None)
    if line is None:
        raise gone("청구서의 줄", "line of the invoice")
    query = BEHIND.read(request.query_params)
    count, _ = count_behind(parts.database, invoice, line)

    def source(asked: ListQuery) -> tuple[Sequence[ChargeBehind], int]:
        found = charges_behind(parts.database, invoice, line, offset=asked.offset, limit=asked.size)
        return found, count

    def named(asked: ListQuery) -> tuple[Sequence[ChargeBehind], int]:
        rows, total = source(asked)
        people = people_of(parts, visitor, invoice, rows)
        return [replace(row, person_id=people[row.person_id]) for row in rows], total

    language = language_for(request, visitor)
    if lists.wants_csv(request.query_params):
        return lists.export(BEHIND, query, named, language, billing_day(parts.now()))
    shown = lists.view(BEHIND, query, f"{INVOICES}/{number}/lines/{no}", source)
    return render(
        request,
        visitor,
        "finance/line.html",
        invoice=invoice,
        line=line,
        words=(kind_word(line, language), class_word(line.token_class, language)),
        list=shown,
        people=people_of(parts, visitor, invoice, shown.rows),
    )
