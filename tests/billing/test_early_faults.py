"""What is acknowledged from the log, when something fails in the wrong moment: nothing lost, nothing overspent."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from billing import early, late, segments
from billing.budgets import BudgetExceeded
from billing.disk import DiskSync
from billing.errors import JournalUnavailable, RowRefused, SinkUnavailable
from billing.journal import Journal, _Word
from billing.ledger import record_of
from billing.segments import Log, Orphan, Segment, SegmentFull, Segments, payload_of, wait_until_written
from billing.store import LedgerSink, check_accounts, verify
from billing.store.leases import LeaseBook
from billing.usage import Usage
from tests.billing.conftest import exchange, limit, rows_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.billing.conftest import Maker

pytestmark = pytest.mark.anyio


class Waits:
    """The first transaction with rows waits for the database, as at a lock, and fails."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.began, self.ends = threading.Event(), threading.Event()
        self._ship = LedgerSink.ship
        patch.setattr(
            LedgerSink, "ship", lambda sink, group, *back, **how: self._wait(sink, group, back, how)
        )

    def _wait(self, sink: LedgerSink, group: Any, back: Any, how: Any) -> Any:
        if group and not self.began.is_set():
            self.began.set()
            self.ends.wait(10)
            raise SinkUnavailable("locked")
        return self._ship(sink, group, *back, **how)


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def read_only(*_: Any) -> None:
    raise OSError(30, "Read-only file system")


def set_aside(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(
            connection.execute(text("SELECT coalesce(sum(nano_krw), 0) FROM budget_lease")).scalar_one()
        )


def free_in_the_purse(journal: Journal) -> int:
    purse = journal._sink._accounts.leases._purse  # type: ignore[attr-defined]
    purse._collect()
    return sum(amounts.nano_krw for amounts in purse._free.values())


def left_in(directory: Path) -> list[Any]:
    """What the next process would find in the files of a dead one."""
    (own,) = directory.glob("*.segment")
    orphan = Orphan(Segment.open(own) or pytest.fail("no segment"))
    found = list(orphan.read())
    orphan.release()
    return found


async def test_what_came_while_a_transaction_failed_is_written_before_the_log_goes(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal, waits = new_journal(tick_s=60), Waits(monkeypatch)
    await exchange(journal, make)
    await asyncio.to_thread(waits.began.wait, 5)
    for _ in range(10):
        await exchange(journal, make)
    waits.ends.set()
    await asyncio.to_thread(journal.stop)
    if any((tmp_path / "s").iterdir()):  # the next start has the rest
        new_journal().stop()
    assert rows_in(sqlite, "ledger_charge") == 11


async def test_a_charge_that_is_spilled_follows_its_dispatch_from_the_log(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: bytes
) -> None:
    limit(sqlite, make, 10**18)
    journal = new_journal(tick_s=60)
    for _ in range(4):
        await exchange(journal, make)
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    await journal.append(())
    waits = Waits(monkeypatch)
    await exchange(journal, make)
    await asyncio.to_thread(waits.began.wait, 5)
    dispatch = make.dispatch()
    await journal.append([dispatch])
    waits.ends.set()
    await until(lambda: not journal.stats.available)
    await journal.append([make.charge(dispatch)])
    await until(lambda: journal.stats.available)
    await asyncio.to_thread(journal.stop)
    assert rows_in(sqlite, "ledger_charge") == 6
    assert check_accounts(sqlite) == [], "nothing is held for an attempt that is charged"
    assert verify(sqlite, key).ok


async def test_a_charge_that_finds_the_log_full_ends_no_lease(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bound = make.dispatch().hold_nano_krw
    limit(sqlite, make, 1000 * bound)
    one, two = new_journal(tick_s=60), new_journal(tick_s=60)
    write, full = Log.write, []

    def is_full_for_charges(log: Log, payloads: Any) -> Any:
        if full and full.pop():
            raise SegmentFull("full")
        return write(log, payloads)

    monkeypatch.setattr(Log, "write", is_full_for_charges)
    for _ in range(12):
        dispatch = make.dispatch()
        await one.append([dispatch])
        full.append(True)
        await one.append([make.charge(dispatch)])
        full.clear()
        for _ in range(4):
            await exchange(one, make, usage=Usage())
        await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
        assert free_in_the_purse(one) <= set_aside(sqlite)
    for journal in (two, one):
        with pytest.raises(BudgetExceeded):
            while True:
                await journal.append([make.dispatch()])
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    with sqlite.connect() as connection:
        ((taken,),) = connection.execute(text("SELECT spent_nano_krw + held_nano_krw FROM budget_account"))
    assert taken <= 1000 * bound


async def test_a_log_that_a_locked_database_lets_fill_up_keeps_what_is_set_aside_true(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    create = Log.create
    monkeypatch.setattr(Log, "create", lambda stem: create(stem, 8_000))
    limit(sqlite, make, 4000 * make.dispatch().hold_nano_krw)
    journal = new_journal(tick_s=60)
    for _ in range(6):
        await exchange(journal, make)
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    await journal.append(())
    dispatches = [make.dispatch() for _ in range(60)]
    for dispatch in dispatches:
        await journal.append([dispatch])
    await journal.append(())
    lock = sqlite3.connect(str(sqlite.url.database), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    charged = [journal.append([make.charge(dispatch)]) for dispatch in dispatches]
    await asyncio.sleep(0.3)
    lock.execute("COMMIT")
    lock.close()
    await asyncio.gather(*charged)
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    await asyncio.sleep(0.1)
    assert free_in_the_purse(journal) <= set_aside(sqlite)


async def test_a_dead_processs_log_is_shipped_after_a_failure_in_the_middle(
    sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: bytes
) -> None:
    dead = Segments(tmp_path / "s", 1 << 20)
    dead.open()
    journal = Journal(LedgerSink(sqlite, key), Segments(tmp_path / "s", 1 << 20), tick_s=0.05)
    journal.start()
    dead_log, dispatch = dead.open_log(), make.dispatch()
    dead_log.write([payload_of([record_of(entry)]) for entry in (dispatch, make.charge(dispatch))])
    waits = Waits(monkeypatch)
    waits.ends.set()
    dead.close(keep=True)
    await until(lambda: rows_in(sqlite, "ledger_charge") > 0)
    assert waits.began.is_set()
    await until(lambda: len(list((tmp_path / "s").glob("*.segment"))) == 1)
    journal.stop()


async def test_a_disk_that_becomes_read_only_leaves_it_to_the_database(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = new_journal()
    await exchange(journal, make)
    fails: Callable[..., Any] = lambda _disk, _file, done: asyncio.get_running_loop().call_soon(done, False)  # noqa: E731
    monkeypatch.setattr(DiskSync, "sync", fails)
    monkeypatch.setattr(Segment, "take_back", read_only)
    await asyncio.wait_for(exchange(journal, make), 10)
    assert rows_in(sqlite, "ledger_charge") == 2


@pytest.mark.parametrize("what", ["shipped_to", "clear"])
async def test_a_disk_that_becomes_read_only_ends_no_journal(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    journal = new_journal(tick_s=0.05)
    await exchange(journal, make)
    monkeypatch.setattr(Segment, what, read_only)
    if what == "clear":
        journal._went_away(SinkUnavailable("away"))
        await until(lambda: journal.stats.available)
    for _ in range(3):
        await exchange(journal, make)
        await asyncio.sleep(0.1)
    assert journal.available
    monkeypatch.undo()
    journal.stop()
    assert rows_in(sqlite, "ledger_charge") == 4


async def test_leases_that_cannot_be_ended_at_once_come_back_once(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limit(sqlite, make, 10_000 * make.dispatch().hold_nano_krw)
    journal = new_journal(tick_s=60)
    for _ in range(5):
        await exchange(journal, make)
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    await journal.append(())
    monkeypatch.setattr(late, "LATE_S", 0.15)
    monkeypatch.setattr(late, "LATE_WHEN_CALM_S", 0.15)
    end, seen = LeaseBook.end, []

    def fails_at_first(book: LeaseBook, connection: Any, owner: str) -> None:
        seen.append(connection.execute(text("SELECT min(nano_krw) FROM budget_lease")).scalar_one())
        if len(seen) < 4:
            raise SinkUnavailable("locked")
        end(book, connection, owner)

    monkeypatch.setattr(LeaseBook, "end", fails_at_first)
    await journal.append(())
    for _ in range(60):
        await journal.append([make.dispatch()])
    journal._early._recall()
    await until(lambda: len(seen) >= 4)
    assert min(seen) >= 0
    assert len(set(seen)) == 1


async def test_a_refused_row_that_no_file_can_keep_stays_in_the_log(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Segments, "keep", read_only)
    journal = new_journal(tick_s=60)
    trigger = "CREATE TRIGGER no BEFORE INSERT ON ledger_charge BEGIN SELECT RAISE(ABORT, 'no'); END"
    with sqlite.begin() as connection:
        connection.execute(text(trigger))
    dispatch = await exchange(journal, make)
    await until(lambda: journal.stats.refused > 0)
    with pytest.raises(RowRefused):
        await exchange(journal, make)
    await asyncio.to_thread(journal.stop)
    found = {record.attempt_id for submission in left_in(tmp_path / "s") for record in submission}
    assert dispatch.attempt_id in found
    with sqlite.begin() as connection:
        connection.execute(text("DROP TRIGGER no"))
    monkeypatch.undo()
    new_journal().stop()
    with sqlite.connect() as connection:
        charged = connection.execute(text("SELECT attempt_id, outcome FROM ledger_charge")).all()
    assert (dispatch.attempt_id, "success") in [tuple(row) for row in charged]
    assert not list((tmp_path / "s").iterdir())


def test_nobody_takes_a_file_that_begins_for_that_of_a_dead_process(
    make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other, looked = Segments(tmp_path, 1 << 20), []
    other.open()
    flock = segments.fcntl.flock

    def looks_first(descriptor: int, how: int) -> None:
        if not looked:
            looked.append(True)
            for orphan in other.orphans():
                orphan.remove()
        flock(descriptor, how)

    monkeypatch.setattr("fcntl.flock", looks_first)
    mine = Segments(tmp_path, 1 << 20)
    mine.open()
    mine.open_log().write([payload_of([record_of(make.dispatch())])])
    mine.close(keep=True)
    assert looked
    (orphan,) = other.orphans()
    assert len(list(orphan.read())) == 1
    orphan.release()


def test_a_file_whose_process_was_killed_while_it_began_goes_an_hour_later(tmp_path: Path) -> None:
    old, new = (tmp_path / f"{name}.segment.new" for name in ("old", "new"))
    for file in (old, new):
        file.write_bytes(b"")
    os.utime(old, (0, 0))
    segments_of_mine = Segments(tmp_path, 1 << 16)
    segments_of_mine.open()
    assert [old.exists(), new.exists()] == [False, True]
    segments_of_mine.close(keep=False)


def test_what_the_kernel_writes_in_part_is_not_taken(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "a.segment").touch()
    log, payload = Log.create(tmp_path / "a", 20_000), payload_of([record_of(make.dispatch())])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096 + len(payload) // 2, before[1]))
    try:
        with pytest.raises(OSError, match="written in part"):
            log.write([payload])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.write([payload])
    orphan = Orphan(Segment.open(tmp_path / "a.segment") or pytest.fail("no segment"))
    assert len(list(orphan.read())) == 1
    orphan.release()


def test_what_could_not_be_synced_is_not_read_by_the_next_process(
    make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spilling = Segments(tmp_path, 1 << 20)
    spilling.open()
    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", read_only)
        assert spilling.append([[record_of(make.dispatch())]], [False]) == [False]
    assert left_in(tmp_path) == []
    assert spilling.append([[record_of(make.dispatch())]], [False]) == [True]
    assert len(left_in(tmp_path)) == 1


async def test_a_spilled_charge_that_the_database_refuses_and_no_file_can_keep_stays_in_the_segment(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal = new_journal(tick_s=60, early=False)
    dispatch = make.dispatch()
    await journal.append([dispatch])
    with sqlite.begin() as connection:
        connection.execute(
            text("CREATE TRIGGER no BEFORE INSERT ON ledger_charge BEGIN SELECT RAISE(ABORT, 'no'); END")
        )
    with monkeypatch.context() as patch:
        away = [True]
        write, ship = LedgerSink.write, LedgerSink.ship

        def unless_away(how: Any) -> Any:
            def tried(*arguments: Any, **more: Any) -> Any:
                if away:
                    raise SinkUnavailable("away")
                return how(*arguments, **more)

            return tried

        patch.setattr(LedgerSink, "write", unless_away(write))
        patch.setattr(LedgerSink, "ship", unless_away(ship))
        patch.setattr(Segments, "keep", read_only)
        await journal.append([make.charge(dispatch)])
        away.clear()
        await until(lambda: journal.stats.available)
        await asyncio.to_thread(journal.stop)
    with sqlite.begin() as connection:
        connection.execute(text("DROP TRIGGER no"))
    new_journal().stop()
    assert rows_in(sqlite, "ledger_charge") == 1


async def test_a_charge_after_the_end_hears_that_nothing_is_recorded(new_journal: Any, make: Maker) -> None:
    journal = new_journal(early=False)
    dispatch = make.dispatch()
    await journal.append([dispatch])
    await asyncio.to_thread(journal.stop)
    with pytest.raises(JournalUnavailable):
        await asyncio.wait_for(journal.append([make.charge(dispatch)]), 5)


async def test_the_log_stays_until_the_last_flight_has_landed(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(early, "CLOSING_S", 0.1)
    journal = new_journal(tick_s=60)
    await exchange(journal, make)
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    waiting = asyncio.ensure_future(journal.append([make.dispatch()]))
    stopping = threading.Thread(target=journal.stop)
    await asyncio.sleep(0)
    stopping.start()
    time.sleep(0.6)  # noqa: ASYNC251 - the loop is busy
    await asyncio.wait_for(waiting, 5)
    await asyncio.to_thread(stopping.join)
    assert rows_in(sqlite, "ledger_dispatch") == 2


async def test_without_a_log_nothing_is_leased(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(sqlite, make, 1000 * make.dispatch().hold_nano_krw)
    with monkeypatch.context() as patch:
        patch.setattr(Segments, "open_log", read_only)
        journal = new_journal(tick_s=0.05)
    for _ in range(5):
        await exchange(journal, make)
    await asyncio.sleep(0.2)
    assert set_aside(sqlite) == 0
    assert rows_in(sqlite, "ledger_charge") == 5


async def test_what_the_dead_left_is_shipped_before_their_leases_end_also_after_an_outage(
    new_journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, order = new_journal(tick_s=60), []
    ship, tick = Journal._ship_orphans, LedgerSink.tick

    def shipping(journal: Journal, files: Segments) -> None:
        order.append("the dead")
        ship(journal, files)

    def ticking(sink: LedgerSink) -> None:
        order.append("tick")
        tick(sink)

    monkeypatch.setattr(Journal, "_ship_orphans", shipping)
    monkeypatch.setattr(LedgerSink, "tick", ticking)
    journal._went_away(SinkUnavailable("away"))
    journal._queue.put(_Word.LOOK)
    await until(lambda: len(order) >= 2)
    assert order[:2] == ["the dead", "tick"]


def test_a_journal_that_cannot_start_ends_at_once(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: bytes
) -> None:
    def away(_: LedgerSink) -> None:
        raise SinkUnavailable("away")

    monkeypatch.setattr(LedgerSink, "tick", away)
    journal = Journal(LedgerSink(sqlite, key), Segments(tmp_path / "s", 1 << 20))
    with pytest.raises(JournalUnavailable, match="away"):
        journal.start(timeout_s=10)
    journal._thread.join(5)
    assert not journal._thread.is_alive()
    assert not list((tmp_path / "s").iterdir())


def test_whoever_lost_its_slot_adopts_from_another(sqlite: Engine, make: Maker, key: bytes) -> None:
    sink = LedgerSink(sqlite, key, clock=lambda: make.now)
    sink.open()
    dispatch = make.dispatch()
    sink.write([[record_of(dispatch)]])
    with sqlite.begin() as connection:
        connection.execute(text("UPDATE ledger_writer SET epoch = epoch + 1"))
    assert sink.adopt([dispatch.attempt_id]) == 1
    sink.close()
