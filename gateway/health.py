"""How every deployment does in this process: its breaker, its room, its latency; shared by all requests.

The failover asks the fleet where the next attempt may go and takes a place there; the attempt tells
its place how it went. Nothing here sends, waits for a provider or reads a prompt. Belongs to one event
loop.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gateway import metrics
from gateway.admission import NoRoom, Rate, Room
from gateway.breaker import Breaker, BreakerRules, State
from gateway.retry import is_its_fault
from gateway.routing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.catalogue import Catalogue, Deployment, Model
    from gateway.errors import UpstreamError

LATENCY_HALF_LIFE_S: Final = 30.0
"""After so long without an answer, half of what is known of a deployment's latency is forgotten."""
LATENCY_WEIGHT: Final = 0.3


class Latency:
    """A moving average of first-token times that fades while nothing is measured.

    Fading lets a deployment that was slow be asked again (Finagle's "peak EWMA" decays alike).
    """

    __slots__ = ("_at", "_average")

    def __init__(self) -> None:
        self._average: float | None = None
        self._at = 0.0

    def note(self, seconds: float, now: float) -> None:
        known = self.at(now)
        self._average = seconds if known is None else known + LATENCY_WEIGHT * (seconds - known)
        self._at = now

    def at(self, now: float) -> float | None:
        if self._average is None:
            return None
        return self._average * math.exp2((self._at - now) / LATENCY_HALF_LIFE_S)


@dataclass(frozen=True, slots=True)
class QueueRules:
    """`length` bounds the waiters at one deployment, `wait_s` the wait of each."""

    length: int = 64
    wait_s: float = 5.0


class Station:
    """The state of one deployment."""

    __slots__ = ("breaker", "deployment", "last_failure", "latency", "rate", "room")

    def __init__(self, deployment: Deployment, breaker: BreakerRules, queue: QueueRules) -> None:
        self.deployment = deployment
        self.breaker = Breaker(breaker)
        self.room = Room(deployment.max_concurrency, queue.length, queue.wait_s)
        self.rate = Rate(deployment.requests_per_min)
        self.latency = Latency()
        self.last_failure: str | None = None

    def standing(self, now: float, cost_nano_krw: int) -> Standing:
        breaker, room = self.breaker, self.room
        closed = breaker.closed
        return Standing(
            self.deployment,
            closed or breaker.allows(now),
            closed or breaker.allows(now, alone=True),
            room.free and not self.rate.wait_s(now),
            room.in_flight,
            self.latency.at(now),
            cost_nano_krw,
        )


class Place:
    """One attempt's place at a deployment. `leave` gives it back, once, however the attempt ended."""

    __slots__ = ("_department", "_entered_at", "_now", "_probe", "_station")

    def __init__(self, station: Station, department: str, now: Callable[[], float]) -> None:
        self._station: Station | None = station
        self._department = department
        self._now = now
        self._entered_at = now()
        self._probe = station.breaker.enter()

    def answered(self, first_token_s: float | None) -> None:
        """The deployment has begun to answer; None: it has answered as a whole."""
        station = self._station
        if station is None:
            return
        if first_token_s is not None:
            station.latency.note(first_token_s, self._now())
        was_closed = station.breaker.closed
        station.breaker.succeeded()
        self._probe = False
        if not was_closed:
            metrics.deployment_state(station.deployment.id, State.CLOSED)

    def failed(self, error: UpstreamError) -> None:
        station = self._station
        if station is None or not is_its_fault(error):
            return
        station.last_failure = type(error).__name__
        if station.breaker.failed(self._now(), error.retry_after_s):
            metrics.deployment_state(station.deployment.id, State.OPEN)
        self._probe = False

    def leave(self) -> None:
        station, self._station = self._station, None
        if station is None:
            return
        if self._probe:
            station.breaker.abandoned()
        station.room.leave(self._department, self._now() - self._entered_at)


class Fleet:
    """Every deployment of the catalogue, by id."""

    def __init__(
        self,
        catalogue: Catalogue,
        breaker: BreakerRules,
        queue: QueueRules,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = tuple(catalogue.models.values())
        self._clock = clock
        self._stations = {
            d.id: Station(d, breaker, queue) for model in self._models for d in model.deployments
        }

    def standings(
        self, deployments: Iterable[Deployment], cost: Callable[[Deployment], int] | None = None
    ) -> list[Standing]:
        """Return a snapshot for routing.choose; `cost` is asked where the strategy needs it."""
        now = self._clock()
        stations = self._stations
        return [stations[d.id].standing(now, cost(d) if cost else 0) for d in deployments]

    async def enter(self, deployment: Deployment, department: str) -> Place:
        """Take a place, waiting in the queue if need be. Raises NoRoom."""
        station = self._stations[deployment.id]
        wait_s = station.rate.wait_s(self._clock())
        if wait_s:
            raise NoRoom(math.ceil(wait_s))
        station.rate.take(self._clock())
        if station.room.free:
            station.room.enter(department)
        else:
            await station.room.wait(department)
        return Place(station, department, self._clock)

    def retry_after_s(self, deployments: Iterable[Deployment]) -> int:
        """Return in how many whole seconds one of `deployments` may be asked again; at least 1."""
        now = self._clock()
        waits = [self._stations[d.id].breaker.wait_s(now, alone=True) for d in deployments]
        return max(1, math.ceil(min(waits, default=1.0)))

    # --- what operators see ------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """Return the state of every model for GET /health/models: names and figures, no addresses."""
        now = self._clock()
        models = [self._of_model(model, now) for model in self._models]
        return {"status": _worst({model["status"] for model in models}), "models": models}

    def _of_model(self, model: Model, now: float) -> dict[str, Any]:
        deployments = [self._of_deployment(self._stations[d.id], now) for d in model.deployments]
        states = [deployment["state"] for deployment in deployments]
        closed = states.count(State.CLOSED)
        status = "ok" if closed == len(states) else "degraded" if closed else "unavailable"
        return {"id": model.id, "status": status, "deployments": deployments}

    def _of_deployment(self, station: Station, now: float) -> dict[str, Any]:
        breaker, latency = station.breaker, station.latency.at(now)
        return {
            "id": station.deployment.id,
            "provider": station.deployment.provider,
            "zone": station.deployment.zone,
            "state": breaker.state(now),
            "failures_in_a_row": breaker.failures_in_a_row,
            "last_failure": station.last_failure,
            "next_probe_in_s": round(breaker.wait_s(now), 1),
            "in_flight": station.room.in_flight,
            "queued": station.room.queued,
            "max_concurrency": station.deployment.max_concurrency,
            "first_token_ms": None if latency is None else round(latency * 1000, 1),
        }


def _worst(statuses: set[str]) -> str:
    """Return `ok` if every model answers, `unavailable` if none does, else `degraded`."""
    return statuses.pop() if len(statuses) == 1 else "degraded" if statuses else "ok"
