"""Whose fault a database error is: the row's, or the database's that is gone, full or locked. Names only."""

from __future__ import annotations

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError


def is_away(error: Exception) -> bool:
    """Whether the database is at fault: gone, locked, full, read-only, damaged."""
    if isinstance(error, InterfaceError):  # a lost connection, but a bad parameter with SQLite
        return not type(error.orig).__module__.startswith("sqlite3")
    if type(error) in {DatabaseError, InternalError}:
        return True
    return isinstance(error, OperationalError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def without_values(error: Exception) -> str:
    """Name an error without the values of the row: these are nobody's business in a log."""
    original = getattr(error, "orig", None) or error
    first_line = str(original).partition("\n")[0] if is_away(error) else ""
    return f"{type(original).__name__}: {first_line}" if first_line else type(original).__name__
