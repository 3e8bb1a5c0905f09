"""A process that writes to the ledger under load until somebody kills it. Run by test_kill_loop.

It keeps the provider's own book: a line `asked ATTEMPT INPUT OUTPUT` when the provider is called, and
a line `acked ATTEMPT AMOUNT` when the charge was acknowledged. Lines are appended with one write
each, so that a kill leaves them whole.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from billing.journal import Journal
from billing.ledger import Attribution, Charge, Dispatch, IdSource, Outcome
from billing.periods import billing_month
from billing.prices import PriceBook
from billing.segments import Segments
from billing.store import LedgerSink, open_engine
from billing.usage import Usage, UsageSource

CONNECTIONS = 32
BOOK = PriceBook.from_tables(
    [{"key": "m", "from": "2026-01-01", "currency": "USD", "input": "1.25", "output": "10"}],
    [{"base": "USD", "date": "2026-01-01", "rate": "1391.20"}],
)
ATTRIBUTION = Attribution(
    "p1", "k1", "총무과", ("시", "총무과"), "gpt", "gpt@a", "a", "gpt", "external", "chat"
)


async def exchange(journal: Journal, ids: IdSource, book: int) -> None:
    now = datetime.now(UTC)
    quote = BOOK.quote("m", now)
    dispatch = Dispatch(
        ids.next(now),
        ids.next(now),
        now,
        billing_month(now),
        ATTRIBUTION,
        quote,
        quote.upper_bound(9_000, 900),
        9_000,
        900,
    )
    await journal.append([dispatch])
    usage = Usage(input=random.randint(1, 9_000), output=random.randint(1, 900))
    os.write(book, f"asked {dispatch.attempt_id} {usage.input} {usage.output}\n".encode())
    await asyncio.sleep(random.random() * 0.02)
    charge = Charge.settle(
        dispatch,
        charge_id=ids.next(now),
        settled_at=datetime.now(UTC),
        outcome=Outcome.SUCCESS,
        source=UsageSource.REPORTED,
        usage=usage,
    )
    await journal.append([charge])
    os.write(book, f"acked {dispatch.attempt_id} {charge.amount_nano_krw}\n".encode())


async def load(journal: Journal, ids: IdSource, book: int) -> None:
    while True:
        await exchange(journal, ids, book)


async def main(url: str, directory: Path) -> None:
    book = os.open(directory / "provider.book", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    journal = Journal(LedgerSink(open_engine(url), b"k" * 32), Segments(directory / "segments", 1 << 20))
    journal.start()
    ids = IdSource()
    print("ready", flush=True)
    await asyncio.gather(*(load(journal, ids, book) for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
