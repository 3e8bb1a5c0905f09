"""What Prometheus sees. Sums over all workers; no label names a person, a key or a department.

Children of labelled metrics are looked up once and kept: `labels()` costs more than `inc()`.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.usage import Usage

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
INSPECTION_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
WAITING_SECONDS: Final = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
GROUP_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

requests = Counter("haechi_requests", "Requests answered, by surface and outcome", ["surface", "outcome"])
attempts = Counter(
    "haechi_attempts", "Attempts settled, by deployment and outcome", ["deployment", "outcome"]
)
tokens = Counter("haechi_tokens", "Tokens charged, by model and class", ["model", "token_class"])
charged_won = Counter(
    "haechi_charged_krw", "Charged, in won, by model; for trends, not for invoices", ["model"]
)
findings = Counter("haechi_filter_findings", "Findings of the filter, by type and action", ["type", "action"])
in_flight = Gauge("haechi_requests_in_flight", "Requests being served", multiprocess_mode="livesum")
deployments = Gauge(
    "haechi_deployment_open",
    "1 while a deployment's circuit breaker is open or half open in some worker",
    ["deployment"],
    multiprocess_mode="livemax",
)
breakers_opened = Counter("haechi_breaker_opened", "Times a circuit breaker opened", ["deployment"])
turned_away = Counter("haechi_overload_refusals", "Requests refused for want of room", ["deployment"])
retries = Counter("haechi_retries", "Attempts after a failed one, by model that answered next", ["model"])
adopted = Counter("haechi_attempts_adopted", "Attempts of dead writers, charged once by estimate")
notices = Counter("haechi_notices", "Notices of budgets: noted; deliveries sent, failed, dead", ["state"])
price_differences = Counter(
    "haechi_price_differences",
    "Charges whose stated cost is not what our price makes of them",
    ["deployment"],
)
incident_exports = Counter("haechi_incident_exports", "Incidents to SIEM: sent, failed, dead", ["state"])
cache_lookups = Counter("haechi_cache_lookups", "Look-ups in the response cache", ["result"])
inspection = Histogram("haechi_filter_seconds", "Time to inspect one request", buckets=INSPECTION_SECONDS)
journal_wait = Histogram(
    "haechi_journal_wait_seconds",
    "How long the first row of a group waited to be durable",
    buckets=WAITING_SECONDS,
)
journal_group = Histogram(
    "haechi_journal_group_submissions", "Submissions made durable by one commit", buckets=GROUP_SIZES
)
first_token = Histogram(
    "haechi_first_token_seconds", "From dispatch to the first token", ["deployment"], buckets=SECONDS
)
duration = Histogram("haechi_request_seconds", "From the door to the last byte", ["surface"], buckets=SECONDS)


@lru_cache(maxsize=4096)
def _counting(metric: Counter, *labels: str) -> Callable[[float], None]:
    child = metric.labels(*labels) if labels else metric
    return child.inc


@lru_cache(maxsize=4096)
def _observing(metric: Histogram, *labels: str) -> Callable[[float], None]:
    child = metric.labels(*labels) if labels else metric
    return child.observe


def count(metric: Counter, *labels: str, amount: float = 1) -> None:
    _counting(metric, *labels)(amount)


def observe(metric: Histogram, *labels: str, seconds: float) -> None:
    _observing(metric, *labels)(seconds)


def count_usage(model_id: str, usage: Usage) -> None:
    for token_class, quantity in usage.classes():
        count(tokens, model_id, token_class, amount=quantity)


def journal_committed(submissions: int, longest_wait_s: float) -> None:
    journal_group.observe(submissions)
    journal_wait.observe(longest_wait_s)


def deployment_state(deployment_id: str, state: str) -> None:
    """Show a breaker's change of state."""
    is_open = state != "closed"
    deployments.labels(deployment_id).set(is_open)
    if is_open:
        count(breakers_opened, deployment_id)


def leave() -> None:
    """Take this worker out of the sums of what is going on now; what it counted stays counted."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def exposition() -> bytes:
    """Return the metrics of all workers in Prometheus's text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
