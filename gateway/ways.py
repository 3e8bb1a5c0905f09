"""Where the verdict lets a request go: judged towards the zone of a model, kept inside, or refused.

One detection serves every judgement. A model is judged by the outermost zone it has; a fallback in
another zone than the one that was judged gets a verdict of its own there, or is no fallback.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from filters.decision import decide
from filters.errors import FilterRefusal, Unscannable
from filters.inspector import Detection
from filters.kinds import UNREAD
from filters.records import changed, record
from filters.verdict import NOTHING, Action, Unread
from gateway import metrics, refusals, routing
from gateway.domain import Zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filters.policy import PolicyBook, ZonePolicy
    from filters.verdict import JSON, Verdict
    from gateway.catalogue import Catalogue, Model
    from gateway.domain import Call, Caller
    from gateway.errors import GatewayError


MOST_NAMED: Final = 100
"""Parts that a refused request's receipt names as unread: a body may hold a hundred thousand."""


@record
class Way:
    """One model that may answer, by which verdict, in which zones."""

    model: Model
    zones: frozenset[Zone]
    verdict: Verdict
    judged: Zone
    """The zone the verdict was made for; `zones` is never wider."""
    rerouted: bool = False
    """Another model answers than the one that was asked for."""
    countries: frozenset[str] | None = None
    """Where the policy lets a deployment outside stand; None: anywhere."""


class Refused(Exception):
    """The verdict lets the request go nowhere. `way` is where it was judged, `error` what to say."""

    def __init__(self, way: Way, error: GatewayError) -> None:
        super().__init__(str(error))
        self.way = way
        self.error = error


class Ways:
    """`in_house_model` answers what may not leave; None: such a request is refused."""

    def __init__(
        self, catalogue: Catalogue, policies: PolicyBook, finding_key: bytes, in_house_model: str | None
    ) -> None:
        self._catalogue = catalogue
        self._policies = policies
        self._finding_key = finding_key
        self._in_house_model = in_house_model

    def use(self, policies: PolicyBook) -> None:
        """Judge by these from now on; requests under way keep the verdict they have."""
        self._policies = policies

    def first(self, call: Call, model: Model, detection: Detection) -> Way:
        """Return the way to `model`, or inside for what may not leave. Raises Refused or FilterRefusal."""
        way = self.judge(call, model, detection, outermost(model))
        if way.verdict.action is Action.ROUTE and way.judged is Zone.EXTERNAL:
            inside = self._inside(model, call.caller)
            if inside is None:
                listed = self._in_house_models(call.caller, model.kind)
                raise Refused(way, refusals.in_house_only(way.verdict, listed, call.request_id))
            way = _kept_inside(self.judge(call, inside, detection, Zone.IN_HOUSE), model)
        if way.verdict.action is Action.BLOCK:
            raise Refused(way, refusals.blocked(way.verdict, call.request_id))
        return way

    def fallbacks(self, call: Call, way: Way, detection: Detection) -> Iterator[Way]:
        """Yield the models that may answer when `way.model` does not, as far as the policy lets them."""
        for model_id in way.model.fallbacks:
            model = self._catalogue.get(model_id)
            if model is None or model.kind != way.model.kind or not may_use(call.caller, model):
                continue
            zones = model.zones if way.judged is Zone.EXTERNAL else model.zones & way.zones
            if way.judged in model.zones:
                yield Way(model, zones, way.verdict, way.judged, rerouted=True, countries=way.countries)
                continue
            try:
                other = self.judge(call, model, detection, outermost(model))
            except FilterRefusal:
                continue  # there its parts would have to be read
            if other.verdict.action in (Action.ALLOW, Action.MASK):
                yield dataclasses.replace(other, rerouted=True)

    def judge(self, call: Call, model: Model, detection: Detection, zone: Zone) -> Way:
        """Judge a detection by the policy of the caller's units towards `zone`. Raises FilterRefusal."""
        policy: ZonePolicy = self._policies.for_(call.caller.unit_path, zone, call.received_at)
        verdict = decide(detection, policy, self._finding_key)
        for finding in verdict.findings:
            metrics.count(metrics.findings, finding.span.type, finding.action.word)
        metrics.observe(metrics.inspection, seconds=verdict.receipt.elapsed_us / 1_000_000)
        zones = model.zones if zone is Zone.EXTERNAL else frozenset({zone})
        return Way(model, zones, verdict, zone, countries=policy.countries)

    def unread(
        self, call: Call, model: Model, detection: Detection, failure: FilterRefusal
    ) -> tuple[Refused, Detection]:
        """Refuse a request that was not read to its end: blocked, whatever stands in what was read of it.

        The detection that comes back lists what was not read, `detection` being what was.
        """
        parts = _parts_of(failure)
        way = self.judge(call, model, changed(detection, unread=()), outermost(model))
        receipt = changed(
            way.verdict.receipt,
            action=Action.BLOCK,
            unscanned=tuple(part.path for part in parts[:MOST_NAMED]),
            reasons=(*way.verdict.receipt.reasons, UNREAD),
            simulated=False,
        )
        way = changed(way, verdict=changed(way.verdict, action=Action.BLOCK, receipt=receipt))
        error = refusals.unfinished(failure, call.request_id)
        error.__cause__ = failure
        return Refused(way, error), changed(detection, unread=parts)

    def _inside(self, model: Model, caller: Caller) -> Model | None:
        if Zone.IN_HOUSE in model.zones:
            return model
        inside = self._in_house_models(caller, model.kind)
        return next((m for m in inside if m.id == self._in_house_model), None)

    def _in_house_models(self, caller: Caller, kind: str) -> tuple[Model, ...]:
        inside = routing.models_inside(self._catalogue, Zone.IN_HOUSE, kind)
        return tuple(model for model in inside if may_use(caller, model))


def nothing_read(body: JSON, rules_version: str) -> Detection:
    """Return what is known of a request whose inspection ended before its end."""
    return Detection(body, (), (), (), 0, 0, rules_version, 0, NOTHING)


def _parts_of(failure: FilterRefusal) -> tuple[Unread, ...]:
    """Return what was not read; the whole request is `*`."""
    if not isinstance(failure, Unscannable):
        return (Unread("*", "unfinished"),)
    return failure.parts or (Unread("*", failure.reason),)


def may_use(caller: Caller, model: Model) -> bool:
    return caller.allowed_models is None or model.id in caller.allowed_models


def outermost(model: Model) -> Zone:
    """Return the zone a model is judged by: outside as soon as one of its deployments is."""
    return Zone.EXTERNAL if Zone.EXTERNAL in model.zones else Zone.IN_HOUSE


def _kept_inside(way: Way, asked: Model) -> Way:
    """Mark a way that leads inside because nothing may leave: its receipt says route."""
    if way.verdict.action is Action.BLOCK:
        return way
    receipt = dataclasses.replace(way.verdict.receipt, action=Action.ROUTE)
    verdict = dataclasses.replace(way.verdict, action=Action.ROUTE, receipt=receipt)
    return dataclasses.replace(way, verdict=verdict, rerouted=way.model is not asked)
