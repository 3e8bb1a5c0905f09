from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import JSON, Boolean, Column, Integer, MetaData, Table, Text, create_engine, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from billing.store import statements
from billing.store.accounts import lock_of
from billing.store.away import is_away
from billing.store.statements import insert_rows, run
from billing.tables import budget_accounts

if TYPE_CHECKING:
    from sqlalchemy import Engine

TABLE = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", Text),
    Column("yes", Boolean),
    Column("more", JSON),
)
COLUMNS = ("id", "name", "yes", "more")


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 200])
def test_any_number_of_rows_is_inserted(engine: Engine, count: int) -> None:
    TABLE.metadata.create_all(engine)
    rows = [(i, None if i % 2 else f"이름 {i} \\ \" '", bool(i % 3), '{"a": [1]}') for i in range(count)]
    with engine.begin() as connection:
        insert_rows(connection, TABLE, COLUMNS, rows)
        found = connection.execute(select(TABLE).order_by(TABLE.c.id)).all()
    assert [tuple(row) for row in found] == [(i, name, yes, {"a": [1]}) for i, name, yes, _ in rows]


def test_what_is_there_already_is_an_error_unless_a_suffix_says_otherwise(engine: Engine) -> None:
    TABLE.metadata.create_all(engine)
    with engine.begin() as connection:
        insert_rows(connection, TABLE, COLUMNS, [(1, "a", True, "null")])
        insert_rows(connection, TABLE, COLUMNS, [(1, "b", True, "null")], " ON CONFLICT DO NOTHING")
        assert connection.execute(select(TABLE.c.name)).scalar() == "a"
    with pytest.raises(IntegrityError), engine.begin() as connection:
        insert_rows(connection, TABLE, COLUMNS, [(1, "c", True, "null")])


def test_a_statement_for_the_driver_belongs_to_a_transaction(engine: Engine) -> None:
    TABLE.metadata.create_all(engine)
    mark = "%s" if engine.dialect.name == "postgresql" else "?"
    with engine.connect() as connection:
        run(connection, f"INSERT INTO things (id, name) VALUES ({mark}, {mark})", (1, "a"))
        connection.rollback()
        assert run(connection, "SELECT count(*) FROM things").fetchone()[0] == 0


def test_work_that_rests_leaves_the_interpreter_before_each_statement_of_its_own_thread(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rested: list[int] = []
    monkeypatch.setattr("time.sleep", lambda _s: rested.append(threading.get_ident()))

    def two_statements() -> None:
        with engine.begin() as connection:
            run(connection, "SELECT 1")
            run(connection, "SELECT 2")

    with statements.resting():
        two_statements()
        other = threading.Thread(target=two_statements)
        other.start()
        other.join()
    two_statements()
    assert rested == 2 * [threading.get_ident()]


def test_a_refused_statement_raises_what_sqlalchemy_raises_and_names_no_value(engine: Engine) -> None:
    TABLE.metadata.create_all(engine)
    with pytest.raises(DBAPIError), engine.begin() as connection:
        run(connection, "SELECT missing FROM things")
    with pytest.raises(IntegrityError) as twice, engine.begin() as connection:
        for _ in range(2):
            insert_rows(connection, TABLE, COLUMNS, [(1, "김비밀", True, "null")])
    assert "김비밀" not in str(twice.value)
    assert not is_away(twice.value)


def test_accounts_are_found_by_their_key_however_many_there_are() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        budget_accounts.create(connection)
        plan = run(connection, "EXPLAIN QUERY PLAN " + lock_of(3, "sqlite"), ("x",) * 12).fetchall()
    steps = [step[3] for step in plan]
    assert any(step.startswith("SEARCH a USING INDEX") for step in steps)
    assert "SCAN a" not in " ".join(steps)
