"""재무: months and their close, invoices, the way down to the charges behind a line."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.console.finance import api, bills, bills_api, budgets, invoices, months


def router() -> APIRouter:
    whole = APIRouter()
    whole.include_router(months.router())
    whole.include_router(invoices.router())
    whole.include_router(bills.router())
    whole.include_router(bills_api.router())
    whole.include_router(budgets.router())
    whole.include_router(api.router())
    return whole
