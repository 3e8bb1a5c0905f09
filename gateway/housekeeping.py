"""What is due now and then, off the path of requests: the access audit takes in what was left, and lets go.

At the start events that a tool without the key has left are chained; once a day what is older than it must
be kept is deleted behind a signed checkpoint. Every worker does it; the trail's lock makes them take turns.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from gateway.keyring import Purpose
from gateway.store.audit import absorb, prune_audit

if TYPE_CHECKING:
    from gateway.keyring import Keyring
    from gateway.store.database import Database

log = structlog.get_logger("haechi.housekeeping")
A_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Housekeeping:
    database: Database
    keyring: Keyring
    audit_days: int
    """How long events of the access audit are kept."""
    every_s: float = A_DAY_S

    async def run(self) -> None:
        """Keep house until cancelled; a database that is away is tried again the next time."""
        while True:
            try:
                await asyncio.to_thread(self.once, datetime.now(UTC))
            except Exception as error:  # noqa: BLE001 - it outlives every fault of the database
                log.warning("housekeeping_failed", error=type(error).__name__)
            await asyncio.sleep(self.every_s)

    def once(self, now: datetime) -> int:
        """Do what is due; return how many events were let go."""
        absorb(self.database)
        key = self.keyring.current(Purpose.ACCESS_AUDIT)
        gone = prune_audit(self.database, key, older_than=now - timedelta(days=self.audit_days), at=now)
        if gone:
            log.info("audit_pruned", events=gone)
        return gone
