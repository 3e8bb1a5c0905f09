"""The response that owns an answer, from the first attempt to the last settlement.

The charge is durable before the last bytes leave: `Attempt.events()` ends settled, and only then is the end
of the stream sent; a whole answer is put together while its charge becomes durable. What fails before the
first content is an HTTP error, unless a keep-alive comment has committed the stream; what fails after it is
an error event, never a clean stop. A client that hangs up stops the sending, not the metering. A server that
stops cuts what is left with an error, and settles it.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import field, replace
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from billing.money import won
from filters.records import record
from gateway import metrics, unavailable
from gateway.answer import Channels
from gateway.cache import as_deltas
from gateway.domain import UsageReport
from gateway.errors import FilterFailed, GatewayError, RecordRefused, UpstreamError
from gateway.limits import words
from gateway.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from starlette.types import Receive, Scope, Send

    from billing.ledger import Attribution
    from filters.inspector import Detector
    from filters.verdict import Finding
    from gateway.attempt import Attempt
    from gateway.cohort import Cohort
    from gateway.domain import Call, ChatRequest, Completion
    from gateway.failover import Failover, Leg, Opened
    from gateway.limits.limiter import Admission
    from gateway.reader import Patience, RawHeaders
    from gateway.surfaces.base import StreamEncoder, Surface
    from gateway.ways import Way

_A_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_NAMES: Final = 20


@record
class Reply:
    """How one client is answered, whoever answers."""

    call: Call
    request: ChatRequest
    surface: Surface
    detector: Detector
    patience: Patience
    render_error: Callable[[GatewayError], bytes]
    now: Callable[[], datetime]
    record: Callable[[], Awaitable[None]]
    """Makes the receipt of a request durable that no provider was asked for."""
    record_answer: Callable[[Way, Sequence[Finding]], Awaitable[None]]
    """Makes durable what was masked in an answer."""
    hash_key: bytes = field(repr=False)
    cohort: Cohort
    keep: Callable[[Leg, Attempt, Completion], None] | None = None
    """Offers a whole answer to the cache."""
    admission: Admission | None = None
    """What was counted for it by the minute."""
    left_nano_krw: Callable[[Attribution, str], int | None] = lambda _payer, _period: None
    """Won that the tightest hard budget leaves; see Parts."""

    @property
    def created(self) -> int:
        return int(self.call.received_at.timestamp())

    def encoder(self, model_id: str) -> StreamEncoder:
        return self.surface.StreamEncoder(
            model_id, self.call.request_id, self.created, include_usage=self.request.include_usage
        )

    def channels(self, way: Way) -> Channels:
        wanted = self.request.response_format
        text_is_json = wanted is not None and wanted.kind != "text"
        return Channels(way.verdict, self.detector, self.hash_key, text_is_json=text_is_json)

    async def guarded(self, way: Way, channels: Channels) -> None:
        """Record what the guard found, before the answer ends."""
        if channels.findings:
            await self.record_answer(way, channels.findings)

    def limits(self) -> dict[str, str]:
        """Return the headers that say how near the limits by the minute are."""
        if self.admission is None:
            return {}
        return words.headers(self.admission.standings(), self.surface.NAME)

    def cost(self, attempt: Attempt) -> dict[str, str]:
        """Return what the answer cost, and what the budgets leave; its charge is durable."""
        assert attempt.charge is not None, "events() ended, so the attempt is settled"
        cost = {"x-haechi-cost-krw": _krw(attempt.charge.amount_nano_krw)}
        left = self.left_nano_krw(attempt.dispatch.attribution, attempt.dispatch.billing_period)
        if left is not None:
            cost["x-haechi-budget-remaining-krw"] = _krw(max(0, left))
        return cost

    def over(self, outcome: str) -> None:
        elapsed = self.now() - self.call.received_at
        metrics.count(metrics.requests, self.call.surface, outcome)
        metrics.observe(metrics.duration, self.call.surface, seconds=elapsed.total_seconds())


class MeteredAnswer(Response):
    """Runs the failover when the server calls it, so that it sees the client from the first moment."""

    background = None
    status_code = 200

    def __init__(self, reply: Reply, failover: Failover) -> None:
        self._reply = reply  # Response.__init__ would render a body that is not there yet
        self._failover = failover

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        reply = self._reply
        outcome = "failed"
        with Reader(receive, send, reply.patience, self._failover.client_gone) as reader:
            if reply.request.stream:
                reader.keep_alive(_raw({}, reply.surface.CONTENT_TYPE))
            try:
                await reply.cohort.step()
                opened = await self._failover.open()
                outcome = await self._pass_on(reader, opened)
            except asyncio.CancelledError:
                outcome = "cut"
                await self._cut(reader)
            except GatewayError as error:
                outcome = "client_gone" if reader.gone else "failed"
                await self._fail(reader, error)
            finally:
                reply.over(outcome)
                if reply.admission is not None:
                    reply.admission.settle(self._failover.used_tokens)

    async def _pass_on(self, reader: Reader, opened: Opened) -> str:
        """Send an answer to its end; return the request's outcome."""
        try:
            if self._reply.request.stream:
                await self._stream(reader, opened)
            else:
                await self._whole(reader, opened)
        except (UpstreamError, FilterFailed, RecordRefused) as error:
            if not reader.committed:
                raise
            encoder = self._reply.encoder(opened.leg.way.model.id)
            await reader.write(encoder.error(self._reply.render_error(error)), last=True)
            return "client_gone" if reader.gone else "broken"
        except asyncio.CancelledError:
            opened.attempt.cut()
            raise
        finally:
            # Closing settles, whatever ended this: an error in sending, or the server going down.
            await opened.rest.aclose()
            await opened.attempt.durable()
        opened.attempt.learn()
        self._keep(opened)
        return "client_gone" if reader.gone else "ok"

    async def _stream(self, reader: Reader, opened: Opened) -> None:
        encoder = self._reply.encoder(opened.leg.way.model.id)
        channels = self._reply.channels(opened.leg.way)
        headers = answer_headers(opened.leg.way, opened.attempt, opened.attempts, self._reply.call)
        headers |= self._reply.limits()
        await reader.start(200, _raw(headers, self._reply.surface.CONTENT_TYPE))
        await reader.write(encoder.deltas(channels.deltas(opened.first)))
        async for deltas in opened.rest:
            if not reader.gone:
                await reader.write(encoder.deltas(channels.deltas(deltas)))
        completion = _completion(opened)
        usage = completion.report.usage if completion.report else None
        rest = encoder.deltas(channels.flush())
        await self._reply.guarded(opened.leg.way, channels)
        rest += _comment(self._reply.cost(opened.attempt)) + encoder.end(usage, completion.extra)
        await reader.write(rest, last=True)

    async def _whole(self, reader: Reader, opened: Opened) -> None:
        reply, way = self._reply, opened.leg.way
        await reply.cohort.step()
        async for _ in opened.rest:  # nothing: a whole answer is opened by its end
            pass
        await reply.cohort.step()
        channels = reply.channels(way)
        restored = channels.completion(_completion(opened))
        await reply.guarded(way, channels)
        body = reply.surface.encode(restored, way.model.id, reply.call.request_id, reply.created)
        headers = answer_headers(way, opened.attempt, opened.attempts, reply.call)
        headers |= reply.limits() | reply.cost(opened.attempt)
        headers["content-length"] = str(len(body))
        raw = _raw(headers, restored.content_type)
        await opened.attempt.durable()
        await reader.start(200, raw)
        await reader.write(body, last=True)

    async def _fail(self, reader: Reader, error: GatewayError) -> None:
        """Say why nobody answered: over HTTP while that is possible. Raises `error` then."""
        if not self._failover.asked:
            await self._reply.record()
        if not reader.committed:
            raise error
        encoder = self._reply.encoder(self._reply.request.model)
        await reader.write(encoder.error(self._reply.render_error(error)), last=True)

    async def _cut(self, reader: Reader) -> None:
        """The server cancels its tasks when its grace is over: say so, now that all is settled."""
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        await self._fail(reader, unavailable.shutting_down())

    def _keep(self, opened: Opened) -> None:
        completion = opened.attempt.completion
        if self._reply.keep is not None and completion is not None:
            self._reply.keep(opened.leg, opened.attempt, completion)


def answer_headers(way: Way, attempt: Attempt, attempts: int, call: Call) -> dict[str, str]:
    """Return what every answer says about itself: who gave it, by which verdict, at which attempt."""
    headers = verdict_headers(way, call)
    headers["x-haechi-zone"] = attempt.deployment.zone
    if attempts > 1:
        headers["x-haechi-attempts"] = str(attempts)
    if attempt.dropped:
        headers["x-haechi-dropped"] = _names(attempt.dropped)
    if attempt.deployment.simulated:
        headers["x-haechi-simulated"] = "true"
    return headers


def verdict_headers(way: Way, call: Call) -> dict[str, str]:
    receipt = way.verdict.receipt
    headers = {"x-haechi-model": way.model.id, "x-haechi-verdict": way.verdict.action.word}
    if receipt.counts:
        headers["x-haechi-findings"] = ",".join(f"{k}={n}" for k, n in receipt.counts.items())
    if call.label:
        headers["x-haechi-task"] = call.label
    return headers


def _names(dropped: Sequence[str]) -> str:
    """Name what was left out: a client chose these names, and any of them may be unfit for a header."""
    return ",".join(name if _A_NAME.fullmatch(name) else "?" for name in dropped[:_MOST_NAMES])


def _comment(members: Mapping[str, str]) -> bytes:
    """Return a comment of server-sent events: a stream's headers went out before its cost was known."""
    return f": {' '.join(f'{name}={value}' for name, value in members.items())}\n\n".encode()


def _krw(nano_krw: int) -> str:
    return f"{won(nano_krw):f}"


def _raw(headers: Mapping[str, str], content_type: str) -> RawHeaders:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    raw.append((b"content-type", content_type.encode()))
    return raw


def _completion(opened: Opened) -> Completion:
    """Return the answer; where its provider did not say what was used, it says what is charged."""
    completion, charge = opened.attempt.completion, opened.attempt.charge
    assert completion is not None, "events() ended without an error"
    assert charge is not None, "events() ends settled"
    report = completion.report
    if report is not None and not report.partial:
        return completion
    return replace(completion, report=UsageReport(charge.usage, {}, partial=True))


def replayed(reply: Reply, way: Way, completion: Completion) -> Response:
    """Return an answer that was given before, restored for this reader; nobody is asked or charged."""
    channels = reply.channels(way)
    headers = {**verdict_headers(way, reply.call), "x-haechi-cache": "hit", "x-haechi-cost-krw": "0"}
    headers |= reply.limits()
    if reply.request.stream:
        encoder = reply.encoder(way.model.id)
        body = encoder.deltas(channels.deltas(as_deltas(completion)))
        body += encoder.deltas(channels.flush()) + encoder.end(None, completion.extra)
        media_type = reply.surface.CONTENT_TYPE
    else:
        restored = channels.completion(completion)
        body = reply.surface.encode(restored, way.model.id, reply.call.request_id, reply.created)
        media_type = restored.content_type
    reply.over("cached")
    return Response(body, media_type=media_type, headers=headers)
