"""A value read from the database that the hot path uses without touching the database.

One thread per snapshot polls a revision number and loads anew when it moved, so a change made by any
process is seen within `poll_s` plus the load. While the database cannot be read the last value serves
for at most `max_stale_s`; then callers get ServiceUnavailable. This is the stated exception to the
one-second revocation of keys. Nothing here knows what the value is, nor SQL.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from gateway.errors import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
log = structlog.get_logger()


class Snapshot(Generic[T]):
    """`read_revision` is cheap; `load` returns the value; both may raise anything.

    `reload_s` bounds the age of a value whose revision stands still (values that depend on the day).
    """

    def __init__(
        self,
        name: str,
        read_revision: Callable[[], int],
        load: Callable[[], T],
        *,
        poll_s: float = 0.5,
        max_stale_s: float = 60.0,
        reload_s: float = 3600.0,
    ) -> None:
        self._name = name
        self._read_revision = read_revision
        self._load = load
        self._poll_s = poll_s
        self._max_stale_s = max_stale_s
        self._reload_s = reload_s
        self._value: T | None = None
        self._revision: int | None = None
        self._loaded_at = 0.0
        self._confirmed_at = float("-inf")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load once, raising whatever the database raises, then keep watching in a daemon thread."""
        self.refresh()
        self._thread = threading.Thread(target=self._watch, name=f"snapshot-{self._name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def current(self) -> T:
        """Return the value. Raises ServiceUnavailable when it could not be confirmed for `max_stale_s`."""
        if self._value is None or time.monotonic() - self._confirmed_at > self._max_stale_s:
            raise ServiceUnavailable(
                "명부를 갱신할 수 없어 요청을 받을 수 없습니다. 잠시 뒤 다시 시도하세요.",
                "The directory cannot be refreshed, so requests are refused. Try again shortly.",
                code="directory_stale",
                retry_after_s=5,
            )
        return self._value

    @property
    def age_s(self) -> float:
        """Seconds since the database last confirmed the value; infinite before the first load."""
        return time.monotonic() - self._confirmed_at

    def refresh(self) -> None:
        """Look at the revision now and load if it moved."""
        asked_at = time.monotonic()
        # Read before loading: a change in between makes the next round load again, never miss it.
        revision = self._read_revision()
        if self._value is None or revision != self._revision or asked_at - self._loaded_at > self._reload_s:
            self._value = self._load()
            self._revision = revision
            self._loaded_at = asked_at
        self._confirmed_at = asked_at

    def _watch(self) -> None:
        failing = False
        while not self._stop.wait(self._poll_s):
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 - the watcher outlives every fault of the database
                if not failing:
                    log.warning("snapshot_refresh_failed", snapshot=self._name, error=type(error).__name__)
                failing = True
            else:
                if failing:
                    log.info("snapshot_refreshed_again", snapshot=self._name)
                failing = False
