from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing.ledger import record_of
from billing.store import LedgerSink, export_seals, root_of_month, seal_month, verify

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.billing.conftest import Maker


@pytest.fixture
def sealed(engine: Engine, sink: LedgerSink, make: Maker) -> Engine:
    """Three hours with an exchange each, sealed, and one exchange after the last seal."""
    for _ in range(3):
        write(sink, make)
        sink.tick()
        make.tick(timedelta(hours=1))
    write(sink, make)
    return engine


def write(sink: LedgerSink, make: Maker) -> None:
    dispatch = make.dispatch()
    sink.write([[record_of(dispatch)], [record_of(make.charge(dispatch))]])


def test_every_hour_in_which_something_was_written_is_sealed(sealed: Engine, key: bytes) -> None:
    seals = export_seals(sealed)
    assert [seal.number for seal in seals] == [1, 2, 3]
    assert [seal.heads[0].seq for seal in seals] == [2, 4, 6]
    report = verify(sealed, key, seals)
    assert report.ok
    assert (report.seals, report.root) == (3, seals[-1].root)


def test_an_hour_without_a_row_is_not_sealed(sealed: Engine, sink: LedgerSink, make: Maker) -> None:
    for _ in range(3):
        make.tick(timedelta(hours=1))
        sink.tick()
    assert len(export_seals(sealed)) == 4


def test_two_writers_make_one_seal(engine: Engine, sink: LedgerSink, make: Maker, open_sink: Any) -> None:
    other = open_sink()
    write(sink, make)
    write(other, make)
    make.tick(timedelta(hours=1))
    sink.tick()
    other.tick()
    (seal,) = export_seals(engine)
    assert [head.slot for head in seal.heads] == [1, 2]


def set_back(tampering: Any, seq: int) -> None:
    """Cut the end off, with its head and its seals: what a chain alone cannot show."""
    lines = "SELECT charge_id FROM ledger_charge WHERE seq > :seq"
    tampering.run(f"DELETE FROM ledger_charge_line WHERE charge_id IN ({lines})", seq=seq)
    last = "SELECT mac FROM ledger_charge WHERE seq = :seq"
    tampering.run(f"UPDATE ledger_writer SET mac = ({last}), seq = :seq", seq=seq)
    for table in ("ledger_charge", "ledger_dispatch"):
        tampering.run(f"DELETE FROM {table} WHERE seq > :seq", seq=seq)


def test_a_ledger_that_was_set_back_behind_a_seal_is_found(sealed: Engine, key: bytes, tamper: Any) -> None:
    set_back(tamper(), 4)
    assert [(p.what, p.row_id, p.seq) for p in verify(sealed, key).problems] == [("seal", "3", 6)]


def test_a_ledger_that_was_set_back_with_its_seals_is_found_by_an_exported_one(
    sealed: Engine, key: bytes, tamper: Any
) -> None:
    exported = export_seals(sealed)
    tampering = tamper()
    set_back(tampering, 4)
    tampering.run("DELETE FROM ledger_seal WHERE number > 2")
    assert verify(sealed, key).ok
    assert {problem.what for problem in verify(sealed, key, exported).problems} == {"seal"}


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("DELETE FROM ledger_seal WHERE number = 2", ["3"]),
        ("UPDATE ledger_seal SET sealed_at_us = 1 WHERE number = 2", ["2", "3"]),
        ("UPDATE ledger_seal SET heads = 'nonsense' WHERE number = 3", ["3", "3"]),
    ],
)
def test_a_seal_that_was_changed_or_removed_is_named(
    sealed: Engine, key: bytes, tamper: Any, statement: str, named: list[str]
) -> None:
    tamper().run(statement)
    assert [problem.row_id for problem in verify(sealed, key).problems] == named


def test_an_exported_seal_that_differs_is_named(sealed: Engine, key: bytes) -> None:
    forged = dataclasses.replace(export_seals(sealed)[0], sealed_at_us=1)
    assert [problem.row_id for problem in verify(sealed, key, [forged]).problems] == ["1"]


# --- months --------------------------------------------------------------------------------------


def test_the_first_seal_after_a_month_in_korea_is_the_months(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    make.now = datetime(2026, 11, 30, 14, 30, tzinfo=UTC)  # half an hour before December in Seoul
    write(sink, make)
    sink.tick()
    assert root_of_month(engine, "2026-11") is None
    make.tick(timedelta(minutes=40))
    write(sink, make)
    sink.tick()
    make.tick(timedelta(hours=1))
    write(sink, make)
    sink.tick()
    assert [seal.reason for seal in export_seals(engine)] == ["hourly", "month_end 2026-11", "hourly"]
    found = root_of_month(engine, "2026-11")
    assert found is not None
    assert found.number == 2


def test_a_closed_month_is_sealed_with_its_last_correction(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    write(sink, make)
    with pytest.raises(ValueError, match="not over"):
        seal_month(engine, key, 1, "2026-11", make.now)
    make.tick(timedelta(days=10))
    write(sink, make)
    sink.tick()
    write(sink, make)
    closed = seal_month(engine, key, 1, "2026-11", make.now)
    assert closed.reason == "month_close 2026-11"
    assert root_of_month(engine, "2026-11") == closed
    assert seal_month(engine, key, 1, "2026-11", make.now) == closed, "nothing was written since"
    assert verify(engine, key, [closed]).ok


def test_an_empty_ledger_has_nothing_to_close(engine: Engine, make: Maker, key: bytes) -> None:
    with pytest.raises(LookupError):
        seal_month(engine, key, 1, "2026-10", make.now)


def test_a_row_changed_after_its_month_was_closed_is_named_by_row_and_seal(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes, tamper: Any
) -> None:
    """By somebody who holds the chain's key as well: a new MAC does not help against a seal outside."""
    write(sink, make)
    make.tick(timedelta(days=10))
    exported = [seal_month(engine, key, 1, "2026-11", make.now)]
    change = tamper()
    change.run("UPDATE ledger_charge SET mac = :mac WHERE seq = 2", mac="ab" * 32)
    change.run("UPDATE ledger_writer SET mac = :mac WHERE seq = 2", mac="ab" * 32)
    change.run("DELETE FROM ledger_seal")
    found = {(problem.what, problem.seq) for problem in verify(engine, key, exported).problems}
    assert {("changed", 2), ("sealed", 2)} <= found
