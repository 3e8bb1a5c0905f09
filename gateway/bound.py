"""How much of a body is read where a framework reads it: before it asks who sends it.

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
"""A provider's bill, with what a form puts around it."""


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
            receive = bounded(scope, receive, LARGER.get(path.rstrip("/"), MOST_POSTED))
        await self._app(scope, receive, send)


def bounded(scope: Scope, receive: Receive, most: int) -> Receive:
    """Refuse to read more than `most` bytes, whatever was announced, with TooLong."""
    read = 0
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    too_long = announced.isdigit() and int(announced) > most

    async def received() -> Message:
        nonlocal read
        if too_long:
            raise TooLong(most)
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise TooLong(most)
        return message

    return received
