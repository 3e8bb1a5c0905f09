"""A worker that asks for admission as fast as it can. Run by test_four_workers, four at a time.

    limited_worker.py SHARED TRIES TOKENS    prints how many were admitted, and what they were charged

TOKENS 0 counts requests alone. The clock stands still, so that all run in one minute.
"""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import UTC, datetime

from gateway.domain import Caller
from gateway.limits import shared as shared_windows
from gateway.limits.limiter import Limiter, LimitReached
from gateway.limits.rules import Per, Rule
from gateway.limits.shared import DatabaseWindows, ValkeyWindows
from gateway.store.rates import RateTable

NOW = datetime(2026, 11, 22, 1, 0, 30, tzinfo=UTC)
LIMIT = 500
TOKENS = 100_000


async def request(limiter: Limiter, most: int) -> tuple[int, int]:
    caller = Caller(f"p{random.randint(1, 20)}", "k", "총무과", ("시", "총무과"))
    try:
        admission = await limiter.admit(caller, "m", random.randint(1, most) if most else 0)
    except LimitReached:
        return 0, 0
    assert admission is not None, "the rule matches everybody"
    if not most:
        return 1, 0
    await asyncio.sleep(random.random() * 0.01)
    counted = admission.counted[0][1]
    used = random.randint(0, counted)
    admission.settle(used)
    return 1, used


async def main(shared: str, tries: int, most: int) -> None:
    shared_windows.VALKEY_TIMEOUT_S = 30.0  # type: ignore[misc]  # a busy machine is not a lost Valkey
    rule = Rule("총무과", (Per.DEPARTMENT,), *((0, TOKENS) if most else (LIMIT, 0)))
    windows = (
        ValkeyWindows(shared) if shared.startswith("valkey") else DatabaseWindows(lambda: RateTable(shared))
    )
    limiter = Limiter([rule], windows, lambda: NOW)
    served = used = 0
    for start in range(0, tries, 40):
        results = await asyncio.gather(*(request(limiter, most) for _ in range(min(40, tries - start))))
        served += sum(one for one, _ in results)
        used += sum(tokens for _, tokens in results)
        await limiter.tidy(idle_us=0)
    await limiter.aclose()
    print(served, used)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
