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


def routers() -> list[APIRouter]:
    return [
        months.router(),
        invoices.router(),
        bills.router(),
        bills_api.router(),
        budgets.router(),
        budget_settings.router(),
        budgets_api.router(),
        savings.router(),
        plans.router(),
        forecast.router(),
        prices.router(),
        api.router(),
        price_api.router(),
        reports_api.router(),
    ]
