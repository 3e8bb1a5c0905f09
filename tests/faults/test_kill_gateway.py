"""The whole gateway is killed under load and started again; then its books against the simulator's own."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.proofs import done, record
from tests.faults.whole_gateway import Load, compare, installed, serve, simulating

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.conftest import Simulator

BATCH = 10
"""Kills on one ledger, compared and recorded together."""


def kill_again_and_again(folder: Path, simulator: Simulator, kills: int, url: str = "") -> dict[str, int]:
    """Kill the gateway so often on one ledger: SQLite in `folder`, or the database of `url`."""
    made = installed(folder, simulator, url)
    answered: list[str] = []
    for _ in range(kills):
        server = serve(made)
        load = Load(made)
        with load:
            try:
                load.wait_for(random.randint(10, 80))
                time.sleep(random.uniform(0, 0.05))
            finally:
                server.kill()
                server.wait()
        answered += load.answered
    server = serve(made)  # it adopts what the last one left
    server.terminate()
    server.wait(30)
    return compare(made, answered)


@pytest.mark.timeout(400)
def test_a_killed_gateway_and_the_providers_books_agree(tmp_path: Path) -> None:
    with simulating() as simulator:
        seen = kill_again_and_again(tmp_path, simulator, 2)
    assert seen["answered"] >= 20


@pytest.mark.timeout(400)
def test_a_killed_gateway_and_the_providers_books_agree_on_postgresql(tmp_path: Path, postgres: Any) -> None:
    postgres.psql("CREATE DATABASE killed_gateway")
    with simulating() as simulator:
        seen = kill_again_and_again(tmp_path, simulator, 1, postgres.get_uri("killed_gateway"))
    assert seen["answered"] >= 10


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_gateway_that_is_killed_at_full_size(
    tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    """HAECHI_GATEWAY_KILLS sets the size; what is recorded of this code already is not run again."""
    left = int(os.environ.get("HAECHI_GATEWAY_KILLS", "500")) - done("killed gateway", database)
    for batch, start in enumerate(range(0, left, BATCH)):
        kills, url = min(BATCH, left - start), ""
        if database == "postgresql":
            server = request.getfixturevalue("postgres")
            server.psql(f"CREATE DATABASE killed_gateway_{batch}")
            url = server.get_uri(f"killed_gateway_{batch}")
        with simulating() as simulator:
            seen = kill_again_and_again(tmp_path / str(batch), simulator, kills, url)
        record("killed gateway", database, rounds=kills, **seen, lost=0, doubled=0)
