"""PostgreSQL is stopped under load and started again; a disk is full: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from billing.journal import Journal, JournalUnavailable
from billing.ledger import Attribution, Charge, Dispatch, IdSource, Outcome
from billing.periods import billing_month
from billing.prices import PriceBook
from billing.segments import Segments
from billing.store import LedgerSink, charges_of, open_dispatches, open_engine, verify
from billing.tables import metadata
from billing.usage import Usage, UsageSource
from tests.faults.proofs import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

pytestmark = pytest.mark.anyio
KEY = b"k" * 32
BOOK = PriceBook.from_tables(
    [{"key": "m", "from": "2026-01-01", "currency": "KRW", "input": "1700", "output": "14000"}], []
)
ATTRIBUTION = Attribution(
    "p1", "k1", "총무과", ("시", "총무과"), "gpt", "gpt@a", "a", "gpt", "external", "chat"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Load:
    """Connections that ask and pay until told to stop, and remember what they were promised."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.ids = IdSource()
        self.charged: dict[str, int] = {}
        self.refused = 0
        self.slowest_s = 0.0
        self.over = False

    async def connection(self) -> None:
        while not self.over:
            await self._exchange()
            await asyncio.sleep(0.002)

    async def _exchange(self) -> None:
        now = datetime.now(UTC)
        quote = BOOK.quote("m", now)
        hold = quote.upper_bound(2_000, 200)
        ids = self.ids
        dispatch = Dispatch(
            ids.next(now), ids.next(now), now, billing_month(now), ATTRIBUTION, quote, hold, 2_000, 200
        )
        began = time.monotonic()
        try:
            await self.journal.append([dispatch])
        except JournalUnavailable:
            self.refused += 1
            await asyncio.sleep(0.05)
            return
        charge = Charge.settle(
            dispatch,
            charge_id=ids.next(now),
            settled_at=datetime.now(UTC),
            outcome=Outcome.SUCCESS,
            source=UsageSource.REPORTED,
            usage=Usage(input=random.randint(1, 2_000), output=random.randint(1, 200)),
        )
        await self.journal.append([charge])
        self.charged[dispatch.attempt_id] = charge.amount_nano_krw
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)


def compare(engine: Engine, load: Load) -> None:
    written = {
        str(row["attempt_id"]): row["amount_nano_krw"] for row in charges_of(engine, list(load.charged))
    }
    assert written == load.charged
    report = verify(engine, KEY)
    assert report.ok
    assert report.total_nano_krw == sum(load.charged.values())
    assert report.charges == len(load.charged)
    assert open_dispatches(engine) == []


async def outage(server: Any, directory: Path, away_s: float, serve_s: float) -> Load:
    engine = open_engine(server.get_uri())
    metadata.create_all(engine)
    journal = Journal(
        LedgerSink(engine, KEY), Segments(directory / "segments"), serve_without_database_s=serve_s
    )
    journal.start()
    load = Load(journal)
    connections = [asyncio.create_task(load.connection()) for _ in range(16)]
    await asyncio.sleep(0.5)
    await asyncio.to_thread(server.stop)
    before = len(load.charged)
    await asyncio.sleep(away_s)
    during = len(load.charged) - before
    await asyncio.to_thread(server.start)
    for _ in range(200):
        await asyncio.sleep(0.05)
        if journal.stats.available:
            break
    await asyncio.sleep(0.3)
    load.over = True
    await asyncio.gather(*connections)
    journal.stop()
    compare(engine, load)
    engine.dispose()
    assert during > 0, "nobody was served while the database was away"
    return load


async def test_work_goes_on_without_the_database_and_nothing_is_lost(
    own_postgres: Any, tmp_path: Path
) -> None:
    load = await outage(own_postgres, tmp_path, away_s=1.5, serve_s=60)
    assert load.refused == 0


async def test_work_is_refused_when_the_database_stays_away_too_long(
    own_postgres: Any, tmp_path: Path
) -> None:
    load = await outage(own_postgres, tmp_path, away_s=2.5, serve_s=1)
    assert load.refused > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_minute_without_the_database(own_postgres: Any, tmp_path: Path) -> None:
    load = await outage(own_postgres, tmp_path, away_s=60, serve_s=45)
    record(
        "database outage",
        "postgresql",
        rounds=1,
        away_s=60,
        charged=len(load.charged),
        refused=load.refused,
        slowest_s=round(load.slowest_s, 2),
        lost=0,
        doubled=0,
    )


async def test_a_full_disk_refuses_before_dispatch_and_keeps_every_charge(tmp_path: Path) -> None:
    """The database's own limit of pages stands for the disk: SQLite says 'database or disk is full'."""
    engine = open_engine(f"sqlite:///{tmp_path}/haechi.db")
    metadata.create_all(engine)
    sink = LedgerSink(engine, KEY)
    journal = Journal(sink, Segments(tmp_path / "segments", 200_000))
    journal.start()
    load = Load(journal)
    connections = [asyncio.create_task(load.connection()) for _ in range(8)]
    await asyncio.sleep(0.2)
    limit_pages(sink, "200")
    for _ in range(100):
        await asyncio.sleep(0.05)
        if load.refused:
            break
    assert load.refused > 0, "the segment is small: it must have filled up"
    limit_pages(sink, "1000000")
    for _ in range(100):
        await asyncio.sleep(0.05)
        if journal.stats.available:
            break
    load.over = True
    await asyncio.gather(*connections)
    journal.stop()
    compare(engine, load)
    engine.dispose()


def limit_pages(sink: LedgerSink, pages: str) -> None:
    """Set the limit on every connection that the sink opens from now on, and on the one it has."""
    connected = LedgerSink._connected

    def limited() -> Any:
        connection = connected(sink)
        if not connection.in_transaction():
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.commit()
        return connection

    sink._connected = limited  # type: ignore[method-assign]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 4 MiB, where this process may mount one."""
    if os.geteuid() != 0:
        pytest.fail("NOT RUN: needs root to mount a tmpfs")
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


@pytest.mark.full
async def test_a_full_file_system_refuses_before_dispatch(small_disk: Path) -> None:
    mount = small_disk
    engine = open_engine(f"sqlite:///{mount}/haechi.db")
    metadata.create_all(engine)
    journal = Journal(LedgerSink(engine, KEY), Segments(mount / "segments", 500_000))
    journal.start()
    load = Load(journal)
    connections = [asyncio.create_task(load.connection()) for _ in range(8)]
    ballast = mount / "ballast"
    with ballast.open("wb", buffering=0) as file:  # a buffer would fail again when it is closed
        try:
            while True:
                file.write(b"\0" * 65_536)
        except OSError:
            pass
    for _ in range(200):
        await asyncio.sleep(0.05)
        if load.refused:
            break
    assert load.refused > 0
    ballast.unlink()
    for _ in range(100):
        await asyncio.sleep(0.05)
        if journal.stats.available:
            break
    load.over = True
    await asyncio.gather(*connections)
    journal.stop()
    compare(engine, load)
    engine.dispose()


async def test_a_database_that_only_reads_for_a_while_loses_nothing(
    own_postgres: Any, tmp_path: Path
) -> None:
    """As a standby does that was asked too early, or a server whose disk went read-only."""
    engine = open_engine(own_postgres.get_uri())
    metadata.create_all(engine)
    journal = Journal(LedgerSink(engine, KEY), Segments(tmp_path / "segments"))
    journal.start()
    load = Load(journal)
    connections = [asyncio.create_task(load.connection()) for _ in range(8)]
    await asyncio.sleep(0.3)
    for is_read_only in ("on", "off"):
        own_postgres.psql(f"ALTER SYSTEM SET default_transaction_read_only = {is_read_only}")
        own_postgres.psql("SELECT pg_reload_conf()")
        await asyncio.sleep(1.0)
        if is_read_only == "on":
            assert not journal.stats.available, "it noticed nothing"
            spilled = journal.stats.spilled
    for _ in range(200):
        await asyncio.sleep(0.05)
        if journal.stats.available:
            break
    load.over = True
    await asyncio.gather(*connections)
    journal.stop()
    assert spilled > 0
    assert load.refused == 0
    compare(engine, load)
    engine.dispose()
