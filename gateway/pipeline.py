"""The straight line of one request: identify, parse, inspect, judge, route, dispatch, answer, settle.

Reads top-down. Decisions are made by pure parts (identity, filters, routing, prices); this module
puts them in order and owns no state of its own. Nothing is sent before its inspection and its
dispatch row are done.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from billing.journal import JournalUnavailable, RowRefused
from billing.ledger import Charge, Kind, Outcome
from billing.periods import billing_month
from billing.usage import Usage, UsageSource
from filters.errors import FilterRefusal
from filters.records import changed, record
from filters.verdict import Action
from gateway import metrics, refusals, unavailable
from gateway.dispatch import attribution, most_tokens
from gateway.domain import Call
from gateway.errors import ModelNotAllowed, UnsupportedFeature
from gateway.failover import Failover, Leg
from gateway.limits import words
from gateway.limits.limiter import LimitReached
from gateway.metered import MeteredAnswer, Reply, replayed
from gateway.ways import Refused, may_use, nothing_read, outermost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from starlette.responses import Response

    from billing.ledger import Attribution, Entry
    from filters.inspector import Detection, Inspector
    from filters.verdict import Finding, Verdict
    from gateway.attempt import Attempt, Desk
    from gateway.cache import AnswerCache, Cached
    from gateway.catalogue import Catalogue, Model
    from gateway.cohort import Cohort
    from gateway.domain import JSON, Caller, ChatRequest, Completion
    from gateway.errors import GatewayError
    from gateway.failover import Team
    from gateway.identity import Directory
    from gateway.limits.limiter import Admission, Limiter, Standing
    from gateway.reader import Patience
    from gateway.sidecalls import SideCalls
    from gateway.surfaces.base import Surface
    from gateway.ways import Way, Ways

INLINE_CHARACTERS: Final = 8 * 1024
"""Bodies larger than this, in bytes, are inspected off the event loop (invariant 10)."""


@record
class Door:
    """What a request brings in beside its body and its caller."""

    request_id: str
    surface: Surface
    size: int
    """Bytes of the body as it came."""
    render_error: Callable[[GatewayError], bytes]
    client_ip: str = ""
    conversation: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Where side calls name their task, and a client asks for a fresh answer."""


class CurrentDirectory(Protocol):
    def current(self) -> Directory: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the line needs, built by gateway/app.py."""

    catalogue: Catalogue
    directory: CurrentDirectory
    inspector: Inspector
    ways: Ways
    team: Team
    desk: Desk
    receipt: Callable[[Call, Verdict, str, int], Entry]
    """(call, verdict, model id, attempts) -> the receipt's row."""
    side_calls: SideCalls
    patience: Patience
    cache: AnswerCache | None
    default_max_output_tokens: int
    limiter: Limiter
    cohort: Cohort
    finding_key: bytes = dataclasses.field(repr=False)
    incident: Callable[[Call, Verdict, str, Detection], Sequence[Entry]] = lambda *_: ()
    """(call, verdict, model id, detection) -> rows of the incident that it is, if it is one."""
    left_nano_krw: Callable[[Attribution, str], int | None] = lambda _payer, _period: None
    """(who pays, billing period) -> nano-won that the tightest hard budget leaves; None: there is none."""


class Pipeline:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """Return who asks. Raises Unauthenticated, Forbidden or ServiceUnavailable."""
        return self._parts.directory.current().identify(headers, self._parts.desk.now())

    def models_for(self, caller: Caller) -> tuple[Model, ...]:
        """Return the models that the caller may use."""
        models: Iterable[Model] = self._parts.catalogue.models.values()
        return tuple(model for model in models if may_use(caller, model))

    async def rate_limits(self, caller: Caller) -> Sequence[Standing]:
        """Return how near the caller is to each limit by the minute."""
        return await self._parts.limiter.standings(caller, [model.id for model in self.models_for(caller)])

    async def answer(self, door: Door, caller: Caller, body: JSON) -> Response:
        """Serve one chat-like request. Raises GatewayError for everything that is not an answer."""
        parts = self._parts
        call = self._call(door, caller)
        request = door.surface.parse(body)
        model = self._open_model(request.model, door.surface.KIND, caller)
        model = parts.side_calls.model(call.label, model, caller, parts.catalogue)
        admission = None
        if parts.limiter.counts(caller):
            admission = await self._admit(door, caller, request, model)
        try:
            return await self._answer(door, call, body, request, model, admission)
        except BaseException:
            if admission is not None:
                admission.settle(0)  # nobody was asked
            raise

    async def _answer(
        self,
        door: Door,
        call: Call,
        body: JSON,
        request: ChatRequest,
        model: Model,
        admission: Admission | None,
    ) -> Response:
        parts = self._parts
        way, detection = await self._first_way(door, call, model, body)
        incident: Sequence[Entry] = ()
        if way.verdict.action is not Action.ALLOW:
            incident = await self._incident(door, call, way, detection)
        reply = self._reply(door, call, request, (way, incident), admission)
        if parts.cache is not None and door.surface.KIND == "chat" and _may_repeat(door):
            key = parts.cache.key(call, way, body)
            cached = parts.cache.get(key)
            if cached is not None:
                await self._record_hit(call, way, request, cached, incident)
                if admission is not None:
                    admission.settle(0)
                return replayed(reply, way, cached.completion)
            reply = dataclasses.replace(reply, keep=self._keeper(parts.cache, key, way))
        legs = self._legs(door, call, request, way, detection)
        receipts = self._receipts(call, incident)
        return MeteredAnswer(reply, Failover(parts.team, call, legs, receipts, door.size))

    async def preview(self, door: Door, caller: Caller, body: JSON) -> dict[str, Any]:
        """Return what the filter would do with a request. Nothing is sent, stored or charged."""
        call = self._call(door, caller)
        model = self._open_model(door.surface.parse(body).model, door.surface.KIND, caller)
        try:
            detection = await self._detect(body, door, caller)
            way = self._parts.ways.judge(call, model, detection, outermost(model))
        except FilterRefusal as failure:
            raise refusals.unfinished(failure) from failure
        receipt = way.verdict.receipt
        return {
            "verdict": receipt.action.word,
            "model": model.id,
            "zone": way.judged,
            "grade": receipt.grade_before,
            "findings": refusals.found(way.verdict),
            "masked": way.verdict.body,
            "rules_version": receipt.rules_version,
            "policy_version": receipt.policy_version,
        }

    async def count_tokens(self, door: Door, caller: Caller, body: JSON) -> int:
        """Estimate the input tokens of a request, which is inspected like any other and not sent."""
        call = self._call(door, caller)
        request = door.surface.parse(body)
        model = self._open_model(request.model, door.surface.KIND, caller)
        way, _ = await self._first_way(door, call, model, body)
        return await asyncio.to_thread(self._parts.desk.estimator.input_of, way.model.id, request)

    def _call(self, door: Door, caller: Caller) -> Call:
        task = self._parts.side_calls.task(door.headers)
        now = self._parts.desk.now()
        return Call(door.request_id, caller, now, door.surface.NAME, door.client_ip, task)

    # --- which model -----------------------------------------------------------------------------

    def _open_model(self, model_id: str, kind: str, caller: Caller) -> Model:
        model = self._parts.catalogue.get(model_id)
        if model is None:
            raise unavailable.unknown_model(model_id)
        if not may_use(caller, model):
            raise ModelNotAllowed(
                f"'{model_id}' 모델은 이 키로 쓸 수 없습니다. 쓸 수 있는 모델: GET /v1/models",
                f"'{model_id}' is not open to this key. GET /v1/models lists what is.",
                param="model",
            )
        if model.kind != kind:
            raise UnsupportedFeature(
                f"'{model_id}'은(는) 이 주소에서 쓸 수 없는 모델입니다(종류: {model.kind}, 필요: {kind}).",
                f"'{model_id}' does not serve this address (its kind: {model.kind}, needed: {kind}).",
                param="model",
            )
        return model

    async def _admit(
        self, door: Door, caller: Caller, request: ChatRequest, model: Model
    ) -> Admission | None:
        """Count the request, and the most tokens it may use, by the minute. Raises RateLimited."""
        most = most_tokens(request, door.size, _most_output(request, model, self._default_output))
        try:
            return await self._parts.limiter.admit(caller, model.id, most)
        except LimitReached as reached:
            metrics.count(metrics.requests, door.surface.NAME, "rate_limited")
            raise words.refusal(reached, door.surface.NAME) from None

    @property
    def _default_output(self) -> int:
        return self._parts.default_max_output_tokens

    # --- the filter ------------------------------------------------------------------------------

    async def _detect(self, body: JSON, door: Door, caller: Caller) -> Detection:
        """Raises FilterRefusal."""
        inspect = self._parts.inspector.detect
        conversation = f"{caller.key_id}/{caller.person_id}/{door.conversation}"
        now = self._parts.desk.now()
        if door.size <= INLINE_CHARACTERS:
            await self._parts.cohort.step()
            detection = inspect(body, conversation, now)
            await self._parts.cohort.step()
            return detection
        return await asyncio.to_thread(inspect, body, conversation, now)

    async def _first_way(self, door: Door, call: Call, model: Model, body: JSON) -> tuple[Way, Detection]:
        """Inspect a request and return where it may go; a refusal leaves receipt and incident first."""
        detection = None
        try:
            detection = await self._detect(body, door, call.caller)
            return self._parts.ways.first(call, model, detection), detection
        except Refused as stopped:
            refused = stopped
        except FilterRefusal as failure:
            read = detection or nothing_read(body, self._parts.inspector.rules_version)
            refused, detection = self._parts.ways.unread(call, model, read, failure)
        metrics.count(metrics.requests, call.surface, refused.way.verdict.action.word)
        assert detection is not None, "a verdict has something it was made over"
        incident = await self._incident(door, call, refused.way, detection)
        await self._record(call, refused.way, *incident)
        raise refused.error

    async def _incident(self, door: Door, call: Call, way: Way, detection: Detection) -> Sequence[Entry]:
        """Return the rows of the incident that a request is; sealing a long text is off the event loop."""
        make = self._parts.incident
        if door.size <= INLINE_CHARACTERS:
            return make(call, way.verdict, way.model.id, detection)
        return await asyncio.to_thread(make, call, way.verdict, way.model.id, detection)

    def _legs(
        self, door: Door, call: Call, request: ChatRequest, way: Way, detection: Detection
    ) -> Iterator[Leg]:
        """Yield the way and then its fallbacks, each with the request as it goes there."""
        default = self._parts.default_max_output_tokens
        leg = Leg(way, _bounded(_masked(door, request, way, detection), way.model, default))
        yield leg
        for other in self._parts.ways.fallbacks(call, way, detection):
            yield Leg(other, _bounded(_masked(door, request, other, detection), other.model, default))

    # --- the answer ------------------------------------------------------------------------------

    def _reply(
        self,
        door: Door,
        call: Call,
        request: ChatRequest,
        judged: tuple[Way, Sequence[Entry]],
        admission: Admission | None,
    ) -> Reply:
        way, incident = judged
        return Reply(
            call=call,
            request=request,
            surface=door.surface,
            detector=self._parts.inspector.engine,
            patience=self._parts.patience,
            render_error=door.render_error,
            now=self._parts.desk.now,
            record=lambda: self._record(call, way, *incident),
            record_answer=lambda served, findings: self._record_answer(call, served, findings),
            hash_key=self._parts.finding_key,
            cohort=self._parts.cohort,
            admission=admission,
            left_nano_krw=self._parts.left_nano_krw,
        )

    def _keeper(
        self, cache: AnswerCache, key: bytes, asked: Way
    ) -> Callable[[Leg, Attempt, Completion], None]:
        def keep(leg: Leg, attempt: Attempt, completion: Completion) -> None:
            if leg.way is asked:  # what a fallback said is not the answer of the model asked for
                cache.put(key, completion, attempt.dispatch, attempt.deployment)

        return keep

    # --- receipts --------------------------------------------------------------------------------

    def _receipts(self, call: Call, incident: Sequence[Entry]) -> Callable[[Way, int], Sequence[Entry]]:
        """Return what makes the receipt of a verdict; a request's second verdict is `…#1`."""

        def receipt(way: Way, number: int) -> Sequence[Entry]:
            if number == 0:
                return (self._parts.receipt(call, way.verdict, way.model.id, 1), *incident)
            named = dataclasses.replace(call, request_id=f"{call.request_id}#{number}")
            return (self._parts.receipt(named, way.verdict, way.model.id, 1),)

        return receipt

    async def _record(self, call: Call, way: Way, *beside: Entry) -> None:
        """Make durable the receipt of a request that no provider was asked for."""
        receipt = self._parts.receipt(call, way.verdict, way.model.id, 0)
        try:
            await self._parts.desk.journal.append((receipt, *beside))
        except JournalUnavailable as error:
            raise unavailable.ledger_unavailable() from error
        except RowRefused as error:
            raise unavailable.record_refused() from error

    async def _record_answer(self, call: Call, way: Way, findings: Sequence[Finding]) -> None:
        """Make durable what was masked in an answer: a receipt of its own, `…#answer`."""
        counts = Counter(finding.span.type for finding in findings)
        for kind, times in counts.items():
            metrics.count(metrics.findings, kind, "mask_answer", amount=times)
        seen = dataclasses.replace(
            way.verdict.receipt,
            action=Action.MASK,
            findings=tuple(findings),
            counts=counts,
            reasons=("answer",),
        )
        named = dataclasses.replace(call, request_id=f"{call.request_id}#answer")
        await self._record(
            named, dataclasses.replace(way, verdict=dataclasses.replace(way.verdict, receipt=seen))
        )

    async def _record_hit(
        self, call: Call, way: Way, request: ChatRequest, cached: Cached, incident: Sequence[Entry]
    ) -> None:
        """Write the row that says an answer was given again, for nothing."""
        now = self._parts.desk.now()
        row = Charge.settle(
            dataclasses.replace(
                cached.dispatch,
                attempt_id=self._parts.desk.new_id(),
                request_id=call.request_id,
                started_at=now,
                billing_period=billing_month(now),
                attribution=attribution(call, request, cached.deployment),
            ),
            charge_id=self._parts.desk.new_id(),
            settled_at=now,
            outcome=Outcome.SUCCESS,
            source=UsageSource.NONE,
            usage=Usage(),
            kind=Kind.CACHE_HIT,
            reason=f"answered from the cache; attempt {cached.dispatch.attempt_id} was charged",
        )
        await self._record(call, way, row, *incident)


def _may_repeat(door: Door) -> bool:
    return "no-cache" not in door.headers.get("cache-control", "")


def _masked(door: Door, request: ChatRequest, way: Way, detection: Detection) -> ChatRequest:
    """Return the request as the verdict lets it go; parsed anew only where something was masked."""
    masked = way.verdict.body
    return request if masked is detection.body else door.surface.parse(masked)


def _bounded(request: ChatRequest, model: Model, default: int) -> ChatRequest:
    """Give every request an output limit, so that its cost has a bound."""
    return changed(request, model=model.id, max_output_tokens=_most_output(request, model, default))


def _most_output(request: ChatRequest, model: Model, default: int) -> int:
    """Return the tokens that one choice may have: as asked, else as configured, never above the model's."""
    asked = request.max_output_tokens or model.default_max_output_tokens or default
    return asked if model.max_output_tokens is None else min(asked, model.max_output_tokens)
