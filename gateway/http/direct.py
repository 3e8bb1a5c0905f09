"""The busiest addresses, answered before the router.

FastAPI's way to an endpoint (included routers, dependency solving, query parsing, exit stacks) took a
quarter of a request's calls, and a chat needs none of it: its endpoint reads the request itself and
returns a response. The same endpoints stand in the router, which documents them and answers
what is not found here (another method, a trailing slash).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import Request

from gateway.errors import GatewayError
from gateway.http import errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from fastapi import APIRouter
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.cohort import Cohort


Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"

CHATS: Final = ("/v1/chat/completions", "/v1/responses", "/v1/messages")


def chats_of(router: APIRouter) -> dict[str, Endpoint]:
    """Return the endpoints of the router's chats by their paths."""
    routes = [route for route in router.routes if isinstance(route, APIRoute) and route.path in CHATS]
    return {route.path: route.endpoint for route in routes}


class HeadersOnce(Headers):
    """Headers that are decoded once. Starlette's own encodes the name and walks over all at every look."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        super().__init__(raw=raw)
        # Of one that came twice the first counts, as in Starlette.
        self._first = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(raw)}

    def __getitem__(self, key: str) -> str:
        return self._first[key.lower()]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._first

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - as in Mapping
        return self._first.get(key.lower(), default)


class Asked(Request):
    """A request whose headers are looked at more than once."""

    @property
    def headers(self) -> HeadersOnce:
        known = self._known
        if known is None:
            known = self._known = HeadersOnce(self.scope["headers"])
        return known

    _known: HeadersOnce | None = None


class DirectEndpoints:
    """Pure ASGI. `endpoints` maps a path to what answers a POST there; who is answered is in the cohort."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint], cohort: Cohort) -> None:
        self._app = app
        self._endpoints = endpoints
        self._cohort = cohort

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        request = Asked(scope, receive)
        try:
            with self._cohort:
                response = await endpoint(request)
                await response(scope, receive, send)
        except GatewayError as error:  # nothing has been sent: an answer that began ends in its own way
            refusal = errors.response(error, request.headers, scope["path"])
            await refusal(scope, receive, send)
