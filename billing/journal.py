"""The journal: one thread per process that makes rows durable in groups.

    event loop    append(entries) -> Future        waits for the group commit, not for its own
    journal thread    takes all that waits, writes it in one transaction, wakes the loop once

On one machine (SQLite) most submissions are durable and acknowledged before, in this process's own log, and
come here a moment later (`billing.early`). For all others the database commit is the durable point.

While the database is away, local segments that are fsynced take its place (`billing.segments`): charges
always, new dispatches for a configured time and as long as there is room for their charges. What is spilled
is shipped, in order, when the database is back; shipping twice changes nothing. No SQL lives here; a sink
(`billing.store`) does it.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from concurrent.futures import Future as ThreadFuture
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from billing.early import Early
from billing.errors import JournalUnavailable, RowRefused, SinkUnavailable, nothing_recorded
from billing.late import Late
from billing.ledger import Charge, Dispatch, record_of
from billing.submissions import NOTHING_BACK, JournalStats, Sink, Submission, Waiting, resolve, with_back

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from billing.ledger import Entry, Record
    from billing.segments import Orphan, Segments
    from billing.submissions import Result

__all__ = ["Journal", "JournalUnavailable", "RowRefused", "Sink", "SinkUnavailable"]

log = logging.getLogger(__name__)

MAX_GROUP: Final = 256
"""Submissions of one transaction: beyond it a bigger group saves nothing and delays the first."""

GATHER_S: Final = 0.000_05
GATHER_MOST_S: Final = 0.001
GATHER_STEPS: Final = 4
"""While submissions come side by side a group waits for more, step by step, until one brings none: a commit
costs nearly the same for one row as for twenty. A step is the longer, the more there were in the last group;
a request that is alone never waits."""

FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 2.0


class _Word(Enum):
    """What stands in the queue beside submissions."""

    END = "end"
    LOOK = "look"
    """Something was acknowledged early."""


_Write: TypeAlias = "Callable[[Sequence[Sequence[Record]]], list[RowRefused | None]]"


class Journal:
    """`serve_without_database_s`: how long new dispatches are accepted on segments alone.

    `early`: acknowledge from a log of this process where the sink is for one machine, but for rows of tables
    that are looked for `at_once`.
    """

    def __init__(  # noqa: PLR0913 - each by its name, with a default
        self,
        sink: Sink,
        segments: Segments | None = None,
        *,
        max_pending: int = 20_000,
        tick_s: float = 2.0,
        serve_without_database_s: float = 60.0,
        early: bool = True,
        at_once: Collection[str] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        committed: Callable[[int, float], None] = lambda _submissions, _longest_wait_s: None,
    ) -> None:
        """`committed` hears of each group: how many submissions, and how long the first of them waited."""
        self.stats = JournalStats()
        self._sink = sink
        self._segments = segments
        self._max_pending = max_pending
        self._tick_s = tick_s
        self._serve_without_database_s = serve_without_database_s
        self._clock = clock
        self._committed = committed
        self._queue: queue.SimpleQueue[Submission | _Word] = queue.SimpleQueue()
        self._started: ThreadFuture[None] = ThreadFuture()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._wants_early = early
        self._at_once = frozenset(at_once)
        self._early: Early | None = None
        self._late: Late | None = None
        self._backlog: list[list[Record]] = []
        self._holds_refused = False
        """The segment holds for good what the database refused and no file could keep."""
        self._in_doubt: list[Dispatch] = []
        self._away_since: float | None = None
        self._retry_at = 0.0
        self._retry_s = FIRST_RETRY_S
        self._ticked_at = 0.0
        self._last_group = 0
        self._stopping = False
        self._ended = False

    # --- called from any thread, most often from the event loop ---

    def start(self, timeout_s: float = 30.0) -> None:
        """Open the sink and start to write. Raises JournalUnavailable if it cannot be opened."""
        self._thread.start()
        try:
            self._started.result(timeout_s)
        except (SinkUnavailable, TimeoutError, OSError) as error:
            raise JournalUnavailable(
                "원장 데이터베이스를 열 수 없습니다. `haechi doctor`로 원인을 확인하세요.",
                f"the ledger's database cannot be opened ({error}); run `haechi doctor`",
            ) from error

    def stop(self, timeout_s: float = 30.0) -> None:
        """Write what waits, give the slot back and end the thread."""
        self._stopping = True
        if self._early is not None:
            self._early.close()
        self._queue.put(_Word.END)
        self._thread.join(timeout_s)

    @property
    def available(self) -> bool:
        """Whether a dispatch would be taken now."""
        return self._thread.is_alive() and not self._refusing()

    def append(self, entries: Iterable[Entry]) -> Awaitable[None]:
        """Make entries durable together; await the result on the running event loop.

        Awaiting raises JournalUnavailable (nothing was written, send nothing) or RowRefused. A
        submission with a charge is never refused for want of room. A dispatch whose caller is
        cancelled while it waits is settled here as `not_sent`: its caller sends nothing.
        """
        entries = tuple(entries)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._submit(Submission.of(entries, waiter, loop))
        if any(isinstance(entry, Dispatch) for entry in entries):
            return Waiting(waiter, lambda: self._settle_abandoned(entries))
        return waiter

    def write(self, entries: Iterable[Entry], timeout_s: float = 60.0) -> None:
        """Make entries durable together and wait, for code that runs in threads."""
        waiter: ThreadFuture[None] = ThreadFuture()
        self._submit(Submission.of(tuple(entries), waiter, None))
        waiter.result(timeout_s)

    def _submit(self, submission: Submission) -> None:
        """Acknowledge it early, or queue it for the database."""
        must_keep = submission.must_keep
        if not must_keep and (self._refusing() or self._queue.qsize() >= self._max_pending):
            submission.waiter.set_exception(nothing_recorded())
        elif self._early is None or self._away_since is not None or not self._early.take(submission):
            self._queue.put(submission)
            if self._ended:
                self._turn_away_all()

    def _turn_away_all(self) -> None:
        """Tell whoever came after the end that nothing is recorded: the next start estimates it."""
        with suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if isinstance(item, Submission):
                    self._resolve([item], [nothing_recorded()])

    def _settle_abandoned(self, entries: tuple[Entry, ...]) -> None:
        charged = {entry.attempt_id for entry in entries if isinstance(entry, Charge)}
        now = self._clock()
        charges = tuple(
            Charge.not_sent(entry, now, "its caller went away before it was sent")
            for entry in entries
            if isinstance(entry, Dispatch) and entry.attempt_id not in charged
        )
        if charges:
            self._submit(Submission.of(charges, ThreadFuture(), None))

    def _refusing(self) -> bool:
        if self._stopping or not self._thread.is_alive():
            return True
        since = self._away_since
        if since is None:
            return False
        return self._segments is None or time.monotonic() - since > self._serve_without_database_s

    # --- the journal thread ---

    def _run(self) -> None:
        try:
            self._open()
        except Exception as error:  # noqa: BLE001 - handed to start()
            self._started.set_exception(error)
            return
        self.stats.available = True
        self._started.set_result(None)
        while self._step():
            pass
        if self._early is not None:
            self._early.wait_until_closed()
        self._last_words()
        self._ended = True
        self._turn_away_all()

    def _open(self) -> None:
        """Take a slot; ship what dead processes of this host left, and only then estimate the rest."""
        self._sink.open()
        try:
            if self._segments is not None:
                self._segments.open()
                self._ship_orphans(self._segments)
            self._open_early()
            self._sink.tick()
        except Exception:
            self._last_words()
            raise

    def _open_early(self) -> None:
        """Acknowledge from a log from now on, where the database is for one machine."""
        purse = None
        if self._segments is not None and self._wants_early:
            purse = self._sink.lease_as(self._segments.name)
        if self._segments is None or purse is None:
            return
        try:
            segments_log = self._segments.open_log()
        except OSError:
            log.warning("journal_log_unavailable")  # everything waits for the database then
            self._sink.lease_no_more()
            return
        early = Early(
            segments_log,
            purse,
            at_once=self._at_once,
            wake=lambda group: self._wake([(one, None) for one in group]),
            turn_away=self._queue.put,
            rouse=lambda: self._queue.put(_Word.LOOK),
            committed=self._committed,
        )
        self._late = Late(early, self._sink, self._segments.name, self._ship_records)
        self._early = early

    def _step(self) -> bool:
        group, ended = self._collect()
        if group:
            self._last_group = len(group)
            self._commit(group)
        elif self._away_since is not None:
            self._ship()
        elif self._late is not None and self._late.wait_s() == 0:
            self._unless_away(partial(self._late.ship, is_due=True))
        self._tick()
        if self._late is not None:
            self._late.recall()
        return not ended

    def _collect(self) -> tuple[list[Submission], bool]:
        """Wait for the first submission, then take all that are there."""
        group: list[Submission] = []
        try:
            item = self._queue.get(timeout=self._wait_s())
            if isinstance(item, Submission) and self._last_group > 1:
                self._gather()
            while item is not _Word.END:
                if isinstance(item, Submission):
                    group.append(item)
                elif self._late is not None:
                    self._late.roused()
                if len(group) >= MAX_GROUP:
                    return group, False
                item = self._queue.get_nowait()
        except queue.Empty:
            return group, False
        return group, True

    def _wait_s(self) -> float:
        if self._away_since is not None:
            return max(0.0, self._retry_at - time.monotonic())
        wait_s = None if self._late is None else self._late.wait_s()
        return self._tick_s if wait_s is None else wait_s

    def _gather(self) -> None:
        step_s = min(GATHER_MOST_S, GATHER_S * self._last_group)
        waiting = self._queue.qsize()
        for _ in range(GATHER_STEPS):
            time.sleep(step_s)
            before, waiting = waiting, self._queue.qsize()
            if waiting == before or waiting >= MAX_GROUP:
                return

    def _commit(self, group: list[Submission]) -> None:
        group, records = self._readable(group)
        if self._away_since is not None and not self._ship():
            self._spill(group, records)
            return
        try:
            back = NOTHING_BACK if self._late is None else self._late.ship(but_leases=True)
            results = self._write(records, with_back(self._sink.write, back))
        except SinkUnavailable as error:
            self._went_away(error)
            self._in_doubt += self._spill(group, records)
            return
        self.stats.groups += 1
        self.stats.submissions += len(group)
        self._resolve(group, results)
        if group:
            self._committed(len(group), time.monotonic() - group[0].at)

    def _unless_away(self, work: Callable[[], object]) -> bool:
        """Do what needs the database; whether it was there."""
        try:
            work()
        except SinkUnavailable as error:
            self._went_away(error)
            return False
        return True

    # --- writing ---

    def _readable(self, group: list[Submission]) -> tuple[list[Submission], list[list[Record]]]:
        """Turn entries into plain columns; what cannot be turned is refused alone."""
        readable, records = [], []
        for submission in group:
            try:
                records.append([record_of(entry) for entry in submission.entries])
                readable.append(submission)
            except Exception as error:
                log.exception("journal_entry_unreadable")
                self._resolve([submission], [RowRefused(type(error).__name__)])
        return readable, records

    def _ship_records(self, records: list[list[Record]], how: _Write) -> bool:
        """Write what was acknowledged; what the database will not take is kept for the next start.

        False: there was no room to keep it, so that it must stay where it is.
        """
        results = self._write(records, how)
        self.stats.groups += 1
        self.stats.submissions += len(records)
        refused = [one for one, result in zip(records, results, strict=True) if result is not None]
        if refused and self._segments is not None:
            try:
                self._segments.keep(refused)
            except OSError:
                log.exception("journal_refused_not_kept", extra={"submissions": len(refused)})
                return False
            finally:
                if self._early is not None:
                    self._early.rest()
        return True

    def _write(self, records: list[list[Record]], how: _Write) -> list[RowRefused | None]:
        """Write a group; where that fails in a way nobody foresaw, each submission alone."""
        try:
            results = how(records)
        except SinkUnavailable:
            raise
        except Exception as error:
            log.exception("journal_group_failed")
            if len(records) == 1:
                results = [RowRefused(type(error).__name__)]
            else:
                results = [result for submission in records for result in self._write([submission], how)]
        for submission, result in zip(records, results, strict=True):
            if result is not None and result.is_defect:
                self.stats.refused += 1
                attempts = [record.attempt_id for record in submission if record.attempt_id]
                log.error("journal_row_refused", extra={"reason": str(result), "attempts": attempts})
        return results

    def _tick(self) -> None:
        now = time.monotonic()
        if self._away_since is not None or now - self._ticked_at < self._tick_s:
            return
        self._ticked_at = now
        try:
            if self._segments is not None:
                self._ship_orphans(self._segments)
            self._sink.tick()
        except SinkUnavailable as error:
            self._went_away(error)
        except Exception:
            log.exception("journal_tick_failed")

    # --- while the database is away ---

    def _went_away(self, error: SinkUnavailable) -> None:
        if self._away_since is None:
            log.error("journal_database_away", extra={"reason": str(error)})
            self._away_since = time.monotonic()
            self.stats.available = False
            self._retry_s = FIRST_RETRY_S
        else:
            self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)
        self._retry_at = time.monotonic() + self._retry_s

    def _spill(self, group: list[Submission], records: list[list[Record]]) -> list[Dispatch]:
        """Keep charges on the local disk whatever happens; return the dispatches that were refused."""
        kept = [
            index
            for index, submission in enumerate(group)
            if submission.must_keep or self._may_spill(records[index])
        ]
        durable = self._spill_records([records[i] for i in kept], [group[i].must_keep for i in kept])
        written = {index for index, is_durable in zip(kept, durable, strict=True) if is_durable}
        self._resolve(group, [None if i in written else nothing_recorded() for i in range(len(group))])
        refused = (entry for i, one in enumerate(group) if i not in written for entry in one.entries)
        return [entry for entry in refused if isinstance(entry, Dispatch)]

    def _may_spill(self, submission: list[Record]) -> bool:
        allowed = self._segments is not None and not self._refusing()
        return allowed and not self._sink.needs_database(submission)

    def _spill_records(self, records: list[list[Record]], must_keep: list[bool]) -> list[bool]:
        """Append to the segment; charges stay in memory even where the disk takes nothing."""
        durable = [False] * len(records)
        if self._segments is not None and records:
            for index, result in enumerate(self._segments.append(records, must_keep)):
                durable[index] = result
        for index, submission in enumerate(records):
            if durable[index] or must_keep[index]:
                self._backlog.append(submission)
                self.stats.spilled += 1
        return durable

    def _ship(self) -> bool:
        """Write the backlog in order. Return whether the database is back and the backlog empty."""
        if time.monotonic() < self._retry_at:
            return False
        try:
            if self._late is not None:
                self._late.ship()
            while self._backlog:
                group = self._backlog[:MAX_GROUP]
                self._holds_refused |= not self._ship_records(group, self._sink.ship)
                del self._backlog[: len(group)]
                self.stats.shipped += len(group)
            if self._segments is not None:  # before any tick: that ends the leases of the dead
                self._ship_orphans(self._segments)
            self._sink.tick()
            self._settle_doubts()
        except SinkUnavailable as error:
            self._went_away(error)
            return False
        except Exception as error:
            log.exception("journal_not_shipped")
            self._went_away(SinkUnavailable(type(error).__name__))
            return False
        try:
            if self._segments is not None and not self._holds_refused:
                self._segments.clear()
        except OSError:  # what is not cleared is shipped again some day, which changes nothing
            log.exception("journal_segment_not_cleared")
        log.info("journal_database_back", extra={"shipped": self.stats.shipped})
        self._away_since = None
        self.stats.available = True
        return True

    def _settle_doubts(self) -> None:
        """Settle as not sent what was refused although, as shows now, its commit had taken hold."""
        written = self._sink.still_open({dispatch.attempt_id for dispatch in self._in_doubt})
        unsent = [dispatch for dispatch in self._in_doubt if dispatch.attempt_id in written]
        if unsent:
            settled = (Charge.not_sent(one, self._clock(), "its commit was in doubt") for one in unsent)
            self._write([[record_of(charge)] for charge in settled], self._sink.ship)
        self._in_doubt.clear()

    def _ship_orphans(self, segments: Segments) -> None:
        """Write what dead processes of this host spilled, then estimate what they left open."""
        for orphan in segments.orphans():
            is_written = False
            try:
                is_written = self._ship_orphan(orphan)
            finally:
                if not is_written:
                    orphan.release()  # and its lock: whoever looks next finds it again
            if is_written:
                orphan.remove()

    def _ship_orphan(self, orphan: Orphan) -> bool:
        """Return whether nothing is in its files that is not elsewhere. Raises SinkUnavailable."""
        submissions = list(orphan.read())
        is_written = True
        for start in range(0, len(submissions), MAX_GROUP):
            is_written &= self._ship_records(submissions[start : start + MAX_GROUP], self._sink.ship)
        attempts = {r.attempt_id for s in submissions for r in s if r.attempt_id is not None}
        adopted = self._sink.adopt(sorted(attempts))
        if submissions:
            log.warning("journal_orphan_shipped", extra={"submissions": len(submissions), "adopted": adopted})
        if is_written:
            self._sink.end_leases(orphan.name)
        return is_written

    def _last_words(self) -> None:
        """Before the thread ends: ship once more, and leave the rest on disk for the next start."""
        self._retry_at = 0.0
        late = self._late
        if self._away_since is not None:
            emptied = self._ship()
        else:
            emptied = late is None or self._unless_away(late.ship)
        try:
            if emptied and late is not None:
                late.end()
                emptied = not late.holds_refused
        except SinkUnavailable:
            emptied = False
        emptied = emptied and not self._holds_refused
        try:
            self._sink.close(keeps_slot=not emptied)
        except SinkUnavailable:
            emptied = False
        if self._segments is not None:
            self._segments.close(keep=not emptied)

    def _resolve(self, group: Sequence[Submission], results: Sequence[Exception | None]) -> None:
        gone = resolve(group, results, self._wake)
        if gone:  # their loop is closed: nobody waits any more, and the rows are written
            log.warning("journal_waiters_gone", extra={"waiters": gone})

    def _wake(self, waiters: Sequence[Result]) -> None:
        """Runs on the event loop."""
        for submission, result in waiters:
            if submission.waiter.cancelled():
                if result is None and not submission.must_keep:
                    self._settle_abandoned(submission.entries)
            elif result is None:
                submission.waiter.set_result(None)
            else:
                submission.waiter.set_exception(result)
