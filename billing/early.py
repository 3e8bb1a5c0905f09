"""Acknowledges submissions from this process's own log, before they are in the database.

    event loop        take()       budgets leased? into the log, with all that comes in one turn of the loop
    kernel            syncs the log and wakes the loop, which wakes whoever waits
    journal's thread  collect()    a moment later: one transaction for all of it; then shipped()

The loop and the journal's thread share no lock: what is durable goes through a deque. Whatever cannot be
taken here (no lease, budgets not read just now, no room, a disk that failed) goes the usual way.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from billing.budgets import Amounts
from billing.disk import DiskSync
from billing.ledger import CHARGE_TABLE, DISPATCH_TABLE, Charge, record_of
from billing.segments import SegmentFull, payload_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from billing.budgets import AccountKey
    from billing.leases import Leased, Purse, Taken
    from billing.ledger import Record
    from billing.segments import Log, Position
    from billing.submissions import Submission

log = logging.getLogger(__name__)

CLOSING_S: Final = 5.0
RESTING_S: Final = 60.0


class Handed(NamedTuple):
    """What goes from the event loop to the journal's thread: a durable submission, or leases given up.

    `position`: up to where the log is in the database once this is; the last of a flight knows it.
    """

    records: list[Record]
    freed: Leased
    sums: Mapping[AccountKey, int]
    position: Position | None


RECALLED: Final = Handed([], {}, {}, None)
"""Behind this very object nothing comes that was taken from a lease granted before the recall."""


class _Waiting(NamedTuple):
    submission: Submission
    records: list[Record]
    payload: bytes
    taken: Taken


def _handed(flight: Sequence[_Waiting | None], position: Position | None) -> Iterator[Handed]:
    last = next((one for one in reversed(flight) if one is not None), None)
    for one in flight:
        if one is None:
            yield RECALLED
        else:
            end = position if one is last else None
            yield Handed(one.records, one.taken.leased, one.taken.sums, end)


def _holds(submission: Submission) -> dict[str, Amounts]:
    """What the attempts held that a submission charges."""
    return {
        one.attempt_id: Amounts(one.held_nano_krw) for one in submission.entries if isinstance(one, Charge)
    }


class Early:
    """`wake` resolves submissions on the event loop; `turn_away` hands them to the usual way.

    What has rows for tables of `at_once`, or none of the ledger's, waits for the database: whoever writes
    them may look for them at once. `rouse` wakes the journal's thread; `committed` hears of each sync: how
    many submissions, and how long the first waited.
    """

    def __init__(
        self,
        segments_log: Log,
        purse: Purse,
        *,
        at_once: frozenset[str],
        wake: Callable[[Sequence[Submission]], None],
        turn_away: Callable[[Submission], None],
        rouse: Callable[[], None],
        committed: Callable[[int, float], None],
    ) -> None:
        self._log = segments_log
        self._purse = purse
        self._at_once = at_once
        self._wake = wake
        self._turn_away = turn_away
        self._rouse = rouse
        self._committed = committed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0
        self._disk: DiskSync | None = None
        self._works = True
        self._rests_until = 0.0
        self._waiting: list[_Waiting | None] = []
        self._flight: list[_Waiting | None] | None = None
        self._is_scheduled = False
        self._last_flight = 0
        self._durable: deque[Handed] = deque()
        self._nobody_looks = False
        self._closed = threading.Event()

    # --- on the event loop ---

    def take(self, submission: Submission) -> bool:
        """Take a submission to acknowledge it soon; False: it needs the usual way."""
        loop = submission.loop
        if loop is None or (loop is not self._loop and not self._bind(loop)) or not self._works:
            return False
        if self._rests_until and time.monotonic() < self._rests_until:
            return False
        try:
            records = [record_of(entry) for entry in submission.entries]
            payload = payload_of(records)
        except Exception:  # noqa: BLE001 - the journal finds the same, and says it
            return False
        tables = [record.table for record in records]
        dispatches, charges = DISPATCH_TABLE in tables, CHARGE_TABLE in tables
        if not (dispatches or charges) or not self._at_once.isdisjoint(tables):
            return False
        taken = self._purse.take(records, _holds(submission) if charges else {}, dispatches=dispatches)
        if taken is None:
            given_up = self._purse.give_up(records)
            if given_up:
                self._hand([Handed([], given_up, {}, None)])
            return False
        self._waiting.append(_Waiting(submission, records, payload, taken))
        if self._flight is None and not self._is_scheduled:
            self._begin(loop)
        return True

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sync at once for whoever comes alone; else with all that come in this turn of the loop."""
        if self._last_flight <= 1:
            self._fly()
        else:
            self._is_scheduled = True
            loop.call_soon(self._fly)

    def _fly(self) -> None:
        self._is_scheduled = False
        if self._flight is not None or not self._waiting:
            return
        flight, self._waiting = self._waiting, []
        self._flight = flight
        payloads = [one.payload for one in flight if one is not None]
        if not payloads:
            self._land(flight, None)
            return
        try:
            position = self._log.write(payloads)
        except (SegmentFull, OSError):
            self._fail(flight)
            return
        assert self._disk is not None
        try:
            self._disk.sync(
                self._log.descriptor, lambda synced: self._synced(flight, position, synced=synced)
            )
        except OSError:
            self._synced(flight, position, synced=False)

    def _synced(self, flight: list[_Waiting | None], position: Position, *, synced: bool) -> None:
        if self._flight is not flight:  # `close` did not wait for it
            return
        if synced:
            self._land(flight, position)
            return
        log.error("journal_log_not_synced", extra={"submissions": len(flight)})
        self._works = False
        with suppress(OSError):  # a disk that writes nothing at all any more
            self._log.take_back([one.payload for one in flight if one is not None])
        self._fail(flight)

    def _land(self, flight: list[_Waiting | None], position: Position | None) -> None:
        self._flight = None
        durable = [one for one in flight if one is not None]
        self._last_flight = len(durable)
        self._hand(_handed(flight, position))
        if durable and self._loop is not None and not self._loop.is_closed():
            self._wake([one.submission for one in durable])
            waited_s = time.monotonic() - durable[0].submission.at
            self._loop.call_soon(self._committed, len(durable), waited_s)  # behind whoever was waiting
        if self._waiting:
            self._fly()

    def _fail(self, flight: list[_Waiting | None]) -> None:
        """Nothing of a flight is durable: it goes the usual way."""
        self._flight = None
        for one in flight:
            if one is None:
                self._hand([RECALLED])
            else:
                self._purse.undo(one.taken)
                if one.taken.leased:
                    self._hand([Handed([], one.taken.leased, {}, None)])
                self._turn_away(one.submission)
        if self._waiting:
            self._fly()

    def _hand(self, handed: Iterable[Handed]) -> None:
        self._durable.extend(handed)
        if self._nobody_looks:
            self._nobody_looks = False
            self._rouse()

    def _recall(self) -> None:
        self._purse.empty()
        self._waiting.append(None)
        if self._flight is None:
            self._fly()

    def _bind(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Serve one loop at a time: the first, and another when that is closed."""
        if self._loop is not None and not self._loop.is_closed():
            return False
        self._land_at_once()
        try:
            self._disk = DiskSync(loop)
        except (OSError, SystemError):
            log.warning("journal_log_unavailable")
            self._works = False
        self._loop, self._thread_id = loop, threading.get_ident()
        return True

    def _land_at_once(self) -> None:
        """Wait for the disk here and now: for when no loop will."""
        while self._flight is not None or self._waiting:
            if self._flight is None:
                self._fly()
            flight, position = self._flight, self._log.position
            if flight is not None:
                try:
                    os.fdatasync(self._log.descriptor)
                except OSError:
                    self._synced(flight, position, synced=False)
                else:
                    self._land(flight, position)

    def _close(self) -> None:
        self._works = False
        try:
            self._land_at_once()
            if self._disk is not None:
                self._disk.close()
        finally:
            self._closed.set()

    # --- from any thread ---

    def close(self) -> None:
        """Take nothing more, and wait until all that was taken is durable or went the usual way."""
        loop = self._loop
        if loop is not None and loop.is_running() and threading.get_ident() != self._thread_id:
            loop.call_soon_threadsafe(self._close)
            self._closed.wait(CLOSING_S)
        else:
            self._close()

    # --- on the journal's thread ---

    def wait_until_closed(self) -> None:
        """Wait, however long it takes, until nothing more is acknowledged: only then may the log go."""
        self._closed.wait()

    @property
    def is_calm(self) -> bool:
        """Whether submissions come one by one."""
        return self._last_flight <= 1

    def collect(self, most: int) -> list[Handed]:
        """Return what is durable and not yet in the database, in order."""
        durable = self._durable
        return [durable.popleft() for _ in range(min(most, len(durable)))]

    def is_idle(self) -> bool:
        """Whether there is nothing to collect; if so, `rouse` is called when there is."""
        self._nobody_looks = True
        if not self._durable:
            return True
        self._nobody_looks = False
        return False

    def rest(self) -> None:
        """Take nothing for a while: the database refuses rows, and whoever waits must hear of it."""
        self._rests_until = time.monotonic() + RESTING_S

    def recall(self) -> None:
        """Ask the event loop to give up all leases; it answers with RECALLED."""
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._recall)
                return
        except RuntimeError:  # it is closed
            pass
        self._purse.empty()
        self._durable.append(RECALLED)

    def shipped(self, position: Position) -> None:
        """Note that everything up to here is in the database.

        Where that cannot be noted it is shipped again some day, which changes nothing; but no more is taken.
        """
        try:
            self._log.shipped(position)
        except OSError:
            if self._works:
                log.exception("journal_log_not_noted")
            self._works = False
