"""One engine for all filter tests: building it loads the lexicon and Presidio once."""

from __future__ import annotations

import pytest

from filters.engine import Engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine()
