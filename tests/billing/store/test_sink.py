from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from billing.budgets import Budget, Every, Scope
from billing.journal import Journal, RowRefused, SinkUnavailable
from billing.ledger import CHARGE_COLUMNS, Charge, Row, record_of
from billing.segments import Segments
from billing.store import LedgerSink, charges_of, open_dispatches, open_engine, set_budget, verify
from billing.store.notices import Notice, note
from billing.store.rows import line_of, read_lines, read_quote
from billing.store.transfers import Order, transfer
from billing.tables import (
    INSERT_ONLY,
    charges,
    dispatches,
    invoices,
    metadata,
    month_steps,
    quotes,
    writers,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from billing.ledger import Record
    from tests.billing.conftest import Maker

pytestmark = pytest.mark.anyio


def exchange(make: Maker, **changes: Any) -> tuple[list[Record], list[Record]]:
    dispatch = make.dispatch()
    return [record_of(dispatch)], [record_of(make.charge(dispatch, **changes))]


def counted(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_rows_read_back_as_they_were_written(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    dispatch = make.dispatch()
    charge = make.charge(dispatch, raw_usage='{"prompt_tokens":450}', served_model="한글 😀", http_status=200)
    assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    (row,) = charges_of(engine, [dispatch.attempt_id])
    assert tuple(row.values()) == record_of(charge).values
    with engine.connect() as connection:
        assert tuple(map(line_of, read_lines(connection, charge.charge_id))) == charge.lines
        assert read_quote(connection, charge.quote_id).rate(charge.usage) == charge.lines


def test_a_big_group_is_written_whole_and_in_order(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    group = [submission for _ in range(300) for submission in exchange(make)]
    assert sink.write(group) == [None] * 600
    report = verify(engine, key)
    assert report.ok
    assert (report.rows, report.charges, report.open) == (600, 300, 0)
    assert counted(engine, quotes) == 1


def test_writing_twice_changes_nothing(engine: Engine, sink: LedgerSink, make: Maker, key: bytes) -> None:
    group = [submission for _ in range(3) for submission in exchange(make)]
    assert sink.write(group) == [None] * 6
    assert sink.write([*group, *exchange(make)]) == [None] * 8
    assert (counted(engine, dispatches), counted(engine, charges)) == (4, 4)
    assert verify(engine, key).ok


def test_a_second_charge_for_an_attempt_is_refused_alone(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    dispatch = make.dispatch()
    group = [[record_of(dispatch)], [record_of(make.charge(dispatch))], [record_of(make.charge(dispatch))]]
    results = sink.write([*group, *exchange(make)])
    assert [type(result) for result in results] == [
        type(None),
        type(None),
        RowRefused,
        type(None),
        type(None),
    ]
    assert counted(engine, charges) == 2
    assert verify(engine, key).ok


@pytest.mark.parametrize("wrong", ["too big", "wrong type", "unknown kind", "surrogate"])
def test_a_bad_row_never_takes_its_group_with_it(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes, wrong: str
) -> None:
    good, other = exchange(make), exchange(make)
    dispatch, (charge,) = exchange(make)
    column, value = {
        "too big": ("first_token_us", 2**70),
        "wrong type": ("http_status", object()),
        "unknown kind": ("kind", "gift"),
        "surrogate": ("reason", "\ud800"),
    }[wrong]
    values = list(charge.values)
    values[CHARGE_COLUMNS.index(column)] = value
    bad = charge._replace(values=tuple(values))
    results = sink.write([*good, dispatch, [bad], *other])
    assert [result is None for result in results] == [True, True, True, False, True, True]
    assert counted(engine, charges) == 2
    report = verify(engine, key)
    assert report.ok
    assert report.open == 1
    assert sink.write(exchange(make)) == [None, None]


def test_a_refusal_names_no_value_of_the_row(sink: LedgerSink, make: Maker) -> None:
    dispatch, (charge,) = exchange(make, reason="비밀")
    bad = charge._replace(values=(*charge.values[:3], "gift", *charge.values[4:]))
    results = sink.write([dispatch, [bad]])
    assert "비밀" not in str(results[1])
    assert "gift" not in str(results[1])


def test_one_attempt_dispatched_twice_with_different_content_is_refused(
    sink: LedgerSink, make: Maker
) -> None:
    dispatch = make.dispatch()
    other = make.dispatch(attempt_id=dispatch.attempt_id)
    assert sink.write([[record_of(dispatch)]]) == [None]
    (result,) = sink.write([[record_of(other)]])
    assert "twice" in str(result)


def test_a_submission_is_written_whole_or_not_at_all(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    dispatch = record_of(make.dispatch())
    bad = Row("nowhere", {"id": 1})
    results = sink.write([[dispatch, record_of(bad)], *exchange(make)])
    assert [result is None for result in results] == [False, True, True]
    assert counted(engine, dispatches) == 1


def test_rows_of_other_tables_travel_with_the_ledgers(engine: Engine, make: Maker, key: bytes) -> None:
    other = Table("receipt", MetaData(), Column("id", Integer, primary_key=True), Column("counts", Text))
    other.metadata.create_all(engine)
    sink = LedgerSink(engine, key, tables=[other])
    sink.open()
    receipts = [record_of(Row("receipt", {"id": i, "counts": {"KR_RRN": i}})) for i in range(3)]
    assert sink.write([[record_of(make.dispatch()), receipts[0]], [receipts[1]], [receipts[2]]]) == [None] * 3
    assert sink.write([[receipts[1]]]) == [None]
    with engine.connect() as connection:
        assert list(connection.execute(select(other.c.counts)).scalars())[2] == '{"KR_RRN":2}'
    sink.close()


def set_a_limit(engine: Engine, make: Maker, unit: str) -> str:
    set_budget(
        engine, Budget(unit, Scope("unit", unit), Every.MONTH, 10**15), now=make.now, by="test", reason="test"
    )
    return unit


def a_row_of(table: Table) -> dict[str, Any]:
    words = {"state": "preview", "kind": "summary"}
    return {c.name: words.get(c.name, 1 if c.type.python_type is int else "x") for c in table.columns}


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
@pytest.mark.parametrize("table", INSERT_ONLY, ids=lambda table: str(table.name))
def test_the_database_itself_refuses_to_change_the_ledger(
    engine: Engine, sink: LedgerSink, make: Maker, statement: str, table: Table
) -> None:
    sink.write(exchange(make))
    sink.tick()  # makes a seal
    note(engine, Notice("n", "b", "2026-11", "80", make.now, {}), [])
    ids = [set_a_limit(engine, make, scope) for scope in ("총무과", "인사과")]
    transfer(engine, Order(ids[0], ids[1], 1), now=make.now, by="test", reason="test")
    with engine.begin() as connection:
        connection.execute(insert(month_steps), [a_row_of(month_steps)])
        connection.execute(insert(invoices), [a_row_of(invoices)])
    column = next(iter(table.columns)).name
    with pytest.raises(DBAPIError, match="insert-only"), engine.begin() as connection:
        connection.execute(text(statement.format(table.name, column, column)))


def test_an_attempt_is_open_until_it_is_charged(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    dispatch = make.dispatch()
    sink.write([[record_of(dispatch)]])
    assert open_dispatches(engine) == [dispatch.attempt_id]
    sink.write([[record_of(make.charge(dispatch))]])
    assert open_dispatches(engine) == []


def test_a_database_that_went_away_and_came_back_continues_the_chain(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    sink.write(exchange(make))
    sink._disconnect()
    sink.write(exchange(make))
    assert verify(engine, key).ok


def test_a_commit_whose_answer_was_lost_is_not_written_twice(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    before = sink._head
    group = exchange(make)
    sink.write(group)
    sink._head = before  # as if the commit's answer had never arrived
    sink._disconnect()
    assert sink.write([*group, *exchange(make)]) == [None] * 4
    assert counted(engine, charges) == 2
    assert verify(engine, key).ok


def test_a_locked_database_is_away_and_not_a_bad_row(sqlite: Engine, make: Maker, key: bytes) -> None:
    sink = LedgerSink(sqlite, key)
    sink.open()
    assert sink._connection is not None
    sink._connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    sink._connection.commit()
    with sqlite.execution_options(sqlite_begin="IMMEDIATE").connect() as other:
        other.execute(text("SELECT 1"))
        with pytest.raises(SinkUnavailable):
            sink.write(exchange(make))
    group = exchange(make)
    assert sink.write(group) == [None, None]
    sink.close()


def test_a_read_only_database_is_away(sqlite: Engine, make: Maker, key: bytes) -> None:
    sink = LedgerSink(sqlite, key)
    sink.open()
    assert sink._connection is not None
    sink._connection.exec_driver_sql("PRAGMA query_only = ON")
    sink._connection.commit()
    with pytest.raises(SinkUnavailable):
        sink.write(exchange(make))
    assert sink.write(exchange(make)) == [None, None]
    sink.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_acknowledges_before_the_disk_is_told_to_wait(
    database_url: str, make: Maker, key: bytes
) -> None:
    engine = open_engine(f"{database_url}%20-csynchronous_commit%3Doff")
    metadata.create_all(engine)
    sink = LedgerSink(engine, key)
    sink.open()
    sink.write(exchange(make))
    assert sink._connection is not None
    setting = sink._connection.exec_driver_sql("SHOW synchronous_commit").scalar()
    sink._connection.commit()
    sink.close()
    engine.dispose()
    assert setting == "on"


async def test_two_writers_share_one_database(
    engine: Engine, make: Maker, key: bytes, tmp_path: Path
) -> None:
    journals = [Journal(LedgerSink(engine, key), Segments(tmp_path / "segments", 1 << 16)) for _ in range(2)]
    for journal in journals:
        journal.start()

    async def work(journal: Journal) -> None:
        for _ in range(10):
            dispatch = make.dispatch()
            await journal.append([dispatch])
            await journal.append([make.charge(dispatch)])

    await asyncio.gather(*(work(journal) for journal in journals for _ in range(10)))
    for journal in journals:
        journal.stop()
    report = verify(engine, key)
    assert report.ok
    assert (report.rows, report.slots, report.open) == (400, 2, 0)
    with engine.connect() as connection:
        assert set(connection.execute(select(writers.c.state)).scalars()) == {"free"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_that_breaks_while_the_server_commits_sets_no_head_back(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    sink.tick()
    assert sink.write([[record_of(make.dispatch())]]) == [None]
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION slow() RETURNS trigger AS "
                "$$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$ LANGUAGE plpgsql"
            )
        )
        connection.execute(
            text(
                "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ledger_dispatch "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
            )
        )
    wire = socket.socket(fileno=os.dup(sink._connection.connection.driver_connection.fileno()))  # type: ignore[union-attr]
    cut = threading.Timer(0.3, wire.shutdown, (socket.SHUT_RDWR,))
    cut.start()
    with pytest.raises(SinkUnavailable):
        sink.write([[record_of(make.dispatch())]])
    cut.join()
    wire.close()
    sink.tick()
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER slow ON ledger_dispatch"))
    dispatch = make.dispatch()
    assert sink.write([[record_of(dispatch)]]) == [None]
    assert sink.write([[record_of(make.charge(dispatch))]]) == [None]
    assert verify(engine, key).ok


def test_what_another_host_estimated_is_still_open_to_whoever_knows_that_it_was_never_sent(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    estimated, charged, unknown = (make.dispatch() for _ in range(3))
    sink.write([[record_of(estimated)], [record_of(charged)]])
    sink.write([[record_of(make.charge(charged))]])
    sink.adopt([estimated.attempt_id])
    ids = {one.attempt_id for one in (estimated, charged, unknown)}
    assert sink.still_open(ids) == {estimated.attempt_id}
    sink.ship([[record_of(Charge.not_sent(estimated, make.tick(), "its commit was in doubt"))]])
    rows = charges_of(engine, [estimated.attempt_id])
    assert sum(row["amount_nano_krw"] for row in rows) == 0
