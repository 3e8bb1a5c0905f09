"""The responses that own an answer and its settlement: whole, or as a stream.

The charge is durable before the last bytes leave: `Attempt.events()` ends settled, and only then is
the end of the stream (or the body) sent. A stream is committed at its first content; what fails
before that is an HTTP error or the next deployment's turn, what fails after it is an error event,
never a clean stop. A client that hangs up stops the sending, not the metering.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from starlette.responses import Response

from billing.money import won
from gateway import metrics
from gateway.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from billing.ledger import Entry
    from gateway.answer import Channels
    from gateway.attempt import Attempt
    from gateway.domain import Call, ChatRequest, Delta
    from gateway.errors import GatewayError
    from gateway.surfaces.base import StreamEncoder, Surface


class Serving:
    """One attempt on its way to one client: what both kinds of response share."""

    def __init__(
        self,
        attempt: Attempt,
        surface: Surface,
        call: Call,
        channels: Channels,
        headers: Mapping[str, str],
    ) -> None:
        self.attempt = attempt
        self.surface = surface
        self.call = call
        self.channels = channels
        self.headers = headers
        self.model_id = attempt.dispatch.attribution.model_id
        self.created = int(call.received_at.timestamp())

    def over(self, outcome: str) -> None:
        """Count the request, and let the estimator learn from it."""
        elapsed = self.attempt.now() - self.call.received_at
        metrics.count(metrics.requests, self.call.surface, outcome)
        metrics.observe(metrics.duration, self.call.surface, seconds=elapsed.total_seconds())
        self.attempt.learn()

    def cost_header(self) -> str:
        assert self.attempt.charge is not None, "events() ended, so the attempt is settled"
        return str(won(self.attempt.charge.amount_nano_krw))


async def whole(serving: Serving, beside: Sequence[Entry]) -> Response:
    """Wait for the whole answer; return it as one body. Raises UpstreamError."""
    async for _ in serving.attempt.events(beside):
        pass
    completion = serving.attempt.completion
    assert completion is not None, "events() ended without an error"
    restored = serving.channels.completion(completion)
    serving.over("ok")
    return Response(
        serving.surface.encode(restored, serving.model_id, serving.call.request_id, serving.created),
        media_type="application/json",
        headers={**serving.headers, "x-haechi-cost-krw": serving.cost_header()},
    )


class MeteredStream(Response):
    """A stream of events; `begin` returns it once there is something to say."""

    def __init__(
        self,
        serving: Serving,
        events: AsyncGenerator[list[Delta], None],
        first: list[Delta],
        encoder: StreamEncoder,
        render_error: Callable[[GatewayError], bytes],
    ) -> None:
        super().__init__(headers=dict(serving.headers), media_type=serving.surface.CONTENT_TYPE)
        del self.headers["content-length"]
        self._serving = serving
        self._events = events
        self._first = first
        self._encoder = encoder
        self._render_error = render_error
        self._client_gone = False

    @classmethod
    async def begin(
        cls,
        serving: Serving,
        beside: Sequence[Entry],
        request: ChatRequest,
        render_error: Callable[[GatewayError], bytes],
    ) -> Self:
        """Wait for the first content. Raises UpstreamError while nothing is committed yet."""
        events = serving.attempt.events(beside)
        first: list[Delta] = []
        async for deltas in events:
            first += deltas
            if any(delta.has_content for delta in deltas):
                break
        encoder = serving.surface.StreamEncoder(
            serving.model_id, serving.call.request_id, serving.created, include_usage=request.include_usage
        )
        return cls(serving, events, first, encoder, render_error)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        watch = asyncio.ensure_future(_disconnect(receive))
        watch.add_done_callback(self._hang_up)
        outcome = "broken"
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._pass_on(send)
            outcome = "client_gone" if self._client_gone else "ok"
        except UpstreamError as error:
            await self._send(send, self._encoder.error(self._render_error(error)), last=True)
        finally:
            watch.remove_done_callback(self._hang_up)
            watch.cancel()
            # Closing settles, whatever ended this: an error in sending, or the server going down.
            await self._events.aclose()
            self._serving.over(outcome)

    async def _pass_on(self, send: Send) -> None:
        channels, encoder = self._serving.channels, self._encoder
        await self._send(send, encoder.deltas(channels.deltas(self._first)))
        async for deltas in self._events:
            if not self._client_gone:
                await self._send(send, encoder.deltas(channels.deltas(deltas)))
        completion = self._serving.attempt.completion
        assert completion is not None, "events() ended without an error"
        usage = completion.report.usage if completion.report else None
        rest = encoder.deltas(channels.flush())
        await self._send(send, rest + encoder.end(usage), last=True)

    async def _send(self, send: Send, body: bytes, *, last: bool = False) -> None:
        if (body or last) and not self._client_gone:
            await send({"type": "http.response.body", "body": body, "more_body": not last})

    def _hang_up(self, watch: asyncio.Future[None]) -> None:
        if not watch.cancelled():
            self._client_gone = True
            self._serving.attempt.client_gone()


async def _disconnect(receive: Receive) -> None:
    """Return when the client has gone; the body has been read, so nothing else can come."""
    while (await receive())["type"] != "http.disconnect":
        pass
