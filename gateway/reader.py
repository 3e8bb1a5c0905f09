"""The client at the other end of one answer: what is sent to it, and whether it still listens.

One timer watches each answer, and a task only those that take longer than WATCH_AFTER_S: a client that
leaves a shorter one is not worth noticing. Told apart are
    gone      it closed the connection: the sending ends, the metering goes on
    stalled   it takes nothing for `stalled_s`: treated as gone. Until then its slowness is the
              bound of the buffers: nothing is read from the provider that it does not take
    waiting   nothing to send for `keepalive_s`: a comment goes out, the first of which commits HTTP 200
Nothing here knows providers or the ledger.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Send

WATCH_AFTER_S: Final = 0.2
KEEPALIVE: Final = b": keep-alive\n\n"
RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Patience:
    """`keepalive_s` 0: no comments."""

    stalled_s: float = 60.0
    keepalive_s: float = 0.0


class Reader:
    """Use as `with`; `on_gone` is called once, on the event loop."""

    def __init__(self, receive: Receive, send: Send, patience: Patience, on_gone: Callable[[], None]) -> None:
        self.gone = False
        self.committed = False
        self._receive = receive
        self._send = send
        self._patience = patience
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.Task[None] | None = None
        self._beat: asyncio.Task[None] | None = None
        self._keepalive_headers: RawHeaders | None = None
        self._sending_since: float | None = None
        self._quiet_since = self._loop.time()
        self._stalled = False
        self._ended = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "an answer is sent by a task"
        self._task = task
        self._timer = self._loop.call_later(WATCH_AFTER_S, self._look)
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        if self._beat is not None:
            self._beat.cancel()
        if self._watch is not None:
            self._watch.remove_done_callback(self._hung_up)
            self._watch.cancel()

    def keep_alive(self, headers: RawHeaders) -> None:
        """From now on send comments while there is nothing else; with these headers if they are first."""
        if self._patience.keepalive_s:
            self._keepalive_headers = headers
            self._timer.cancel()
            self._timer = self._loop.call_later(self._next_look_s(), self._look)

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Send status and headers, unless a comment has committed the answer already."""
        if self._beat is not None:
            await asyncio.wait((self._beat,))
        if not (self.committed or self.gone):
            self.committed = True
            await self._deliver({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes, *, last: bool = False) -> None:
        if self._beat is not None:
            await asyncio.wait((self._beat,))
        if (body or last) and not self.gone:
            await self._deliver({"type": "http.response.body", "body": body, "more_body": not last})
            self._ended = last

    async def _deliver(self, message: dict[str, object]) -> None:
        self._sending_since = self._loop.time()
        try:
            await self._send(message)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._stalled or task is None:
                raise
            task.uncancel()
            self._leave()
        finally:
            self._sending_since = None
            self._quiet_since = self._loop.time()

    # --- the timer -----------------------------------------------------------------------------------

    def _look(self) -> None:
        if self.gone:
            return
        if self._watch is None:
            self._watch = self._loop.create_task(_disconnect(self._receive))
            self._watch.add_done_callback(self._hung_up)
        now = self._loop.time()
        if self._sending_since is not None and now - self._sending_since >= self._patience.stalled_s:
            self._stall()
            return
        if self._due_s(now) <= 0:
            self._beat_once()
        self._timer = self._loop.call_later(self._next_look_s(), self._look)

    def _next_look_s(self) -> float:
        if self._watch is None:
            return min(WATCH_AFTER_S, self._patience.keepalive_s or WATCH_AFTER_S)
        check_s = self._patience.stalled_s / 4
        return max(0.01, min(check_s, self._due_s(self._loop.time())))

    def _due_s(self, now: float) -> float:
        """Return in how many seconds the next comment is due."""
        idle = self._sending_since is None and (self._beat is None or self._beat.done())
        if self._keepalive_headers is None or not idle:
            return self._patience.keepalive_s or self._patience.stalled_s
        return self._patience.keepalive_s - (now - self._quiet_since)

    def _stall(self) -> None:
        """Cancel the task, which waits in `_deliver` for the client and nowhere else."""
        self._stalled = True
        (self._beat if self._beat is not None and not self._beat.done() else self._task).cancel()

    def _beat_once(self) -> None:
        self._beat = self._loop.create_task(self._send_comment())

    async def _send_comment(self) -> None:
        try:
            if not self.committed:
                self.committed = True
                headers = self._keepalive_headers
                await self._deliver({"type": "http.response.start", "status": 200, "headers": headers})
            if not self.gone:
                await self._deliver({"type": "http.response.body", "body": KEEPALIVE, "more_body": True})
        finally:
            self._beat = None

    def _hung_up(self, watch: asyncio.Task[None]) -> None:
        if not watch.cancelled():
            watch.exception()
            self._leave()

    def _leave(self) -> None:
        if not (self.gone or self._ended):  # a server also says "disconnect" after the last byte
            self.gone = True
            self._on_gone()


async def _disconnect(receive: Receive) -> None:
    """Return when the client has gone; the body has been read, so nothing else can come."""
    while (await receive())["type"] != "http.disconnect":
        pass
