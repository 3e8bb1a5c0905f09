"""What every test may need: where ../shared is, and a loud skip where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SHARED.is_dir():
        return
    if os.environ.get("HAECHI_CI") == "1":
        raise pytest.UsageError(f"CI runs with {SHARED}, and it is not there")
    for item in items:
        if "shared" in item.keywords:
            item.add_marker(pytest.mark.skip(reason=f"NOT RUN: needs {SHARED}"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material; the test that asks for it is marked `shared`."""
    return SHARED
