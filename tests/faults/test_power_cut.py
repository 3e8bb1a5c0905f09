"""What was acknowledged survives a power cut: the real sink on a disk that forgets unsynced writes."""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, text

from billing.ledger import Attribution, Charge, Dispatch, IdSource, Outcome, record_of
from billing.periods import billing_month, from_us
from billing.prices import PriceBook
from billing.store import LedgerSink, charges_of, open_engine, verify
from billing.store.engine import Checkpointer, durable
from billing.tables import metadata
from billing.usage import Usage, UsageSource
from tests.faults.power_cut import Disk, driver
from tests.faults.proofs import record

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

KEY = b"k" * 32
BOOK = PriceBook.from_tables(
    [{"key": "m", "from": "2026-01-01", "currency": "KRW", "input": "1", "output": "1"}], []
)
ATTRIBUTION = Attribution(
    "p1", "k1", "총무과", ("시", "총무과"), "gpt", "gpt@a", "a", "gpt", "external", "chat"
)
IDS = IdSource()


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A database with empty tables, cleanly closed."""
    path = tmp_path / "template.db"
    engine = open_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    return path


def engine_on(disk: Disk, path: Path, synchronous: str) -> Engine:
    engine = durable(create_engine(f"sqlite:///{path}", module=driver(disk)))
    event.listen(engine, "connect", lambda c, _: c.execute(f"PRAGMA synchronous = {synchronous}").close())
    return engine


def write_until_the_cut(disk: Disk, engine: Engine, dice: random.Random) -> set[str]:
    """Return the attempts whose charge was acknowledged while there was power."""
    now = from_us(1_795_000_000_000_000)
    acknowledged: set[str] = set()
    sink = LedgerSink(engine, KEY, clock=lambda: now)
    sink._checkpointer = Checkpointer(engine, every_s=3600)  # this test decides when
    sink.open()
    while not disk.is_cut:
        group, attempts = [], []
        for _ in range(dice.randint(1, 6)):
            quote = BOOK.quote("m", now)
            dispatch = Dispatch(
                IDS.next(now), IDS.next(now), now, billing_month(now), ATTRIBUTION, quote, 10**9
            )
            charge = Charge.settle(
                dispatch,
                charge_id=IDS.next(now),
                settled_at=now,
                outcome=Outcome.SUCCESS,
                source=UsageSource.REPORTED,
                usage=Usage(input=5, output=7),
            )
            group += [[record_of(dispatch)], [record_of(charge)]]
            attempts.append(dispatch.attempt_id)
        sink.write(group)
        if not disk.is_cut:
            acknowledged.update(attempts)
        if dice.random() < 0.2:
            sink._checkpointer._checkpoint()
    sink._checkpointer.stop()
    sink._disconnect()
    return acknowledged


def lost_in(directory: Path, template: Path, seed: int, synchronous: str = "FULL") -> tuple[int, int]:
    """One round: (acknowledged, lost). What is left must be a whole ledger."""
    dice = random.Random(seed)
    before, after = directory / "before", directory / "after"
    for path in (before, after):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    shutil.copy(template, before / "haechi.db")
    disk = Disk(f"disk{seed}{synchronous}", dice, lives=dice.randint(1, 250))
    engine = engine_on(disk, before / "haechi.db", synchronous)
    acknowledged = write_until_the_cut(disk, engine, dice)
    engine.dispose()
    disk.unregister()
    disk.write_image(after)

    found = open_engine(f"sqlite:///{after}/haechi.db")
    try:
        kept = {str(row["attempt_id"]) for row in charges_of(found, sorted(acknowledged))}
        with found.connect() as connection:
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        if synchronous == "FULL":
            report = verify(found, KEY)
            assert report.ok, report.problems[:3]
    finally:
        found.dispose()
    return len(acknowledged), len(acknowledged - kept)


def rounds(directory: Path, template: Path, count: int, **more: Any) -> tuple[int, int]:
    results = [lost_in(directory, template, seed, **more) for seed in range(count)]
    return sum(acknowledged for acknowledged, _ in results), sum(lost for _, lost in results)


def test_no_acknowledged_row_is_lost_when_the_power_goes(tmp_path: Path, template: Path) -> None:
    acknowledged, lost = rounds(tmp_path, template, 25)
    assert acknowledged > 100
    assert lost == 0


def test_this_proof_can_fail_as_it_does_with_synchronous_normal(tmp_path: Path, template: Path) -> None:
    _, lost = rounds(tmp_path, template, 5, synchronous="NORMAL")
    assert lost > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_power_cuts_at_full_size(tmp_path: Path, template: Path) -> None:
    count = int(os.environ.get("HAECHI_POWER_CUTS", "1000"))
    acknowledged, lost = rounds(tmp_path, template, count)
    assert lost == 0
    record("power cut", "sqlite", rounds=count, acknowledged=acknowledged, lost=lost)
