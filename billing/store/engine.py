"""Opens the database: SQLite made durable, PostgreSQL made patient. The one place that sets pragmas."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from billing.store.statements import run_bare

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S: Final = 10
FIRST_WAIT_S: Final = 0.000_2
LAST_WAIT_S: Final = 0.002
"""Between two looks at SQLite's write lock, which another worker holds for a millisecond or two."""
WAL_LIMIT_BYTES: Final = 32 * 1024 * 1024


class DatabaseUnavailable(Exception):
    """The database cannot be opened; `korean` and `english` say why and how to mend it."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


def open_engine(url: str) -> Engine:
    """Engine for `sqlite:///path` or `postgresql://…` (psycopg 3).

    SQLite commits with WAL and synchronous=FULL: what is acknowledged survives a power cut.
    Raises DatabaseUnavailable if the directory of an SQLite file is missing, ValueError for other
    databases. Whether the database answers is learned at the first connection.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5, "application_name": "haechi"},
        )
    raise ValueError(
        f"sqlite 또는 postgresql만 쓸 수 있습니다: {parsed.drivername} / sqlite or postgresql only"
    )


def writing(engine: Engine) -> Engine:
    """Return the same engine for transactions that write.

    On SQLite they take the write lock when they begin; a transaction that reads first and writes
    later would fail when another one wrote in between.
    """
    return engine.execution_options(sqlite_begin="IMMEDIATE")


def one_moment(engine: Engine) -> Engine:
    """Return the same engine for transactions that read, all of it as of one moment; on SQLite each does."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ")
    return engine


def _sqlite(url: URL) -> Engine:
    path = url.database
    folder = Path(path or "").absolute().parent
    if path and path != ":memory:" and not folder.is_dir():
        raise DatabaseUnavailable(
            f"데이터베이스 폴더가 없습니다: {folder}. 폴더를 만들거나 주소를 고치세요.",
            f"the database's directory does not exist: {folder}; create it or mend the URL",
        )
    arguments = {"check_same_thread": False, "timeout": BUSY_TIMEOUT_S, "cached_statements": 512}
    return durable(create_engine(url, connect_args=arguments))


def durable(engine: Engine) -> Engine:
    """Make an SQLite engine keep what it acknowledges; `open_engine` has done it already."""
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3.Connection behind the pool
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    until, wait_s = time.monotonic() + BUSY_TIMEOUT_S, FIRST_WAIT_S
    while True:
        try:
            run_bare(connection, f"BEGIN {mode}")
        except OperationalError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0)
            busy = code & 0xFF == sqlite3.SQLITE_BUSY  # the plain code of an extended one
            if not busy or time.monotonic() >= until:
                raise
            time.sleep(wait_s)
            wait_s = min(wait_s * 1.5, LAST_WAIT_S)
        else:
            return


def without_busy_handler(connection: Connection) -> None:
    """Let a connection that writes all the time wait for its turn in our steps, not in SQLite's.

    SQLite sleeps up to 100 ms between two looks at the lock: beside another worker some waited half a second.
    """
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")


class Checkpointer:
    """Copies SQLite's write-ahead log into the file on a thread of its own.

    The journal's connection never does it, so no request waits for it. Often, so that little is copied and
    synced at once: commits wait for the disk meanwhile (60 to 130 ms when it was every five seconds).
    A log that readers or a steady load let grow beyond WAL_LIMIT_BYTES is truncated, which holds writers
    up for a moment.
    """

    def __init__(self, engine: Engine, every_s: float = 0.5) -> None:
        self._engine = engine
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)

    def start(self) -> None:
        if self._engine.dialect.name == "sqlite":
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        fails = False
        while not self._stop.wait(self._every_s):
            try:
                self._checkpoint()
            except (SQLAlchemyError, sqlite3.Error) as error:  # a full disk, a locked file: next time
                if not fails:
                    log.warning("checkpoint_failed", extra={"reason": str(error)})
                fails = True
            else:
                if fails:
                    log.info("checkpoint_works_again")
                fails = False

    def _checkpoint(self) -> None:
        raw = self._engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            path = self._engine.url.database
            wal = Path(f"{path}-wal")
            if wal.exists() and wal.stat().st_size > WAL_LIMIT_BYTES:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            cursor.close()
        finally:
            raw.close()
