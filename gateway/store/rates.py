"""Minutes of rate limits in the database, for workers that share no Valkey.

One short transaction for everything a request lacks. A connection of its own that waits for no disk: these
counts are worth nothing after two minutes, and a power cut may lose them. Not for the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from sqlalchemy import and_, delete, or_, select, tuple_, update
from sqlalchemy.exc import SQLAlchemyError

from billing.store import open_engine
from billing.store.engine import writing
from billing.store.statements import insert_rows
from billing.tables import rate_windows
from gateway.limits.windows import Told, WindowsAway, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from gateway.limits.windows import Ask, Moment

KEPT_MINUTES = 3


class RateTable:
    """Used by one thread at a time."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        self._connection: Connection | None = None
        self._pruned = 0

    def take(self, asks: Sequence[Ask], at: Moment) -> list[Told]:
        """Take from counters what is wanted and fits. Raises WindowsAway."""
        try:
            with self._connected().begin():
                return self._take(asks, at)
        except SQLAlchemyError as error:
            self._away(error)

    def give(self, back: Sequence[tuple[str, int, int]]) -> None:
        """Lower counts: (counter, minute, amount). Raises WindowsAway."""
        try:
            connection = self._connected()
            with connection.begin():
                for counter, minute, amount in sorted(back):
                    ours = rate_windows.c.counter == counter, rate_windows.c.minute == minute
                    lowered = update(rate_windows).where(*ours).values(used=rate_windows.c.used - amount)
                    connection.execute(lowered)
        except SQLAlchemyError as error:
            self._away(error)

    def close(self) -> None:
        self._disconnect()
        self._engine.dispose()

    def _take(self, asks: Sequence[Ask], at: Moment) -> list[Told]:
        connection = self._connected()
        counters = sorted({ask.counter for ask in asks})
        rows = [(counter, at.minute, 0) for counter in counters]
        insert_rows(connection, rate_windows, ("counter", "minute", "used"), rows, " ON CONFLICT DO NOTHING")
        used = self._counts(connection, counters, at.minute)
        told = []
        for ask in asks:
            now, before = used[ask.counter, at.minute], used.get((ask.counter, at.minute - 1), 0)
            granted = share(ask, now, before, at)
            used[ask.counter, at.minute] = now + granted
            told.append(Told(granted, now + granted, before))
        rows = [(counter, at.minute, used[counter, at.minute]) for counter in counters]
        replace = " ON CONFLICT (counter, minute) DO UPDATE SET used = excluded.used"
        insert_rows(connection, rate_windows, ("counter", "minute", "used"), rows, replace)
        self._prune(connection, at.minute)
        return told

    def _counts(
        self, connection: Connection, counters: Sequence[str], minute: int
    ) -> dict[tuple[str, int], int]:
        """Lock this minute's rows in one order, and read the last minute's beside them."""
        table = rate_windows.c
        ours = [and_(table.counter == counter, table.minute == minute) for counter in counters]
        locked = select(rate_windows).where(or_(*ours)).order_by(table.counter).with_for_update()
        before = select(rate_windows).where(table.counter.in_(counters), table.minute == minute - 1)
        rows = [*connection.execute(locked), *connection.execute(before)]
        return {(counter, at_minute): used for counter, at_minute, used in rows}

    def _prune(self, connection: Connection, minute: int) -> None:
        if minute > self._pruned:
            self._pruned = minute
            table = rate_windows.c
            old = select(table.counter, table.minute).where(table.minute < minute - KEPT_MINUTES)
            free = old.with_for_update(skip_locked=True)  # others prune in this moment, too
            connection.execute(delete(rate_windows).where(tuple_(table.counter, table.minute).in_(free)))

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = writing(self._engine).connect()
            if connection.dialect.name == "sqlite":
                # Not OFF: when the log begins anew, its header must reach the disk before what follows it
                pragmas = ("PRAGMA synchronous = NORMAL", "PRAGMA wal_autocheckpoint = 0")
            else:
                pragmas = ("SET synchronous_commit = off", "SET lock_timeout = '2s'")
            raw = connection.connection.driver_connection
            assert raw is not None, "it was just opened"
            for pragma in pragmas:
                raw.cursor().execute(pragma)
            raw.commit()
            self._connection = connection
        return self._connection

    def _away(self, error: SQLAlchemyError) -> NoReturn:
        self._disconnect()
        raise WindowsAway(type(error).__name__) from error

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except SQLAlchemyError:
                pass
