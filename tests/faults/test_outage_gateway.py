"""PostgreSQL goes away under a whole gateway with 32 clients, and comes back: what the clients see, what the books say."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.proofs import record
from tests.faults.whole_gateway import Load, compare, installed, serve, simulating

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def stopped(server: Any) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def read_only(server: Any) -> Iterator[None]:
    """As a standby that was asked too early, or a server whose disk went read-only."""
    for is_read_only in ("on", "off"):
        server.psql(f"ALTER SYSTEM SET default_transaction_read_only = {is_read_only}")
        server.psql("SELECT pg_reload_conf()")
        if is_read_only == "on":
            yield


AWAY = {"stopped": stopped, "read only": read_only}


def outage(folder: Path, database: Any, how: str, away_s: float, *, hard: bool) -> dict[str, Any]:
    """Take the database away under load; compare afterwards. Under a soft budget work goes on meanwhile."""
    with simulating() as simulator:
        made = installed(folder, simulator, database.get_uri(), hard=hard)
        server = serve(made)
        load = Load(made)
        try:
            with load:
                load.wait_for(20)
                with AWAY[how](database):
                    before = len(load.answered)
                    time.sleep(away_s)
                    meanwhile = len(load.answered) - before
                load.wait_for(len(load.answered) + 50)
            server.terminate()
            assert server.wait(60) in {0, -signal.SIGTERM}
        finally:
            server.kill()
            server.wait()
        seen = compare(made, load.answered)
    assert load.broken == 0, "somebody got no answer at all"
    assert set(load.statuses) <= {200, 503}, load.statuses
    assert seen["adopted"] == 0, "nobody died"
    refused, slowest_s = load.statuses[503], round(load.slowest_s, 2)
    return {**seen, "meanwhile": meanwhile, "refused": refused, "slowest_s": slowest_s}


@pytest.mark.timeout(300)
def test_clients_are_served_on_while_the_database_is_away(tmp_path: Path, own_postgres: Any) -> None:
    seen = outage(tmp_path, own_postgres, "stopped", 2.0, hard=False)
    assert seen["meanwhile"] > 0


@pytest.mark.timeout(300)
def test_under_a_hard_budget_clients_are_refused_while_the_database_is_away(
    tmp_path: Path, own_postgres: Any
) -> None:
    seen = outage(tmp_path, own_postgres, "stopped", 1.0, hard=True)
    assert seen["refused"] > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", AWAY)
@pytest.mark.parametrize("hard", [False, True], ids=["soft budget", "hard budget"])
def test_a_minute_without_the_database(tmp_path: Path, own_postgres: Any, how: str, hard: bool) -> None:
    seen = outage(tmp_path, own_postgres, how, 60, hard=hard)
    kind = f"gateway with its database {how}, {'hard' if hard else 'soft'} budget"
    record(kind, "postgresql", rounds=1, away_s=60, **seen, lost=0, doubled=0)
