"""재무: months and their close, invoices and the charges behind them, seats beside use, forecasts."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.console.finance import (
    api,
    bills,
    bills_api,
    budget_settings,
    budgets,
    budgets_api,
    forecast,
    invoices,
    months,
    plans,
    price_api,
    prices,
    reports_api,
    savings,
)
from gateway.seats import SeatReports


def router() -> APIRouter:
    whole = APIRouter()
    whole.include_router(months.router())
    whole.include_router(invoices.router())
    whole.include_router(bills.router())
    whole.include_router(bills_api.router())
    whole.include_router(budgets.router())
    whole.include_router(budget_settings.router())
    whole.include_router(budgets_api.router())
    reports = SeatReports()
    whole.include_router(savings.router(reports))
    whole.include_router(plans.router(reports))
    whole.include_router(forecast.router())
    whole.include_router(prices.router())
    whole.include_router(api.router())
    whole.include_router(price_api.router())
    whole.include_router(reports_api.router(reports))
    return whole
