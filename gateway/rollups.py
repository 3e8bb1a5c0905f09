"""Keeps the daily sums a few seconds behind the ledger, off the path of requests.

Every process runs one of these; they take turns at a lock of the database (billing.store.rollups), so
each row is counted once and any of them may stop at any time. `state` is what the console shows.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from billing.store.rollups import bring_up_to_date

if TYPE_CHECKING:
    from gateway.store.database import Database

log = structlog.get_logger("haechi.rollups")

MOST_BATCHES: Final = 50
"""In one go, before the thread pool gets its thread back: some seconds of work."""


@dataclass(slots=True)
class RollupState:
    """How this worker's counting goes; `failure` is the kind of the last error, None while all is well."""

    counted_at: datetime | None = None
    rows_behind: int | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Rollups:
    """`every_s` is the pause between two looks at the ledger."""

    database: Database
    every_s: float
    state: RollupState = field(default_factory=RollupState)

    async def run(self) -> None:
        """Count until cancelled; a database that is away is tried again."""
        while True:
            behind = await self._count()
            await asyncio.sleep(0 if behind else self.every_s)

    async def _count(self) -> int:
        try:
            behind = await asyncio.to_thread(bring_up_to_date, self.database, most_batches=MOST_BATCHES)
        except Exception as error:  # noqa: BLE001 - the counting outlives every fault of the database
            if self.state.failure is None:
                log.warning("rollups_failed", error=type(error).__name__)
            self.state.failure = type(error).__name__
            return 0
        self.state.counted_at = datetime.now(UTC)
        self.state.rows_behind = behind
        self.state.failure = None
        return behind
