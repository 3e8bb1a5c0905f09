"""Which failure is tried again, where, and after how long."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors as e
from gateway.failover import wait_out
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


def test_a_pause_is_never_shorter_than_was_asked_for() -> None:
    """A timer of uvloop alone is, two times in five."""

    async def took(number: int) -> float:
        await asyncio.sleep(number * 0.000_37)
        began = time.monotonic()
        await wait_out(0.05, asyncio.get_running_loop().create_future())
        return time.monotonic() - began

    async def all_of_them() -> list[float]:
        return await asyncio.gather(*map(took, range(300)))

    assert min(uvloop.run(all_of_them())) >= 0.05


def test_a_pause_ends_when_the_client_is_gone() -> None:
    async def took() -> float:
        gone = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, gone.set_result, None)
        began = time.monotonic()
        await wait_out(60, gone)
        return time.monotonic() - began

    assert uvloop.run(took()) < 30
