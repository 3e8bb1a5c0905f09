"""Inserts of many rows by one statement, built once and kept.

Why not `executemany`: with SQLite it releases and takes the interpreter's lock once per row, and the
journal thread then waits for a busy event loop each time; one statement for many rows does it once.
PostgreSQL gets all rows as one JSON parameter: adapting thousands of parameters cost the gateway
three times as much as writing the JSON, and the server reads it on its own processor.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Dialect, Table

_MOST_PARAMETERS: Final = 16_384
"""SQLite takes 32,766."""
_MOST_ROWS: Final = 64
"""So that a few hundred statements exist at all; the connection keeps them prepared."""


def insert_rows(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    suffix: str = "",
) -> None:
    """Insert rows of plain columns (int, str, bool, None) into a table, in order."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        document = orjson.dumps(rows).decode()
        connection.exec_driver_sql(_from_json(connection.dialect, table, columns, suffix), (document,))
        return
    start = 0
    while start < len(rows):
        size = min(len(rows) - start, _MOST_ROWS, max(1, _MOST_PARAMETERS // len(columns)))
        values = tuple(chain.from_iterable(rows[start : start + size]))
        connection.exec_driver_sql(_of_rows(table.name, columns, size, suffix), values)
        start += size


@cache
def _of_rows(table: str, columns: tuple[str, ...], size: int, suffix: str) -> str:
    row = f"({', '.join('?' * len(columns))})"
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * size)}{suffix}"  # noqa: S608 - names of our own tables


@cache
def _from_json(dialect: Dialect, table: Table, columns: tuple[str, ...], suffix: str) -> str:
    values = ", ".join(
        f"(r ->> {index})::{table.c[name].type.compile(dialect)}" for index, name in enumerate(columns)
    )
    names = ", ".join(columns)
    return f"INSERT INTO {table.name} ({names}) SELECT {values} FROM json_array_elements(%s::json) r{suffix}"  # noqa: S608 - names of our own tables
