"""What whoever runs the gateway asks: is it alive, is it ready, how is it doing.

/livez says that the process answers. /readyz says that it may be sent work: the database, the journal and
the filter each prove themselves, off the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Response

from gateway import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHECK_TIMEOUT_S = 2.0


def router(checks: Mapping[str, Callable[[], None]], fleet: Callable[[], dict[str, Any]]) -> APIRouter:
    """`checks` are named and synchronous; each returns or raises. `fleet` reports on models."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/livez")
    async def livez() -> dict[str, str]:
        """Tell that the process answers."""
        return {"status": "ok"}

    @routes.get("/readyz")
    async def readyz() -> Response:
        """Tell whether database, journal and filter work; 503 if one does not."""
        results = dict(zip(checks, await asyncio.gather(*map(_outcome, checks.values())), strict=True))
        ready = all(result == "ok" for result in results.values())
        body = {"status": "ok" if ready else "unavailable", "checks": results}
        return Response(orjson.dumps(body), status_code=200 if ready else 503, media_type="application/json")

    @routes.get("/health/models")
    async def health_of_models() -> dict[str, Any]:
        """Show how each deployment does, as the worker that answers sees it."""
        return fleet()

    @routes.get("/metrics", response_class=Response)
    async def prometheus() -> Response:
        """Show the metrics of all workers in Prometheus's text format."""
        return Response(await asyncio.to_thread(metrics.exposition), media_type=metrics.CONTENT_TYPE)

    return routes


async def _outcome(check: Callable[[], None]) -> str:
    try:
        await asyncio.wait_for(asyncio.to_thread(check), CHECK_TIMEOUT_S)
    except Exception as error:  # noqa: BLE001 - whatever fails, the answer is "not ready"
        return type(error).__name__
    return "ok"
