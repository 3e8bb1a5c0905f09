"""One attempt at one deployment: dispatched, read, and settled exactly once.

The order is the promise: the dispatch row is durable before the provider is called, and the charge
row before the caller of `events()` learns that the answer is over. However it ends (success,
refusal, timeout, a broken stream, nobody listening, this task cancelled), the `finally` of that one
generator settles it; settlement cannot be cancelled. What is not settled yet is known (`Unsettled`), so
that a process that ends waits for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from billing.errors import RowRefused
from billing.ledger import Charge, Outcome
from billing.usage import Usage, UsageSource
from gateway import metrics, unavailable
from gateway.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from gateway.media.work import MediaRequest, Whole
from gateway.providers import failures
from gateway.providers.base import MAX_BODY_BYTES
from gateway.upstream import Deadlines, UpstreamNotSent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
    from datetime import datetime

    from billing.journal import Journal
    from billing.ledger import Dispatch, Entry
    from billing.quotes import Quote
    from gateway.access import Access
    from gateway.catalogue import Deployment
    from gateway.domain import JSON, ChatRequest, Completion, Delta, UpstreamRequest, UsageReport
    from gateway.estimates import Estimator
    from gateway.health import Place
    from gateway.providers.base import Adapter, Decoder
    from gateway.upstream import Upstream, UpstreamAnswer

log = structlog.get_logger("haechi")

MOST: Final = 2**63 - 1
"""What a column of the ledger holds: no provider can have sold more."""
ERROR_BODY_BYTES: Final = 64 * 1024
END_S: Final = 0.5
"""So long the end of a body may take behind an answer that is whole; then its connection is closed."""
NOTHING_USED: Final = Usage()
COST_NOTHING: Final = (Outcome.NOT_SENT, Outcome.REFUSED_BY_PROVIDER)
"""Unless the provider states otherwise."""


class Unsettled:
    """The attempts of this process that are dispatched and not settled."""

    def __init__(self) -> None:
        self._attempts: set[str] = set()
        self._none_left: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._attempts)

    def add(self, attempt_id: str) -> None:
        self._attempts.add(attempt_id)

    def settled(self, attempt_id: str) -> None:
        self._attempts.discard(attempt_id)
        if self._none_left is not None and not self._attempts and not self._none_left.done():
            self._none_left.set_result(None)

    async def none_left(self, timeout_s: float) -> int:
        """Wait until all are settled; return how many are not after `timeout_s`."""
        if self._attempts:
            self._none_left = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._none_left,), timeout=timeout_s)
        return len(self._attempts)


@dataclass(frozen=True, slots=True)
class Desk:
    """What every attempt needs: where to write, whom to call, what time it is."""

    journal: Journal
    upstream: Upstream
    access: Access
    estimator: Estimator
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    drain_s: float
    """How long a provider is listened to after the client has gone."""
    drain_tokens: int
    """How much it may still say meanwhile: events with content, of a token or more each."""
    unsettled: Unsettled
    stated: Callable[[Charge, Quote], None] = lambda _charge, _quote: None
    """Hears of charges whose cost the provider stated, with the quote they were admitted by."""


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
        place: Place,
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
        self._media = chat if isinstance(chat, MediaRequest) else None
        self._decoder: Decoder | None = None
        self._clock: Deadlines | None = None
        self._place = place
        self._client_gone = False
        self._ends_at: float | None = None
        self._heard_bytes = 0
        self._drained_tokens = 0
        self._outcome = Outcome.CLIENT_GONE  # unless something else becomes known
        self._reason: str | None = None
        self._written: Awaitable[None] | None = None
        self._is_refused = False
        self._http_status: int | None = None
        self._first_token_us: int | None = None

    async def events(self, beside: Sequence[Entry] = ()) -> AsyncGenerator[list[Delta], None]:
        """Dispatch, call the provider, yield what it says, settle: of a whole answer see `durable()`.

        `beside` are rows that must be durable together with the dispatch. Raises UpstreamError for
        every way a provider fails, JournalUnavailable if the dispatch cannot be made durable (then
        nothing was sent and there is nothing to settle).
        """
        try:
            await self._desk.journal.append((self.dispatch, *beside))
            self._desk.unsettled.add(self.dispatch.attempt_id)
            try:
                with Deadlines(self.deployment) as self._clock:
                    if self._client_gone:
                        self._clock.at_most(self._desk.drain_s)
                    request = await self._desk.access.proven(self._request, self.deployment)
                    answer = await self._desk.upstream.open(
                        request, self.deployment, self.dispatch.attempt_id
                    )
                    del request, self._request  # sent: a long answer need not hold its prompt's bytes
                    try:
                        await self._refuse_errors(answer)
                        self._decoder = self._decoder_of(answer)
                        while deltas := await self._heard(answer, self._clock, self._decoder):
                            yield deltas
                            if self._client_gone and self._drained(deltas):
                                break
                            self._clock.listen()
                    finally:
                        await answer.aclose()
                self.completion = self._finish()
                self._outcome = Outcome.CLIENT_GONE if self._client_gone else Outcome.SUCCESS
                self._place.answered(None)
            except UpstreamError as error:
                self._note_failure(error)
                raise
            except asyncio.CancelledError:
                self.cut()
                raise
            except Exception:  # a defect of ours: what was sent is charged all the same
                self._outcome = Outcome.ERROR
                raise
            finally:
                await self._settle(self._outcome)
        finally:
            self._place.leave()

    async def durable(self) -> None:
        """Wait until the charge is. Raises RecordRefused where an estimate had to take its place."""
        written, self._written = self._written, None
        if written is None:
            return
        try:
            await written  # a cancelled waiter changes nothing: the journal keeps every charge
        except RowRefused as refused:
            if not self._is_refused:  # else the dispatch stays open: its adopter charges it
                await _to_its_end(self._settle_refused())
            raise unavailable.record_refused() from refused

    def client_gone(self) -> None:
        """Nobody listens any more: hear the provider out for a while, for the sake of the charge."""
        self._client_gone = True
        if self._clock is not None:
            self._clock.at_most(self._desk.drain_s)

    def cut(self) -> None:
        """This process ends before the answer does; close `events()` after it."""
        if not self._client_gone:
            self._outcome = Outcome.BROKEN
        self._reason = "the gateway stopped before the answer ended"

    async def _refuse_errors(self, answer: UpstreamAnswer) -> None:
        self._http_status = answer.status
        if answer.status >= 300:
            body = await answer.read(ERROR_BODY_BYTES)
            raise self._adapter.error(answer.status, body, answer.headers)

    def _decoder_of(self, answer: UpstreamAnswer) -> Decoder:
        decoder = self._adapter.Decoder(self.deployment, stream=self._chat.stream)
        if isinstance(decoder, Whole):
            decoder.headers = answer.headers
        return decoder

    async def _heard(self, answer: UpstreamAnswer, clock: Deadlines, decoder: Decoder) -> list[Delta]:
        """Return what the provider says next; nothing at its end."""
        try:
            while piece := await (self._rest(answer, clock) if decoder.ended else answer.piece()):
                clock.heard()
                self._heard_bytes += len(piece)
                if self._heard_bytes > MAX_BODY_BYTES:
                    raise failures.broken("an answer without end")
                if deltas := decoder.feed(piece):
                    if self._first_token_us is None:
                        self._note_first_token()
                    return deltas
                clock.listen()
        except UpstreamBroken:
            if not self._is_whole(decoder):  # else nothing was missing but the connection's proper end
                raise
        return []

    async def _rest(self, answer: UpstreamAnswer, clock: Deadlines) -> bytes:
        """Return what comes behind an answer that is whole; some providers keep the body open for minutes."""
        clock.heard()
        now = asyncio.get_running_loop().time()
        self._ends_at = self._ends_at or now + END_S
        if now >= self._ends_at:
            return b""
        try:
            async with asyncio.timeout_at(self._ends_at):
                return await answer.piece()
        except TimeoutError:
            return b""

    def _is_whole(self, decoder: Decoder) -> bool:
        if self._chat.stream:
            return decoder.done
        completion = self._partial()
        return completion is not None and completion.complete

    def _note_first_token(self) -> None:
        elapsed_s = (self._desk.now() - self.dispatch.started_at).total_seconds()
        self._first_token_us = round(elapsed_s * 1_000_000)
        metrics.observe(metrics.first_token, self.deployment.id, seconds=elapsed_s)
        self._place.answered(elapsed_s)

    def _drained(self, deltas: Sequence[Delta]) -> bool:
        self._drained_tokens += sum(delta.has_content for delta in deltas)
        return self._drained_tokens >= self._desk.drain_tokens

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

    def _note_failure(self, error: UpstreamError) -> None:
        outcome = _outcome(error)
        if outcome is Outcome.REFUSED_BY_PROVIDER and self._first_token_us is not None:
            outcome = Outcome.BROKEN  # an error event inside a stream: what came before it was generated
        if self._client_gone and outcome not in COST_NOTHING:
            outcome = Outcome.CLIENT_GONE
        if not self._client_gone:  # else it may be our own impatience
            self._place.failed(error)
        self._outcome = outcome

    # --- settlement ------------------------------------------------------------------------------

    async def _settle(self, outcome: Outcome) -> None:
        """Make the charge durable. Runs to its end even if this task is cancelled meanwhile.

        What cannot be read or rated costs an answer its figures, never its charge.
        """
        completion = self.completion or self._partial()
        report = completion.report if completion else None
        is_reported = report is not None and not report.partial
        if not is_reported and outcome not in COST_NOTHING:
            await _to_its_end(self._settle_by_estimate(outcome, completion, report))
            return
        try:
            if report is not None and is_reported:
                self._write(self._charge(outcome, UsageSource.REPORTED, report.usage, completion))
            else:
                self._write(self._charge(outcome, UsageSource.NONE, NOTHING_USED, completion))
        except Exception as error:
            await _to_its_end(self._settle_anew(outcome, completion))
            if not isinstance(error, ArithmeticError):
                raise
        if not is_reported or outcome is not Outcome.SUCCESS or self._chat.stream:
            await self.durable()  # else its body is put together meanwhile

    def _partial(self) -> Completion | None:
        """Return what arrived before a break; None where it cannot be read."""
        if self._decoder is None:
            return None
        try:
            return self._decoder.finish()
        except Exception:  # noqa: BLE001 - whoever reads the answer raises it; the charge goes on without
            return None

    async def _settle_by_estimate(
        self, outcome: Outcome, completion: Completion | None, report: UsageReport | None
    ) -> None:
        source = UsageSource.PARTIAL if report else UsageSource.ESTIMATED
        try:
            usage = await self._estimated(completion, report)
            self._write(self._charge(outcome, source, usage, completion))
        except Exception as error:
            await self._settle_anew(outcome, completion)
            if not isinstance(error, ArithmeticError):
                raise
        await self.durable()

    async def _estimated(self, completion: Completion | None, report: UsageReport | None) -> Usage:
        return await asyncio.to_thread(
            self._desk.estimator.estimate,
            self.deployment.model_id,
            self._chat,
            completion,
            report.usage if report else self._media.expected if self._media else None,
        )

    async def _settle_refused(self) -> None:
        """Settle once more, without the rows beside the charge: any of them may be the one at fault."""
        assert self.charge is not None, "it was refused"
        self._is_refused = True
        outcome, self.charge = Outcome(self.charge.outcome), None
        await self._settle_anew(outcome, self.completion)
        await self.durable()

    async def _settle_anew(self, outcome: Outcome, completion: Completion | None) -> None:
        """Settle by no figure of the provider's: by an estimate, or where that fails by what was held."""
        if self.charge is not None:  # the journal has one
            return
        unstated = replace(completion, report=None) if completion else None
        source, usage = UsageSource.ESTIMATED, self._most()
        try:
            if outcome in COST_NOTHING:
                source, usage = UsageSource.NONE, NOTHING_USED
            else:
                usage = replace(await self._estimated(unstated, None), quarantined=True)
            self._write(self._charge(outcome, source, usage, unstated))
        except Exception:
            log.exception("attempt_settled_without_its_answer", attempt_id=self.dispatch.attempt_id)
            if self.charge is None:
                self._hand_over(self._charge(outcome, source, usage, None))

    def _most(self) -> Usage:
        dispatch = self.dispatch
        return Usage(input=dispatch.input_bytes, output=dispatch.max_output_tokens, quarantined=True)

    def _write(self, charge: Charge) -> None:
        """Hand the charge to the journal, with what must be durable together with it."""
        self._hand_over(charge, () if self._is_refused else self._beside(charge))

    def _hand_over(self, charge: Charge, beside: Sequence[Entry] = ()) -> None:
        self._written = self._desk.journal.append((charge, *beside))
        self.charge = charge  # from here on there is no second one
        self._desk.unsettled.settled(charge.attempt_id)  # handed over: the journal writes it before it stops
        metrics.count(metrics.attempts, self.deployment.id, str(charge.outcome))
        metrics.count_usage(self.deployment.model_id, charge.usage)
        if charge.stated_cost is not None:
            self._tell_stated(charge)

    def _tell_stated(self, charge: Charge) -> None:
        try:
            self._desk.stated(charge, self.dispatch.quote)
        except Exception:  # who only watches breaks no answer
            log.exception("stated_cost_unwatched", attempt_id=charge.attempt_id)

    def _beside(self, charge: Charge) -> Sequence[Entry]:
        """Return what outlives this answer and must be durable together with its charge: a video job."""
        if self._media is None or self._media.work is None:
            return ()
        return self._media.work.rows(charge, self.completion)

    def _charge(
        self, outcome: Outcome, source: UsageSource, usage: Usage, completion: Completion | None
    ) -> Charge:
        """Rate a usage. Raises ArithmeticError for figures that no ledger holds."""
        report = completion.report if completion else None
        asked_as = self._media.asked_as if self._media else None
        charge = Charge.settle(
            self.dispatch,
            charge_id=self._desk.new_id(),
            settled_at=self._desk.now(),
            outcome=outcome,
            source=source,
            usage=usage,
            stated_cost_usd=report.stated_cost_usd if report else None,
            service_tier=completion.service_tier if completion else asked_as,
            served_model=completion.served_model if completion else None,
            provider_request_id=completion.id if completion else None,
            raw_usage=_raw(report.raw) if report and report.raw else None,
            http_status=self._http_status,
            first_token_us=self._first_token_us,
            reason=self._reason,
        )
        amount = 0
        for line in charge.lines:
            amount += line.amount_nano_krw
            if line.quantity > MOST or amount > MOST:
                raise OverflowError("a usage that no ledger holds")
        return charge

    def now(self) -> datetime:
        return self._desk.now()

    def learn(self) -> None:
        """Let the estimator learn from this exchange, off the event loop, if it wants to."""
        report = self.completion.report if self.completion else None
        if report and not report.partial and self._desk.estimator.wants_sample(self.deployment.model_id):
            asyncio.get_running_loop().run_in_executor(
                None, self._desk.estimator.learn, self.deployment.model_id, self._chat, report.usage
            )


async def _to_its_end(settling: Coroutine[None, None, None]) -> None:
    """Wait for it; whoever cancels the waiter does not cancel it."""
    await asyncio.shield(asyncio.ensure_future(settling))


def _raw(usage: Mapping[str, JSON]) -> str | None:
    try:
        return orjson.dumps(usage).decode()
    except orjson.JSONEncodeError:  # nested deeper than orjson writes, though it read it
        return None


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
