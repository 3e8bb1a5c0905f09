"""Every page of the console in one list: what is not included here does not exist."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from gateway.console import (
    account_pages,
    admin,
    areas,
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

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.routing import BaseRoute


def _front_door() -> RedirectResponse:
    """Lead whoever typed the server's bare address to the console."""
    return RedirectResponse("/console", status_code=307)


@cache
def routes() -> tuple[BaseRoute, ...]:
    """Return every route of the console, the same for each app: what is an app's own stands in its parts.

    Taken from their routers, not included with them: FastAPI builds what is included once more at each
    level, a quarter of a second at the start and as much of the event loop at the first page.
    """
    return tuple(route for router in _routers() for route in router.routes)


def _routers() -> list[APIRouter]:
    door = areas.pages()
    door.add_api_route("/", _front_door)
    return [
        door,
        assets.router(),
        preferences.router(),
        start.router(),
        sign_in_pages.routes,
        account_pages.routes,
        audit_pages.routes,
        accounts.routes,
        *admin.routers(),
        design.router(),
        staff.router(),
        models.router(),
        connect.router(),
        department.router(),
        *finance.routers(),
        *review.routers(),
        incident_reports_api.router(),
        incidents_api.router(),
    ]
