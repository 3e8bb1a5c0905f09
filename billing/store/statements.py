"""Statements that run with every group: written out, handed to the driver, built once and kept.

Why not through SQLAlchemy's own execution: it costs 15 to 25 µs a statement, and a group of one has seven.

Why not `executemany`: with SQLite it releases and takes the interpreter's lock once per row, and the
journal thread then waits for a busy event loop each time; one statement for many rows does it once.
PostgreSQL gets all rows as one JSON parameter: adapting thousands of parameters cost the gateway
three times as much as writing the JSON, and the server reads it on its own processor.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import orjson
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Dialect, Table


REST_S: Final = 0.000_02


class _Pace(threading.local):
    rests = False


_pace = _Pace()


@contextmanager
def resting() -> Iterator[None]:
    """Rest before each statement that `run` has from this thread: for work that nobody waits for.

    A thread that goes from statement to statement keeps core and interpreter nearly without a break. The
    event loop is woken while SQLite works, and when it runs at last the interpreter's lock is taken again:
    it stood still for as long as all the statements took.
    """
    _pace.rests = True
    try:
        yield
    finally:
        _pace.rests = False


def run(connection: Connection, statement: str, values: Sequence[Any] = ()) -> Any:  # noqa: ANN401 - the driver's cursor
    """Run a driver's statement inside the caller's transaction; return the driver's cursor.

    Raises what SQLAlchemy raises for it.
    """
    if not connection.in_transaction():
        connection.begin()
    if _pace.rests:
        time.sleep(REST_S)
    return run_bare(connection, statement, values)


def run_bare(connection: Connection, statement: str, values: Sequence[Any] = ()) -> Any:  # noqa: ANN401 - the driver's cursor
    """Run a driver's statement, in a transaction or not: for what begins one."""
    driver: Any = connection.connection.driver_connection  # sqlite3's or psycopg's; both have `execute`
    try:
        return driver.execute(statement, values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_sqlalchemys(connection, statement, error) from error


def _as_sqlalchemys(connection: Connection, statement: str, error: Exception) -> Exception:
    dialect = connection.dialect
    gone = dialect.is_disconnect(error, connection.connection.driver_connection, None)  # type: ignore[arg-type]
    base = dialect.loaded_dbapi.Error
    return DBAPIError.instance(statement, None, error, base, connection_invalidated=gone, dialect=dialect)


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
        run(connection, _from_json(connection.dialect, table, columns, suffix), (document,))
        return
    start = 0
    while start < len(rows):
        size = min(len(rows) - start, _MOST_ROWS, max(1, _MOST_PARAMETERS // len(columns)))
        values = tuple(chain.from_iterable(rows[start : start + size]))
        run(connection, _of_rows(table.name, columns, size, suffix), values)
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
