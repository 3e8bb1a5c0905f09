"""A gateway whose models each stand for one fault, alone or with a second deployment that answers.

Model ids read `fault/one/stream`: every case has a model, and so a circuit breaker, of its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.faults.faults import FAULTS
from tests.faults.server import Addresses, FaultServer, nowhere, running
from tests.journeys.conftest import CONFIG, Gateway, Simulator, install, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUTS = "timeouts = { connect_s = 0.3, first_byte_s = 0.6, idle_s = 0.6, total_s = 3.0 }"
PATIENT = "timeouts = { connect_s = 1.0, first_byte_s = 5.0, idle_s = 5.0, total_s = 20.0 }"
OF_THE_CLIENT = {"slow-stream", "slow-start", "slow-failure", "flood", "endless-stream", "roulette"}
"""Not faults of their own: for tests/faults/test_clients.py and test_soak.py."""
DEAR = """
[[prices]]
key = "dear"
from = 2026-01-01
currency = "USD"
input = "2"
output = "20"
source = "test"
checked = 2026-11-22
"""
LIMITS = """drain_s = 1.0
drain_tokens = 100
stalled_reader_s = 2.0
"""
ROUTING = """
[routing]
strategy = "cheapest"
attempts = 3
retry_for_s = 2.0
backoff_s = 0.05
"""


@pytest.fixture(scope="session")
def faults() -> Iterator[FaultServer]:
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def addresses(faults: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    with nowhere(tmp_path_factory.mktemp("certificate"), faults) as made:
        yield made


@pytest.fixture(scope="session")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, faults: FaultServer, addresses: Addresses
) -> Iterator[Gateway]:
    with serving_faults(tmp_path_factory.mktemp("faults"), faults, addresses) as made:
        yield made


@contextmanager
def serving_faults(
    folder: Path,
    faults: FaultServer,
    addresses: Addresses,
    *,
    limits: str = LIMITS,
    more: str = "",
    grace_s: int = 3,
) -> Iterator[Gateway]:
    """Serve a gateway with the models of all cases; it is stopped on leaving, and its books stay readable."""
    text = CONFIG.format(simulator="http://127.0.0.1:9", filter="", faulty=faults.url)
    text = text.replace("drain_s = 1.0\n", limits) + DEAR + ROUTING + models(addresses) + more
    made = Gateway("", folder, install(folder, text), Simulator(""))
    for person in ("p1", "p2"):
        made.issue(person, person_id=person)
    with serving(made.settings, timeout_graceful_shutdown=grace_s) as made.url:
        yield made


def models(addresses: Addresses) -> str:
    """The providers without a connection, and the models of all cases."""
    text = ""
    for name, url in asdict(addresses).items():
        text += f'\n[[providers]]\nname = "{name}"\nbase_url = "{url}/v1"\nzone = "external"\n{TIMEOUTS}\n'
    places = dict.fromkeys(FAULTS, "faulty") | {name: name for name in asdict(addresses)}
    for (fault, provider), alone, way in product(places.items(), (True, False), ("whole", "stream")):
        timeouts = PATIENT if fault in OF_THE_CLIENT else TIMEOUTS
        first = f'{{ provider = "{provider}", upstream_model = "{fault}", price_key = "any", id = "ID-1", {timeouts} }}'
        second = '{ provider = "faulty", upstream_model = "fine", price_key = "dear", id = "ID-2" }'
        id_ = f"{fault}/{'one' if alone else 'two'}/{way}"
        deployments = first if alone else f"{first}, {second}"
        text += f'\n[[models]]\nid = "{id_}"\ndeployments = [{deployments.replace("ID", id_)}]\n'
    return text
