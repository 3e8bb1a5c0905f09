from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from billing.ledger import Charge, record_of
from billing.months import MonthChanged, MonthRefused, MonthState
from billing.periods import billing_month
from billing.store import LedgerSink, verify
from billing.store.locked_months import out_of_locked
from billing.store.months import Deed, SealKey, approve, lock, months, preview, reopen, standing, steps
from billing.tables import charges, dispatches

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from billing.ledger import Dispatch
    from billing.seals import Seal
    from tests.billing.conftest import Maker

NOVEMBER = "2026-11"
DECEMBER = datetime(2026, 12, 2, 1, 0, tzinfo=UTC)


def exchange(sink: LedgerSink, make: Maker, **changes: Any) -> Dispatch:
    dispatch = make.dispatch(**changes)
    assert sink.write([[record_of(dispatch)], [record_of(make.charge(dispatch))]]) == [None, None]
    return dispatch


def kept(_connection: Connection, _seal: Seal, rows: int) -> dict[str, int]:
    return {"counted": rows}


@pytest.fixture
def deed() -> Deed:
    return Deed("finance1", DECEMBER, "정기 마감")


@pytest.fixture
def seal_key(key: bytes) -> SealKey:
    return SealKey(key, 1)


@pytest.fixture
def approved(engine: Engine, sink: LedgerSink, make: Maker, deed: Deed) -> Engine:
    for _ in range(3):
        exchange(sink, make)
    make.now = DECEMBER
    preview(engine, NOVEMBER, deed)
    approve(engine, NOVEMBER, Deed("finance2", DECEMBER))
    return engine


def periods(engine: Engine, *attempts: str) -> set[str]:
    with engine.connect() as connection:
        found = [
            connection.execute(
                select(table.c.billing_period).where(table.c.attempt_id.in_(attempts))
            ).scalars()
            for table in (dispatches, charges)
        ]
        return {period for one in found for period in one}


def test_a_month_goes_from_open_to_locked_and_keeps_each_step(
    approved: Engine, deed: Deed, seal_key: SealKey
) -> None:
    locked = lock(approved, NOVEMBER, deed, seal_key, kept)
    assert [step.state for step in steps(approved, NOVEMBER)] == ["preview", "approved", "locked"]
    assert locked.document["rows"] == locked.document["counted"] == 3
    assert len(locked.document["root"]) == 64
    (only,) = months(approved)
    assert (only.month, only.state, only.figures.rows) == (NOVEMBER, MonthState.LOCKED, 3)
    assert only.figures.nano_krw == locked.document["nano_krw"] > 0


def test_of_two_who_lock_at_once_one_is_told(approved: Engine, deed: Deed, seal_key: SealKey) -> None:
    together = threading.Barrier(2)

    def attempt(by: str) -> str:
        together.wait()
        try:
            return lock(approved, NOVEMBER, Deed(by, DECEMBER), seal_key, kept, seen=2).by
        except MonthChanged as told:
            return str(told)

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(attempt, ("finance1", "finance2")), key=len)
    assert outcomes[0] in {"finance1", "finance2"}
    assert f"Meanwhile {outcomes[0]} set 2026-11 to locked" in outcomes[1]
    assert len(steps(approved, NOVEMBER)) == 3


def test_a_page_that_is_out_of_date_takes_no_step(approved: Engine, deed: Deed) -> None:
    with pytest.raises(MonthChanged, match="finance2 set 2026-11 to approved"):
        reopen(approved, NOVEMBER, deed, seen=1)


def test_a_month_is_not_locked_while_a_charge_is_in_flight(
    engine: Engine, sink: LedgerSink, make: Maker, deed: Deed, seal_key: SealKey
) -> None:
    exchange(sink, make)
    flying = make.dispatch()
    sink.write([[record_of(flying)]])
    make.now = DECEMBER
    preview(engine, NOVEMBER, deed)
    approve(engine, NOVEMBER, deed)
    with pytest.raises(MonthRefused, match="1 attempts"):
        lock(engine, NOVEMBER, deed, seal_key, kept)
    assert standing(engine, NOVEMBER).state is MonthState.APPROVED
    sink.write([[record_of(make.charge(flying))]])
    with pytest.raises(MonthRefused, match="Charges came in since"):
        lock(engine, NOVEMBER, deed, seal_key, kept)
    reopen(engine, NOVEMBER, deed)
    preview(engine, NOVEMBER, deed)
    approve(engine, NOVEMBER, deed)
    assert lock(engine, NOVEMBER, deed, seal_key, kept).document["rows"] == 2


def test_an_attempt_of_a_dead_writer_is_adopted_and_then_the_month_locks(
    engine: Engine, open_sink: Any, sink: LedgerSink, make: Maker, deed: Deed, seal_key: SealKey
) -> None:
    dying = open_sink()
    dying.write([[record_of(make.dispatch())]])
    make.now = DECEMBER
    preview(engine, NOVEMBER, deed)
    dying.close()  # leaves the slot to whoever adopts it
    sink.tick()
    preview(engine, NOVEMBER, deed)
    approve(engine, NOVEMBER, deed)
    assert lock(engine, NOVEMBER, deed, seal_key, kept).document["rows"] == 1


def test_months_are_locked_in_their_order(
    engine: Engine, sink: LedgerSink, make: Maker, deed: Deed, seal_key: SealKey
) -> None:
    make.now = datetime(2026, 10, 5, tzinfo=UTC)
    exchange(sink, make)
    make.now = datetime(2026, 11, 5, tzinfo=UTC)
    exchange(sink, make)
    make.now = DECEMBER
    preview(engine, NOVEMBER, deed)
    approve(engine, NOVEMBER, deed)
    with pytest.raises(MonthRefused, match="2026-10"):
        lock(engine, NOVEMBER, deed, seal_key, kept)


def test_late_usage_lands_in_the_next_open_month_with_its_own_moment(
    approved: Engine, sink: LedgerSink, make: Maker, deed: Deed, seal_key: SealKey, key: bytes
) -> None:
    lock(approved, NOVEMBER, deed, seal_key, kept)
    before = standing(approved, NOVEMBER)
    late = make.dispatch(started_at=datetime(2026, 11, 30, 14, 59, tzinfo=UTC))
    assert late.billing_period == NOVEMBER
    assert sink.write([[record_of(late)], [record_of(make.charge(late))]]) == [None, None]
    assert periods(approved, late.attempt_id) == {"2026-12"}
    assert standing(approved, NOVEMBER) == before
    assert verify(approved, key).ok


def test_a_correction_of_a_locked_month_is_a_row_of_the_next(
    engine: Engine, sink: LedgerSink, make: Maker, deed: Deed, seal_key: SealKey
) -> None:
    old = exchange(sink, make)
    make.now = DECEMBER
    for step in (preview, approve):
        step(engine, NOVEMBER, deed)
    lock(engine, NOVEMBER, deed, seal_key, kept)
    charge = make.charge(old)
    with engine.connect() as connection:
        original = connection.execute(select(charges.c.charge_id)).scalar_one()
    correction = Charge.settle(
        old,
        charge_id="correction-1",
        settled_at=DECEMBER,
        outcome="corrected",
        source=charge.source,
        usage=charge.usage,
        kind="correction",
        corrects=original,
    )
    assert sink.ship([[record_of(correction)]]) == [None]
    with engine.connect() as connection:
        row = connection.execute(select(charges).where(charges.c.charge_id == "correction-1")).one()
    assert (row.billing_period, row.corrects) == ("2026-12", original)
    assert billing_month(old.started_at) == NOVEMBER


def test_what_was_written_before_the_lock_is_known_again_after_it(
    engine: Engine, sink: LedgerSink, make: Maker, deed: Deed, seal_key: SealKey
) -> None:
    dispatch = make.dispatch()
    twice = [[record_of(dispatch)], [record_of(make.charge(dispatch))]]
    sink.write(twice)
    make.now = DECEMBER
    for step in (preview, approve):
        step(engine, NOVEMBER, deed)
    lock(engine, NOVEMBER, deed, seal_key, kept)
    assert sink.ship(twice) == [None, None]  # a segment whose first shipping was not acknowledged
    assert periods(engine, dispatch.attempt_id) == {NOVEMBER}


def test_writers_that_race_with_a_lock_never_land_behind_it(
    engine: Engine, open_sink: Any, make: Maker, deed: Deed, seal_key: SealKey
) -> None:
    """Writers send November's rows without pause while finance tries to lock it again and again."""
    exchange(sinks := open_sink(), make)
    writers = [sinks, open_sink()]
    started = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
    make.now = DECEMBER
    batches = [
        [[record_of(d), record_of(make.charge(d))] for d in (make.dispatch(started_at=started),)]
        for _ in range(60)
    ]
    locked_rows: list[int] = []

    def write(which: int) -> None:
        for batch in batches[which::2]:
            assert writers[which].write(batch) == [None]

    def close() -> None:
        while not locked_rows:
            try:
                if standing(engine, NOVEMBER).state is not MonthState.OPEN:
                    reopen(engine, NOVEMBER, deed)
                preview(engine, NOVEMBER, deed)
                approve(engine, NOVEMBER, deed)
                locked_rows.append(lock(engine, NOVEMBER, deed, seal_key, kept).document["rows"])
            except MonthRefused:
                continue

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(write, 0), pool.submit(write, 1), pool.submit(close)]:
            done.result()
    with engine.connect() as connection:
        found = list(connection.execute(select(charges.c.billing_period)).scalars())
    assert found.count(NOVEMBER) == locked_rows[0]
    assert len(found) == 61
    assert set(found) <= {NOVEMBER, "2026-12"}


def test_only_ledger_rows_of_a_locked_month_move(make: Maker) -> None:
    make.tick(timedelta(days=1))
    record = record_of(make.dispatch())
    assert out_of_locked(record, frozenset()) is record
    assert out_of_locked(record, frozenset({"2026-10"})) is record
    moved = out_of_locked(record, frozenset({NOVEMBER, "2026-12"}))
    assert "2027-01" in moved.values
    assert moved.values[:4] == record.values[:4]
