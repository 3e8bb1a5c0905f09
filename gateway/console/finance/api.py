"""/api/billing: months, invoices, their lines and the charges behind them, as JSON. Reads only.

The same people as on the finance pages, by the same session; steps of a month are taken on the page or with
`haechi month`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from billing.store.invoice_lines import charges_behind, count_behind
from gateway.console import areas
from gateway.console.finance.shared import (
    books_of,
    file_of_invoice,
    file_of_month,
    invoice_of,
    of_visitor,
    people_of,
)
from gateway.console.lists import next_offset
from gateway.console.parts import Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.invoices.words import exact_krw
from gateway.permissions import Permission

if TYPE_CHECKING:
    from starlette.responses import Response

    from billing.statements import Invoice
    from billing.store.months import Standing

Months = Annotated[Visitor, Depends(Needs(Permission.MONTHS_VIEW))]
Invoices = Annotated[Visitor, Depends(Needs(Permission.INVOICES_VIEW))]
Krw = Annotated[str, Field(description="exact won as decimal text", examples=["1234.5"])]
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0)]

_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "what is no month (code invalid_month)"},
    401: {"description": "nobody is signed in"},
    403: {"description": "the roles do not reach it"},
}


class Month(BaseModel):
    month: str
    state: str = Field(description="open, preview, approved or locked")
    rows: int = Field(description="rows of the ledger")
    krw: Krw
    step: int = Field(description="number of the last step; 0 before the first")
    by: str | None
    at: datetime | None
    total_krw: int | None = Field(description="of the invoices, once locked")
    root: str | None = Field(description="the ledger's Merkle root, once locked")


class MonthList(BaseModel):
    data: list[Month]


class Heading(BaseModel):
    number: str
    kind: str = Field(description="department or summary")
    final: bool
    unit: str
    unit_name: str
    people: int
    requests: int
    total_krw: int


class Headings(BaseModel):
    month: str
    data: list[Heading]
    total: int = Field(description="how many there are in all")
    next_offset: int | None


class Charge(BaseModel):
    charge_id: str
    request_id: str
    corrects: str | None = Field(description="the row that a correction is about")
    started_at: datetime
    person: str = Field(description="a name, or a pseudonym where the right to names is missing")
    quantity: int
    krw: Krw


class Charges(BaseModel):
    invoice: str
    line: int
    data: list[Charge]
    total: int
    sum_krw: Krw
    next_offset: int | None


def router() -> APIRouter:
    routes = areas.api("/api/billing", "billing")

    @routes.get("/months", responses=_ERRORS)
    def months(_visitor: Months, parts: Parts) -> MonthList:
        """Show every month with charges: how it stands and what it comes to."""
        return MonthList(data=[_month(one) for one in books_of(parts).months()])

    @routes.get("/invoices", responses=_ERRORS)
    def invoices(
        visitor: Invoices,
        parts: Parts,
        month: Annotated[str, Query(description="2026-11")],
        kind: Annotated[Literal["department", "summary"] | None, Query()] = None,
        unit: Annotated[
            str | None, Query(description="id of a unit: its invoices and those below it")
        ] = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Headings:
        """List a month's invoices: final ones of a locked month, else drafts."""
        found = of_visitor(visitor, books_of(parts).invoices(month, parts.now()))
        wanted = [one for one in found if kind is None or one.kind == kind]
        if unit is not None:
            wanted = [one for one in wanted if unit in {above.id for above in one.path}]
        return Headings(
            month=month,
            data=[_heading(one) for one in wanted[offset : offset + limit]],
            total=len(wanted),
            next_offset=next_offset(len(wanted), offset, limit),
        )

    @routes.get("/invoices/{number}", responses=_ERRORS)
    def invoice(number: str, visitor: Invoices, parts: Parts) -> dict[str, Any]:
        """Show one invoice: the canonical record that every file of it is made from."""
        return invoice_of(parts, visitor, number).as_json()

    @routes.get("/invoices/{number}/file", responses=_ERRORS, response_model=None)
    def file(
        number: str,
        visitor: Invoices,
        parts: Parts,
        form: Annotated[str, Query(alias="format", description="pdf, xlsx, csv, json or focus")] = "pdf",
        language: Annotated[str, Query(pattern="^(ko|en)$")] = "ko",
    ) -> Response:
        """Download one invoice."""
        found = invoice_of(parts, visitor, number)
        return file_of_invoice(parts, found, form, "en" if language == "en" else "ko")

    @routes.get("/invoices/{number}/lines/{no}/charges", responses=_ERRORS)
    def charges(
        number: str, no: str, visitor: Invoices, parts: Parts, limit: Limit = 100, offset: Offset = 0
    ) -> Charges:
        """Show the charges behind a line: requests, times and people, never text."""
        found = invoice_of(parts, visitor, number)
        line = next((one for one in found.lines if str(one.no) == no), None)
        if line is None:
            raise gone("청구서의 줄", "line of the invoice")
        count, nano = count_behind(parts.database, found, line)
        rows = charges_behind(parts.database, found, line, offset=offset, limit=limit)
        people = people_of(parts, visitor, found, rows)
        return Charges(
            invoice=number,
            line=line.no,
            data=[
                Charge(
                    charge_id=row.charge_id,
                    request_id=row.request_id,
                    corrects=row.corrects or None,
                    started_at=row.started_at,
                    person=people[row.person_id],
                    quantity=row.quantity,
                    krw=exact_krw(row.nano_krw),
                )
                for row in rows
            ],
            total=count,
            sum_krw=exact_krw(nano),
            next_offset=next_offset(count, offset, limit),
        )

    @routes.get("/months/{month}/file", responses=_ERRORS, response_model=None)
    def month_file(
        month: str,
        visitor: Months,
        parts: Parts,
        form: Annotated[
            str,
            Query(
                alias="format",
                description="csv, json, focus; pdf or xlsx: a ZIP; or the ledger's rows: raw, raw-jsonl",
            ),
        ] = "focus",
    ) -> Response:
        """Download a month's invoices, the month as FOCUS 1.2, or its ledger rows as they stand."""
        return file_of_month(parts, visitor, month, form, "ko")

    return routes


def _month(one: Standing) -> Month:
    last = one.last
    document = {} if last is None else last.document
    return Month(
        month=one.month,
        state=one.state,
        rows=one.figures.rows,
        krw=exact_krw(one.figures.nano_krw),
        step=0 if last is None else last.number,
        by=None if last is None else last.by,
        at=None if last is None else last.at,
        total_krw=document.get("total_krw"),
        root=document.get("root"),
    )


def _heading(one: Invoice) -> Heading:
    return Heading(
        number=one.number,
        kind=one.kind,
        final=one.final,
        unit=one.unit.id,
        unit_name=one.unit.name,
        people=one.people,
        requests=one.requests,
        total_krw=one.total_krw,
    )
