"""What surrounds every page: security headers, a bound on what is posted, a page for what nobody foresaw.

Pure ASGI, for /console only. The policy lets a page load from its own origin and nowhere else, run no
inline script or style, and be framed by nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from gateway.bound import MOST_POSTED, bounded
from gateway.console import failures

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC: Final = "/console/static/"

POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
)
PERSONAL: Final = ((b"cache-control", b"no-store"), (b"vary", b"cookie, accept-language"))
HTTPS: Final = ((b"strict-transport-security", b"max-age=31536000"),)


class Guard:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == "/console" or path.startswith("/console/")):
            await self._app(scope, receive, send)
            return
        added = HEADERS + (() if path.startswith(STATIC) else PERSONAL)
        added += HTTPS if scope["scheme"] == "https" else ()
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                kept = [(n, v) for n, v in message.get("headers", ()) if n not in dict(added)]
                message["headers"] = [*kept, *added]
            await send(message)

        try:
            await self._app(scope, bounded(scope, receive, MOST_POSTED), send_guarded)
        except Exception as error:
            if not started:
                page = failures.unforeseen(Request(scope), error)
                await page(scope, receive, send_guarded)
            raise  # to gateway.http.middleware, which writes its kind and place into the log
