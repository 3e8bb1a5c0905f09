from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import JSON, Boolean, Column, Integer, MetaData, Table, Text, select
from sqlalchemy.exc import IntegrityError

from billing.store.statements import insert_rows

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
