"""월 마감: each month as it stands, and the steps from preview to lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from billing.money import NANO
from billing.months import WORDS, MonthRefused, MonthState, check_step
from billing.periods import month_bounds
from gateway.books import totals
from gateway.console import areas
from gateway.console.admin.forms import Posted, deed, reason_of
from gateway.console.charts import Series, bars
from gateway.console.finance import bills
from gateway.console.finance.shared import MONTHS, books_of, file_of_month
from gateway.console.formats import short_won
from gateway.console.i18n import N_, translations
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from starlette.responses import Response

    from billing.store.months import Standing

Reader = Annotated[Visitor, Depends(Needs(Permission.MONTHS_VIEW))]
Changer = Annotated[Visitor, Depends(Needs(Permission.MONTHS_CHANGE))]

STATES: Final[Mapping[MonthState, str]] = {
    MonthState.OPEN: N_("열림"),
    MonthState.PREVIEW: N_("검토"),
    MonthState.APPROVED: N_("승인"),
    MonthState.LOCKED: N_("마감"),
}
TONES: Final = {
    MonthState.OPEN: "plain",
    MonthState.PREVIEW: "warn",
    MonthState.APPROVED: "info",
    MonthState.LOCKED: "good",
}
assert set(STATES) == set(WORDS), "every state has its word"
SHOWN_MONTHS: Final = 24


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(MONTHS)
    def months(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _list_page(request, visitor, parts)

    @routes.get(MONTHS + "/{month}")
    def month(request: Request, month: str, visitor: Reader, parts: Parts) -> Response:
        return _month_page(request, visitor, parts, month)

    @routes.get(MONTHS + "/{month}/file")
    def file(request: Request, month: str, visitor: Reader, parts: Parts) -> Response:
        kind = request.query_params.get("format", "csv")
        return file_of_month(parts, visitor, month, kind, language_for(request, visitor))

    @routes.post(MONTHS + "/{month}/step")
    def step(request: Request, month: str, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _take(request, visitor, parts, month, posted)

    return routes


def _list_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    language = language_for(request, visitor)
    found = books_of(parts).months()[:SHOWN_MONTHS]
    in_order = found[::-1]
    title = translations(language).gettext(N_("달별 사용액"))
    series = [Series(title, tuple(one.figures.nano_krw for one in in_order))]
    chart = bars(
        title,
        [one.month for one in in_order],
        series if in_order else [],
        lambda nano_krw: short_won(nano_krw, language),
        unit=NANO,
    )
    return render(
        request, visitor, "finance/months.html", months=found, chart=chart, states=STATES, tones=TONES
    )


def _month_page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    month: str,
    refused: MonthRefused | None = None,
) -> Response:
    try:
        _, end = month_bounds(month)
    except ValueError:
        raise gone("달", "month") from None
    books, now = books_of(parts), parts.now()
    standing = books.month(month)
    invoices = books.invoices(month, now)
    return render(
        request,
        visitor,
        "finance/month.html",
        status=409 if refused else 200,
        standing=standing,
        steps=books.steps(month)[::-1],
        offered=_offered(standing, now) if visitor.may(Permission.MONTHS_CHANGE) else (),
        invoices=invoices,
        total_nano=totals(invoices) * NANO,
        states=STATES,
        tones=TONES,
        bill_states=bills.STATES,
        bill_tones=bills.TONES,
        refused=refused,
        over=now >= end,
        seen=0 if standing.last is None else standing.last.number,
    )


def _offered(standing: Standing, now: datetime) -> tuple[MonthState, ...]:
    """Return the steps that may follow now, the way forward first."""
    forward = (MonthState.LOCKED, MonthState.APPROVED, MonthState.PREVIEW, MonthState.OPEN)
    return tuple(state for state in forward if _may_follow(standing, state, now))


def _may_follow(standing: Standing, state: MonthState, now: datetime) -> bool:
    try:
        check_step(standing.last, state, standing.month, now)
    except MonthRefused:
        return False
    return True


def _take(
    request: Request, visitor: Visitor, parts: ConsoleParts, month: str, posted: Mapping[str, str]
) -> Response:
    books, doing = books_of(parts), deed(parts, visitor, reason_of(posted.get("reason", "")))
    seen = posted.get("seen", "")
    number = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 9 else None
    steps = {
        MonthState.PREVIEW: books.preview,
        MonthState.APPROVED: books.approve,
        MonthState.OPEN: books.reopen,
        MonthState.LOCKED: books.lock,
    }
    wanted = steps.get(posted.get("step", ""))  # type: ignore[call-overload]
    if wanted is None:
        raise gone("단계", "step")
    try:
        taken = wanted(month, doing, number)
    except MonthRefused as refused:
        return _month_page(request, visitor, parts, month, refused)
    return done(f"{MONTHS}/{month}", f"month-{taken.state}")
