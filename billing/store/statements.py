"""Multi-row INSERT statements, built once and kept.

Why not `executemany`: with SQLite it releases and takes the interpreter's lock once per row, and the
journal thread then waits for a busy event loop each time; one statement for many rows does it once.
Row counts are powers of two, so that few statements are ever prepared.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_MOST_PARAMETERS: Final = 16_384
"""SQLite takes 32,766 and PostgreSQL 65,535."""
_MOST_ROWS: Final = 64


def insert_rows(
    connection: Connection,
    table: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    suffix: str = "",
) -> None:
    """Insert rows of plain columns into a table, in order."""
    start = 0
    while start < len(rows):
        size = _step(len(rows) - start, len(columns))
        statement = _statement(connection.dialect.paramstyle, table, columns, size, suffix)
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(rows[start : start + size])))
        start += size


def _step(left: int, width: int) -> int:
    """Return the largest power of two of rows that are left and fit."""
    most = min(left, _MOST_ROWS, max(1, _MOST_PARAMETERS // width))
    return int(1 << (most.bit_length() - 1))


@cache
def _statement(paramstyle: str, table: str, columns: tuple[str, ...], size: int, suffix: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(columns))})"
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * size)}{suffix}"  # noqa: S608 - names of our own tables
