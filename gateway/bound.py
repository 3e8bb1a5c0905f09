"""How much of a body is read where a framework reads it.

More than a form or a list needs is read only after it is known who sends it (gateway.console.areas).
The addresses of the models read their own bodies (gateway.http.body), after they know the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from billing.bill_formats import MOST_BYTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_POSTED: Final = 8 * 1024**2
"""Bytes; a register of 50,000 people is about five million."""
API: Final = "/api/"
LARGER: Final = {"/api/billing/bills": MOST_BYTES + MOST_POSTED}
"""A provider's bill, with what a form puts around it; only from those who may send one."""
KNOWN: Final = "haechi.known"
"""In a scope: it is known who sends the body, and that they may."""


class TooLong(HTTPException):
    """FastAPI lets an HTTPException through where it reads a body; it makes a 400 of everything else."""

    def __init__(self, most: int) -> None:
        super().__init__(413)
        self.most = most


class ApiBound:
    """Pure ASGI: bounds what is posted to /api/, whether there is a console or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(API):
            receive = bounded(scope, receive, MOST_POSTED, LARGER.get(path.rstrip("/"), MOST_POSTED))
        await self._app(scope, receive, send)


def bounded(scope: Scope, receive: Receive, anybody: int, known: int | None = None) -> Receive:
    """Refuse to read more bytes than `anybody`, or `known` may send, whatever was announced, with TooLong."""
    read = 0
    length = dict(scope["headers"]).get(b"content-length", b"0")
    announced = int(length) if length.isdigit() else 0

    async def received() -> Message:
        nonlocal read
        most = known if known is not None and scope.get(KNOWN) else anybody
        if announced > most:
            raise TooLong(most)
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise TooLong(most)
        return message

    return received
