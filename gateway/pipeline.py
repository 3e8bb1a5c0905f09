"""The straight line of one request: identify, parse, inspect, route, dispatch, answer, settle.

Reads top-down. Decisions are made by pure parts (identity, filters, routing, prices); this module
puts them in order and owns no state of its own. Nothing is sent before its inspection and its
dispatch row are done.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from billing.journal import JournalUnavailable
from billing.ledger import Attribution, Dispatch
from billing.periods import billing_month
from billing.prices import NoPrice
from filters.decision import decide
from filters.errors import DetectorFailed, FilterRefusal, Unscannable
from filters.verdict import Action
from gateway import metrics, refusals, routing
from gateway.answer import Channels
from gateway.attempt import Attempt
from gateway.domain import Call, Zone
from gateway.errors import (
    GatewayError,
    LedgerUnavailable,
    ModelNotAllowed,
    ServiceUnavailable,
    UnknownModel,
    UnsupportedFeature,
    UpstreamError,
    UpstreamRejected,
)
from gateway.metered import MeteredStream, Serving, whole
from gateway.providers import adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from starlette.responses import Response

    from billing.ledger import Entry
    from billing.prices import PriceBook
    from filters.inspector import Detection, Inspector
    from filters.policy import PolicyBook, ZonePolicy
    from filters.verdict import Verdict
    from gateway.attempt import Desk
    from gateway.catalogue import Catalogue, Deployment, Model
    from gateway.domain import JSON, Caller, ChatRequest
    from gateway.identity import Directory
    from gateway.surfaces.base import Surface

INLINE_CHARACTERS: Final = 8 * 1024
"""Bodies larger than this, in bytes, are inspected off the event loop (invariant 10)."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a request brings in beside its body and its caller."""

    request_id: str
    surface: Surface
    size: int
    """Bytes of the body as it came."""
    render_error: Callable[[GatewayError], bytes]
    client_ip: str = ""
    conversation: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """Where the verdict lets a request go, and what it looks like there."""

    model: Model
    zones: frozenset[Zone]
    verdict: Verdict
    rerouted: bool = False
    """Another model answers than the one that was asked for."""


class CurrentDirectory(Protocol):
    def current(self) -> Directory: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the line needs, built by gateway/app.py."""

    catalogue: Catalogue
    directory: CurrentDirectory
    inspector: Inspector
    policies: PolicyBook
    prices: PriceBook
    desk: Desk
    receipt: Callable[[Call, Verdict, str, int], Entry]
    """(call, verdict, model id, attempts) -> the receipt's row."""
    finding_key: bytes
    in_house_model: str | None
    """Where a request goes that only an in-house model may answer; None: it is refused."""
    default_max_output_tokens: int
    conceal_models: bool = False


class Pipeline:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """Return who asks. Raises Unauthenticated, Forbidden or ServiceUnavailable."""
        return self._parts.directory.current().identify(headers, self._parts.desk.now())

    def models_for(self, caller: Caller) -> tuple[Model, ...]:
        """Return the models that the caller may use."""
        models: Iterable[Model] = self._parts.catalogue.models.values()
        return tuple(m for m in models if caller.allowed_models is None or m.id in caller.allowed_models)

    async def answer(self, door: Door, caller: Caller, body: JSON) -> Response:
        """Serve one chat-like request. Raises GatewayError for everything that is not an answer."""
        call = Call(door.request_id, caller, self._parts.desk.now(), door.surface.NAME, door.client_ip)
        request = door.surface.parse(body)
        model = self._open_model(request.model, caller)
        detection = await self._detect(body, door, caller)
        way = await self._decide(call, model, detection)
        if way.verdict.body is not body:
            request = door.surface.parse(way.verdict.body)
        request = _bounded(request, way.model, self._parts.default_max_output_tokens)
        return await self._attempt(door, call, request, way)

    async def preview(self, door: Door, caller: Caller, body: JSON) -> dict[str, Any]:
        """Return what the filter would do with a request. Nothing is sent, stored or charged."""
        call = Call(door.request_id, caller, self._parts.desk.now(), door.surface.NAME, door.client_ip)
        model = self._open_model(door.surface.parse(body).model, caller)
        detection = await self._detect(body, door, caller)
        verdict = self._way(call, model, detection, _zone(model)).verdict
        return {
            "verdict": verdict.receipt.action.word,
            "model": model.id,
            "zone": _zone(model),
            "grade": verdict.receipt.grade_before,
            "findings": refusals.found(verdict),
            "masked": verdict.body,
            "rules_version": verdict.receipt.rules_version,
            "policy_version": verdict.receipt.policy_version,
        }

    # --- which model -----------------------------------------------------------------------------

    def _open_model(self, model_id: str, caller: Caller) -> Model:
        model = self._parts.catalogue.get(model_id)
        if model is None:
            raise unknown_model(model_id)
        if caller.allowed_models is not None and model_id not in caller.allowed_models:
            raise ModelNotAllowed(
                f"'{model_id}' 모델은 이 키로 쓸 수 없습니다. 쓸 수 있는 모델: GET /v1/models",
                f"'{model_id}' is not open to this key. GET /v1/models lists what is.",
                param="model",
            )
        if model.kind != "chat":
            raise UnsupportedFeature(
                f"'{model_id}'은(는) 대화 모델이 아닙니다(종류: {model.kind}). 대화 모델을 고르세요.",
                f"'{model_id}' is no chat model (kind: {model.kind}). Choose a chat model.",
                param="model",
            )
        return model

    # --- the filter ------------------------------------------------------------------------------

    async def _detect(self, body: JSON, door: Door, caller: Caller) -> Detection:
        inspect = self._parts.inspector.detect
        conversation = f"{caller.key_id}/{caller.person_id}/{door.conversation}"
        now = self._parts.desk.now()
        try:
            if door.size <= INLINE_CHARACTERS:
                return inspect(body, conversation, now)
            return await asyncio.to_thread(inspect, body, conversation, now)
        except (Unscannable, DetectorFailed) as failure:
            raise refusals.unfinished(failure) from failure

    async def _decide(self, call: Call, model: Model, detection: Detection) -> Way:
        """Judge towards the zone of the model; send inside what may not leave, or refuse."""
        way = self._way(call, model, detection, _zone(model))
        if way.verdict.action is Action.ROUTE and Zone.EXTERNAL in way.zones:
            inside = self._inside(model, call.caller)
            if inside is None:
                await self._record(call, way, attempts=0)
                raise refusals.in_house_only(way.verdict, self._in_house_models(call.caller))
            way = _kept_inside(self._way(call, inside, detection, Zone.IN_HOUSE), model)
        if way.verdict.action is Action.BLOCK:
            await self._record(call, way, attempts=0)
            raise refusals.blocked(way.verdict)
        return way

    def _way(self, call: Call, model: Model, detection: Detection, zone: Zone) -> Way:
        policy: ZonePolicy = self._parts.policies.for_(call.caller.unit_path, zone, call.received_at)
        try:
            verdict = decide(detection, policy, self._parts.finding_key)
        except FilterRefusal as failure:
            raise refusals.unfinished(failure) from failure
        for finding in verdict.findings:
            metrics.count(metrics.findings, finding.span.type, finding.action.word)
        metrics.observe(metrics.inspection, seconds=verdict.receipt.elapsed_us / 1_000_000)
        return Way(model, model.zones if zone is Zone.EXTERNAL else frozenset({zone}), verdict)

    def _inside(self, model: Model, caller: Caller) -> Model | None:
        if Zone.IN_HOUSE in model.zones:
            return model
        return next((m for m in self._in_house_models(caller) if m.id == self._parts.in_house_model), None)

    def _in_house_models(self, caller: Caller) -> tuple[Model, ...]:
        allowed = {m.id for m in self.models_for(caller)}
        inside = routing.models_inside(self._parts.catalogue, Zone.IN_HOUSE, "chat")
        return tuple(m for m in inside if m.id in allowed)

    async def _record(self, call: Call, way: Way, *, attempts: int) -> None:
        """Make the receipt of a refusal durable."""
        metrics.count(metrics.requests, call.surface, way.verdict.action.word)
        try:
            await self._parts.desk.journal.append(
                (self._parts.receipt(call, way.verdict, way.model.id, attempts),)
            )
        except JournalUnavailable as error:
            raise _ledger_unavailable() from error

    # --- the answer ------------------------------------------------------------------------------

    async def _attempt(self, door: Door, call: Call, request: ChatRequest, way: Way) -> Response:
        """Try the deployments in order until one answers; a stream is committed at its first token."""
        pick = int(call.request_id[-4:], 16) / 0x10000
        deployments = routing.choose(way.model, way.zones, pick)
        last: GatewayError = no_deployment(way.model)
        for number, deployment in enumerate(deployments, start=1):
            attempt = self._prepare(call, request, deployment, number)
            beside = (self._parts.receipt(call, way.verdict, way.model.id, 1),) if number == 1 else ()
            channels = Channels(way.verdict, self._parts.inspector.engine)
            serving = Serving(attempt, door.surface, call, channels, _headers(way, attempt))
            try:
                if request.stream:
                    return await MeteredStream.begin(serving, beside, request, door.render_error)
                return await whole(serving, beside)
            except UpstreamRejected:
                raise
            except UpstreamError as error:
                last = error
            except JournalUnavailable as error:
                raise _ledger_unavailable() from error
        raise last

    def _prepare(self, call: Call, request: ChatRequest, deployment: Deployment, number: int) -> Attempt:
        speaking = adapter(deployment.wire)
        sent = speaking.request(request, deployment)
        now = self._parts.desk.now()
        try:
            quote = self._parts.prices.quote(deployment.price_key, now)
        except NoPrice as missing:
            raise ServiceUnavailable(missing.korean, missing.english, code="no_price") from missing
        most_output = request.max_output_tokens or self._parts.default_max_output_tokens
        dispatch = Dispatch(
            attempt_id=self._parts.desk.new_id(),
            request_id=call.request_id,
            started_at=now,
            billing_period=billing_month(now),
            attribution=_attribution(call, request, deployment),
            quote=quote,
            hold_nano_krw=quote.upper_bound(len(sent.body), most_output, request.n),
            input_bytes=len(sent.body),
            max_output_tokens=most_output,
            attempt_no=number,
        )
        return Attempt(self._parts.desk, dispatch, request, sent, deployment, speaking)


def _kept_inside(way: Way, asked: Model) -> Way:
    """Mark a way that leads inside because nothing may leave: its receipt says route."""
    if way.verdict.action is Action.BLOCK:
        return way
    receipt = dataclasses.replace(way.verdict.receipt, action=Action.ROUTE)
    verdict = dataclasses.replace(way.verdict, action=Action.ROUTE, receipt=receipt)
    return dataclasses.replace(way, verdict=verdict, rerouted=way.model is not asked)


def _zone(model: Model) -> Zone:
    """Return the zone a model is judged by: outside as soon as one of its deployments is."""
    return Zone.EXTERNAL if Zone.EXTERNAL in model.zones else Zone.IN_HOUSE


def _attribution(call: Call, request: ChatRequest, deployment: Deployment) -> Attribution:
    caller = call.caller
    return Attribution(
        person_id=caller.person_id,
        key_id=caller.key_id,
        department_id=caller.department_id,
        unit_path=caller.unit_path,
        model_id=deployment.model_id,
        deployment_id=deployment.id,
        provider=deployment.provider,
        upstream_model=deployment.upstream_model,
        zone=deployment.zone,
        surface=call.surface,
        stream=request.stream,
        via_service=caller.via_service,
    )


def _bounded(request: ChatRequest, model: Model, default: int) -> ChatRequest:
    """Give every request an output limit, so that its cost has a bound."""
    asked = request.max_output_tokens or model.default_max_output_tokens or default
    most = asked if model.max_output_tokens is None else min(asked, model.max_output_tokens)
    return dataclasses.replace(request, model=model.id, max_output_tokens=most)


def _headers(way: Way, attempt: Attempt) -> dict[str, str]:
    headers = {
        "x-haechi-model": way.model.id,
        "x-haechi-zone": attempt.deployment.zone,
        "x-haechi-verdict": way.verdict.action.word,
    }
    if way.verdict.receipt.counts:
        headers["x-haechi-findings"] = ",".join(f"{k}={n}" for k, n in way.verdict.receipt.counts.items())
    if attempt.dropped:
        headers["x-haechi-dropped"] = ",".join(attempt.dropped)
    if attempt.deployment.simulated:
        headers["x-haechi-simulated"] = "true"
    return headers


def unknown_model(model_id: str) -> UnknownModel:
    shown = "".join(c if c.isprintable() else "?" for c in model_id[:80])
    return UnknownModel(
        f"'{shown}' 모델은 없습니다. 쓸 수 있는 모델: GET /v1/models",
        f"There is no model '{shown}'. GET /v1/models lists what you may use.",
        param="model",
    )


def no_deployment(model: Model) -> GatewayError:
    return ServiceUnavailable(
        f"'{model.id}' 모델에 지금 쓸 수 있는 배포가 없습니다. 다른 모델을 고르거나 관리자에게 알리세요.",
        f"'{model.id}' has no deployment that may answer now. Choose another model or ask the administrator.",
        code="no_deployment",
    )


def _ledger_unavailable() -> LedgerUnavailable:
    return LedgerUnavailable(
        "사용 기록을 저장할 수 없어 요청을 보내지 않았습니다. 잠시 뒤 다시 시도하세요.",
        "Usage cannot be recorded now, so nothing was sent. Try again shortly.",
        retry_after_s=5,
    )
