"""What is due now and then, off the path of requests: the access audit takes in what was left, and lets go.

At the start events that a tool without the key has left are chained, and a configuration that differs from
the last one is noted: policies and prices are changed in haechi.toml, and the trail must say when they came
into force. Once a day what is older than it must be kept is deleted behind a signed checkpoint; once an hour
the keys of stored prompts that are past their day are destroyed. Every worker does it; the trail's lock makes
them take turns.
"""

from __future__ import annotations

import asyncio
import hashlib
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from gateway.audit import Actor, AuditEvent
from gateway.keyring import Purpose
from gateway.store.audit import absorb, append_if_changed, prune_audit
from gateway.store.incident_content import destroy_content, forget_destroyed
from gateway.store.sessions import forget_old

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.keyring import Keyring
    from gateway.store.database import Database

log = structlog.get_logger("haechi.housekeeping")
A_DAY: Final = timedelta(days=1)
AN_HOUR_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Housekeeping:
    database: Database
    keyring: Keyring
    config: Path
    """haechi.toml."""
    audit_days: int
    """How long events of the access audit are kept."""
    every_s: float = AN_HOUR_S

    async def run(self) -> None:
        """Keep house until cancelled; a database that is away is tried again the next time."""
        await self._do(partial(forget_destroyed, self.database))
        kept: datetime | None = None
        while True:
            now = datetime.now(UTC)
            await self._do(partial(self.destroy, now))
            if (kept is None or now - kept >= A_DAY) and await self._do(partial(self.once, now)):
                kept = now
            await asyncio.sleep(self.every_s)

    async def _do(self, work: Callable[[], object]) -> bool:
        """Say whether it was done; a failure is logged by its kind."""
        try:
            await asyncio.to_thread(work)
        except Exception as error:  # noqa: BLE001 - it outlives every fault of the database
            log.warning("housekeeping_failed", error=type(error).__name__)
            return False
        return True

    def destroy(self, now: datetime) -> None:
        """Destroy the keys of texts that are past their day."""
        destroyed = destroy_content(self.database, now, Actor("system"))
        if destroyed:
            log.info("texts_destroyed", texts=destroyed)

    def once(self, now: datetime) -> int:
        """Do what is due once a day; return how many events were let go."""
        absorb(self.database)
        event = AuditEvent(now, Actor("system"), "config.change", details=fingerprints(self.config))
        append_if_changed(self.database, event)
        forget_old(self.database, now)
        key = self.keyring.current(Purpose.ACCESS_AUDIT)
        gone = prune_audit(self.database, key, older_than=now - timedelta(days=self.audit_days), at=now)
        if gone:
            log.info("audit_pruned", events=gone)
        return gone


def fingerprints(config: Path) -> dict[str, str]:
    """Return the SHA-256 of each part of a haechi.toml; the file itself holds no secret."""
    tables = tomllib.loads(config.read_text(encoding="utf-8-sig"))
    filtering = tables.pop("filter", {})
    parts = {name: tables.pop(name, None) for name in ("prices", "fx", "models", "providers", "console")}
    parts |= {"policies": filtering.pop("policies", None), "rules": filtering.pop("rules", None)}
    parts["rest"] = {**tables, "filter": filtering}
    return {name: _digest(part) for name, part in parts.items()}


def _digest(part: object) -> str:
    text = orjson.dumps(part, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(text).hexdigest()
