"""Where a request may go: a pure choice over what the verdict allows.

A choice never leaves the zones that it was given. Health and strategies join here as values;
nothing in this module measures, waits or connects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.catalogue import Catalogue, Deployment, Model
    from gateway.domain import Zone


def choose(model: Model, zones: Iterable[Zone], pick: float) -> tuple[Deployment, ...]:
    """Return the model's deployments inside `zones`, first choice first.

    `pick` in [0, 1) selects the first by weight; the rest follow, heaviest first, as fallbacks. The
    same `pick` gives the same order.
    """
    allowed = [d for d in model.deployments if d.zone in frozenset(zones) and d.weight > 0]
    if len(allowed) < 2:
        return tuple(allowed)
    first = _weighted(allowed, pick)
    rest = sorted((d for d in allowed if d is not first), key=lambda d: (-d.weight, d.id))
    return (first, *rest)


def _weighted(deployments: list[Deployment], pick: float) -> Deployment:
    remaining = pick * sum(d.weight for d in deployments)
    for deployment in deployments:
        remaining -= deployment.weight
        if remaining < 0:
            return deployment
    return deployments[-1]


def models_inside(catalogue: Catalogue, zone: Zone, kind: str) -> tuple[Model, ...]:
    """Return the models of a kind that have a deployment inside `zone`."""
    return tuple(m for m in catalogue.models.values() if m.kind == kind and zone in m.zones)
