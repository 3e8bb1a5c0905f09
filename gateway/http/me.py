"""GET /api/me/usage: what the caller used and paid for, what the budgets leave, how near the limits are.

A person's key shows that person's usage through every key; a service key that speaks for nobody shows its
service's. Nobody sees anybody else's.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from billing.budgets import Measure, Scope, ScopeKind, ends_on
from billing.money import won
from billing.periods import billing_day, day_start, from_us, month_bounds
from billing.store.away import is_away
from billing.store.budget_admin import budgets_over
from billing.store.rollups import bring_up_to_date
from billing.store.usage_queries import totals, usage_by
from billing.usage_sums import Dimension, Filter, Order, Page
from gateway.errors import InvalidRequest
from gateway.unavailable import database_unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.store import BudgetStatus
    from billing.usage_sums import UsageSum
    from gateway.config_limits import Contacts
    from gateway.domain import Caller
    from gateway.limits.limiter import Standing
    from gateway.pipeline import Pipeline
    from gateway.store.database import Database

MOST_DAYS: Final = 366
MOST_ROWS: Final = 500

Krw = Annotated[str, Field(description="exact won as decimal text", examples=["1234.5"])]


class Used(BaseModel):
    requests: int = Field(description="requests, each once, however many attempts it took")
    attempts: int
    estimated: int = Field(description="attempts whose usage no provider reported")
    cache_hits: int
    tokens: dict[str, int] = Field(description="by class: input, cache_read, output, reasoning, images, …")
    cost_krw: Krw


class UsedOfModel(Used):
    model: str


class UsedOfModelAndDay(UsedOfModel):
    day: date = Field(description="Korean calendar day on which the requests began")


class Period(BaseModel):
    first_day: date
    last_day: date = Field(description="included")


class BudgetLeft(BaseModel):
    scope: str = Field(description="key, person or unit")
    scope_id: str
    every: str = Field(description="month, quarter, year or once")
    period: str
    hard: bool = Field(description="whether it refuses")
    measure: str = Field(description="won, tokens or requests: the unit of the four amounts")
    limit: str
    spent: str
    held: str = Field(description="by requests in flight")
    left: str
    resets_at: datetime | None
    contact: str | None = Field(description="whom to ask")


class RateLeft(BaseModel):
    limit: str = Field(description="name of the rule")
    subject: dict[str, str] = Field(description="whose minute it is: key, person, department, model")
    unit: str = Field(description="requests or tokens")
    per_min: int
    left: int
    fresh_at: datetime = Field(description="when all of it is free again if nothing more is asked")


class MyUsage(BaseModel):
    person: str | None
    service: str | None = Field(description="set where a service key asks about its service")
    period: Period
    total: Used
    by_model: list[UsedOfModel]
    data: list[UsedOfModelAndDay] = Field(description="by day and model, the newest first, in pages")
    has_more: bool
    next_offset: int | None
    budgets: list[BudgetLeft] = Field(description="of every scope over the caller")
    rate_limits: list[RateLeft]


_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "a period that is none, or longer than a year (code invalid_period)"},
    401: {"description": "no valid key"},
    403: {"description": "the person is not active, or is unknown"},
    503: {"description": "the database cannot be read now"},
}


def router(pipeline: Pipeline, database: Database, contacts: Contacts) -> APIRouter:
    routes = APIRouter(tags=["me"])

    @routes.get("/api/me/usage", openapi_extra={"security": [{"key": []}]}, responses=_ERRORS)
    async def my_usage(
        request: Request,
        month: Annotated[str | None, Query(description="2026-11; this month if no period is given")] = None,
        first_day: Annotated[str | None, Query(alias="from", description="2026-11-01")] = None,
        last_day: Annotated[str | None, Query(alias="to", description="2026-11-22, included")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> MyUsage:
        """Show the caller's own usage by model and day, the budgets over it and its rate limits."""
        caller = pipeline.identify(request.headers)
        now = datetime.now(UTC)
        period = chosen_period(month, first_day, last_day, billing_day(now))
        rates = await pipeline.rate_limits(caller)
        page = Page(Order.KEY, descending=True, offset=offset, limit=limit + 1)
        try:
            return await asyncio.to_thread(_shown, database, caller, period, page, (now, contacts, rates))
        except Exception as error:
            if is_away(error):
                raise database_unavailable() from error
            raise

    return routes


def chosen_period(month: str | None, first: str | None, last: str | None, today: date) -> Period:
    """Return the days asked for: a month, or from a day to a day; this month if neither is given.

    Raises InvalidRequest.
    """
    if month is not None and (first is not None or last is not None):
        raise _no_period("month", "month와 from·to는 함께 쓸 수 없습니다.", "Give month, or from and to.")
    if first is None and last is None:
        return _month(f"{today:%Y-%m}" if month is None else month)
    start = _day("from", first) if first is not None else today.replace(day=1)
    end = _day("to", last) if last is not None else max(today, start)
    if not start <= end < start + timedelta(days=MOST_DAYS):
        raise _no_period(
            "to", f"기간은 하루에서 {MOST_DAYS}일까지입니다.", f"A period has 1 to {MOST_DAYS} days."
        )
    return Period(first_day=start, last_day=end)


def _month(month: str) -> Period:
    try:
        start, end = month_bounds(month)
    except ValueError:
        raise _no_period("month", "month는 2026-11처럼 쓰세요.", "Write month like 2026-11.") from None
    return Period(first_day=billing_day(start), last_day=billing_day(end) - timedelta(days=1))


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        korean, english = f"{name}은(는) 2026-11-22처럼 쓰세요.", f"Write {name} like 2026-11-22."
        raise _no_period(name, korean, english) from None


def _no_period(param: str, korean: str, english: str) -> InvalidRequest:
    return InvalidRequest(korean, english, code="invalid_period", param=param)


# --- what is shown, read in a thread ---------------------------------------------------------------


def _shown(
    database: Database,
    caller: Caller,
    period: Period,
    page: Page,
    around: tuple[datetime, Contacts, Sequence[Standing]],
) -> MyUsage:
    now, contacts, rates = around
    service = _service_of(caller)
    whose = {"persons": (caller.person_id,)} if service is None else {"services": (service,)}
    where = Filter(first_day=period.first_day, last_day=period.last_day, **whose)
    bring_up_to_date(database)
    rows = usage_by(database, [Dimension.DAY, Dimension.MODEL], where, page)
    assert page.limit is not None, "set above"
    most = page.limit - 1
    return MyUsage(
        person=caller.person_id if service is None else None,
        service=service,
        period=period,
        total=Used(**_used(totals(database, where))),
        by_model=[
            UsedOfModel(model=str(row.key[0]), **_used(row))
            for row in usage_by(database, [Dimension.MODEL], where)
        ],
        data=[
            UsedOfModelAndDay.model_validate({"day": row.key[0], "model": row.key[1], **_used(row)})
            for row in rows[:most]
        ],
        has_more=len(rows) > most,
        next_offset=page.offset + most if len(rows) > most else None,
        budgets=[
            _budget(status, caller, contacts) for status in budgets_over(database, _scopes(caller), now)
        ],
        rate_limits=[_rate(standing) for standing in rates],
    )


def _service_of(caller: Caller) -> str | None:
    """Return the service that asks about itself; None where a person asks, or a service for a person."""
    return caller.via_service if caller.person_id.startswith("service:") else None


def _scopes(caller: Caller) -> frozenset[Scope]:
    units = (Scope(ScopeKind.UNIT, unit) for unit in caller.unit_path)
    own = Scope(ScopeKind.KEY, caller.key_id), Scope(ScopeKind.PERSON, caller.person_id)
    return frozenset([*own, *units])


def _used(row: UsageSum) -> dict[str, Any]:
    return {
        "requests": row.requests,
        "attempts": row.attempts,
        "estimated": row.estimated,
        "cache_hits": row.cache_hits,
        "tokens": dict(row.tokens),
        "cost_krw": f"{won(row.cost_nano_krw):f}",
    }


def _budget(status: BudgetStatus, caller: Caller, contacts: Contacts) -> BudgetLeft:
    budget = status.budget
    ends = ends_on(status.period)
    in_won = budget.measure is Measure.WON
    limit, spent, held, left = (
        f"{won(amount):f}" if in_won else str(amount)
        for amount in (status.limit, status.spent, status.held, status.left)
    )
    return BudgetLeft(
        scope=budget.scope.kind,
        scope_id=budget.scope.id,
        every=budget.every,
        period=status.period,
        hard=budget.hard,
        measure=budget.measure,
        limit=limit,
        spent=spent,
        held=held,
        left=left,
        resets_at=day_start(ends) if ends else None,
        contact=contacts.of(budget.scope, caller) or None,
    )


def _rate(standing: Standing) -> RateLeft:
    bucket = standing.bucket
    return RateLeft(
        limit=bucket.rule.name,
        subject={str(per): who for per, who in bucket.subject},
        unit=bucket.unit,
        per_min=bucket.limit,
        left=standing.left,
        fresh_at=from_us(standing.at_us + standing.fresh_us),
    )
