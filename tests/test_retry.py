"""Which failure is tried again, where, and after how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors as e
from gateway.providers.failures import from_response
from gateway.retry import Hope, RetryRules, hope, is_its_fault, pause_s
from gateway.upstream import UpstreamNotSent


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UpstreamNotSent("", ""), Hope.AGAIN),
        (e.UpstreamUnavailable("", ""), Hope.AGAIN),
        (e.UpstreamBroken("", ""), Hope.AGAIN),
        (e.UpstreamTimeout("", ""), Hope.ELSEWHERE),
        (e.UpstreamProtocolError("", ""), Hope.ELSEWHERE),
        (from_response(429, b"{}", {}), Hope.AGAIN),
        (from_response(429, b'{"error": {"code": "insufficient_quota"}}', {}), Hope.ELSEWHERE),
        *((from_response(status, b"{}", {}), Hope.ELSEWHERE) for status in (401, 402, 403, 404)),
        *((from_response(status, b"{}", {}), Hope.FINAL) for status in (400, 413, 422)),
        *((from_response(status, b"{}", {}), Hope.AGAIN) for status in (408, 500, 502, 503, 504, 529)),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'upstream_status', '')}",
)
def test_what_can_be_hoped_for_after_an_error(error, expected):
    assert hope(error) is expected
    assert is_its_fault(error) == (expected is not Hope.FINAL)


@given(st.integers(1, 100), st.none() | st.integers(0, 1000), st.floats(0, 1, exclude_max=True))
def test_a_pause_grows_with_failures_is_bounded_and_never_shorter_than_asked_for(failures, retry_after, pick):
    rules = RetryRules(backoff_s=0.2, backoff_most_s=4.0)
    pause = pause_s(rules, failures, retry_after, pick)
    assert pause >= (retry_after or 0)
    assert pause >= min(0.1 * 2 ** min(failures - 1, 5), 2.0)
    assert pause <= max(4.0, retry_after or 0)
