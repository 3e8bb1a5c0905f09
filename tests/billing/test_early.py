"""What is acknowledged from the log: durable at once, in the database a moment later, never over a budget."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from typing import TYPE_CHECKING, Any

import caio
import pytest
from sqlalchemy import text

from billing import disk, late
from billing.budgets import Budget, BudgetExceeded, Every, Scope
from billing.disk import DiskSync
from billing.errors import RowRefused
from billing.leases import SHARE
from billing.ledger import record_of
from billing.segments import Log, Orphan, Position, Segment, Segments, payload_of, wait_until_written
from billing.store import LedgerSink, check_accounts, set_budget, verify
from billing.store.transfers import Order, TransferRefused, transfer
from billing.usage import Usage
from tests.billing.conftest import exchange, limit, rows_in

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.billing.conftest import Maker

pytestmark = pytest.mark.anyio


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is acknowledged goes into the database when the journal stops, not before."""
    monkeypatch.setattr(late, "LATE_S", 60.0)
    monkeypatch.setattr(late, "LATE_WHEN_CALM_S", 60.0)


@pytest.mark.usefixtures("patient")
async def test_it_is_on_the_disk_when_it_is_acknowledged_and_in_the_database_later(
    new_journal: Any, sqlite: Engine, make: Maker, key: bytes, tmp_path: Path
) -> None:
    journal = new_journal()
    dispatch = await exchange(journal, make)
    assert rows_in(sqlite, "ledger_dispatch") == 0
    assert Segments(tmp_path / "s").acknowledged()
    (own,) = (tmp_path / "s").glob("*.segment")
    orphan = Orphan(Segment.open(own) or pytest.fail("no segment"))
    assert [[record.attempt_id for record in one] for one in orphan.read()] == 2 * [[dispatch.attempt_id]]
    orphan.release()
    journal.stop()
    assert rows_in(sqlite, "ledger_charge") == 1
    assert verify(sqlite, key).ok
    assert not list((tmp_path / "s").iterdir()), "its files go with it"


async def test_a_moment_later_it_is_in_the_database(
    new_journal: Any, sqlite: Engine, make: Maker, tmp_path: Path
) -> None:
    journal = new_journal()
    await asyncio.gather(*(exchange(journal, make) for _ in range(50)))
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    assert rows_in(sqlite, "ledger_charge") == 50


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each transaction of what was acknowledged: whether it rests between its statements."""
    rested: list[bool] = []
    ship = LedgerSink.ship

    def noted(sink: LedgerSink, group: Any, back: Any, *, rests: bool) -> Any:
        rested.append(rests)
        return ship(sink, group, back, rests=rests)

    monkeypatch.setattr(LedgerSink, "ship", noted)
    return rested


async def test_it_gives_way_to_requests_that_come_one_by_one(
    new_journal: Any, make: Maker, rests: list[bool], tmp_path: Path
) -> None:
    journal = new_journal()
    for _ in range(3):
        await exchange(journal, make)
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    assert rests
    assert all(rests)


async def test_it_hurries_where_requests_come_side_by_side(
    new_journal: Any, make: Maker, rests: list[bool], tmp_path: Path
) -> None:
    journal = new_journal()
    await asyncio.gather(*(exchange(journal, make) for _ in range(20)))
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    assert rests
    assert not any(rests)


@pytest.mark.usefixtures("patient")
async def test_it_hurries_where_somebody_waits_for_the_database(
    new_journal: Any, make: Maker, rests: list[bool]
) -> None:
    journal = new_journal()
    await exchange(journal, make)
    await asyncio.to_thread(journal.write, [make.dispatch()])
    assert rests == [False]


async def test_rows_that_others_look_for_wait_for_the_database(
    new_journal: Any, sqlite: Engine, make: Maker
) -> None:
    journal = new_journal()
    await exchange(journal, make)
    await journal.append(())
    assert rows_in(sqlite, "ledger_charge") == 1, "an empty submission comes behind all others"


async def test_many_writers_with_leases_never_overspend_a_budget(
    new_journal: Any, sqlite: Engine, make: Maker, key: bytes, tmp_path: Path
) -> None:
    bound = make.dispatch().hold_nano_krw
    limit(sqlite, make, 600 * bound)
    journals = [new_journal(tick_s=0.2) for _ in range(3)]
    refused, leased = 0, 0
    for _ in range(30):
        taken = await asyncio.gather(*(make.spend(journals[i % 3], least_output=300) for i in range(60)))
        refused += taken.count(False)
        leased += rows_in(sqlite, "budget_lease")
    for journal in journals:
        journal.stop()
    with sqlite.connect() as connection:
        spent, held = connection.execute(
            text("SELECT spent_nano_krw, held_nano_krw FROM budget_account")
        ).one()
    assert held == 0
    assert refused > 0
    assert leased > 0, "the test must see leases"
    assert 600 * bound * 0.9 < spent <= 600 * bound, "what is left for want of a lease is a small share"
    assert rows_in(sqlite, "budget_lease") == 0
    assert check_accounts(sqlite) == []
    assert verify(sqlite, key).ok


async def test_a_lowered_limit_holds_when_it_is_set(new_journal: Any, sqlite: Engine, make: Maker) -> None:
    bound = make.dispatch().hold_nano_krw
    limit(sqlite, make, 10_000 * bound)
    journal = new_journal()
    for _ in range(5):
        await exchange(journal, make)
    assert rows_in(sqlite, "budget_lease") == 1
    await asyncio.to_thread(limit, sqlite, make, 1)
    with pytest.raises(BudgetExceeded):
        await journal.append([make.dispatch()])


async def test_a_first_budget_holds_when_it_is_set(new_journal: Any, sqlite: Engine, make: Maker) -> None:
    journal = new_journal()
    await exchange(journal, make)
    await asyncio.to_thread(limit, sqlite, make, 1)
    with pytest.raises(BudgetExceeded):
        await journal.append([make.dispatch()])


async def test_a_transfer_leaves_what_is_set_aside(new_journal: Any, sqlite: Engine, make: Maker) -> None:
    bound = make.dispatch().hold_nano_krw
    limit(sqlite, make, 10_000 * bound)
    other = Budget("other", Scope("unit", "재무국"), Every.MONTH, bound)
    set_budget(sqlite, other, now=make.now, by="test", reason="test")
    journal = new_journal(tick_s=60)
    for _ in range(5):
        await exchange(journal, make, usage=Usage(input=1))
    await journal.append(())
    order = Order(f"b-{10_000 * bound}", "other", 9_990 * bound)
    with pytest.raises(TransferRefused):
        transfer(sqlite, order, now=make.now, by="test", reason="test")
    transfer(
        sqlite,
        order._replace(amount_nano_krw=9_990 * bound - 10_000 * bound // SHARE),
        now=make.now,
        by="test",
        reason="test",
    )


async def test_leases_that_nobody_uses_end(new_journal: Any, sqlite: Engine, make: Maker) -> None:
    limit(sqlite, make, 10**18)
    journal = new_journal(tick_s=0.05)
    for _ in range(5):
        await exchange(journal, make)
    for _ in range(100):
        if rows_in(sqlite, "budget_lease") == 0:
            break
        await asyncio.sleep(0.02)
    assert rows_in(sqlite, "budget_lease") == 0
    for _ in range(5):
        await exchange(journal, make)


async def test_what_a_budget_leaves_is_known_at_once(new_journal: Any, sqlite: Engine, make: Maker) -> None:
    limit(sqlite, make, 10**18)
    journal = new_journal()
    left = 10**18
    for _ in range(40):
        dispatch = make.dispatch()
        await journal.append([dispatch])
        charge = make.charge(dispatch)
        await journal.append([charge])
        left -= charge.amount_nano_krw
        assert journal._sink.left_nano_krw(dispatch.attribution, dispatch.billing_period) == left  # type: ignore[attr-defined]
        if random.random() < 0.3:
            await asyncio.sleep(0.03)


async def test_a_disk_that_fails_leaves_it_to_the_database(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal = new_journal()
    monkeypatch.setattr(DiskSync, "sync", lambda _self, _file, done: done(False))
    await asyncio.gather(*(exchange(journal, make) for _ in range(5)))
    assert rows_in(sqlite, "ledger_charge") == 5
    assert not Segments(tmp_path / "s").acknowledged(), "what was not acknowledged must not come back"


async def test_a_disk_that_fails_under_a_budget_takes_nothing_twice(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = make.dispatch().hold_nano_krw
    limit(sqlite, make, 200 * bound)
    journal = new_journal(tick_s=0.1)
    for _ in range(5):
        await exchange(journal, make)
    monkeypatch.setattr(DiskSync, "sync", lambda _self, _file, done: done(False))
    served = 5
    with pytest.raises(BudgetExceeded):
        for _ in range(300):
            await journal.append([make.dispatch()])
            served += 1
    assert 190 <= served <= 5 + 200
    await asyncio.sleep(0.3)
    assert rows_in(sqlite, "budget_lease") == 0, "nobody uses it any more"


async def test_a_group_that_fails_once_gives_its_leases_back_once(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limit(sqlite, make, 10**18)
    journal = new_journal(tick_s=60)
    for _ in range(5):
        await exchange(journal, make)
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    ship, failed = LedgerSink.ship, []

    def fails_once(sink: LedgerSink, group: Any, *back: Any, **more: Any) -> Any:
        if len(group) > 1 and not failed:
            failed.append(len(group))
            raise ZeroDivisionError
        return ship(sink, group, *back, **more)

    monkeypatch.setattr(LedgerSink, "ship", fails_once)
    await asyncio.gather(*(exchange(journal, make) for _ in range(10)))
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    assert failed
    assert rows_in(sqlite, "ledger_charge") == 15
    with sqlite.connect() as connection:
        (leased,) = connection.execute(text("SELECT nano_krw FROM budget_lease")).scalars()
    purse = journal._sink._accounts.leases._purse  # type: ignore[attr-defined]
    purse._collect()
    free = sum(amounts.nano_krw for amounts in purse._free.values())
    assert leased >= free > 0, "what may be taken is set aside"


async def test_a_full_log_leaves_it_to_the_database(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Log.create
    monkeypatch.setattr(Log, "create", lambda stem: create(stem, 2_000))
    monkeypatch.setattr(late, "LATE_S", 60.0)
    monkeypatch.setattr(late, "LATE_WHEN_CALM_S", 60.0)
    journal = new_journal()
    for _ in range(20):
        await exchange(journal, make)
    await journal.append(())
    assert rows_in(sqlite, "ledger_charge") == 20


@pytest.mark.usefixtures("patient")
async def test_a_caller_that_is_cancelled_meanwhile_is_settled(
    new_journal: Any, sqlite: Engine, make: Maker
) -> None:
    journal = new_journal()
    await exchange(journal, make)

    async def send() -> None:
        await journal.append([make.dispatch()])

    waiting = asyncio.create_task(send())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0.1)
    await journal.append(())
    with sqlite.connect() as connection:
        outcomes = connection.execute(text("SELECT outcome FROM ledger_charge ORDER BY seq")).scalars()
        assert list(outcomes) == ["success", "not_sent"]


async def test_what_the_database_refuses_afterwards_is_kept_for_the_next_start(
    new_journal: Any, sqlite: Engine, make: Maker, key: bytes, tmp_path: Path
) -> None:
    journal = new_journal()
    trigger = "CREATE TRIGGER no BEFORE INSERT ON ledger_charge BEGIN SELECT RAISE(ABORT, 'no'); END"
    with sqlite.begin() as connection:
        connection.execute(text(trigger))
    await exchange(journal, make)
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 2)
    with pytest.raises(RowRefused):  # from now on whoever waits hears of it
        await exchange(journal, make)
    assert list((tmp_path / "s").glob("*.refused"))
    journal.stop()
    with sqlite.begin() as connection:
        connection.execute(text("DROP TRIGGER no"))
    new_journal().stop()
    assert rows_in(sqlite, "ledger_charge") == 2, "the kept one, and an estimate for the refused one"
    assert not list((tmp_path / "s").iterdir())
    assert verify(sqlite, key).ok


@pytest.mark.parametrize("missing", [(), ("linux_aio",), ("linux_aio", "thread_aio")])
async def test_every_way_to_sync_says_whether_it_succeeded(
    missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in missing:
        monkeypatch.setattr(caio, name, None)
    loop = asyncio.get_running_loop()
    syncing = disk.DiskSync(loop)
    with (tmp_path / "file").open("wb") as file:
        for _ in range(3):
            file.write(b"x")
            file.flush()
            synced = loop.create_future()
            syncing.sync(file.fileno(), synced.set_result)
            assert await asyncio.wait_for(synced, 5)
    reader, writer = os.pipe()
    failed = loop.create_future()
    try:
        syncing.sync(reader, failed.set_result)
    except OSError:
        pass
    else:
        assert not await asyncio.wait_for(failed, 5)
    os.close(reader)
    os.close(writer)
    syncing.close()


def test_the_halves_of_a_log_take_turns_and_are_read_in_order(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "a.segment").touch()
    log, sent, positions = Log.create(tmp_path / "a", 20_000), [], [Position(0, 0)]
    for number in range(400):
        sent.append([record_of(make.dispatch())])
        positions.append(log.write([payload_of(sent[-1])]))
        if number % 7 == 0:
            log.shipped(positions[-4 if number > 4 else -1])
    assert positions[-1].generation > 5
    shipped = positions.index(log._shipped)
    orphan = Orphan(Segment.open(tmp_path / "a.segment") or pytest.fail("no segment"))
    assert list(orphan.read()) == sent[shipped:]
    orphan.remove()
    assert not list(tmp_path.iterdir())


def test_a_half_that_begins_anew_while_the_journal_notes_what_is_shipped_keeps_its_frames(
    make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.segment").touch()
    log, submission = Log.create(tmp_path / "a", 6_000), [record_of(make.dispatch())]
    position = log.position
    while position.generation < 2:
        position = log.write([payload_of(submission)])
        log.shipped(position)
    while position.offset < 6_000:
        position = log.write([payload_of(submission)])
    note, beside = Segment.shipped_to, []

    def first_the_loop_writes(segment: Segment, generation: int, offset: int) -> None:
        if generation == 1 and not beside:  # of the half that is shipped and may begin anew
            beside.append(threading.Thread(target=lambda: log.write([payload_of(submission)])))
            beside[0].start()
            beside[0].join(0.5)
        note(segment, generation, offset)

    monkeypatch.setattr(Segment, "shipped_to", first_the_loop_writes)
    log.shipped(position)
    beside[0].join()
    assert log.position.generation == 3
    orphan = Orphan(Segment.open(tmp_path / "a.segment") or pytest.fail("no segment"))
    assert list(orphan.read()) == [submission], "what a killed process acknowledged"
    orphan.release()


async def test_at_every_moment_it_is_in_the_database_or_in_the_log(
    new_journal: Any, sqlite: Engine, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(late, "MOST", 3)  # in a transaction: fewer than become durable together
    acknowledged: set[str] = set()
    missing: list[set[str]] = []
    shipped = Log.shipped

    def then_looks(log: Log, position: Position) -> None:
        known = set(acknowledged)
        shipped(log, position)
        (own,) = (tmp_path / "s").glob("*.segment")
        orphan = Orphan(Segment.open(own) or pytest.fail("no segment"))
        left = {record.attempt_id for submission in orphan.read() for record in submission}
        orphan.release()
        with sqlite.connect() as connection:
            written = set(connection.execute(text("SELECT attempt_id FROM ledger_dispatch")).scalars())
        missing.append(known - written - left)

    monkeypatch.setattr(Log, "shipped", then_looks)
    journal = new_journal()

    async def send() -> None:
        dispatch = make.dispatch()
        await journal.append([dispatch])
        acknowledged.add(dispatch.attempt_id)

    for _ in range(5):
        await asyncio.gather(*(send() for _ in range(10)))
    await asyncio.to_thread(wait_until_written, tmp_path / "s", 5)
    assert len(acknowledged) == 50
    assert len(missing) > 2
    assert set().union(*missing) == set()
