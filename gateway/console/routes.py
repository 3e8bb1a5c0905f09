"""Every page of the console under one router: what is not included here does not exist."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse

from gateway.console import (
    account_pages,
    admin,
    assets,
    audit_pages,
    connect,
    department,
    design,
    finance,
    incident_reports_api,
    incidents_api,
    models,
    preferences,
    review,
    sign_in_pages,
    staff,
    start,
)
from gateway.console.admin import accounts
from gateway.console.session import UNSAFE, stale_form


def _same_origin(request: Request) -> None:
    """Refuse a change that another site started, whatever tokens it carries."""
    if request.method not in UNSAFE:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise stale_form()
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.url.netloc}":
        raise stale_form()


def _front_door() -> RedirectResponse:
    """Lead whoever typed the server's bare address to the console."""
    return RedirectResponse("/console", status_code=307)


def router() -> APIRouter:
    whole = APIRouter(dependencies=[Depends(_same_origin)])
    whole.add_api_route("/", _front_door, include_in_schema=False)
    whole.include_router(assets.router())
    whole.include_router(preferences.router())
    whole.include_router(start.router())
    whole.include_router(sign_in_pages.routes)
    whole.include_router(account_pages.routes)
    whole.include_router(audit_pages.routes)
    whole.include_router(accounts.routes)
    whole.include_router(admin.router())
    whole.include_router(design.router())
    whole.include_router(staff.router())
    whole.include_router(models.router())
    whole.include_router(connect.router())
    whole.include_router(department.router())
    whole.include_router(finance.router())
    whole.include_router(review.router())
    whole.include_router(incident_reports_api.router())
    whole.include_router(incidents_api.router())
    return whole
