from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from billing.ledger import record_of
from billing.store import LedgerSink, verify

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from billing.ledger import Charge
    from tests.billing.conftest import Maker


@pytest.fixture
def written(sink: LedgerSink, make: Maker) -> list[Charge]:
    """Five exchanges: dispatches at odd sequence numbers, charges at even ones."""
    made = []
    for _ in range(5):
        dispatch = make.dispatch()
        made.append(make.charge(dispatch))
        assert sink.write([[record_of(dispatch)], [record_of(made[-1])]]) == [None, None]
    return made


def found(engine: Engine, key: bytes) -> list[tuple[str, str, int]]:
    return [(problem.what, problem.table, problem.seq) for problem in verify(engine, key).problems]


def test_an_untouched_ledger_holds(engine: Engine, written: list[Charge], key: bytes) -> None:
    report = verify(engine, key)
    assert report.ok
    assert (report.rows, report.charges, report.open, report.slots) == (10, 5, 0, 1)
    assert report.total_nano_krw == sum(charge.amount_nano_krw for charge in written)


@pytest.mark.parametrize(
    ("change", "table", "seq"),
    [
        ("department_id = '다른과'", "ledger_charge", 6),
        ("input = input - 1", "ledger_charge", 6),
        ("cache_write_5m = 0", "ledger_charge", 6),
        ("started_at_us = started_at_us + 1", "ledger_charge", 6),
        ("mac = '00'", "ledger_charge", 6),
        ("person_id = 'p2'", "ledger_dispatch", 5),
        ("hold_nano_krw = 0", "ledger_dispatch", 5),
    ],
)
def test_a_changed_row_is_named_and_only_that_one(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any, change: str, table: str, seq: int
) -> None:
    tamper().run(f"UPDATE {table} SET {change} WHERE seq = {seq}")
    problems = verify(engine, key).problems
    assert ("changed", table, seq) in [(p.what, p.table, p.seq) for p in problems]
    assert {p.seq for p in problems} <= ({seq, seq + 1} if "mac" in change else {seq})


def test_an_amount_changed_with_its_line_is_found(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any
) -> None:
    change = tamper()
    charge = written[2]
    change.run("UPDATE ledger_charge SET amount_nano_krw = amount_nano_krw - 7 WHERE seq = 6")
    change.run(
        "UPDATE ledger_charge_line SET amount_nano_krw = amount_nano_krw - 7 WHERE line_no = 1 AND charge_id = :id",
        id=charge.charge_id,
    )
    assert found(engine, key) == [("changed", "ledger_charge", 6)]
    assert verify(engine, key).problems[0].row_id == charge.charge_id


def test_an_amount_that_its_lines_do_not_make_is_found(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any
) -> None:
    tamper().run("UPDATE ledger_charge SET amount_nano_krw = 0 WHERE seq = 6")
    assert {what for what, _, _ in found(engine, key)} == {"changed", "total"}


@pytest.mark.parametrize("table", ["ledger_charge", "ledger_dispatch"])
def test_a_removed_row_is_named_by_its_number(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any, table: str
) -> None:
    seq = 6 if table == "ledger_charge" else 5
    tamper().run(f"DELETE FROM {table} WHERE seq = {seq}")
    assert ("removed", "", seq) in found(engine, key)


def test_removed_rows_at_the_end_are_named(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any
) -> None:
    change = tamper()
    change.run("DELETE FROM ledger_charge_line WHERE charge_id = :id", id=written[-1].charge_id)
    change.run("DELETE FROM ledger_charge WHERE seq = 10")
    assert found(engine, key) == [("removed", "", 10)]


def test_swapped_rows_are_named_as_reordered(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any
) -> None:
    change = tamper()
    for old, new in ((4, 100), (8, 4), (100, 8)):
        change.run(f"UPDATE ledger_charge SET seq = {new} WHERE seq = {old}")
    assert [(what, seq) for what, _, seq in found(engine, key)][:1] == [("reordered", 4)]
    assert ("reordered", "ledger_charge", 8) in found(engine, key)


def test_an_inserted_row_is_found(engine: Engine, written: list[Charge], key: bytes, tamper: Any) -> None:
    change = tamper()
    with engine.connect() as connection:
        row = dict(connection.execute(text("SELECT * FROM ledger_charge WHERE seq = 6")).mappings().one())
    row |= {"charge_id": "forged", "attempt_id": "forged", "seq": 11}
    names = ", ".join(row)
    change.run(f"INSERT INTO ledger_charge ({names}) VALUES ({', '.join(f':{name}' for name in row)})", **row)
    kinds = {what for what, _, seq in found(engine, key) if seq == 11}
    assert kinds >= {"changed", "inserted"}


@pytest.mark.parametrize("table", ["ledger_charge", "ledger_dispatch"])
def test_a_row_inserted_under_a_number_of_the_other_table_is_named(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any, table: str
) -> None:
    """A false correction beside a true dispatch, with its HMAC: the chain itself goes on unbroken."""
    change = tamper()
    own, taken = (6, 5) if table == "ledger_charge" else (5, 6)
    other = "ledger_dispatch" if table == "ledger_charge" else "ledger_charge"
    with engine.connect() as connection:
        row = dict(connection.execute(text(f"SELECT * FROM {table} WHERE seq = {own}")).mappings().one())
        mac = connection.execute(text(f"SELECT mac FROM {other} WHERE seq = {taken}")).scalar()
    row |= {"attempt_id": "forged", "seq": taken, "mac": mac}
    if table == "ledger_charge":
        row |= {"charge_id": "forged", "kind": "correction", "corrects": written[0].charge_id}
        row |= {"amount_nano_krw": 0}
    names = ", ".join(row)
    change.run(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})", **row)
    problems = verify(engine, key).problems
    assert "forged" in {problem.row_id for problem in problems if problem.what in ("inserted", "changed")}


def test_lines_without_a_charge_are_found(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any
) -> None:
    tamper().run(
        "UPDATE ledger_charge_line SET charge_id = 'nobody' WHERE charge_id = :id", id=written[0].charge_id
    )
    assert ("orphan_line", "ledger_charge_line", 0) in found(engine, key)


def test_a_changed_price_is_found(engine: Engine, written: list[Charge], key: bytes, tamper: Any) -> None:
    tamper().run("UPDATE ledger_quote SET document = replace(document, '1391.20', '1.20')")
    assert found(engine, key) == [("quote", "ledger_quote", 0)]


def test_a_removed_price_is_found(engine: Engine, written: list[Charge], key: bytes, tamper: Any) -> None:
    tamper().run("DELETE FROM ledger_quote")
    assert found(engine, key) == [("quote", "ledger_quote", 0)]


def test_a_line_that_was_added_removed_or_renumbered_is_found(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any
) -> None:
    change = tamper()
    for charge, statement in zip(
        written,
        (
            "DELETE FROM ledger_charge_line WHERE line_no = 1 AND charge_id = :id",
            "UPDATE ledger_charge_line SET line_no = line_no + 7 WHERE line_no = 1 AND charge_id = :id",
            "UPDATE ledger_charge_line SET basis = 'dearest' WHERE line_no = 1 AND charge_id = :id",
        ),
        strict=False,
    ):
        change.run(statement, id=charge.charge_id)
    assert {seq for what, _, seq in found(engine, key) if what == "changed"} == {2, 4, 6}


def test_a_head_that_was_set_back_is_found(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any
) -> None:
    tamper().run("UPDATE ledger_writer SET seq = 4")
    assert ("inserted", "", 10) in found(engine, key)


def test_rows_of_a_slot_that_nobody_took_are_found(
    engine: Engine, written: list[Charge], key: bytes, tamper: Any
) -> None:
    tamper().run("DELETE FROM ledger_writer")
    assert ("head", "ledger_writer", 0) in found(engine, key)


def test_another_key_holds_nothing(engine: Engine, written: list[Charge]) -> None:
    assert {what for what, _, _ in found(engine, b"x" * 32)} == {"changed"}


def test_rows_signed_before_a_key_change_verify_with_both_keys(
    engine: Engine, sink: LedgerSink, written: list[Charge], make: Maker, key: bytes
) -> None:
    sink.close()
    rotated = LedgerSink(engine, b"new" * 11, key_version=2)
    rotated.open()
    rotated.write([[record_of(make.dispatch())]])
    assert verify(engine, {1: key, 2: b"new" * 11}).ok
    assert [problem.what for problem in verify(engine, key).problems] == ["unknown_key"]
    rotated.close()
