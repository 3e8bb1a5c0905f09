"""The directory that the running gateway asks: identity's pure look-ups over the store's snapshot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.identity import Directory
from gateway.keyring import Keyring, Purpose
from gateway.store.organisation import load_organisation, read_revision
from gateway.store.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine


def directory_snapshot(
    engine: Engine, keyring: Keyring, *, jwt_secrets: Sequence[str] = (), max_stale_s: float = 60.0
) -> Snapshot[Directory]:
    """Return the snapshot, not yet started; `.start()`, then `.current().identify(headers, now)`."""
    hash_keys = keyring.all(Purpose.API_KEY_HASH)

    def load() -> Directory:
        return Directory.of(load_organisation(engine), hash_keys, datetime.now(UTC), jwt_secrets)

    return Snapshot("directory", lambda: read_revision(engine), load, max_stale_s=max_stale_s)
