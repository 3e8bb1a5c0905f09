"""Four worker processes at one limit: exactly the limit is admitted, on Valkey, SQLite and PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import valkey as valkey_client
from sqlalchemy import select

from billing.store import open_engine
from billing.tables import rate_windows
from tests.limits.conftest import database
from tests.limits.limited_worker import LIMIT, TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKER = Path(__file__).with_name("limited_worker.py")
ROOT = WORKER.parent.parent.parent
WORKERS = 4


@pytest.fixture(params=["valkey", "sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "valkey":
        url = request.getfixturevalue("valkey_url")
        valkey_client.from_url(url).flushdb()
        yield url
    else:
        yield database(request, tmp_path)


def work(shared: str, tries: int, most: int) -> tuple[int, int]:
    """Run the workers at once; return how many requests were admitted and what tokens they used."""
    arguments = [sys.executable, str(WORKER), shared, str(tries), str(most)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    workers = [subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment) for _ in range(WORKERS)]
    served = used = 0
    for worker in workers:
        out, _ = worker.communicate(timeout=100)
        assert worker.returncode == 0
        one, tokens = map(int, out.split())
        served, used = served + one, used + tokens
    return served, used


def counted(shared: str) -> int:
    """Return what the minute counts in the end, everything returned."""
    if shared.startswith("valkey"):
        client = valkey_client.from_url(shared)
        return sum(int(client.get(key) or 0) for key in client.keys("*"))
    engine = open_engine(shared)
    with engine.connect() as connection:
        total = sum(connection.execute(select(rate_windows.c.used)).scalars())
    engine.dispose()
    return total


def test_exactly_the_limit_of_requests_is_admitted(shared: str) -> None:
    served, _ = work(shared, LIMIT, 0)
    assert served == LIMIT == counted(shared)


def test_tokens_never_exceed_the_limit_and_are_counted_as_used(shared: str) -> None:
    served, used = work(shared, 300, 2_000)
    assert used <= TOKENS
    assert used == counted(shared)
    assert served > TOKENS // 2_000, "corrections make room for more than whole bounds"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(20))
def test_exactly_the_limit_in_every_round(shared: str, number: int) -> None:
    served, _ = work(shared, 4 * LIMIT, 0)
    assert served == LIMIT == counted(shared), f"round {number}"
