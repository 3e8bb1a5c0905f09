"""/api/billing/prices and /api/billing/fx: the price book as JSON. Reads only.

The same people as on the finance pages, by the same session; versions are proposed and approved on the pages
or with `haechi prices`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from billing.periods import billing_day, day_start
from billing.pricebook import PriceRefused, figures
from gateway.console import areas
from gateway.console.finance.prices import desk_of
from gateway.console.lists import next_offset
from gateway.console.parts import Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.permissions import Permission
from gateway.pricing import in_force, rates

if TYPE_CHECKING:
    from billing.pricebook import PriceChange, PriceVersion
    from billing.quotes import FxRate, Price

Reader = Annotated[Visitor, Depends(Needs(Permission.PRICES_VIEW))]
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0)]
Money = Annotated[str, Field(description="decimal text", examples=["1.25"])]

_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "nobody is signed in"},
    403: {"description": "the roles do not reach it"},
    404: {"description": "there is no such version"},
}


class PriceItem(BaseModel):
    key: str
    version: str = Field(description="`v3-20261201`: version 3 of the book; else haechi.toml's")
    starts_on: date
    ends_on: date | None = Field(description="the first day on which it does not hold any more")
    currency: str
    prices: dict[str, Money] = Field(
        description="per 1,000,000 tokens or characters, else per one; `input > 200000` is a context tier,"
        " `images 1024x1024/high` a size and quality, `× flex` a factor"
    )
    source: str
    verified: bool


class PriceItems(BaseModel):
    on: date
    data: list[PriceItem]
    total: int
    next_offset: int | None


class VersionItem(BaseModel):
    version: int
    state: str = Field(description="proposed, approved, rejected or withdrawn")
    starts_on: date
    prices: int
    fx: int
    source: str
    digest: str = Field(description="SHA-256 of the version's canonical JSON")
    proposed_at: datetime
    proposed_by: str
    reason: str
    decided_at: datetime | None
    decided_by: str | None
    decision: str


class VersionItems(BaseModel):
    data: list[VersionItem]
    total: int
    next_offset: int | None


class Change(BaseModel):
    key: str
    starts_on: date
    name: str
    currency: str
    kind: str = Field(description="added, removed, changed or same")
    before: Money | None
    after: Money | None
    percent: Money | None


class VersionWhole(VersionItem):
    changes: list[Change]
    rates: list[dict[str, Any]]


class Rate(BaseModel):
    base: str
    quote: str = "KRW"
    day: date
    rate: Money
    published_at: datetime
    source: str


class Rates(BaseModel):
    data: list[Rate]
    total: int
    next_offset: int | None


def router() -> APIRouter:
    routes = areas.api("/api/billing", "billing")

    @routes.get("/prices", responses=_ERRORS)
    def prices(
        _visitor: Reader,
        parts: Parts,
        on: Annotated[date | None, Query(description="a Korean day; now where it is left out")] = None,
        key: Annotated[str, Query(description="part of the price key", max_length=120)] = "",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> PriceItems:
        """List the prices in force on a day, by key."""
        at = parts.now() if on is None else day_start(on)
        found = [one for one in in_force(desk_of(parts).book(), at) if key in one.key]
        return PriceItems(
            on=billing_day(at),
            data=[_price(one) for one in found[offset : offset + limit]],
            total=len(found),
            next_offset=next_offset(len(found), offset, limit),
        )

    @routes.get("/prices/versions", responses=_ERRORS)
    def versions(
        _visitor: Reader,
        parts: Parts,
        state: Annotated[str | None, Query(description="proposed, approved, …")] = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> VersionItems:
        """List the versions of the price book, the latest first; haechi.toml's is none of them."""
        found = [one for one in desk_of(parts).versions() if state in {None, one.state}]
        return VersionItems(
            data=[VersionItem(**_version(one)) for one in found[offset : offset + limit]],
            total=len(found),
            next_offset=next_offset(len(found), offset, limit),
        )

    @routes.get("/prices/versions/{number}", responses=_ERRORS)
    def version(number: int, _visitor: Reader, parts: Parts) -> VersionWhole:
        """Show one version and what it changes, figure by figure."""
        desk = desk_of(parts)
        try:
            found = desk.version(number)
        except PriceRefused:
            raise gone("단가표의 판", "version of the price book") from None
        changes = [_change(one) for one in desk.changes(found)]
        return VersionWhole(**_version(found), changes=changes, rates=[dict(one) for one in found.draft.fx])

    @routes.get("/fx", responses=_ERRORS)
    def fx(
        _visitor: Reader,
        parts: Parts,
        base: Annotated[str | None, Query(description="USD, JPY, …")] = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Rates:
        """List the exchange rates that are known, the latest first: won for one unit of `base`."""
        found = [one for one in rates(desk_of(parts).book()) if base in {None, one.base}]
        return Rates(
            data=[_rate(one) for one in found[offset : offset + limit]],
            total=len(found),
            next_offset=next_offset(len(found), offset, limit),
        )

    return routes


def _price(one: Price) -> PriceItem:
    return PriceItem(
        key=one.key,
        version=one.version,
        starts_on=billing_day(one.starts_at),
        ends_on=None if one.ends_at is None else billing_day(one.ends_at),
        currency=one.currency,
        prices={name: f"{amount:f}" for name, amount in figures(one).items()},
        source=one.source,
        verified=one.verified,
    )


def _version(one: PriceVersion) -> dict[str, Any]:
    return {
        "version": one.number,
        "state": str(one.state),
        "starts_on": one.draft.starts_on,
        "prices": len(one.draft.prices),
        "fx": len(one.draft.fx),
        "source": one.draft.source,
        "digest": one.draft.digest,
        "proposed_at": one.proposed_at,
        "proposed_by": one.proposed_by,
        "reason": one.reason,
        "decided_at": one.decided_at,
        "decided_by": one.decided_by or None,
        "decision": one.decision,
    }


def _change(one: PriceChange) -> Change:
    return Change(
        key=one.key,
        starts_on=one.starts_on,
        name=one.name,
        currency=one.currency,
        kind=one.kind,
        before=None if one.before is None else f"{one.before:f}",
        after=None if one.after is None else f"{one.after:f}",
        percent=None if one.percent is None else f"{one.percent:f}",
    )


def _rate(one: FxRate) -> Rate:
    return Rate(
        base=one.base,
        day=one.day,
        rate=f"{one.rate:f}",
        published_at=one.published_at,
        source=one.source,
    )
