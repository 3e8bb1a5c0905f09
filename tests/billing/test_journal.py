from __future__ import annotations

import asyncio
import dataclasses
import threading
from typing import TYPE_CHECKING, Any

import pytest

from billing.journal import Journal, JournalUnavailable, RowRefused, SinkUnavailable
from billing.ledger import CHARGE_TABLE, DISPATCH_TABLE
from billing.segments import Segments
from billing.submissions import NOTHING_BACK, Back

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from billing.leases import Purse
    from billing.ledger import Record
    from tests.billing.conftest import Maker


pytestmark = pytest.mark.anyio


class Database:
    """A sink in memory that can be away, slow or picky: the journal's own behaviour, without SQL."""

    def __init__(self) -> None:
        self.groups: list[list[Sequence[Record]]] = []
        self.away = False
        self.refuses: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.adopted: list[str] = []
        self.budgeted: set[str] = set()

    @property
    def written(self) -> list[Record]:
        return [record for group in self.groups for submission in group for record in submission]

    def open(self) -> None:
        self._check()

    def write(self, group: Sequence[Sequence[Record]], back: Back = NOTHING_BACK) -> list[RowRefused | None]:
        self.gate.wait(10)
        self._check()
        refused = [any(r.attempt_id in self.refuses for r in submission) for submission in group]
        self.groups.append([s for s, bad in zip(group, refused, strict=True) if not bad])
        return [RowRefused("test") if bad else None for bad in refused]

    def ship(
        self, group: Sequence[Sequence[Record]], back: Back = NOTHING_BACK, *, rests: bool = False
    ) -> list[RowRefused | None]:
        return self.write(group)

    def lease_as(self, owner: str) -> Purse | None:
        return None

    def lease_no_more(self) -> None:
        pass

    def wants_recall(self) -> bool:
        return False

    def end_leases(self, owner: str) -> None:
        self._check()

    def needs_database(self, submission: Sequence[Record]) -> bool:
        return any(record.attempt_id in self.budgeted for record in submission)

    def tick(self) -> None:
        self._check()

    def still_open(self, attempt_ids: Collection[str]) -> set[str]:
        return {r.attempt_id for r in self.written if r.attempt_id in attempt_ids}

    def adopt(self, attempt_ids: Sequence[str]) -> int:
        self.adopted += attempt_ids
        return len(attempt_ids)

    def close(self, *, keeps_slot: bool = False) -> None:
        self._check()

    def _check(self) -> None:
        if self.away:
            raise SinkUnavailable("test")


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def journal(database: Database, tmp_path: Path, make: Maker) -> Iterator[Journal]:
    journal = Journal(database, Segments(tmp_path, 1 << 20), clock=lambda: make.now, tick_s=0.05)
    journal.start()
    yield journal
    database.away = False
    database.gate.set()
    journal.stop()


async def eventually(condition: Any) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come true within 4 s")


async def test_what_is_awaited_is_written(journal: Journal, database: Database, make: Maker) -> None:
    dispatch = make.dispatch()
    await journal.append([dispatch])
    assert [record.attempt_id for record in database.written] == [dispatch.attempt_id]


async def test_rows_that_wait_together_are_written_together(
    journal: Journal, database: Database, make: Maker
) -> None:
    database.gate.clear()
    first = asyncio.ensure_future(journal.append([make.dispatch()]))
    await asyncio.sleep(0.1)
    rest = [asyncio.ensure_future(journal.append([make.dispatch()])) for _ in range(50)]
    await asyncio.sleep(0)
    database.gate.set()
    await asyncio.gather(first, *rest)
    assert [len(group) for group in database.groups] == [1, 50]


async def test_a_bad_row_fails_alone(journal: Journal, database: Database, make: Maker) -> None:
    good, bad = make.dispatch(), make.dispatch()
    database.refuses.add(bad.attempt_id)
    results = await asyncio.gather(journal.append([good]), journal.append([bad]), return_exceptions=True)
    assert results[0] is None
    assert isinstance(results[1], RowRefused)
    assert journal.available


async def test_what_nobody_foresaw_fails_alone_and_the_journal_lives_on(
    journal: Journal, database: Database, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, good = make.dispatch(), make.dispatch()
    write = database.write

    def broken(group: Sequence[Sequence[Record]], back: Back = NOTHING_BACK) -> list[RowRefused | None]:
        if any(record.attempt_id == poison.attempt_id for submission in group for record in submission):
            raise ZeroDivisionError
        return write(group)

    monkeypatch.setattr(database, "write", broken)
    unreadable = dataclasses.replace(make.dispatch(), started_at="yesterday")  # type: ignore[arg-type]
    sent = [journal.append([entry]) for entry in (poison, unreadable, good)]
    results = await asyncio.gather(*sent, return_exceptions=True)
    assert [type(result) for result in results] == [RowRefused, RowRefused, type(None)]
    assert journal.available


async def test_a_caller_cancelled_while_its_dispatch_waits_is_settled_as_not_sent(
    journal: Journal, database: Database, make: Maker
) -> None:
    async def send() -> None:
        await journal.append([make.dispatch()])

    database.gate.clear()
    waiting = asyncio.create_task(send())
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    database.gate.set()
    await eventually(lambda: len(database.written) == 2)
    dispatch, charge = database.written
    assert (dispatch.table, charge.table) == (DISPATCH_TABLE, CHARGE_TABLE)
    assert dispatch.attempt_id == charge.attempt_id
    assert "not_sent" in charge.values


async def test_a_caller_cancelled_in_the_moment_of_the_answer_is_settled_as_not_sent(
    journal: Journal, database: Database, make: Maker
) -> None:
    async def send() -> None:
        waiting = journal.append([make.dispatch()])
        future: asyncio.Future[None] = waiting._future  # type: ignore[attr-defined]
        task = asyncio.current_task()
        assert task is not None
        future.add_done_callback(lambda _: task.cancel())  # runs before the task does
        await waiting

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(send())
    await eventually(lambda: [r.table for r in database.written] == [DISPATCH_TABLE, CHARGE_TABLE])


async def test_without_the_database_charges_go_to_the_segment_and_are_shipped_in_order(
    journal: Journal, database: Database, make: Maker
) -> None:
    dispatch = make.dispatch()
    await journal.append([dispatch])
    database.away = True
    await journal.append([make.charge(dispatch)])
    later = make.dispatch()
    await journal.append([later])
    await journal.append([make.charge(later)])
    assert len(database.written) == 1
    database.away = False
    await eventually(lambda: len(database.written) == 4)
    assert [record.table for record in database.written] == [DISPATCH_TABLE, CHARGE_TABLE] * 2
    await eventually(lambda: journal.stats.available)


async def test_without_the_database_nothing_under_a_hard_budget_is_taken(
    journal: Journal, database: Database, make: Maker
) -> None:
    database.away = True
    budgeted, free = make.dispatch(), make.dispatch()
    database.budgeted.add(budgeted.attempt_id)
    await journal.append([free])
    with pytest.raises(JournalUnavailable):
        await journal.append([budgeted])


async def test_new_work_is_refused_when_the_database_stays_away(
    database: Database, tmp_path: Path, make: Maker
) -> None:
    journal = Journal(database, Segments(tmp_path, 1 << 20), serve_without_database_s=0.2)
    journal.start()
    dispatch = make.dispatch()
    await journal.append([dispatch])
    database.away = True
    await journal.append([make.dispatch()])
    await asyncio.sleep(0.3)
    with pytest.raises(JournalUnavailable):
        await journal.append([make.dispatch()])
    assert not journal.available
    await journal.append([make.charge(dispatch)])  # what was sent is charged all the same
    database.away = False
    journal.stop()
    assert [r.table for r in database.written] == [DISPATCH_TABLE, DISPATCH_TABLE, CHARGE_TABLE]


async def test_without_segments_new_work_is_refused_at_once_and_charges_wait_in_memory(
    database: Database, make: Maker
) -> None:
    journal = Journal(database)
    journal.start()
    dispatch = make.dispatch()
    await journal.append([dispatch])
    database.away = True
    with pytest.raises(JournalUnavailable):
        await journal.append([make.dispatch()])
    with pytest.raises(JournalUnavailable):
        await journal.append([make.charge(dispatch)])
    database.away = False
    await eventually(lambda: len(database.written) == 2)
    journal.stop()


async def test_a_full_queue_refuses_dispatches_and_never_charges(database: Database, make: Maker) -> None:
    journal = Journal(database, max_pending=3)
    journal.start()
    dispatch = make.dispatch()
    await journal.append([dispatch])
    database.gate.clear()
    waiting = [asyncio.ensure_future(journal.append([make.dispatch()])) for _ in range(10)]
    await asyncio.sleep(0.05)  # the thread takes what waits and stands at the gate
    waiting += [asyncio.ensure_future(journal.append([make.dispatch()])) for _ in range(10)]
    await asyncio.sleep(0)
    refused = [future.exception() for future in waiting if future.done()]
    assert len(refused) >= 7
    assert all(isinstance(error, JournalUnavailable) for error in refused)
    charge = journal.append([make.charge(dispatch)])
    database.gate.set()
    await charge
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert None in results
    journal.stop()


async def test_what_a_stopped_journal_could_not_ship_is_shipped_by_the_next(
    database: Database, tmp_path: Path, make: Maker
) -> None:
    journal = Journal(database, Segments(tmp_path, 1 << 20))
    journal.start()
    dispatch = make.dispatch()
    await journal.append([dispatch])
    database.away = True
    await journal.append([make.charge(dispatch)])
    journal.stop()
    database.away = False
    successor = Journal(database, Segments(tmp_path, 1 << 20))
    successor.start()
    assert [record.table for record in database.written] == [DISPATCH_TABLE, CHARGE_TABLE]
    assert database.adopted == [dispatch.attempt_id]
    successor.stop()
    assert not any(Segments(tmp_path).orphans())


def test_threads_can_write_too(journal: Journal, database: Database, make: Maker) -> None:
    journal.write([make.dispatch()])
    assert len(database.written) == 1


def test_a_journal_that_cannot_open_its_database_says_what_to_do(database: Database) -> None:
    database.away = True
    with pytest.raises(JournalUnavailable) as refusal:
        Journal(database).start()
    assert "haechi doctor" in refusal.value.korean


def test_a_stopped_journal_takes_nothing_more(database: Database, make: Maker) -> None:
    journal = Journal(database)
    journal.start()
    journal.stop()
    with pytest.raises(JournalUnavailable):
        journal.write([make.dispatch()])
