"""Kill -9 at a random moment under load, restart, and compare with the provider's own book."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from billing.budgets import Budget, Every, Measure, Scope
from billing.journal import Journal
from billing.ledger import Outcome
from billing.segments import Segments
from billing.store import (
    LedgerSink,
    budget_status,
    charges_of,
    check_accounts,
    open_dispatches,
    open_engine,
    set_budget,
    verify,
)
from billing.tables import metadata
from billing.usage import UsageSource
from tests.faults.proofs import done, record

if TYPE_CHECKING:
    from sqlalchemy import Engine

WRITER = Path(__file__).with_name("killable_writer.py")
ROOT = WRITER.parent.parent.parent
KEY = b"k" * 32
BATCH = 25
"""Rounds on one ledger, compared and recorded together."""


class Book:
    """What the provider says it was asked, and what the writer knew to be acknowledged."""

    def __init__(self, path: Path) -> None:
        self.asked: dict[str, tuple[int, int]] = {}
        self.acked: dict[str, int] = {}
        for line in path.read_text().splitlines():
            kind, attempt, *numbers = line.split()
            if kind == "asked":
                self.asked[attempt] = (int(numbers[0]), int(numbers[1]))
            else:
                self.acked[attempt] = int(numbers[0])


def run_and_kill(url: str, directory: Path, after_s: float) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(WRITER), url, str(directory)], stdout=subprocess.PIPE, env=environment
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        writer.kill()


def adopt_the_rest(engine: Engine, directory: Path) -> None:
    """What the next start of the gateway does."""
    journal = Journal(LedgerSink(engine, KEY), Segments(directory / "segments", 1 << 20))
    journal.start()
    journal.stop()


def compare(engine: Engine, book: Book) -> dict[str, int]:
    """Attempt by attempt: none lost, none doubled, reported ones equal to the last nano-won."""
    report = verify(engine, KEY)
    assert report.ok, report.problems[:3]
    assert open_dispatches(engine) == []
    charges: dict[str, dict[str, Any]] = {}
    with engine.connect() as connection:
        attempts = list(connection.execute(metadata.tables["ledger_dispatch"].select()).mappings())
    for row in charges_of(engine, [attempt["attempt_id"] for attempt in attempts]):
        assert row["attempt_id"] not in charges, "charged twice"
        charges[str(row["attempt_id"])] = row
    assert set(book.asked) <= set(charges), "the provider was asked something that nobody was charged for"
    for attempt in set(charges) - set(book.asked):
        assert charges[attempt]["outcome"] == Outcome.ADOPTED, "charged, and never asked"
    for attempt, row in charges.items():
        if row["outcome"] == Outcome.SUCCESS:
            assert (row["input"], row["output"]) == book.asked[attempt]
    for attempt, amount in book.acked.items():
        assert charges[attempt]["amount_nano_krw"] == amount, "an acknowledged charge was lost"
    adopted = {attempt for attempt, row in charges.items() if row["outcome"] == Outcome.ADOPTED}
    estimated = {attempt for attempt, row in charges.items() if row["source"] == UsageSource.ESTIMATED}
    assert estimated == adopted, "an estimate for an attempt whose end was known"
    assert not adopted & set(book.acked)
    assert {status.held for status in budget_status(engine, datetime.now(UTC))} == {0}
    assert check_accounts(engine) == []
    with engine.connect() as connection:
        assert connection.execute(metadata.tables["budget_lease"].select()).first() is None
    return {"attempts": len(charges), "acknowledged": len(book.acked), "adopted": len(adopted)}


def rounds(url: str, directory: Path, count: int) -> dict[str, int]:
    """Kill the writer so often on one ledger, under hard budgets of won, tokens and requests."""
    engine = open_engine(url)
    metadata.create_all(engine)
    for measure in Measure:
        budget = Budget(f"b-{measure}", Scope("unit", "시"), Every.MONTH, 10**17, measure=measure)
        set_budget(engine, budget, now=datetime.now(UTC), by="test", reason="test")
    try:
        for _ in range(count):
            run_and_kill(url, directory, after_s=random.uniform(0.02, 0.4))
        adopt_the_rest(engine, directory)
        return compare(engine, Book(directory / "provider.book"))
    finally:
        engine.dispose()


def test_no_charge_is_lost_or_doubled_when_the_writer_is_killed_on_sqlite(tmp_path: Path) -> None:
    seen = rounds(f"sqlite:///{tmp_path}/haechi.db", tmp_path, 4)
    assert seen["attempts"] > 100
    assert seen["adopted"] > 0


def test_no_charge_is_lost_or_doubled_when_the_writer_is_killed_on_postgresql(
    tmp_path: Path, postgres: Any
) -> None:
    postgres.psql("CREATE DATABASE kill_loop")
    seen = rounds(postgres.get_uri("kill_loop"), tmp_path, 4)
    assert seen["attempts"] > 100
    assert seen["adopted"] > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_kill_loop_at_full_size(tmp_path: Path, request: pytest.FixtureRequest, database: str) -> None:
    """HAECHI_KILL_ROUNDS sets the size; what is recorded of this code already is not run again."""
    count = int(os.environ.get("HAECHI_KILL_ROUNDS", "500"))
    left = count - done("kill loop", database)
    for batch, start in enumerate(range(0, left, BATCH)):
        folder = tmp_path / str(batch)
        folder.mkdir()
        url = f"sqlite:///{folder}/haechi.db"
        if database == "postgresql":
            server = request.getfixturevalue("postgres")
            server.psql(f"CREATE DATABASE kill_loop_{batch}")
            url = server.get_uri(f"kill_loop_{batch}")
        size = min(BATCH, left - start)
        seen = rounds(url, folder, size)
        record("kill loop", database, rounds=size, **seen, lost=0, doubled=0)
