"""단가표: prices and exchange rates in force, versions, what each would change, and their approval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, File, Request, UploadFile

from billing.periods import billing_day, day_start
from billing.pricebook import PriceRefused, PriceVersion, VersionState, figures
from billing.quotes import FxRate, Price
from gateway import price_sources
from gateway.console import areas, lists
from gateway.console.admin.forms import Posted, day_of, deed, reason_of
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListSpec
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.price_tags import CLASSES, TOKENS, UNITS
from gateway.console.session import Needs, Visitor, gone
from gateway.imports import ImportFailed, Mistake
from gateway.permissions import Permission
from gateway.price_files import MOST_BYTES, read
from gateway.pricing import PriceDesk, in_force, rates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from starlette.responses import Response

    from billing.pricebook import Draft
    from gateway.console.lists import ListQuery

Reader = Annotated[Visitor, Depends(Needs(Permission.PRICES_VIEW))]
Changer = Annotated[Visitor, Depends(Needs(Permission.PRICES_CHANGE))]

PATH: Final = "/console/finance/prices"
STATES: Final[Mapping[VersionState, str]] = {
    VersionState.PROPOSED: N_("승인 대기"),
    VersionState.APPROVED: N_("승인"),
    VersionState.REJECTED: N_("반려"),
    VersionState.WITHDRAWN: N_("거둠"),
}
TONES: Final = {
    VersionState.PROPOSED: "warn",
    VersionState.APPROVED: "good",
    VersionState.REJECTED: "bad",
    VersionState.WITHDRAWN: "plain",
}
SHOWN: Final = 500
"""Figures of one version that its page lists; all of them are counted."""

PRICES: Final[ListSpec[Price]] = ListSpec(
    name="prices",
    columns=(
        Column("key", N_("단가"), lambda row: row.key, sorts=True),
        Column("prices", N_("가격"), lambda row: " / ".join(f"{n} {a:f}" for n, a in figures(row).items())),
        Column("currency", N_("통화"), lambda row: row.currency, sorts=True),
        Column("from", N_("적용일"), lambda row: billing_day(row.starts_at), sorts=True),
        Column("version", N_("판"), lambda row: row.version, sorts=True),
        Column("source", N_("출처"), lambda row: row.source),
    ),
    sort="key",
    filters={"q": "", "on": ""},
)
PRICE_KEYS: Final[Mapping[str, Callable[[Price], Any]]] = {
    "key": lambda row: row.key,
    "currency": lambda row: (row.currency, row.key),
    "from": lambda row: (row.starts_at, row.key),
    "version": lambda row: (row.version, row.key),
}
VERSIONS: Final[ListSpec[PriceVersion]] = ListSpec(
    name="price-versions",
    columns=(
        Column("number", N_("판"), lambda row: row.number, sorts=True),
        Column("state", N_("상태"), lambda row: row.state, sorts=True),
        Column("starts", N_("적용일"), lambda row: row.draft.starts_on, sorts=True),
        Column("prices", N_("단가 수"), lambda row: len(row.draft.prices), sorts=True, number=True),
        Column("rates", N_("환율 수"), lambda row: len(row.draft.fx), sorts=True, number=True),
        Column("source", N_("출처"), lambda row: row.draft.source),
        Column("proposed", N_("올린 사람"), lambda row: row.proposed_by),
        Column("decided", N_("결정한 사람"), lambda row: row.decided_by),
    ),
    sort="number",
    descending=True,
    filters={"state": ""},
)
VERSION_KEYS: Final[Mapping[str, Callable[[PriceVersion], Any]]] = {
    "number": lambda row: row.number,
    "state": lambda row: (row.state, row.number),
    "starts": lambda row: (row.draft.starts_on, row.number),
    "prices": lambda row: (len(row.draft.prices), row.number),
    "rates": lambda row: (len(row.draft.fx), row.number),
}
RATES: Final[ListSpec[FxRate]] = ListSpec(
    name="exchange-rates",
    columns=(
        Column("day", N_("날짜"), lambda row: row.day, sorts=True),
        Column("base", N_("통화"), lambda row: row.base, sorts=True),
        Column("rate", N_("1단위의 원화"), lambda row: row.rate, sorts=True, number=True),
        Column("published", N_("적용 시각"), lambda row: row.published_at, sorts=True),
        Column("source", N_("출처"), lambda row: row.source),
    ),
    sort="day",
    descending=True,
    filters={"base": ""},
)
RATE_KEYS: Final[Mapping[str, Callable[[FxRate], Any]]] = {
    "day": lambda row: (row.day, row.base, row.published_at),
    "base": lambda row: (row.base, row.day),
    "rate": lambda row: (row.rate, row.day),
    "published": lambda row: (row.published_at, row.base),
}


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(PATH)
    def prices(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _prices_page(request, visitor, parts)

    @routes.get(PATH + "/versions")
    def versions(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _versions_page(request, visitor, parts)

    @routes.get(PATH + "/rates")
    def fx(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _rates_page(request, visitor, parts)

    @routes.get(PATH + "/new")
    def choose(request: Request, visitor: Changer, parts: Parts) -> Response:
        return _new_page(request, visitor, parts)

    @routes.post(PATH + "/new")
    def propose(
        request: Request,
        visitor: Changer,
        parts: Parts,
        posted: Posted,
        file: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        data = b"" if file is None else file.file.read(MOST_BYTES + 1)
        name = "" if file is None else file.filename or ""
        return _propose(request, visitor, parts, posted, (data, name))

    @routes.get(PATH + "/versions/{number}")
    def version(request: Request, number: str, visitor: Reader, parts: Parts) -> Response:
        return _version_page(request, visitor, parts, number_of(number))

    @routes.post(PATH + "/versions/{number}")
    def decide(request: Request, number: str, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _decide(request, visitor, parts, number_of(number), posted)

    return routes


def number_of(text: str) -> int:
    """Return the number that an address holds. Raises NotFound for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise gone("단가표의 판", "version of the price book")
    return int(text)


def desk_of(parts: ConsoleParts) -> PriceDesk:
    return PriceDesk(parts.database, parts.config)


# --- what is in force ----------------------------------------------------------------------------


def _prices_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    desk, query = desk_of(parts), PRICES.read(request.query_params)
    asked = day_of(query.filters["on"])
    day = asked or billing_day(parts.now())
    book = desk.book()
    wanted = query.filters["q"].casefold()
    found = [
        price
        for price in in_force(book, day_start(day) if asked else parts.now())
        if wanted in price.key.casefold()
    ]

    def source(one: ListQuery) -> tuple[Sequence[Price], int]:
        return lists.cut(found, one, PRICE_KEYS)

    if lists.wants_csv(request.query_params):
        return lists.export(PRICES, query, source, language_for(request, visitor), day)
    return render(
        request,
        visitor,
        "finance/prices.html",
        list=lists.view(PRICES, query, PATH, source),
        day=day,
        words=words,
        tokens=TOKENS,
        figures=figures,
        starts=billing_day,
        waiting=[one for one in desk.versions() if one.state is VersionState.PROPOSED],
        **_common(visitor),
    )


def _rates_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    query, book = RATES.read(request.query_params), desk_of(parts).book()
    found = [rate for rate in rates(book) if query.filters["base"] in {"", rate.base}]

    def source(one: ListQuery) -> tuple[Sequence[FxRate], int]:
        return lists.cut(found, one, RATE_KEYS)

    if lists.wants_csv(request.query_params):
        day = billing_day(parts.now())
        return lists.export(RATES, query, source, language_for(request, visitor), day)
    return render(
        request,
        visitor,
        "finance/rates.html",
        list=lists.view(RATES, query, PATH + "/rates", source),
        bases=sorted(book.fx),
        rule=book.fx_rule,
        most_days=book.fx_most_days,
        **_common(visitor),
    )


def words(name: str) -> tuple[str, str, str]:
    """Return (label, condition, unit) of a figure `input > 200000`; label and unit are for the catalogue."""
    if name.startswith("× "):
        return N_("서비스 등급 배수"), name.removeprefix("× "), ""
    usage_class, _, where = name.partition(" ")
    if where.startswith("> "):
        where = f"> {int(where.removeprefix('> ')):,}"
    return CLASSES.get(usage_class, usage_class), where, UNITS.get(usage_class, TOKENS)


def _common(visitor: Visitor) -> dict[str, Any]:
    tabs = [(N_("적용 단가"), PATH), (N_("환율"), PATH + "/rates"), (N_("판"), PATH + "/versions")]
    return {
        "tabs": tabs,
        "states": STATES,
        "tones": TONES,
        "changes_it": visitor.may(Permission.PRICES_CHANGE),
    }


# --- versions ------------------------------------------------------------------------------------


def _versions_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    query = VERSIONS.read(request.query_params)
    found = [one for one in desk_of(parts).versions() if query.filters["state"] in {"", one.state}]

    def source(one: ListQuery) -> tuple[Sequence[PriceVersion], int]:
        return lists.cut(found, one, VERSION_KEYS)

    if lists.wants_csv(request.query_params):
        day = billing_day(parts.now())
        return lists.export(VERSIONS, query, source, language_for(request, visitor), day)
    return render(
        request,
        visitor,
        "finance/price_versions.html",
        list=lists.view(VERSIONS, query, PATH + "/versions", source),
        configured=len(parts.config.price_book.prices),
        **_common(visitor),
    )


def _version_page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    number: int,
    refused: PriceRefused | None = None,
) -> Response:
    desk = desk_of(parts)
    try:
        version = desk.version(number)
    except PriceRefused:
        raise gone("단가표의 판", "version of the price book") from None
    changes = desk.changes(version)
    differing = [one for one in changes if one.kind != "same"]
    return render(
        request,
        visitor,
        "finance/price_version.html",
        status=409 if refused else 200,
        version=version,
        changes=differing[:SHOWN],
        differing=len(differing),
        same=len(changes) - len(differing),
        keys=len({one.key for one in differing}),
        words=words,
        refused=refused,
        own=desk.config.pricing.four_eyes and version.proposed_by == visitor.actor.name,
        withdrawable=day_start(version.draft.starts_on) > parts.now(),
        **_common(visitor),
    )


def _decide(
    request: Request, visitor: Visitor, parts: ConsoleParts, number: int, posted: Mapping[str, str]
) -> Response:
    desk, doing = desk_of(parts), deed(parts, visitor, reason_of(posted.get("reason", "")))
    steps = {"approved": desk.approve, "rejected": desk.reject, "withdrawn": desk.withdraw}
    step = posted.get("step", "")
    if step not in steps:
        raise gone("단계", "step")
    try:
        steps[step](number, doing)
    except PriceRefused as refused:
        return _version_page(request, visitor, parts, number, refused)
    return done(f"{PATH}/versions/{number}", f"price-{step}")


# --- a new one -----------------------------------------------------------------------------------


def _new_page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    mistakes: Sequence[Mistake] = (),
    values: Mapping[str, str] | None = None,
) -> Response:
    return render(
        request,
        visitor,
        "finance/price_new.html",
        status=400 if mistakes else 200,
        mistakes=mistakes[:SHOWN],
        mistake_count=len(mistakes),
        values={name: (values or {}).get(name, "") for name in ("from", "reason")},
        today=billing_day(parts.now()),
        genai=price_sources.label(),
        four_eyes=parts.config.pricing.four_eyes,
        **_common(visitor),
    )


def _propose(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    posted: Mapping[str, str],
    upload: tuple[bytes, str],
) -> Response:
    day = day_of(posted.get("from", ""))
    desk, doing = desk_of(parts), deed(parts, visitor, reason_of(posted.get("reason", "")))
    try:
        draft = _collected(desk, day) if posted.get("source") == price_sources.NAME else _read(upload, day)
        made = desk.propose(draft, doing, large_changes=bool(posted.get("large")))
    except ImportFailed as failed:
        return _new_page(request, visitor, parts, failed.mistakes, posted)
    except PriceRefused as refused:
        return _new_page(request, visitor, parts, _mistakes(refused), posted)
    return done(f"{PATH}/versions/{made.number}", "price-proposed")


def _read(upload: tuple[bytes, str], day: date | None) -> Draft:
    data, name = upload
    if not data.strip():
        raise ImportFailed([Mistake(0, "파일을 골라 주세요.", "Choose a file.")])
    return read(data, name).draft(name[:120] or "file", day)


def _collected(desk: PriceDesk, day: date | None) -> Draft:
    if day is None:
        raise ImportFailed([Mistake(0, "적용일을 골라 주세요.", "Choose the first day.")])
    draft, _ = desk.collected(day)
    if draft is None:
        raise ImportFailed(
            [Mistake(0, "지금 단가와 다른 것이 없습니다.", "It says nothing that the book does not say.")]
        )
    return draft


def _mistakes(refused: PriceRefused) -> list[Mistake]:
    return [
        Mistake(0, korean, english)
        for korean, english in zip(refused.korean.split("; "), refused.english.split("; "), strict=False)
    ]
