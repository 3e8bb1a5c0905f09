"""`python -m benchmarks.billing CONFIG`: how long a month's close, its invoices and its exports take.

Closes the first open month of the installation of CONFIG for good: point it at a copy of a seeded one
(`python -m benchmarks.seed`). Prints one JSON object; docs/billing.md says what came of it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from billing.months import MonthState
from billing.store.bill_matches import ledger_days
from billing.store.three_way import book_sides, providers_billed
from gateway.audit import Actor, Deed
from gateway.books import Books
from gateway.settings import Settings
from gateway.store.audit import audited
from gateway.store.database import opened

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    settings = Settings(config=Path(sys.argv[1]))
    with opened(settings.load_config().database_url) as engine:
        books = Books(audited(engine, settings.keyring), settings.keyring(), settings.load_config().invoices)
        print(json.dumps(_measured(books), indent=2))


def _measured(books: Books) -> dict[str, Any]:
    now = datetime.now(UTC)
    deed = Deed(now, Actor("benchmark"), "benchmark")
    found: dict[str, Any] = {"database": books.database.dialect.name}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = work()
        found[f"{name}_s"] = round(time.perf_counter() - began, 3)
        return result

    standings = timed("months", books.months)
    first = next(one for one in reversed(standings) if one.state is MonthState.OPEN)
    month = first.month
    found |= {"month": month, "rows": first.figures.rows}
    timed("preview", lambda: books.preview(month, deed))
    timed("approve", lambda: books.approve(month, deed))
    timed("lock", lambda: books.lock(month, deed))
    invoices = timed("read_invoices", lambda: books.invoices(month, now))
    found["invoices"] = len(invoices)
    longest = max(invoices, key=lambda one: len(one.lines))
    found["longest_lines"] = len(longest.lines)
    for kind in ("pdf", "xlsx", "csv", "json"):
        timed(kind, lambda kind=kind: list(books.file_of(longest, kind, "ko", now).content))
    chunks = timed(
        "focus", lambda: [c.count(b"\n") for c in books.file_of_month(month, "focus", "ko", now).content]
    )
    found["focus_rows"] = sum(chunks) - 1
    found["focus_rows_per_s"] = round(found["focus_rows"] / found["focus_s"])
    timed("months_after", books.months)
    for kind in ("raw", "raw-jsonl"):
        timed(kind, lambda kind=kind: sum(len(c) for c in books.raw_file(month, kind).content))
        found[f"{kind}_rows_per_s"] = round(first.figures.rows / found[f"{kind}_s"])
    timed("three_ways", lambda: book_sides(books.database, month))
    timed("ledger_side_of_a_bill", lambda: _ledger_side(books, month))
    found["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


def _ledger_side(books: Books, month: str) -> int:
    """What a comparison with the bill of the largest provider reads."""
    amounts = providers_billed(books.database, month)
    largest = max(amounts, key=lambda name: amounts[name])
    with books.database.connect() as connection:
        return len(ledger_days(connection, {largest}, month, "UTC"))


if __name__ == "__main__":
    main()
