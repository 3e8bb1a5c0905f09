"""Routers of the console: what every page and every API for a session has in common."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from gateway.bound import KNOWN
from gateway.console.parts import parts_of
from gateway.console.session import UNSAFE, Needs, stale_form

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


class KnownFirst(APIRoute):
    """Asks who changes something, and whether they may, before FastAPI reads what they send.

    The dependency asks again afterwards: a body may be long in coming, and brings the token.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        rows = [one.call for one in self.dependant.dependencies if isinstance(one.call, Needs)]

        async def known_first(request: Request) -> Response:
            if rows and request.method in UNSAFE:
                for needs in rows:
                    await run_in_threadpool(needs.before_body, request, parts_of(request))
                request.scope[KNOWN] = True
            return await answer(request)

        return known_first


def pages() -> APIRouter:
    """Return a router for pages, which are in no API description."""
    return APIRouter(dependencies=[Depends(same_origin)], include_in_schema=False, route_class=KnownFirst)


def api(prefix: str, tag: str, responses: Answers | None = None) -> APIRouter:
    """Return a router for an API that a signed-in person's browser may use."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        responses=responses,
        dependencies=[Depends(same_origin)],
        route_class=KnownFirst,
    )
