"""Routers of the console: what every page and every API for a session has in common."""

from __future__ import annotations

from typing import Any, TypeAlias

from fastapi import APIRouter, Depends, Request

from gateway.console.session import UNSAFE, stale_form

Answers: TypeAlias = dict[int | str, dict[str, Any]]
"""What an API's description says of answers, by status."""


def same_origin(request: Request) -> None:
    """Refuse a change that another site started, whatever tokens it carries."""
    if request.method not in UNSAFE:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise stale_form()
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.url.netloc}":
        raise stale_form()


def pages() -> APIRouter:
    """Return a router for pages, which are in no API description."""
    return APIRouter(dependencies=[Depends(same_origin)], include_in_schema=False)


def api(prefix: str, tag: str, responses: Answers | None = None) -> APIRouter:
    """Return a router for an API that a signed-in person's browser may use."""
    return APIRouter(prefix=prefix, tags=[tag], responses=responses, dependencies=[Depends(same_origin)])
