"""청구서 대조: what providers billed beside the ledger, each difference, and what finance does about it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, File, Request, UploadFile

from billing.bill_formats import MOST_BYTES
from billing.bill_summary import difference_row, largest_first
from billing.money import nano
from billing.periods import billing_day, month_bounds
from billing.provider_bills import BillError
from billing.store.bills import BillRefused
from gateway.console import areas, lists
from gateway.console.admin.forms import Posted, deed, line, reason_of
from gateway.console.finance.shared import reconciler_of
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListSpec
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.console.spending import month_asked, months_offered
from gateway.errors import GatewayError
from gateway.invoices.words import class_word
from gateway.permissions import Permission
from gateway.reconciliation import Upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from gateway.console.lists import ListQuery
    from gateway.reconciliation import ProviderStanding, Reconciler

Reader = Annotated[Visitor, Depends(Needs(Permission.MONTHS_VIEW))]
Changer = Annotated[Visitor, Depends(Needs(Permission.MONTHS_CHANGE))]

BILLS: Final = "/console/finance/bills"
STATES: Final[Mapping[str, str]] = {
    "agrees": N_("맞음"),
    "differs": N_("다름"),
    "accepted": N_("받아들임"),
    "no_bill": N_("청구서 없음"),
    "not_billed": N_("청구 없음"),
}
TONES: Final = {
    "agrees": "good",
    "differs": "bad",
    "accepted": "info",
    "no_bill": "warn",
    "not_billed": "plain",
}
CLASSES: Final[Mapping[str, str]] = {
    "missing_here": N_("장부에 없음"),
    "missing_there": N_("청구서에 없음"),
    "quantity": N_("수량"),
    "price": N_("단가"),
    "fx": N_("환율"),
    "rounding": N_("반올림"),
}
SIDES: Final = {"quantities": N_("사용량"), "costs": N_("금액"), "both": N_("사용량과 금액")}
SPEC: Final[ListSpec[Mapping[str, Any]]] = ListSpec(
    name="differences",
    columns=(
        Column("day", N_("날짜"), lambda row: row["day"], sorts=True),
        Column("model", N_("모델"), lambda row: row["model"], sorts=True),
        Column("key", N_("키"), lambda row: row["key"]),
        Column("item", N_("항목"), lambda row: row["item"]),
        Column("class", N_("갈래"), lambda row: row["class"], sorts=True),
        Column("ledger_quantity", N_("장부 수량"), lambda row: row["ledger_quantity"], number=True),
        Column("billed_quantity", N_("청구 수량"), lambda row: row["billed_quantity"], number=True),
        Column("difference", N_("차이(원)"), lambda row: row["difference_krw"], sorts=True, number=True),
    ),
    sort="difference",
    descending=True,
    filters={"class": ""},
)
KEYS: Final = {
    "day": lambda row: (row["day"], row["model"]),
    "model": lambda row: (row["model"], row["day"]),
    "class": lambda row: (row["class"], row["day"]),
    "difference": lambda row: (row["difference_krw"] is None, abs(_nano(row["difference_krw"]))),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why nothing was done, line by line, in both languages."""

    korean: tuple[str, ...]
    english: tuple[str, ...]

    @classmethod
    def of(cls, error: BillError | BillRefused | GatewayError) -> Problem:
        if isinstance(error, BillError):
            told = [(one.number, one.korean, one.english) for one in error.mistakes]
            return cls(
                tuple(f"{number}번째 자료: {text}" if number else text for number, text, _ in told),
                tuple(f"Row {number}: {text}" if number else text for number, _, text in told),
            )
        return cls((error.korean,), (error.english,))


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(BILLS)
    def overview(request: Request, visitor: Reader, parts: Parts) -> Response:
        month = _month(request.query_params.get("month", ""), parts)
        return _overview(request, visitor, parts, month)

    @routes.post(BILLS)
    def take(
        request: Request,
        visitor: Changer,
        parts: Parts,
        posted: Posted,
        file: Annotated[UploadFile | None, File()] = None,
        mapping: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        return _take(request, visitor, parts, posted, (file, mapping))

    @routes.get(BILLS + "/{month}/{provider}")
    def one(request: Request, month: str, provider: str, visitor: Reader, parts: Parts) -> Response:
        return _one(request, visitor, parts, (month, provider))

    @routes.post(BILLS + "/{month}/{provider}")
    def act(
        request: Request, month: str, provider: str, visitor: Changer, parts: Parts, posted: Posted
    ) -> Response:
        return _act(request, visitor, parts, (month, provider), posted)

    return routes


def _overview(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    month: str,
    problem: Problem | None = None,
    values: Mapping[str, str] | None = None,
) -> Response:
    books = reconciler_of(parts)
    standings = books.standings(month)
    offered = (books.providers & books.terms.external) | {one.provider for one in standings}
    return render(
        request,
        visitor,
        "finance/bills.html",
        status=400 if problem else 200,
        month=month,
        months=sorted({*months_offered(parts.now()), month}, reverse=True),
        standings=sorted(standings, key=lambda one: (not one.bills, -one.nano_krw)),
        states=STATES,
        tones=TONES,
        classes=CLASSES,
        providers=[(name, name) for name in sorted(offered)],
        gate=books.terms.gate,
        nano_of=_nano,
        problem=problem,
        values={"provider": "", "timezone": "", "reason": ""} | dict(values or {}),
        changes=visitor.may(Permission.MONTHS_CHANGE),
    )


def _take(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    values: Mapping[str, str],
    files: tuple[UploadFile | None, UploadFile | None],
) -> Response:
    """Import a file, compare at once, and lead to what came of it."""
    file, mapping = files
    month = _month(values.get("month", ""), parts)
    upload = Upload(
        provider=line(values.get("provider", "")),
        month=month,
        file_name=line(file.filename or "" if file else "") or "-",
        data=b"" if file is None else file.file.read(MOST_BYTES + 1),
        mapping=mapping.file.read(MOST_BYTES) if mapping and mapping.filename else None,
        timezone=line(values.get("timezone", "")) or None,
        part="part" in values,
        replace="replace" in values,
    )
    doing = deed(parts, visitor, reason_of(values.get("reason", "")))
    books = reconciler_of(parts)
    try:
        books.import_bill(upload, doing)
        books.reconcile(month, upload.provider, doing)
    except (BillError, BillRefused, GatewayError) as error:
        return _overview(request, visitor, parts, month, Problem.of(error), values)
    return done(f"{BILLS}/{month}/{upload.provider}", "bill-imported")


def _one(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    where: tuple[str, str],
    problem: Problem | None = None,
) -> Response:
    month, provider = where
    books = reconciler_of(parts)
    standing = _standing(books, month, provider)
    query = SPEC.read(request.query_params)
    if lists.wants_csv(request.query_params):
        every = _all_differences(books, month, provider)
        return lists.export(
            SPEC, query, _source(every), language_for(request, visitor), billing_day(parts.now())
        )
    document = {} if standing.outcome is None else standing.outcome.document
    path = f"{BILLS}/{month}/{provider}"
    return render(
        request,
        visitor,
        "finance/bill.html",
        status=409 if problem else 200,
        month=month,
        standing=standing,
        document=document,
        list=lists.view(SPEC, query, path, _source(document.get("differences", ()))),
        bills=[one for one in books.bills(month) if one.provider == provider],
        states=STATES,
        tones=TONES,
        classes=CLASSES,
        sides=SIDES,
        items={
            row["item"]: class_word(row["item"], language_for(request, visitor))
            for row in document.get("differences", ())
        },
        withdrawable=[(str(one.number), f"{one.number} {one.file_name}") for one in standing.bills],
        nano_of=_nano,
        problem=problem,
        changes=visitor.may(Permission.MONTHS_CHANGE),
    )


def _act(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    where: tuple[str, str],
    posted: Mapping[str, str],
) -> Response:
    """Compare anew, accept what differs, or take a bill back."""
    month, provider = where
    books, doing = reconciler_of(parts), deed(parts, visitor, reason_of(posted.get("reason", "")))
    step, number = posted.get("step", ""), posted.get("bill", "")
    if step not in {"compare", "accept", "withdraw"}:
        raise gone("단계", "step")
    try:
        if step == "withdraw":
            books.withdraw(
                int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 0, doing
            )
            return done(BILLS, "bill-withdrawn", month=month)
        books.reconcile(month, provider, doing, accept=step == "accept", seen=posted.get("seen", ""))
    except BillRefused as error:
        return _one(request, visitor, parts, where, Problem.of(error))
    return done(f"{BILLS}/{month}/{provider}", "bill-accepted" if step == "accept" else "bill-compared")


def _month(text: str, parts: ConsoleParts) -> str:
    """Return a month of any year; of anything else, the one that pages show first."""
    try:
        month_bounds(text)
    except ValueError:
        return month_asked(None, parts.now()).name
    return text


def _standing(books: Reconciler, month: str, provider: str) -> ProviderStanding:
    try:
        found = next((one for one in books.standings(month) if one.provider == provider), None)
    except GatewayError:
        found = None
    if found is None:
        raise gone("제공사", "provider")
    return found


def _all_differences(books: Reconciler, month: str, provider: str) -> list[dict[str, Any]]:
    compared = books.compare(month, provider)
    return [] if compared is None else [difference_row(one) for one in largest_first(compared.match)]


def _source(rows: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - a lists.Source
    def source(asked: ListQuery) -> tuple[Sequence[Mapping[str, Any]], int]:
        wanted = asked.filters["class"]
        matching = [row for row in rows if not wanted or row["class"] == wanted]
        return lists.cut(matching, asked, KEYS)

    return source


def _nano(krw: str | None) -> int:
    """Return nano-won of exact decimal text, as summaries hold it."""
    return 0 if krw is None else nano(Decimal(krw))
