"""One attempt at one deployment: dispatched, read, and settled exactly once.

The order is the promise: the dispatch row is durable before the provider is called, and the charge
row before the caller of `events()` learns that the answer is over. However it ends (success,
refusal, timeout, a broken stream, nobody listening, this task cancelled), the `finally` of that one
generator settles it; settlement cannot be cancelled.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from billing.ledger import Charge, Outcome
from billing.usage import Usage, UsageSource
from gateway import metrics
from gateway.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from gateway.upstream import Deadlines, UpstreamNotSent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from datetime import datetime

    from billing.journal import Journal
    from billing.ledger import Dispatch, Entry
    from gateway.catalogue import Deployment
    from gateway.domain import ChatRequest, Completion, Delta, UpstreamRequest, UsageReport
    from gateway.estimates import Estimator
    from gateway.providers.base import Adapter, Decoder
    from gateway.upstream import Upstream, UpstreamAnswer

ERROR_BODY_BYTES: Final = 64 * 1024
NOTHING_USED: Final = Usage()


@dataclass(frozen=True, slots=True)
class Desk:
    """What every attempt needs: where to write, whom to call, what time it is."""

    journal: Journal
    upstream: Upstream
    estimator: Estimator
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    drain_s: float
    """How long a provider is listened to after the client has gone."""


class Attempt:
    """`events()` yields the deltas; afterwards `completion` and `charge` hold the whole and its cost."""

    def __init__(
        self,
        desk: Desk,
        dispatch: Dispatch,
        chat: ChatRequest,
        request: UpstreamRequest,
        deployment: Deployment,
        adapter: Adapter,
    ) -> None:
        self.dispatch = dispatch
        self.deployment = deployment
        self.dropped = request.dropped
        self.completion: Completion | None = None
        self.charge: Charge | None = None
        self._desk = desk
        self._chat = chat
        self._request = request
        self._adapter = adapter
        self._decoder: Decoder | None = None
        self._clock: Deadlines | None = None
        self._client_gone = False
        self._http_status: int | None = None
        self._first_token_us: int | None = None

    async def events(self, beside: Sequence[Entry] = ()) -> AsyncGenerator[list[Delta], None]:
        """Dispatch, call the provider, yield what it says, settle.

        `beside` are rows that must be durable together with the dispatch. Raises UpstreamError for
        every way a provider fails, JournalUnavailable if the dispatch cannot be made durable (then
        nothing was sent and there is nothing to settle).
        """
        await self._desk.journal.append((self.dispatch, *beside))
        outcome = Outcome.CLIENT_GONE
        try:
            async with Deadlines(self.deployment) as self._clock:
                if self._client_gone:
                    self._clock.at_most(self._desk.drain_s)
                answer = await self._desk.upstream.open(
                    self._request, self.deployment, self.dispatch.attempt_id
                )
                try:
                    await self._refuse_errors(answer)
                    async for deltas in self._decoded(answer, self._clock):
                        yield deltas
                finally:
                    await answer.aclose()
            self.completion = self._finish()
            outcome = Outcome.CLIENT_GONE if self._client_gone else Outcome.SUCCESS
        except UpstreamError as error:
            outcome = Outcome.CLIENT_GONE if self._client_gone else self._outcome(error)
            raise
        finally:
            await self._settle(outcome)

    def client_gone(self) -> None:
        """Nobody listens any more: hear the provider out for a while, for the sake of the charge."""
        self._client_gone = True
        if self._clock is not None:
            self._clock.at_most(self._desk.drain_s)

    async def _refuse_errors(self, answer: UpstreamAnswer) -> None:
        self._http_status = answer.status
        if answer.status >= 300:
            body = await answer.read(ERROR_BODY_BYTES)
            raise self._adapter.error(answer.status, body, answer.headers)

    async def _decoded(self, answer: UpstreamAnswer, clock: Deadlines) -> AsyncGenerator[list[Delta], None]:
        decoder = self._decoder = self._adapter.Decoder(self.deployment, stream=self._chat.stream)
        async for chunk in answer.chunks():
            clock.heard()
            deltas = decoder.feed(chunk)
            if deltas:
                if self._first_token_us is None:
                    self._note_first_token()
                yield deltas
            clock.listen()

    def _note_first_token(self) -> None:
        elapsed = self._desk.now() - self.dispatch.started_at
        self._first_token_us = round(elapsed.total_seconds() * 1_000_000)
        metrics.observe(metrics.first_token, self.deployment.id, seconds=elapsed.total_seconds())

    def _finish(self) -> Completion:
        assert self._decoder is not None, "an answer was opened"
        completion = self._decoder.finish()
        if self._decoder.failure is not None:  # an error event that nothing followed
            raise self._decoder.failure
        if not completion.complete:
            raise UpstreamBroken(
                f"'{self.deployment.model_id}' 모델의 답변이 중간에 끊어졌습니다. 다시 시도하세요.",
                f"The answer of '{self.deployment.model_id}' broke off. Try again.",
            )
        return completion

    def _outcome(self, error: UpstreamError) -> Outcome:
        outcome = _outcome(error)
        if outcome is Outcome.REFUSED_BY_PROVIDER and self._first_token_us is not None:
            return Outcome.BROKEN  # an error event inside a stream: what came before it was generated
        return outcome

    # --- settlement ------------------------------------------------------------------------------

    async def _settle(self, outcome: Outcome) -> None:
        """Make the charge durable. Runs to its end even if this task is cancelled meanwhile."""
        completion = self.completion or self._partial()
        report = completion.report if completion else None
        if report is not None and not report.partial:
            await self._write(self._charge(outcome, UsageSource.REPORTED, report.usage, completion))
        elif outcome in (Outcome.NOT_SENT, Outcome.REFUSED_BY_PROVIDER):
            await self._write(self._charge(outcome, UsageSource.NONE, NOTHING_USED, completion))
        else:
            await asyncio.shield(asyncio.ensure_future(self._settle_by_estimate(outcome, completion, report)))

    def _partial(self) -> Completion | None:
        """Return what arrived before a break."""
        if self._decoder is None:
            return None
        try:
            return self._decoder.finish()
        except UpstreamError:
            return None

    async def _settle_by_estimate(
        self, outcome: Outcome, completion: Completion | None, report: UsageReport | None
    ) -> None:
        usage = await asyncio.to_thread(
            self._desk.estimator.estimate,
            self.deployment.model_id,
            self._chat,
            completion,
            report.usage if report else None,
        )
        source = UsageSource.PARTIAL if report else UsageSource.ESTIMATED
        await self._write(self._charge(outcome, source, usage, completion))

    async def _write(self, charge: Charge) -> None:
        self.charge = charge
        written = self._desk.journal.append((charge,))
        metrics.count(metrics.attempts, self.deployment.id, str(charge.outcome))
        metrics.count_usage(self.deployment.model_id, charge.usage)
        await asyncio.shield(written)

    def _charge(
        self, outcome: Outcome, source: UsageSource, usage: Usage, completion: Completion | None
    ) -> Charge:
        report = completion.report if completion else None
        return Charge.settle(
            self.dispatch,
            charge_id=self._desk.new_id(),
            settled_at=self._desk.now(),
            outcome=outcome,
            source=source,
            usage=usage,
            stated_cost_usd=report.stated_cost_usd if report else None,
            service_tier=completion.service_tier if completion else None,
            served_model=completion.served_model if completion else None,
            provider_request_id=completion.id if completion else None,
            raw_usage=orjson.dumps(report.raw).decode() if report and report.raw else None,
            http_status=self._http_status,
            first_token_us=self._first_token_us,
        )

    def now(self) -> datetime:
        return self._desk.now()

    def learn(self) -> None:
        """Let the estimator learn from this exchange, off the event loop, if it wants to."""
        report = self.completion.report if self.completion else None
        if report and not report.partial and self._desk.estimator.wants_sample(self.deployment.model_id):
            asyncio.get_running_loop().run_in_executor(
                None, self._desk.estimator.learn, self.deployment.model_id, self._chat, report.usage
            )


def _outcome(error: UpstreamError) -> Outcome:
    match error:
        case UpstreamNotSent():
            return Outcome.NOT_SENT
        case UpstreamTimeout():
            return Outcome.TIMEOUT
        case UpstreamProtocolError():
            return Outcome.ERROR
        case UpstreamRejected() | UpstreamRateLimited():
            return Outcome.REFUSED_BY_PROVIDER
        case UpstreamError(upstream_status=status) if status is not None:
            return Outcome.REFUSED_BY_PROVIDER
        case _:
            return Outcome.BROKEN
