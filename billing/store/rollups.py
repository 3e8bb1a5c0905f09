"""Daily sums of the ledger, filled behind it, each row of it counted exactly once.

    bring_up_to_date   what a report calls first, and a worker every few seconds
    usage_by, totals   in billing.store.usage_queries

A chain of the ledger has no gaps and is never rewritten, so one number per writer slot says what has
been counted. It is moved on in the transaction that adds the sums, under a lock that lets one process
in at a time: a process that dies in between leaves neither. Nothing here is on the path of a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine


def bring_up_to_date(engine: Engine, *, most_batches: int | None = None) -> int:
    """Count what the ledger has and the sums have not; return how many of its rows are still left."""
    raise NotImplementedError
