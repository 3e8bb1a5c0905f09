"""Four worker processes at a nearly spent budget: not a nano-won too much, and no room left unused."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from billing.budgets import Budget, Every, Scope
from billing.store import (
    budget_status,
    check_accounts,
    open_dispatches,
    open_engine,
    set_budget,
    usage_report,
    verify,
)
from billing.tables import metadata
from tests.faults.budgeted_writer import BOOK, INPUT_BYTES, MOST_OUTPUT

if TYPE_CHECKING:
    from sqlalchemy import Engine

WRITER = Path(__file__).with_name("budgeted_writer.py")
ROOT = WRITER.parent.parent.parent
WORKERS = 4


def work(url: str, directory: Path, requests: int) -> tuple[int, int]:
    """Run the workers at once; return how many requests were served and refused."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, str(WRITER), url, str(directory), str(requests // WORKERS)]
    workers = [subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment) for _ in range(WORKERS)]
    counts = []
    for worker in workers:
        out, _ = worker.communicate(timeout=100)
        assert worker.returncode == 0
        counts.append(tuple(map(int, out.split())))
    return sum(served for served, _ in counts), sum(refused for _, refused in counts)


def one_round(engine: Engine, url: str, directory: Path, requests: int, holds: int) -> None:
    now = datetime.now(UTC)
    bound = BOOK.quote("m", now).upper_bound(INPUT_BYTES, MOST_OUTPUT)
    spent = sum(row.cost_nano_krw for row in usage_report(engine, "department"))
    limit = spent + holds * bound
    budget = Budget(f"b{now.timestamp()}", Scope("unit", "총무과"), Every.ONCE, limit)
    set_budget(engine, budget, now=now, by="test", reason="test")
    served, refused = work(url, directory, requests)
    (status,) = budget_status(engine, now)
    assert status.held_nano_krw == 0
    assert status.spent_nano_krw <= limit, "overspent"
    assert status.spent_nano_krw == sum(row.cost_nano_krw for row in usage_report(engine, "department"))
    assert served >= holds, "somebody was refused although there was room for a whole hold"
    assert refused > 0
    assert check_accounts(engine) == []
    assert open_dispatches(engine) == []
    assert verify(engine, b"k" * 32).ok


def rounds(url: str, directory: Path, count: int, requests: int) -> None:
    engine = open_engine(url)
    metadata.create_all(engine)
    try:
        for _ in range(count):
            one_round(engine, url, directory, requests, holds=requests // 10)
    finally:
        engine.dispose()


def test_four_workers_never_overspend_on_sqlite(tmp_path: Path) -> None:
    rounds(f"sqlite:///{tmp_path}/haechi.db", tmp_path, 1, 200)


def test_four_workers_never_overspend_on_postgresql(tmp_path: Path, postgres: Any) -> None:
    postgres.psql("CREATE DATABASE overspend")
    rounds(postgres.get_uri("overspend"), tmp_path, 1, 200)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_overspend_at_full_size(tmp_path: Path, request: pytest.FixtureRequest, database: str) -> None:
    count = int(os.environ.get("HAECHI_OVERSPEND_ROUNDS", "100"))
    url = f"sqlite:///{tmp_path}/haechi.db"
    if database == "postgresql":
        server = request.getfixturevalue("postgres")
        server.psql("CREATE DATABASE overspend_full")
        url = server.get_uri("overspend_full")
    rounds(url, tmp_path, count, 500)
    print(f"overspend on {database}: {count} rounds of 500 requests by {WORKERS} workers: 0 won")
