"""What surrounds every request: its id, the headers every answer carries, the last resort.

Pure ASGI, outermost. An unexpected error is logged by its type and place only: its message might
repeat a prompt.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

import structlog
from starlette.requests import ClientDisconnect

from gateway import metrics
from gateway.http import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("haechi.http")

STANDING_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


class RequestIdentity:
    """Give each request an id, put it on its response, and answer what nobody else answered."""

    def __init__(self, app: ASGIApp, new_id: Callable[[], str]) -> None:
        self._app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._new_id()
        scope["request_id"] = request_id
        started = False

        async def send_identified(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                said = message.get("headers", ())
                standing = STANDING_HEADERS
                if scope["path"].startswith("/console"):  # what a page says of itself goes before
                    standing = _unsaid(said)
                message["headers"] = [*said, (b"x-request-id", request_id.encode()), *standing]
            await send(message)

        metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_identified)
        except ClientDisconnect:
            pass  # while it sent its body: nobody is there to be told
        except Exception as error:  # noqa: BLE001 - the last resort; nothing may pass with its message
            log.error(  # noqa: TRY400 - an exception is logged without its message
                "internal_error", request_id=request_id, kind=type(error).__name__, at=_place(error)
            )
            if not started:
                await errors.response(errors.INTERNAL, _headers(scope))(scope, receive, send_identified)
        finally:
            metrics.in_flight.dec()


def _unsaid(said: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    named = {name for name, _ in said}
    return tuple(header for header in STANDING_HEADERS if header[0] not in named)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _place(error: BaseException) -> list[str]:
    """Return the innermost frames as file:line, without any value."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames]
