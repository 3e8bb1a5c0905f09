"""A gateway whose models each stand for one fault of tests/faults/server.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.server import FAULTS, FaultServer, running
from tests.journeys.conftest import CONFIG, Gateway, Simulator, install, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def faults() -> Iterator[FaultServer]:
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, faults: FaultServer) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("faults")
    text = CONFIG.format(simulator="http://127.0.0.1:9", filter="", faulty=faults.url)
    for name in FAULTS:
        provider = f'provider = "faulty", upstream_model = "{name}", price_key = "any"'
        text += f'\n[[models]]\nid = "{name}"\ndeployments = [{{ {provider} }}]\n'
    text += "\n[routing]\nattempts = 1\nbreaker_failures = 1000\n"
    settings = install(folder, text)
    made = Gateway("", folder, settings, Simulator(""))
    for person in ("p1", "p2"):
        made.issue(person, person_id=person)
    with serving(settings) as made.url:
        yield made
