"""A worker that sends requests of unknown length under a budget. Run by test_overspend, four at a time.

In waves, if so told. Prints `served refused` when it is done.
"""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from billing.budgets import BudgetExceeded
from billing.journal import Journal
from billing.ledger import Attribution, Charge, Dispatch, IdSource, Outcome
from billing.periods import billing_month
from billing.prices import PriceBook
from billing.segments import Segments
from billing.store import LedgerSink, open_engine
from billing.usage import Usage, UsageSource

BOOK = PriceBook.from_tables(
    [{"key": "m", "from": "2026-01-01", "currency": "KRW", "input": "1700", "output": "14000"}], []
)
INPUT_BYTES, MOST_OUTPUT = 2_000, 200


async def request(journal: Journal, ids: IdSource) -> bool:
    now = datetime.now(UTC)
    quote = BOOK.quote("m", now)
    person = f"p{random.randint(1, 20)}"
    payer = Attribution(
        person, f"k-{person}", "총무과", ("시", "총무과"), "gpt", "d", "a", "gpt", "external", "chat"
    )
    bound = quote.upper_bound(INPUT_BYTES, MOST_OUTPUT)
    dispatch = Dispatch(
        ids.next(now), ids.next(now), now, billing_month(now), payer, quote, bound, INPUT_BYTES, MOST_OUTPUT
    )
    try:
        await journal.append([dispatch])
    except BudgetExceeded:
        return False
    await asyncio.sleep(random.random() * 0.05)
    usage = Usage(input=random.randint(0, INPUT_BYTES), output=random.randint(0, MOST_OUTPUT), requests=1)
    charge = Charge.settle(
        dispatch,
        charge_id=ids.next(now),
        settled_at=datetime.now(UTC),
        outcome=Outcome.SUCCESS,
        source=UsageSource.REPORTED,
        usage=usage,
    )
    await journal.append([charge])
    return True


async def main(url: str, directory: Path, requests: int, waves: int) -> None:
    journal = Journal(LedgerSink(open_engine(url), b"k" * 32), Segments(directory / "segments", 1 << 20))
    journal.start()
    ids = IdSource()
    served: list[bool] = []
    for _ in range(waves):
        served += await asyncio.gather(*(request(journal, ids) for _ in range(requests // waves)))
    journal.stop()
    print(sum(served), len(served) - sum(served))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
