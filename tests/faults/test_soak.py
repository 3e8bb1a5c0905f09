"""Thousands of requests with random faults and random hang-ups: the books agree, and nothing is left over.

20 % of the attempts meet a fault of the provider, 10 % of the clients leave: before the answer, or in it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest

from tests.faults.conftest import serving_faults

if TYPE_CHECKING:
    from tests.faults.server import Addresses, FaultServer
    from tests.journeys.conftest import Gateway

CONNECTIONS = 64
TIMEOUTS = "timeouts = { connect_s = 2.0, first_byte_s = 2.0, idle_s = 2.0, total_s = 10.0 }"
MODEL = f"""
[[models]]
id = "soak"
deployments = [
  {{ provider = "faulty", upstream_model = "roulette", price_key = "any", id = "soak-1", {TIMEOUTS} }},
  {{ provider = "faulty", upstream_model = "roulette", price_key = "any", id = "soak-2", {TIMEOUTS} }},
]
"""


@pytest.mark.parametrize(
    "requests",
    [
        400,
        2_000,
        pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_a_soak_leaves_one_charge_per_attempt_and_nothing_else(
    tmp_path: Path, faults: FaultServer, addresses: Addresses, requests: int
) -> None:
    with serving_faults(tmp_path, faults, addresses, limits="drain_s = 0.3\n", more=MODEL) as gateway:
        asyncio.run(_load(gateway, 100, seed=1))
        _wait_until_idle(gateway)
        before, seen_before, started = _measure(), len(faults.seen), time.monotonic()
        outcomes = asyncio.run(_load(gateway, requests, seed=2))
        took_s = time.monotonic() - started
        _wait_until_idle(gateway)
        after = _measure()
        report = _judge(gateway, faults, seen_before)
    print(
        f"\nsoak: {requests} requests, {CONNECTIONS} connections, {took_s:.1f} s; clients saw {dict(outcomes)};"
        f" {report}; before {before}, after {after}"
    )
    assert outcomes["answered"] > 0.7 * requests
    assert after["tasks"] <= before["tasks"]
    assert (
        after["sockets"] <= 4 * CONNECTIONS
    )  # idle ones that wait for their next request, both ends counted
    assert (
        after["rss_mib"] <= before["rss_mib"] + 30 + requests / 200
    )  # the books of the fault server grow, too


async def _load(gateway: Gateway, requests: int, seed: int) -> Counter[str]:
    random, outcomes = Random(seed), Counter[str]()
    numbers = iter(range(requests))
    key = {"authorization": f"Bearer {gateway.keys['p1']}"}
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(gateway.url, headers=key, connector=connector) as session:

        async def work() -> None:
            for number in numbers:
                outcomes[await _one(session, number, random)] += 1

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return outcomes


async def _one(session: aiohttp.ClientSession, number: int, random: Random) -> str:
    stream, leaves = random.random() < 0.5, random.random() < 0.1
    body = {
        "model": "soak",
        "messages": [{"role": "user", "content": f"안녕하세요 {number}"}],
        "stream": stream,
    }
    try:
        async with asyncio.timeout(random.random() * 0.05 if leaves else 30):
            async with session.post("/v1/chat/completions", json=body) as response:
                text = await response.text()
    except (TimeoutError, aiohttp.ClientError):
        return "left" if leaves else "cut"
    if response.status == 503:  # both deployments rest: come again when told, as a client should
        await asyncio.sleep(int(response.headers.get("retry-after", "1")))
    if response.status != 200:
        return f"status {response.status}"
    return "answered" if not stream or "[DONE]" in text else "error in stream"


def _wait_until_idle(gateway: Gateway) -> None:
    """Wait for the drains: no place taken, no attempt open."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        models = httpx.get(f"{gateway.url}/health/models").json()["models"]
        busy = sum(d["in_flight"] + d["queued"] for m in models for d in m["deployments"])
        if not busy and not _open_attempts(gateway):
            return
        time.sleep(0.1)
    raise AssertionError("attempts are left over")


def _open_attempts(gateway: Gateway) -> list[Any]:
    return gateway.rows(
        "SELECT d.attempt_id FROM ledger_dispatch d LEFT JOIN ledger_charge c ON c.attempt_id = d.attempt_id"
        " WHERE c.attempt_id IS NULL"
    )


def _measure() -> dict[str, int]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    targets = (_target(fd) for fd in Path("/proc/self/fd").iterdir())
    return {
        "tasks": sum(_is_the_gateways(o) for o in gc.get_objects() if isinstance(o, asyncio.Task)),
        "sockets": sum(target.startswith("socket:") for target in targets),
        "rss_mib": pages * os.sysconf("SC_PAGE_SIZE") // 1024**2,
    }


def _is_the_gateways(task: asyncio.Task[Any]) -> bool:
    """The fault server has a task for each connection that the gateway keeps for its next request."""
    return not task.done() and "FaultServer" not in str(task.get_coro())


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""


def _judge(gateway: Gateway, faults: FaultServer, seen_before: int) -> str:
    """The fault server's ledger against ours, attempt by attempt."""
    charges = Counter(
        row["attempt_id"]
        for row in gateway.rows("SELECT attempt_id FROM ledger_charge WHERE kind = 'charge'")
    )
    unsent = {
        row["attempt_id"]
        for row in gateway.rows("SELECT attempt_id FROM ledger_charge WHERE outcome = 'not_sent'")
    }
    seen = faults.attempts()[seen_before:]
    ours = [attempt for attempt in faults.attempts() if attempt in charges]
    assert len(set(seen)) == len(seen)
    assert [attempt for attempt in seen if charges[attempt] != 1] == []
    assert max(charges.values()) == 1
    extra = set(charges) - set(ours) - unsent
    neither = [
        row
        for row in gateway.rows("SELECT attempt_id, outcome FROM ledger_charge")
        if row["attempt_id"] in extra
    ]
    # a client may leave between the dispatch row and the provider's reading of its request
    assert {row["outcome"] for row in neither} <= {"client_gone", "timeout"}, neither[:3]
    return f"{len(seen)} attempts seen by the provider, each charged once; {len(unsent)} not sent, {len(extra)} unread"
