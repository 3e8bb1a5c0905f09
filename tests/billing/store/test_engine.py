from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from billing.ledger import record_of
from billing.store import Checkpointer, DatabaseUnavailable, LedgerSink, open_engine, writing
from billing.store.engine import without_busy_handler

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.billing.conftest import Maker


def test_sqlite_is_durable_at_every_commit(sqlite: Engine) -> None:
    with sqlite.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="nowhere") as refusal:
        open_engine(f"sqlite:///{tmp_path}/nowhere/haechi.db")
    assert "폴더" in refusal.value.korean


def test_another_database_is_refused() -> None:
    with pytest.raises(ValueError, match="sqlite"):
        open_engine("mysql://localhost/x")


def test_a_plain_postgresql_address_gets_the_driver_that_is_here() -> None:
    assert open_engine("postgresql://localhost/x").url.drivername == "postgresql+psycopg"


def test_writers_that_read_first_do_not_fail_each_other(sqlite: Engine) -> None:
    with sqlite.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (0)"))
    for _ in range(2):
        with writing(sqlite).begin() as connection:
            number = connection.execute(text("SELECT n FROM t")).scalar_one()
            connection.execute(text("UPDATE t SET n = :n"), {"n": number + 1})
    with sqlite.connect() as connection:
        assert connection.execute(text("SELECT n FROM t")).scalar() == 2


def test_a_checkpoint_that_fails_is_tried_again_and_said_once(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = threading.Event()
    failures = iter([sqlite3.OperationalError("database or disk is full")] * 3)

    def checkpoint() -> None:
        for failure in failures:
            raise failure
        tried.set()

    checkpointer = Checkpointer(sqlite, every_s=0.01)
    monkeypatch.setattr(
        checkpointer, "_checkpoint", checkpoint
    )  # another test's may still run in this process
    with caplog.at_level("INFO", logger="billing.store.engine"):
        checkpointer.start()
        assert tried.wait(5)
        checkpointer.stop()
    ours = [record.message for record in caplog.records if record.thread == checkpointer._thread.ident]
    assert ours == ["checkpoint_failed", "checkpoint_works_again"]


def test_a_grown_log_is_truncated_off_the_journal_thread(
    sqlite: Engine, make: Maker, key: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.store.engine.WAL_LIMIT_BYTES", 1)
    sink = LedgerSink(sqlite, key)
    sink.open()
    for _ in range(50):
        sink.write([[record_of(make.dispatch())]])
    wal = tmp_path / "haechi.db-wal"
    assert wal.stat().st_size > 0
    Checkpointer(sqlite)._checkpoint()
    assert wal.stat().st_size == 0
    sink.close()


def test_a_writer_waits_for_its_turn_and_gives_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = writing(open_engine(f"sqlite:///{tmp_path}/turns.db"))
    with database.connect() as holder, database.connect() as waiter:
        without_busy_handler(waiter)
        waiter.commit()
        held = holder.begin()
        began = time.monotonic()
        threading.Timer(0.1, held.commit).start()
        with waiter.begin():
            assert time.monotonic() - began >= 0.09
        monkeypatch.setattr("billing.store.engine.BUSY_TIMEOUT_S", 0.05)
        with holder.begin(), pytest.raises(OperationalError, match="locked"):
            waiter.begin()
