"""CPU that the ledger costs per request: dispatch and charge, three lines, chained, durable.

    python -m benchmarks.ledger [--requests 20000] [--connections 64] [--postgres]

The control makes the same entries in the same tasks and awaits a future that is resolved at once;
what the ledger costs is the difference in CPU time of the whole process (user + system).
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from billing.journal import Journal
from billing.ledger import Attribution, Charge, Dispatch, IdSource, Outcome
from billing.periods import billing_month
from billing.prices import PriceBook
from billing.segments import Segments
from billing.store import LedgerSink, open_engine, verify
from billing.tables import metadata
from billing.usage import Usage, UsageSource
from gateway.heap import settled
from migrations.check import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = b"k" * 32
ROUNDS = 10
"""The least of them is what the ledger costs; the others say what else the machine was doing."""
BOOK = PriceBook.from_tables(
    [
        {
            "key": "m",
            "from": "2026-01-01",
            "currency": "USD",
            "input": "1.25",
            "cache_read": "0.125",
            "output": "10",
        }
    ],
    [{"base": "USD", "date": "2026-01-01", "rate": "1391.20"}],
)
ATTRIBUTION = Attribution(
    "p1",
    "k1",
    "총무과",
    ("서울특별시", "행정국", "총무과"),
    "gpt",
    "gpt@openai",
    "openai",
    "gpt-5.1",
    "external",
    "chat",
)
USAGE = Usage(input=400, cache_read=50, output=200)


class Nothing:
    """The control: a journal that acknowledges at the loop's next turn and writes nothing."""

    def append(self, _entries: object) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        loop.call_soon(waiter.set_result, None)
        return waiter


async def exchange(journal: Any, ids: IdSource, payer: Attribution = ATTRIBUTION) -> None:
    now = datetime.now(UTC)
    quote = BOOK.quote("m", now)
    hold = quote.upper_bound(1_500, 500)
    dispatch = Dispatch(ids.next(now), ids.next(now), now, billing_month(now), payer, quote, hold, 1_500, 500)
    await journal.append([dispatch])
    charge = Charge.settle(
        dispatch,
        charge_id=ids.next(now),
        settled_at=datetime.now(UTC),
        outcome=Outcome.SUCCESS,
        source=UsageSource.REPORTED,
        usage=USAGE,
        served_model="gpt-5.1-2026-01-01",
        provider_request_id="chatcmpl-0123456789",
        raw_usage='{"prompt_tokens":450,"completion_tokens":200,"total_tokens":650}',
        http_status=200,
        first_token_us=1_234,
    )
    await journal.append([charge])


async def load(journal: Any, requests: int, connections: int) -> tuple[float, float]:
    """Return CPU microseconds per request, and requests per second."""
    ids = IdSource()

    async def connection() -> None:
        for _ in range(requests // connections):
            await exchange(journal, ids)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    done = requests // connections * connections
    return (time.process_time() - cpu) / done * 1e6, done / (time.perf_counter() - wall)


@contextmanager
def address(directory: str, *, on_postgres: bool) -> Iterator[str]:
    if not on_postgres:
        yield f"sqlite:///{directory}/haechi.db"
        return
    with postgres(Path(directory)) as urls:
        yield urls[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, address(directory, on_postgres=options.postgres) as url:
        engine = open_engine(url)
        metadata.create_all(engine)
        journal = Journal(LedgerSink(engine, KEY), Segments(Path(directory, "segments")))
        journal.start()
        asyncio.run(load(journal, 2_000, options.connections))
        requests = options.requests // ROUNDS
        with settled():  # as in a serving process
            controls = [asyncio.run(load(Nothing(), requests, options.connections))[0] for _ in range(ROUNDS)]
            groups = journal.stats.groups
            runs = [asyncio.run(load(journal, requests, options.connections)) for _ in range(ROUNDS)]
            groups = journal.stats.groups - groups
        journal.stop()
        print(f"{engine.dialect.name}, {options.connections} connections, {options.requests} requests")
        costs = sorted(cpu - min(controls) for cpu, _ in runs)
        spread = f"(median {median(costs):.1f}, worst {costs[-1]:.1f})"
        print(f"  the ledger costs  {costs[0]:5.1f} µs CPU per request {spread}")
        print(f"  the same entries  {min(controls):5.1f} µs CPU per request, written nowhere")
        print(f"  requests/s        {max(rate for _, rate in runs):,.0f}")
        print(f"  submissions per commit {2 * requests * ROUNDS / groups:.0f}")
        print(f"  verified: {verify(engine, KEY).ok}")
        engine.dispose()


if __name__ == "__main__":
    main()
