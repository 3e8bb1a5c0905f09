"""What to do after an attempt failed: again, elsewhere, or not at all. Pure; chance and time come in.

    again      the same deployment may be asked once more, after a pause
    elsewhere  this deployment will fail the same way, another may not
    final      the request itself is at fault: nobody will answer it

Nothing here is decided after a stream was committed: then there is no second try.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from gateway.errors import (
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)

OF_THE_ACCOUNT: Final = frozenset({401, 402, 403, 404})
"""Statuses that speak of our account or of the model there: another deployment may well answer."""

QUOTA_USED_UP: Final = "insufficient_quota"


class Hope(Enum):
    AGAIN = auto()
    ELSEWHERE = auto()
    FINAL = auto()


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Bounds of all attempts of one request.

    `attempts` counts those at one model. No attempt begins later than `retry_for_s` after the first
    one, nor once the failed ones were charged `retry_cost_nano_krw` together. A provider that asks for a
    longer pause than `pause_most_s` is not waited for.
    """

    attempts: int = 3
    retry_for_s: float = 90.0
    pause_most_s: float = 10.0
    backoff_s: float = 0.2
    backoff_most_s: float = 4.0
    retry_cost_nano_krw: int = 500 * 10**9


def hope(error: UpstreamError) -> Hope:
    """Judge who could still answer after `error`."""
    match error:
        case UpstreamRejected(upstream_status=status):
            return Hope.ELSEWHERE if status in OF_THE_ACCOUNT else Hope.FINAL
        case UpstreamRateLimited(upstream_code=code):
            return Hope.ELSEWHERE if code == QUOTA_USED_UP else Hope.AGAIN
        case UpstreamTimeout() | UpstreamProtocolError():
            return Hope.ELSEWHERE
        case _:
            return Hope.AGAIN


def is_its_fault(error: UpstreamError) -> bool:
    """Whether `error` speaks against the deployment, and not against the request."""
    return hope(error) is not Hope.FINAL


def pause_s(rules: RetryRules, failures: int, retry_after_s: float | None, pick: float) -> float:
    """Return how long to wait before the same deployment is asked again.

    Full jitter between half and the whole of an exponential wait (`pick` in [0, 1)); never shorter
    than the provider asked for.
    """
    longest: float = min(rules.backoff_s * 2 ** min(failures - 1, 16), rules.backoff_most_s)
    return max(longest * (0.5 + pick / 2), retry_after_s or 0.0)
