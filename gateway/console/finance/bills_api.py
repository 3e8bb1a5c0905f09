"""/api/billing/bills and /reconciliation: what providers billed, as JSON; who sees the pages sees this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, File, Form, Query, UploadFile
from pydantic import BaseModel, Field

from billing.bill_formats import MOST_BYTES
from billing.bill_summary import krw
from billing.provider_bills import BillError
from billing.store.bills import BillRefused
from gateway.console import areas
from gateway.console.admin.forms import deed, line, reason_of
from gateway.console.finance.shared import reconciler_of
from gateway.console.lists import next_offset
from gateway.console.parts import Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.errors import InvalidRequest
from gateway.permissions import Permission
from gateway.reconciliation import Upload

if TYPE_CHECKING:
    from billing.store.bills import StoredBill
    from gateway.reconciliation import ProviderStanding

Reader = Annotated[Visitor, Depends(Needs(Permission.MONTHS_VIEW))]
Changer = Annotated[Visitor, Depends(Needs(Permission.MONTHS_CHANGE))]
Month = Annotated[str, Query(description="2026-11, the provider's calendar month")]
Krw = Annotated[str | None, Field(description="exact won as decimal text", examples=["1234.5"])]

_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "a month, provider or bill that is not taken; the text says what to do"},
    401: {"description": "nobody is signed in"},
    403: {"description": "the roles do not reach it"},
}


class BillRow(BaseModel):
    number: int
    provider: str
    month: str
    layout: str
    timezone: str
    states: str = Field(description="quantities, costs or both")
    first_day: str
    last_day: str
    file: str
    rows: int
    sha256: str
    imported_by: str
    withdrawn: bool


class BillList(BaseModel):
    data: list[BillRow]


class Standing(BaseModel):
    provider: str
    state: str = Field(description="no_bill, agrees, differs, accepted or not_billed")
    ledger_krw: Krw = Field(description="by the bill's time zone; without a bill, in the Korean month")
    billed_krw: Krw
    difference_krw: Krw
    outside_krw: Krw = Field(description="differences by key and model, each without its sign")
    classes: dict[str, dict[str, Any]] = Field(
        description="missing_here, missing_there, price, quantity, fx, rounding: how many, what they come to"
    )


class Standings(BaseModel):
    month: str
    gate: str = Field(description="off, warn or refuse: whether a month may be locked without")
    data: list[Standing]


class Differences(Standing):
    month: str
    data: list[dict[str, Any]]
    total: int
    next_offset: int | None


def router() -> APIRouter:
    routes = areas.api("/api/billing", "billing")

    @routes.get("/bills", responses=_ERRORS)
    def bills(_visitor: Reader, parts: Parts, month: Month) -> BillList:
        """List the bills of a month, also those withdrawn."""
        return BillList(data=[_bill(one) for one in reconciler_of(parts).bills(month)])

    @routes.post("/bills", status_code=201, responses=_ERRORS)
    def take(  # noqa: PLR0913, PLR0917 - the fields of one form
        visitor: Changer,
        parts: Parts,
        file: Annotated[UploadFile, File()],
        provider: Annotated[str, Form()],
        month: Annotated[str, Form()],
        mapping: Annotated[UploadFile | None, File()] = None,
        timezone: Annotated[str | None, Form()] = None,
        part: Annotated[bool, Form()] = False,  # noqa: FBT002 - a field of a form
        replace: Annotated[bool, Form()] = False,  # noqa: FBT002 - a field of a form
        reason: Annotated[str, Form()] = "",
    ) -> Standing:
        """Import a bill of a month and compare it at once. Send the session's token as `x-csrf-token`."""
        columns = None if mapping is None else mapping.file.read(MOST_BYTES)
        name, data = line(file.filename or "-"), file.file.read(MOST_BYTES + 1)
        upload = Upload(line(provider), month, name, data, columns, timezone, part, replace)
        books, doing = reconciler_of(parts), deed(parts, visitor, reason_of(reason))
        try:
            books.import_bill(upload, doing)
            books.reconcile(month, upload.provider, doing)
        except BillError as error:
            first = error.mistakes[0]
            raise InvalidRequest(first.korean, first.english, code="invalid_bill", param="file") from None
        except BillRefused as error:
            raise InvalidRequest(error.korean, error.english, code="bill_refused", param="file") from None
        return Standing(**_standing(_of(books.standings(month), upload.provider)))

    @routes.get("/reconciliation", responses=_ERRORS)
    def reconciliation(_visitor: Reader, parts: Parts, month: Month) -> Standings:
        """Show how each provider stands in a month, by what was last written down."""
        books = reconciler_of(parts)
        rows = [Standing(**_standing(one)) for one in books.standings(month)]
        return Standings(month=month, gate=books.terms.gate, data=rows)

    @routes.get("/reconciliation/{provider}", responses=_ERRORS)
    def one(
        provider: str,
        _visitor: Reader,
        parts: Parts,
        month: Month,
        kind: Annotated[str | None, Query(alias="class")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Differences:
        """Show what differs between a provider's bills and the ledger, the largest first."""
        standing = _of(reconciler_of(parts).standings(month), provider)
        document = {} if standing.outcome is None else standing.outcome.document
        rows = [row for row in document.get("differences", ()) if kind is None or row["class"] == kind]
        following = next_offset(len(rows), offset, limit)
        return Differences(
            **_standing(standing),
            month=month,
            data=rows[offset : offset + limit],
            total=len(rows),
            next_offset=following,
        )

    return routes


def _of(standings: list[ProviderStanding], provider: str) -> ProviderStanding:
    found = next((one for one in standings if one.provider == provider), None)
    if found is None:
        raise gone("제공사", "provider")
    return found


def _standing(one: ProviderStanding) -> dict[str, Any]:
    document = {} if one.outcome is None else one.outcome.document
    names = ("ledger_krw", "billed_krw", "difference_krw", "outside_krw")
    told = {name: document.get(name) for name in names}
    told["ledger_krw"] = told["ledger_krw"] or krw(one.nano_krw)
    return {"provider": one.provider, "state": one.state, "classes": document.get("classes", {}), **told}


def _bill(one: StoredBill) -> BillRow:
    return BillRow(
        number=one.number,
        provider=one.provider,
        month=one.month,
        layout=one.layout,
        timezone=one.timezone,
        states=one.states,
        first_day=one.first_day.isoformat(),
        last_day=one.last_day.isoformat(),
        file=one.file_name,
        rows=one.file_rows,
        sha256=one.digest,
        imported_by=one.imported_by,
        withdrawn=one.withdrawn,
    )
