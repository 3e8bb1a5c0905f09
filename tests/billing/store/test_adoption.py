from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from billing.ledger import Outcome, record_of
from billing.store import LedgerSink, charges_of, open_dispatches, usage_report, verify
from billing.store.rows import line_of, read_lines
from billing.store.slots import Process
from billing.tables import writers
from billing.usage import Usage, UsageSource

if TYPE_CHECKING:
    import pytest
    from sqlalchemy import Engine

    from tests.billing.conftest import Maker

DEAD = Process(Process.this().host, 2**22 + 1, "1")
"""A process id beyond the kernel's largest: nobody has it."""

FAR = Process("another-host", 1, "1")


OpenSink = Callable[..., LedgerSink]


def test_what_a_dead_writer_left_open_is_charged_once_as_an_estimate(
    engine: Engine, make: Maker, open_sink: OpenSink, key: bytes
) -> None:
    dead = open_sink(process=DEAD)
    settled, left = make.dispatch(), make.dispatch()
    dead.write([[record_of(settled)], [record_of(left)], [record_of(make.charge(settled))]])
    successors = [open_sink() for _ in range(3)]
    (charge,) = charges_of(engine, [left.attempt_id])
    assert (charge["outcome"], charge["source"]) == (Outcome.ADOPTED, UsageSource.ESTIMATED)
    assert 0 < int(str(charge["amount_nano_krw"])) <= left.hold_nano_krw
    assert (charge["department_id"], charge["billing_period"]) == ("총무과", left.billing_period)
    assert "ended before the charge" in str(charge["reason"])
    assert open_dispatches(engine) == []
    assert verify(engine, key).ok
    for sink in successors:
        sink.close()


def test_an_estimate_follows_what_the_model_usually_reports(
    engine: Engine, make: Maker, open_sink: OpenSink, key: bytes
) -> None:
    dead = open_sink(process=DEAD)
    for _ in range(5):
        dispatch = make.dispatch()
        dead.write(
            [[record_of(dispatch)], [record_of(make.charge(dispatch, usage=Usage(input=600, output=77)))]]
        )
    left = make.dispatch()
    dead.write([[record_of(left)]])
    open_sink().close()
    (charge,) = charges_of(engine, [left.attempt_id])
    assert (charge["input"], charge["output"]) == (600, 77)


def test_an_estimate_is_never_above_the_hold(
    engine: Engine, make: Maker, open_sink: OpenSink, key: bytes
) -> None:
    dead = open_sink(process=DEAD)
    left = [make.dispatch(hold_nano_krw=hold) for hold in (0, 1, 1_000_000, 10**12)]
    dead.write([[record_of(dispatch)] for dispatch in left])
    open_sink().close()
    for dispatch in left:
        (charge,) = charges_of(engine, [dispatch.attempt_id])
        assert int(str(charge["amount_nano_krw"])) <= dispatch.hold_nano_krw


def test_a_writer_that_stops_with_open_attempts_is_adopted_too(
    engine: Engine, make: Maker, open_sink: OpenSink, key: bytes
) -> None:
    first = open_sink()
    left = make.dispatch()
    first.write([[record_of(left)]])
    first.close()
    assert open_dispatches(engine) == [left.attempt_id]
    second = open_sink()
    assert open_dispatches(engine) == []
    second.close()


def test_a_living_writer_is_left_alone(engine: Engine, make: Maker, open_sink: OpenSink, key: bytes) -> None:
    living = open_sink()
    left = make.dispatch()
    living.write([[record_of(left)]])
    other = open_sink()
    other.tick()
    assert open_dispatches(engine) == [left.attempt_id]
    assert other.slot != living.slot
    other.close()
    living.close()


def test_a_writer_on_another_host_is_dead_when_its_heart_stands_still(
    engine: Engine, make: Maker, open_sink: OpenSink, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = {"now": 1_000.0}
    monkeypatch.setattr("billing.store.slots.time.monotonic", lambda: clock["now"])
    far = open_sink(process=FAR)
    left = make.dispatch()
    far.write([[record_of(left)]])
    here = open_sink(lease_s=15)
    clock["now"] += 10
    make.tick(timedelta(seconds=10))
    far.tick()
    here.tick()
    clock["now"] += 14
    here.tick()
    assert open_dispatches(engine) == [left.attempt_id]
    clock["now"] += 2
    here.tick()
    assert open_dispatches(engine) == []
    here.close()


def test_a_writer_that_wakes_after_its_adoption_corrects_the_estimate(
    engine: Engine, make: Maker, open_sink: OpenSink, key: bytes
) -> None:
    sleeper = open_sink(process=DEAD)
    left = make.dispatch()
    sleeper.write([[record_of(left)]])
    adopter = open_sink()
    late = make.charge(left, usage=Usage(input=400, output=123))
    later = make.dispatch()
    assert (
        sleeper.write([[record_of(late)], [record_of(later)], [record_of(make.charge(later))]]) == [None] * 3
    )

    estimate, correction = charges_of(engine, [left.attempt_id])
    assert correction["kind"] == "correction"
    assert correction["corrects"] == estimate["charge_id"]
    assert (
        int(str(estimate["amount_nano_krw"])) + int(str(correction["amount_nano_krw"]))
        == late.amount_nano_krw
    )
    with engine.connect() as connection:
        lines = [line_of(row) for row in read_lines(connection, late.charge_id)]
    assert sum(line.amount_nano_krw for line in lines) == correction["amount_nano_krw"]
    assert {line.quantity < 0 for line in lines} == {True, False}
    (total,) = usage_report(engine, "department")
    assert total.tokens == {"input": 800, "cache_read": 50, "output": 323}
    assert verify(engine, key).ok
    assert sleeper.write([[record_of(late)]]) == [None]  # shipped again: nothing changes
    assert len(list(charges_of(engine, [left.attempt_id]))) == 2
    adopter.close()


def test_slots_are_used_again_and_epochs_only_rise(
    engine: Engine, make: Maker, open_sink: OpenSink, key: bytes
) -> None:
    for _ in range(4):
        open_sink(process=DEAD).write([[record_of(make.dispatch())]])
    sink = open_sink()
    with engine.connect() as connection:
        rows = connection.execute(select(writers).order_by(writers.c.slot)).all()
    assert [row.slot for row in rows] == [1, 2]
    assert sum(row.epoch for row in rows) > 5
    assert verify(engine, key).ok
    sink.close()


def test_attempts_of_a_recovered_segment_are_adopted_where_they_are_open(
    engine: Engine, make: Maker, open_sink: OpenSink, key: bytes
) -> None:
    sink = open_sink()
    settled, left = make.dispatch(), make.dispatch()
    sink.write([[record_of(settled)], [record_of(left)], [record_of(make.charge(settled))]])
    assert sink.adopt([settled.attempt_id, left.attempt_id, "unknown"]) == 1
    assert open_dispatches(engine) == []
    assert verify(engine, key).ok
    sink.close()
