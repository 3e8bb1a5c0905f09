"""The server's side of a connection: uvicorn's, with a whole answer written at once.

uvicorn writes an answer's head and body apart, two system calls, and searches each of its dozen headers
twice. Whatever is not one whole body (a stream, HEAD, what uvicorn says itself) goes uvicorn's own way.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class WholeAnswers(HttpToolsProtocol):
    """What `haechi serve` gives uvicorn as its protocol.

    uvicorn tells only the last request of a connection that its client left. Where clients send the next
    request before the answer, the one being answered went on to the end, into a closed connection.
    """

    _answering: RequestResponseCycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        cycle = self._answering
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()  # nobody is there for what waits behind it
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - uvicorn's
        self._answering = cycle
        super()._start_asgi_task(cycle, partial(_sending, app, cycle))


def _sending(app: Any, cycle: RequestResponseCycle, scope: Any, receive: Any, send: Any) -> Any:  # noqa: ANN401 - ASGI
    """Call the app. The cycle must not know of it: a request would leave 16 containers to the collector."""
    return app(scope, receive, _Sending(cycle, send).send)


class _Sending:
    """One answer on its way: its head waits for the body if that is announced with its length."""

    __slots__ = ("_cycle", "_head", "_send")

    def __init__(self, cycle: RequestResponseCycle, send: Any) -> None:  # noqa: ANN401 - ASGI
        self._cycle = cycle
        self._send = send
        self._head: Any = None

    async def send(self, message: Any) -> None:  # noqa: ANN401 - an ASGI message
        if message["type"] == "http.response.start" and _has_length(message.get("headers", ())):
            self._head = message
            return
        head, self._head = self._head, None
        if head is not None:
            if self._at_once(head, message):
                return
            await self._send(head)
        await self._send(message)

    def _at_once(self, head: Any, message: Any) -> bool:  # noqa: ANN401 - ASGI messages
        """Write head and body, unless something is unusual about them."""
        cycle = self._cycle
        if cycle.disconnected or cycle.response_started or cycle.flow.write_paused or not cycle.keep_alive:
            return False
        if (
            message["type"] != "http.response.body"
            or message.get("more_body")
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        headers = [*cycle.default_headers, *head["headers"]]
        lines = [STATUS_LINE[head["status"]], *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
        start, body = b"".join(lines), message.get("body", b"")
        if b"\r\ncontent-length: %d\r\n" % len(body) not in start or start.count(b"\n") != len(lines):
            return False  # a header that lies, or holds a line of its own: uvicorn says what is wrong
        if b"\r\nconnection: " in start or b"\r\ntransfer-encoding: " in start:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(start + body)
        cycle.message_event.set()
        cycle.on_response()
        return True


def _has_length(headers: Any) -> bool:  # noqa: ANN401 - of an ASGI message
    return b"content-length" in dict(headers)
