"""What was acknowledged survives a power cut: the real sink and journal on a disk that forgets unsynced writes."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, text

from billing import early, segments
from billing.budgets import Budget, Every, Scope
from billing.journal import Journal
from billing.ledger import Attribution, Charge, Dispatch, IdSource, Outcome, record_of
from billing.periods import billing_month, from_us
from billing.prices import PriceBook
from billing.segments import Log, Segments
from billing.store import LedgerSink, charges_of, check_accounts, open_engine, set_budget, verify
from billing.store.engine import Checkpointer, durable
from billing.tables import metadata
from billing.usage import Usage, UsageSource
from tests.faults.power_cut import Calls, Disk, Syncs, driver
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
NOW = from_us(1_795_000_000_000_000)


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


def exchange() -> tuple[Dispatch, Charge]:
    quote = BOOK.quote("m", NOW)
    dispatch = Dispatch(IDS.next(NOW), IDS.next(NOW), NOW, billing_month(NOW), ATTRIBUTION, quote, 10**9)
    charge = Charge.settle(
        dispatch,
        charge_id=IDS.next(NOW),
        settled_at=NOW,
        outcome=Outcome.SUCCESS,
        source=UsageSource.REPORTED,
        usage=Usage(input=5, output=7),
    )
    return dispatch, charge


def write_until_the_cut(disk: Disk, engine: Engine, dice: random.Random) -> set[str]:
    """Return the attempts whose charge was acknowledged while there was power."""
    acknowledged: set[str] = set()
    sink = LedgerSink(engine, KEY, clock=lambda: NOW)
    sink._checkpointer = Checkpointer(engine, every_s=3600)  # this test decides when
    sink.open()
    while not disk.is_cut:
        group, attempts = [], []
        for _ in range(dice.randint(1, 6)):
            dispatch, charge = exchange()
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


# --- acknowledged from the journal's log, on the same disk as the database -------------------------


async def acknowledge_until_the_cut(disk: Disk, journal: Journal, dice: random.Random) -> set[str]:
    """Return the attempts whose charge was acknowledged while there was power."""
    acknowledged: set[str] = set()

    async def clients() -> None:
        while not disk.is_cut:
            dispatch, charge = exchange()
            await journal.append([dispatch])
            await journal.append([charge])
            if not disk.is_cut:
                acknowledged.add(dispatch.attempt_id)

    await asyncio.gather(*(clients() for _ in range(dice.choice((1, 3, 12)))))
    return acknowledged


def lost_of_the_log(directory: Path, template: Path, seed: int, *, lies: bool = False) -> tuple[int, int]:
    """One round: (acknowledged, lost) of a journal that has a log, and a hard budget over all."""
    dice = random.Random(seed)
    before, after = directory / "before", directory / "after"
    for path in (before, after):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    shutil.copy(template, before / "haechi.db")
    disk = Disk(f"log{seed}{lies}", dice, lives=0)
    engine = engine_on(disk, before / "haechi.db", "FULL")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "os", Calls(disk))
        patch.setattr(early, "DiskSync", lambda loop: Syncs(disk, loop, lies=lies))
        create = Log.create
        patch.setattr(Log, "create", lambda stem: create(stem, 20_000))  # so that its halves often take turns
        sink = LedgerSink(engine, KEY, clock=lambda: NOW)
        sink._checkpointer = Checkpointer(engine, every_s=0.05)
        journal = Journal(sink, Segments(before, 1 << 16), clock=lambda: NOW)
        journal.start()
        disk.lives = dice.randint(1, 2_000)
        acknowledged = asyncio.run(acknowledge_until_the_cut(disk, journal, dice))
        journal.stop()
    engine.dispose()
    disk.unregister()
    disk.write_image(after)

    found = open_engine(f"sqlite:///{after}/haechi.db")
    try:
        next_start = Journal(LedgerSink(found, KEY, clock=lambda: NOW), Segments(after, 1 << 16))
        next_start.start()
        next_start.stop()
        kept = {
            str(row["attempt_id"])
            for row in charges_of(found, sorted(acknowledged))
            if row["outcome"] == Outcome.SUCCESS
        }
        if not lies:
            report = verify(found, KEY)
            assert report.ok, report.problems[:3]
            assert check_accounts(found) == []
    finally:
        found.dispose()
    return len(acknowledged), len(acknowledged - kept)


@pytest.fixture
def budgeted(template: Path) -> Path:
    engine = open_engine(f"sqlite:///{template}")
    budget = Budget("b1", Scope("unit", "시"), Every.MONTH, 10**15)
    set_budget(engine, budget, now=NOW, by="test", reason="test")
    engine.dispose()
    return template


def rounds_of_the_log(directory: Path, template: Path, count: int, **more: Any) -> tuple[int, int]:
    results = [lost_of_the_log(directory, template, seed, **more) for seed in range(count)]
    return sum(acknowledged for acknowledged, _ in results), sum(lost for _, lost in results)


def test_nothing_acknowledged_from_the_log_is_lost_when_the_power_goes(
    tmp_path: Path, budgeted: Path
) -> None:
    acknowledged, lost = rounds_of_the_log(tmp_path, budgeted, 12)
    assert acknowledged > 500
    assert lost == 0


def test_this_proof_can_fail_as_it_does_on_a_disk_that_lies(tmp_path: Path, budgeted: Path) -> None:
    _, lost = rounds_of_the_log(tmp_path, budgeted, 3, lies=True)
    assert lost > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_power_cuts_of_the_log_at_full_size(tmp_path: Path, budgeted: Path) -> None:
    count = int(os.environ.get("HAECHI_POWER_CUTS", "1000"))
    acknowledged, lost = rounds_of_the_log(tmp_path, budgeted, count)
    assert lost == 0
    record("power cut of the log", "sqlite", rounds=count, acknowledged=acknowledged, lost=lost)
