"""Where a request may go: a pure choice over a snapshot of the deployments that the verdict allows.

A choice never leaves the zones that it was given. Who is healthy, busy, fast or cheap comes in as
values; nothing in this module measures, waits or connects. The same snapshot and the same `pick`
give the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.catalogue import Strategy
from gateway.domain import Zone

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gateway.catalogue import Catalogue, Deployment, Model


class Standing(NamedTuple):
    """How one deployment stands at this moment.

    `first_token_s` is a decaying average, None if nothing is known. `cost_nano_krw` is filled in where
    the strategy asks for it.
    """

    deployment: Deployment
    open: bool = True
    """It takes attempts: its breaker is closed, or due for a probe."""
    open_alone: bool = True
    """It would take one if there were nowhere else to go."""
    free: bool = True
    """It has room for one more attempt without a wait."""
    in_flight: int = 0
    first_token_s: float | None = None
    cost_nano_krw: int = 0


def allowed(
    model: Model, zones: Collection[Zone], countries: Collection[str] | None = None
) -> tuple[Deployment, ...]:
    """Return the deployments of a model that a verdict for `zones` lets it use.

    With `countries`, a deployment outside must stand in one of them and say so; in-house ones are ours.
    """
    return tuple(
        d
        for d in model.deployments
        if d.zone in zones
        and d.weight > 0
        and (countries is None or d.zone is Zone.IN_HOUSE or d.country in countries)
    )


def choose(standings: Sequence[Standing], strategy: Strategy, pick: float) -> Deployment | None:
    """Return where the next attempt goes; None if nobody takes it.

    Those with room go before those where it has to wait. `pick` in [0, 1) decides by weight, and
    between equals.
    """
    takers = [s for s in standings if s.open] or [s for s in standings if s.open_alone]
    takers = [s for s in takers if s.free] or takers
    if len(takers) < 2:
        return takers[0].deployment if takers else None
    match strategy:
        case Strategy.WEIGHTED:
            return _by_weight(takers, pick)
        case Strategy.LEAST_BUSY:
            return _least([(s.in_flight + 1) / s.deployment.weight for s in takers], takers, pick)
        case Strategy.LOWEST_LATENCY:
            return _least([s.first_token_s or 0.0 for s in takers], takers, pick)
        case Strategy.CHEAPEST:
            return _least([s.cost_nano_krw for s in takers], takers, pick)


def _least(scores: Sequence[float], takers: Sequence[Standing], pick: float) -> Deployment:
    lowest = min(scores)
    return _by_weight([s for s, score in zip(takers, scores, strict=True) if score == lowest], pick)


def _by_weight(takers: Sequence[Standing], pick: float) -> Deployment:
    remaining = pick * sum(s.deployment.weight for s in takers)
    for standing in takers:
        remaining -= standing.deployment.weight
        if remaining < 0:
            return standing.deployment
    return takers[-1].deployment


def models_inside(catalogue: Catalogue, zone: Zone, kind: str) -> tuple[Model, ...]:
    """Return the models of a kind that have a deployment inside `zone`."""
    return tuple(m for m in catalogue.models.values() if m.kind == kind and zone in m.zones)
