"""Four worker processes at a nearly spent budget: not a nano-won, token or request too much.

And no room left unused: whoever's hold fits is served.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from billing.budgets import Amounts, Budget, Every, Measure, Scope
from billing.store import (
    budget_status,
    check_accounts,
    end_budget,
    open_dispatches,
    open_engine,
    set_budget,
    usage_report,
    verify,
)
from billing.tables import budget_leases, metadata
from tests.faults.budgeted_writer import BOOK, INPUT_BYTES, MOST_OUTPUT
from tests.faults.proofs import done, record

if TYPE_CHECKING:
    from sqlalchemy import Engine

WRITER = Path(__file__).with_name("budgeted_writer.py")
ROOT = WRITER.parent.parent.parent
WORKERS = 4
UNIT = Scope("unit", "총무과")
BOUNDS = Amounts(
    BOOK.quote("m", datetime(2026, 11, 22, tzinfo=UTC)).upper_bound(INPUT_BYTES, MOST_OUTPUT),
    INPUT_BYTES + MOST_OUTPUT,
    1,
)
"""What one request of the workers holds."""


def work(url: str, directory: Path, requests: int, waves: int = 1) -> tuple[int, int]:
    """Run the workers at once, on two replicas; return how many requests were served and refused."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    workers = []
    for number in range(WORKERS):
        replica = directory / f"replica{number % 2}"
        replica.mkdir(exist_ok=True)
        arguments = [sys.executable, str(WRITER), url, str(replica), str(requests // WORKERS), str(waves)]
        workers.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment))
    counts = []
    for worker in workers:
        out, _ = worker.communicate(timeout=100)
        assert worker.returncode == 0
        counts.append(tuple(map(int, out.split())))
    return sum(served for served, _ in counts), sum(refused for _, refused in counts)


def one_round(engine: Engine, url: str, directory: Path, requests: int, measure: Measure) -> None:
    now, holds = datetime.now(UTC), requests // 10
    limit = limits(engine, now, measure) + holds * BOUNDS.of(measure)
    budget = Budget(f"b{now.timestamp()}", UNIT, Every.ONCE, limit, measure=measure)
    set_budget(engine, budget, now=now, by="test", reason="test")
    served, refused = work(url, directory, requests)
    status = next(status for status in budget_status(engine, now) if status.budget.hard)
    assert status.held == 0
    assert status.spent <= limit, "overspent"
    assert served >= holds, "somebody was refused although there was room for a whole hold"
    assert measure is not Measure.REQUESTS or served == holds
    assert refused > 0
    assert check_accounts(engine) == []
    assert open_dispatches(engine) == []
    assert verify(engine, b"k" * 32).ok
    end_budget(engine, budget.id, now=now, by="test", reason="over")


def limits(engine: Engine, now: datetime, measure: Measure) -> int:
    """Return what is spent so far, by the ledger: as a budget that refuses nothing counts it."""
    soft = Budget(f"s{now.timestamp()}", UNIT, Every.ONCE, 0, hard=False, measure=measure)
    set_budget(engine, soft, now=now, by="test", reason="test")
    (status,) = budget_status(engine, now)
    end_budget(engine, soft.id, now=now, by="test", reason="over")
    if measure is Measure.WON:
        assert status.spent == sum(row.cost_nano_krw for row in usage_report(engine, "department"))
    return status.spent


def rounds(url: str, directory: Path, count: int, requests: int) -> None:
    """Run rounds against budgets in won, tokens and requests in turn."""
    engine = open_engine(url)
    metadata.create_all(engine)
    try:
        for number in range(count):
            one_round(engine, url, directory, requests, list(Measure)[number % 3])
    finally:
        engine.dispose()


def test_four_workers_never_overspend_on_sqlite(tmp_path: Path) -> None:
    rounds(f"sqlite:///{tmp_path}/haechi.db", tmp_path, 3, 120)


def test_four_workers_on_two_replicas_never_overspend_on_postgresql(tmp_path: Path, postgres: Any) -> None:
    postgres.psql("CREATE DATABASE overspend")
    rounds(postgres.get_uri("overspend"), tmp_path, 3, 120)


@pytest.mark.parametrize("measure", Measure)
def test_four_workers_that_lease_never_overspend(tmp_path: Path, measure: Measure) -> None:
    """Far from the limit they take from leases; each leaves the others a small share at most."""
    url, now, holds = f"sqlite:///{tmp_path}/haechi.db", datetime.now(UTC), 1_200
    engine = open_engine(url)
    metadata.create_all(engine)
    limit = holds * BOUNDS.of(measure)
    budget = Budget("b", UNIT, Every.ONCE, limit, measure=measure)
    set_budget(engine, budget, now=now, by="test", reason="test")
    _served, refused = work(url, tmp_path, 4_000, waves=40)
    (status,) = budget_status(engine, now)
    assert status.held == 0
    assert 0.9 * limit < status.spent <= limit
    assert refused > 0
    assert check_accounts(engine) == []
    assert open_dispatches(engine) == []
    assert verify(engine, b"k" * 32).ok
    with engine.connect() as connection:
        assert connection.execute(select(budget_leases)).first() is None
    engine.dispose()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_overspend_at_full_size(tmp_path: Path, request: pytest.FixtureRequest, database: str) -> None:
    """Budgets in won, tokens and requests in turn; what is recorded of this code already is not run again."""
    count = int(os.environ.get("HAECHI_OVERSPEND_ROUNDS", "100")) - done("overspend", database)
    if count <= 0:
        return
    url = f"sqlite:///{tmp_path}/haechi.db"
    if database == "postgresql":
        server = request.getfixturevalue("postgres")
        server.psql("CREATE DATABASE overspend_full")
        url = server.get_uri("overspend_full")
    rounds(url, tmp_path, count, 500)
    record("overspend", database, rounds=count, requests=500, workers=WORKERS, overspent=0)
