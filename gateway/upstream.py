"""The way to a provider: one question, one answer that comes in pieces, and what went wrong by name.

Connections of our own (gateway/connections.py), aiohttp where a proxy stands between (gateway/proxied.py).
Whether a request was certainly not sent and what a failure is called is decided here, from the lowest
error: only a connection that never came to be proves it. Nothing retries here; redirects are not
followed; cookies are neither kept nor sent, since one person's would reach another's request.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, Protocol, Self

from gateway.connections import BrokenOff, Connections, NeverConnected, NotHttp
from gateway.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import UpstreamRequest

ATTEMPT_HEADER: Final = "x-haechi-attempt"
ALWAYS: Final = {"accept-encoding": "identity", "user-agent": "haechi"}


class UpstreamNotSent(UpstreamUnavailable):
    """The connection never came to be (refused, no such host, TLS failed): nothing was sent."""


class Exchange(Protocol):
    """What carries one answer. Failures are OSErrors of gateway.connections."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in small letters."""

    async def piece(self) -> bytes:
        """What comes next of the body, decompressed; empty at its end."""

    def end(self) -> None:
        """Keep the connection if its answer was read to the end; close it otherwise."""


class Pool(Protocol):
    """Connections to whatever is reached in one way."""

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, connect_s: float
    ) -> Exchange:
        """Send a request, and return once status and headers are there."""

    async def aclose(self) -> None:
        """Close what is idle."""


class UpstreamAnswer:
    """The status and headers of an answer, and its body as it comes."""

    __slots__ = ("_deployment", "_exchange", "headers", "status")

    def __init__(self, exchange: Exchange, deployment: Deployment) -> None:
        self.status = exchange.status
        self.headers = exchange.headers
        self._exchange = exchange
        self._deployment = deployment

    async def piece(self) -> bytes:
        """Return what comes next of the body, decompressed; empty at its end.

        Raises UpstreamBroken if it breaks off.
        """
        try:
            return await self._exchange.piece()
        except OSError as error:
            raise _named(error, self._deployment) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body piece by piece."""
        while piece := await self.piece():
            yield piece

    async def read(self, limit: int) -> bytes:
        """Read at most `limit` bytes of the body."""
        read = bytearray()
        while len(read) < limit and (piece := await self.piece()):
            read += piece
        return bytes(read[:limit])

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end; close it otherwise."""
        self._exchange.end()


class Upstream:
    """Connections to providers: a pool for each CA bundle and proxy."""

    def __init__(self) -> None:
        self._pools: dict[tuple[str | None, str | None], Pool] = {}

    async def open(self, request: UpstreamRequest, deployment: Deployment, attempt_id: str) -> UpstreamAnswer:
        """Send `request` and return once the status and headers are there.

        Raises UpstreamNotSent, UpstreamUnavailable or UpstreamTimeout. The caller bounds the time.
        """
        pool = self._pools.get((deployment.ca_bundle, deployment.proxy_url)) or self._pool(deployment)
        headers = {**ALWAYS, **request.headers, ATTEMPT_HEADER: attempt_id}
        connect_s = deployment.timeouts.connect_s
        try:
            exchange = await pool.ask(request.method, request.url, headers, request.body, connect_s)
        except OSError as error:
            raise _named(error, deployment) from error
        return UpstreamAnswer(exchange, deployment)

    def _pool(self, deployment: Deployment) -> Pool:
        context = ssl.create_default_context(cafile=deployment.ca_bundle)
        proxy_url = deployment.proxy_url
        pool: Pool
        if proxy_url is None:
            pool = Connections(context)
        else:  # imported where there is a proxy: a tenth of a second, and 10 MB
            from gateway.proxied import Proxied

            pool = Proxied(context, proxy_url)
        self._pools[deployment.ca_bundle, proxy_url] = pool
        return pool

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


def _named(error: OSError, deployment: Deployment) -> UpstreamError:
    """Turn what a connection says into what a person is told."""
    name = deployment.model_id
    match error:
        case NeverConnected():
            return UpstreamNotSent(
                f"'{name}' 모델의 제공자에 연결할 수 없습니다. 잠시 뒤 다시 시도하거나 다른 모델을 고르세요.",
                f"The provider of '{name}' cannot be reached. Try again later or choose another model.",
            )
        case NotHttp():
            return UpstreamProtocolError(
                f"'{name}' 모델의 제공자가 HTTP에 어긋나게 답했습니다. 다시 시도하거나 다른 모델을 고르세요.",
                f"The provider of '{name}' did not answer in proper HTTP. Try again or choose another model.",
            )
        case BrokenOff():
            return UpstreamBroken(
                f"'{name}' 모델의 답변이 중간에 끊어졌습니다. 다시 시도하세요.",
                f"The answer of '{name}' broke off. Try again.",
            )
        case TimeoutError():
            return timed_out(deployment)
    return UpstreamUnavailable(
        f"'{name}' 모델의 제공자가 연결을 끊었습니다. 잠시 뒤 다시 시도하세요.",
        f"The provider of '{name}' closed the connection. Try again later.",
    )


class Deadlines:
    """The one timer of an attempt: first byte, then silence between chunks, and the total.

    Raises UpstreamTimeout. Time counts only between `listen()` and `heard()`, while we wait for the
    provider: a slow reader at the other end is not the provider's silence, and a cancellation
    must never hit the task in somebody else's code. `heard()` costs a clock reading; the timer itself
    moves only when it rings.
    """

    __slots__ = ("_deployment", "_expired", "_limit_at", "_loop", "_over", "_task", "_timer", "_total_at")

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._expired = False
        self._over = False

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "deadlines bound a task"
        self._task = task
        timeouts = self._deployment.timeouts
        now = self._loop.time()
        self._total_at = now + timeouts.total_s
        self._limit_at: float | None = min(now + timeouts.first_byte_s, self._total_at)
        self._timer = self._loop.call_at(self._limit_at, self._ring)
        return self

    def listen(self) -> None:
        """Wait for the provider again: it may be silent for `idle_s`, within the total."""
        self._limit_at = min(self._loop.time() + self._deployment.timeouts.idle_s, self._total_at)

    def heard(self) -> None:
        """Something arrived and is being passed on: nobody waits for the provider."""
        self._limit_at = None

    def at_most(self, seconds: float) -> None:
        """Bound what is left, e.g. when nobody listens any more; nothing once it is over."""
        if self._over:
            return
        self._total_at = min(self._total_at, self._loop.time() + seconds)
        if self._limit_at is not None:
            self._limit_at = min(self._limit_at, self._total_at)
        self._timer.cancel()
        self._timer = self._loop.call_at(self._limit_at or self._total_at, self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        if self._limit_at is not None and now >= self._limit_at:
            self._expired = True
            self._task.cancel()
        else:
            # Passing on for longer than the total (limit unset) is looked at again in a while.
            again_at = self._limit_at or max(self._total_at, now + self._deployment.timeouts.idle_s)
            self._timer = self._loop.call_at(again_at, self._ring)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._over = True
        self._timer.cancel()
        if self._expired:
            still_cancelling = self._task.uncancel()
            if isinstance(error, asyncio.CancelledError) and not still_cancelling:
                raise timed_out(self._deployment) from error


def timed_out(deployment: Deployment) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"'{deployment.model_id}' 모델이 제시간에 답하지 않았습니다. 다시 시도하거나 다른 모델을 고르세요.",
        f"'{deployment.model_id}' did not answer in time. Try again or choose another model.",
    )
